//! Neighbour Discovery (RFC 4861), as far as routers are concerned: who is at the other end of a link, and letting it know us.
//!
//! | room | holds |
//! |---|---|
//! | [`Discovery`] | one interface: when to speak, and who the neighbour is; start at [`Discovery::handle_input`] |
//! | [`wire`] | router solicitations and advertisements |
//!
//! For unnumbered BGP sessions: a BGPPeer names an interface, and its router is whoever advertises itself there. The router
//! finds us in the same way, so we advertise too, and say that we are no default router: a node of Kubernetes routes nobody's
//! traffic but that of its services.
//!
//! Not here: sockets, clocks, prefixes and routes of advertisements (they are the kernel's business), and answering for the
//! addresses of services.

mod discovery;
pub mod wire;

#[cfg(test)]
mod tests;

pub use discovery::{ALL_NODES, ALL_ROUTERS, Discovery, Ignored, Input, Output, Station};
