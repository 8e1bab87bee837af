//! Finds the routers of unnumbered BGP sessions: those of which a BGPPeer says only behind which interface they are.
//!
//! | room | holds |
//! |---|---|
//! | `lookout` | from outside: which interfaces, and who was found; start at [`Discovery`] |
//! | `neighbour` | who was found, or why nobody was |
//! | `driver` | its loop: interfaces, packets, time |
//! | `end` | our end of one link: a socket, and the state machine of `metallb_protocols::ndp` |
//! | `point_to_point` | the router of an IPv4 link for two |
//!
//! An interface that has an IPv4 address in a network for two (/30, /31) has the other address as its neighbour, as with FRR;
//! router advertisements are exchanged there too, for a router that wants IPv6 only. Otherwise it is the link-local address
//! that a router advertises itself from.
//!
//! When it ends, nothing is sent: a last advertisement would say that this node is no default router (any more), and all of
//! them say that.
//!
//! Not here: the sessions.

mod driver;
mod end;
mod lookout;
mod neighbour;
mod point_to_point;

pub use lookout::{Discovery, Missing, Seen};
pub use neighbour::{Absent, Neighbour};
