//! Liveness: which nodes have a live speaker. Every speaker sends every other one a heartbeat; silence is death.
//!
//! In this room: [`wire`] (the datagram) and [`session`] (who was heard when, and what follows). Not here: sockets,
//! and what a death means for addresses (`plan` decides that). Start at [`Liveness::handle_input`].
//!
//! This is the plain form: a full mesh, and no authentication. Anybody who can send from a speaker's address can
//! pretend that it lives.

mod session;
mod wire;

#[cfg(test)]
mod tests;

pub use session::{Dropped, Input, Liveness, Output, Timing, Why};
pub use wire::{Heartbeat, Kind, Malformed};
