//! Every protocol MetalLB speaks, as state machines without I/O.
//!
//! Input and time go in (`handle_input(now, …)`), facts and packets come out (`poll_output`), and `poll_timeout` says
//! when time alone will change something. The rooms are the same in every protocol that has them: `wire` (bytes ↔
//! types), `session` (states), `tests`.
//!
//! | room | protocol |
//! |---|---|
//! | [`ethernet`] | what ARP and NDP ride on |
//! | [`arp`] | RFC 826: answering for addresses, and telling neighbours that they moved here (RFC 5227 §3) |
//! | [`announcer`] | when to tell neighbours that an address moved here, or is still here |
//! | [`responder`] | what answering by ARP and by NDP have in common |
//! | [`stand_in`] | answering in the name of a node whose speaker is silent |
//! | [`lull`] | when an address moves between two living nodes: while no request is under way to it |
//! | [`sighting`] | speakers that answer for addresses though no heartbeat of theirs is heard |
//! | [`conflict`] | RFC 5227: another station has an address that is announced here |
//! | [`bfd`] | RFC 5880, 5881, 5883: is the router still there? |
//! | [`bgp`] | RFC 4271 and what followed: telling routers which addresses are reached through this node |
//! | [`ndp`] | RFC 4861: answering for IPv6 addresses; finding the router on a link, and being found by it |
//! | [`liveness`] | which nodes have a live speaker: heartbeats between speakers |
//!
//! [`jitter`] is what keeps nodes from doing things in step, [`dice`] what it rolls, [`timetable`] what is due when. Not here: sockets, clocks, randomness.

pub mod announcer;
pub mod arp;
pub mod bfd;
pub mod bgp;
pub mod conflict;
pub mod dice;
pub mod ethernet;
pub mod jitter;
pub mod liveness;
pub mod lull;
pub mod ndp;
pub mod responder;
pub mod sighting;
pub mod stand_in;
pub mod timetable;

#[cfg(test)]
mod virtual_clock;
