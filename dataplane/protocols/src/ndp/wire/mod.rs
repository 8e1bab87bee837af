//! The bytes of Neighbour Discovery: from the ICMPv6 type to the end of the options. Hostile bytes in; what comes out needs no
//! further check.
//!
//! | room | what |
//! |---|---|
//! | `router` | router solicitations and advertisements (RFC 4861 §4.1, §4.2) |
//! | `options` | what follows every message (§4.6) |
//! | `malformed` | why bytes are no message |
//!
//! The checksum is the kernel's, both ways, on a raw ICMPv6 socket.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod malformed;
mod options;
mod router;

pub use malformed::Malformed;
pub use router::{Advertisement, Arrival, Message, Solicitation};
