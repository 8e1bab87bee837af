//! Liveness: which nodes have a live speaker. Every speaker sends heartbeats to the few that watch it; silence is death,
//! when most of those say so.
//!
//! * **Who watches whom**: [`watchers`]. Three watch each node, however many there are.
//! * **When silence is death**: [`votes`]. A watcher that hears nothing for 300 ms tells all; the majority decides.
//! * **Who may say so**: [`keys`] prove that a datagram is a speaker's, [`association`] that it is of now. A recording counts
//!   for nothing, whenever and to whomever it is played.
//! * **Who has which address**, where that is to last: [`tenure`]. Heartbeats carry it from one to the next.
//! * **Who does not reach which network**: [`report`]. So do they with that.
//! * [`wire`] is the datagram, [`session`] the engine.
//!
//! Who hears nobody decides alone, so two halves of a cluster that cannot hear each other both go on. Without a key there are
//! no heartbeats and no [`Liveness`]: whom to count on then is not decided here, nor what a death means for addresses
//! (`plan` decides that), and there are no sockets. Start at [`Liveness::handle_input`].

mod association;
mod keys;
mod report;
mod session;
mod tenure;
mod votes;
mod watchers;
mod wire;

#[cfg(test)]
mod tests;

pub use keys::{Key, KeyId};
pub use report::Report;
pub use session::{Dropped, Input, Liveness, Output, Timing, Why};
pub use tenure::{Claim, Tenure};
pub use watchers::NodeId;
pub use wire::{Handover, Heartbeat, LOST, Malformed, Page, Seal, Stance, Word};
