//! Every protocol MetalLB speaks, as state machines without I/O.
//!
//! Input and time go in (`handle_input(now, …)`), facts and packets come out (`poll_output`), and `poll_timeout` says
//! when time alone will change something. The rooms are the same in every protocol that has them: `wire` (bytes ↔
//! types), `session` (states), `tests`.
//!
//! | room | protocol |
//! |---|---|
//! | [`ethernet`] | what ARP rides on |
//! | [`arp`] | RFC 826: answering for addresses, and telling neighbours that they moved here (RFC 5227 §3) |
//! | [`announcer`] | when to tell neighbours that an address moved here |
//! | [`bfd`] | RFC 5880, 5881, 5883: is the router still there? |
//! | [`bgp`] | RFC 4271 and what followed: telling routers which addresses are reached through this node |
//! | [`liveness`] | which nodes have a live speaker: heartbeats between speakers |
//!
//! Not here: sockets, clocks, randomness. NDP is not written yet.

pub mod announcer;
pub mod arp;
pub mod bfd;
pub mod bgp;
pub mod ethernet;
pub mod liveness;

#[cfg(test)]
mod virtual_clock;
