//! Neighbour Discovery (RFC 4861): who has this IPv6 address? And who is the router at the other end of a link?
//!
//! | room | holds |
//! |---|---|
//! | [`Discovery`] | one interface: when to speak, and who the neighbour is; start at [`Discovery::handle_input`] |
//! | `responder` | [`answer`]: who is answered for the addresses of services, and with what; unasked: [`Announcement`]; asking: [`question`] |
//! | [`wire`] | the bytes of both |
//!
//! [`Discovery`] is for unnumbered BGP sessions: a BGPPeer names an interface, and its router is whoever advertises itself there. The router
//! finds us in the same way, so we advertise too, and say that we are no default router: a node of Kubernetes routes nobody's
//! traffic but that of its services.
//!
//! Not here: sockets, clocks, prefixes and routes of advertisements (they are the kernel's business), which addresses are ours
//! (`plan` decides), and when to announce them ([`crate::announcer`]).

mod discovery;
mod responder;
pub mod wire;

#[cfg(test)]
mod tests;

pub use discovery::{ALL_NODES, ALL_ROUTERS, Discovery, Ignored, Input, Output, Station};
pub use responder::{Announcement, answer, question};
