//! The BFD lane: one thread that watches routers (RFC 5880, 5881, 5883), beside BGP and slowed by nothing.
//!
//! | room | holds |
//! |---|---|
//! | `lane` | the thread from outside: what it is told, what may be read; start at [`Lane`] |
//! | `driver` | its loop |
//! | `sockets` | its sockets, opened as sessions need them |
//! | [`metrics`] | what is counted |
//!
//! Not here: bytes and states (`metallb_protocols::bfd`), which routers, and what a lost one means for routes.

mod driver;
mod lane;
pub mod metrics;
mod sockets;

pub use lane::{Ending, Lane, Publisher, Seen};
