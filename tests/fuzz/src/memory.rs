//! What a piece of code allocates. Measured by an allocator that counts per thread, so tests beside it do not matter.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Octets that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// In all. Repeated copying shows here: it is a measure of work that is the same on every machine.
    pub total: u64,
    /// At one time, more than before.
    pub peak: u64,
    /// Afterwards, more than before; negative if something was freed.
    pub kept: i64,
}

/// What `code` gives, and what it allocated.
pub fn measure<T>(code: impl FnOnce() -> T) -> (T, Allocated) {
    let mut outcome = None;
    // A panic must not leave the counter where it is: the input that caused it is about to be made smaller.
    let counted = allocation_counter::measure(|| outcome = Some(catch_unwind(AssertUnwindSafe(code))));
    let allocated =
        Allocated { total: counted.bytes_total, peak: counted.bytes_max, kept: counted.bytes_current };
    match outcome {
        Some(Ok(value)) => (value, allocated),
        Some(Err(panic)) => resume_unwind(panic),
        None => unreachable!("the counter runs what it is given"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told_from_what_is_given_back() {
        let (kept, allocated) = measure(|| {
            drop(std::hint::black_box(vec![0_u8; 1000]));
            std::hint::black_box(vec![0_u8; 10])
        });
        assert_eq!(kept.len(), 10);
        assert_eq!(allocated, Allocated { total: 1010, peak: 1000, kept: 10 });
    }

    #[test]
    fn a_panic_leaves_the_counter_as_it_was() {
        for _ in 0..100 {
            assert!(catch_unwind(|| measure(|| std::hint::black_box(None::<u8>).unwrap())).is_err());
        }
        let ((), allocated) = measure(|| ());
        assert_eq!(allocated, Allocated::default());
    }
}
