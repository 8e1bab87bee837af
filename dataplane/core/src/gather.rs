//! Collecting into ordered maps and sets one by one.
//!
//! To `collect` into one of them is to sort first, and the sort is compiled for each place where it is done: four kilobytes each,
//! and a program with a hundred of them has 400 kB of it in memory. So whatever is generic, and compiled for each kind of object, gathers.

/// What can be gathered.
pub trait Gather: Iterator + Sized {
    /// All of it. Of equal keys the last counts.
    fn gather<C: Default + Extend<Self::Item>>(self) -> C {
        let mut all = C::default();
        all.extend(self);
        all
    }
}

impl<I: Iterator> Gather for I {}
