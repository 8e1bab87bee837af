//! The BGP lane: sessions with routers, on a thread of their own, beside the brain and slowed by nothing it does.
//!
//! | room | holds |
//! |---|---|
//! | `lane` | the thread from outside: what it is told, what may be read; start at [`Lane`] |
//! | `orders` | what waits to be taken up, in the boxes between the brain and the tasks |
//! | `dispatcher` | one task a peer: begun, told, ended |
//! | `peer` | that task: between a session machine and its sockets |
//! | `wires` | the sockets of one peer |
//! | `listener` | routers that connect by themselves, where that is asked for |
//! | `watched` | what BFD says of a peer, and what BFD is to watch for it |
//! | [`wanted`] | a BGPPeer as the lane needs it; what is said where it says nothing |
//! | [`seen`] | how the sessions stand |
//! | [`metrics`] | what is counted |
//!
//! Not here: bytes and states (`metallb_protocols::bgp`), and which routes to announce (`metallb_core::plan`).

mod dispatcher;
mod lane;
mod listener;
pub mod metrics;
mod orders;
mod peer;
pub mod seen;
pub mod wanted;
mod watched;
mod wires;

pub use lane::{Beside, Ending, Lane};
pub use orders::{StandIn, StandIns};
