//! The bytes of BGP, to types and back. Hostile bytes in; what comes out needs no further check.
//!
//! Start at [`Frame::split`], which finds the next message in a stream; its [`Kind`] says who reads the body:
//! [`Open`], [`Update`], [`Notification`], [`RouteRefresh`] (a KEEPALIVE has none). What they cannot read is a
//! [`Notification`]: the one to answer with. Each type's `emit` writes a whole message.
//!
//! | room | what |
//! |---|---|
//! | `header` | the frame: marker, length, type (RFC 4271 §4.1, RFC 8654) |
//! | `open`, `capability` | OPEN and what it offers (RFC 4271 §4.2, 5492, 9072) |
//! | `update`, `received` | UPDATE as sent (RFC 4271 §4.3, 4760), and as received (RFC 7606: what an error costs) |
//! | `attributes`, `attribute`, `as_path`, `community`, `next_hop`, `prefix` | what UPDATEs consist of |
//! | `notification`, `reason` | how sessions end (RFC 4486, 8538, 9003, 9384) |
//! | `refresh` | ROUTE-REFRESH (RFC 2918, 7313) |
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod as_path;
mod attribute;
mod attributes;
mod capability;
mod community;
mod family;
mod header;
mod next_hop;
mod notification;
mod open;
mod prefix;
mod reader;
mod reason;
mod received;
mod refresh;
mod update;

pub use as_path::{AS_TRANS, AsPath, Segment, SegmentKind};
pub use attribute::Unrecognised;
pub use attributes::{Aggregator, Attributes, Origin};
pub use capability::{Capability, Direction, GracefulRestart, RestartTime, Short};
pub use community::ExtendedCommunity;
pub use family::AddressFamily;
pub use header::{Frame, HEADER, Kind, LARGEST, LARGEST_EXTENDED, keepalive};
pub use next_hop::NextHop;
pub use notification::Notification;
pub use open::Open;
pub use prefix::{PathId, Prefixes};
pub use reason::Reason;
pub use received::{Fault, Parsed, Sender};
pub use refresh::{Demarcation, RouteRefresh};
pub use update::{MpReach, TooLong, Update};
