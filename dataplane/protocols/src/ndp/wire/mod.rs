//! The bytes of Neighbour Discovery. Hostile bytes in; what comes out needs no further check.
//!
//! | room | what |
//! |---|---|
//! | `router` | router solicitations and advertisements (RFC 4861 §4.1, §4.2), from the ICMPv6 type on |
//! | [`neighbour`] | neighbour solicitations and advertisements (§4.3, §4.4), in whole Ethernet frames |
//! | `options` | what follows every message (§4.6) |
//! | `malformed` | why bytes are no message |
//!
//! Messages of routers go through raw ICMPv6 sockets, where the checksum is the kernel's, both ways. Frames carry their own.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod malformed;
pub mod neighbour;
mod options;
mod router;

pub use malformed::Malformed;
pub use router::{Advertisement, Arrival, Message, Solicitation};

/// What no packet from beyond a router can have.
const HOP_LIMIT: u8 = 255;
