//! What a `MetalLB` object asks for, checked: past this room nobody reads its spec.
//!
//! In this room: [`Wanted::check`], the rules that a schema cannot hold, and [`catalogue()`], an example of every "no". Not
//! here: the objects that follow from it ([`crate::render`]).
//!
//! `image` has been without effect upstream for long. `frrk8sConfig.alwaysBlock` is checked and goes no further: it
//! names prefixes that must not be learned from routers, and the speaker learns none.

mod arguments;
mod catalogue;
mod check;
mod refusal;
#[cfg(test)]
mod tests;

pub use arguments::{OF_BOTH, OF_SPEAKER};
pub use catalogue::catalogue;
pub use check::{BgpBackend, Leaving, Moving, OWN_VARIABLES, Pods, UpdateStrategy, Wanted};
pub use refusal::SpecRefusal;
