//! Admission: may this edit of the configuration be made, and what should its author know?
//!
//! In this room: [`Change`], the edit; [`Edit`], the configuration before and after it, and the [`Decision`] that
//! follows; [`RunningService`] and what an edit of pools takes from services.
//! Not here: any rule about a single object. Those are the parser's ([`crate::config::parse`]), which decides what
//! runs: what admission accepts and what runs cannot differ.
//!
//! * An edit is denied only for a refusal that it introduces, wherever that refusal falls. What was wrong before may
//!   stay, or get better in steps.
//! * All reasons are given at once.
//! * References to what is not there (yet) are warnings: objects may come in any order.

mod change;
mod edit;
mod running;
#[cfg(test)]
mod tests;

pub use change::{Change, Object};
pub use edit::{Decision, Edit, review};
pub use running::RunningService;
