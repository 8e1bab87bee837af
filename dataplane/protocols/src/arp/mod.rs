//! ARP (RFC 826): who has this IPv4 address? And, unasked: it is here now (RFC 5227 §3).
//!
//! In this room: `wire` (the 42 bytes of an Ethernet frame with ARP in it) and `responder`, which is [`answer`] alone
//! ([`crate::responder`] says what becomes of a frame).
//! Not here: sockets, which addresses are ours (`plan` decides), and when to announce ([`crate::announcer`]).

mod responder;
mod wire;

#[cfg(test)]
mod tests;

pub use responder::{answer, question};
pub use wire::{Announcement, FRAME_LENGTH, Malformed, Operation, Packet};
