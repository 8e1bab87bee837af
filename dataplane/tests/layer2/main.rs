//! The layer 2 lane in front of other kernels: who looks for an address finds it, and whoever had it elsewhere is told.
//!
//! ```text
//!   client ──┐
//!   first  ──┼── switch        192.0.2.0/24, 2001:db8::/64: client .9, first .1, second .2
//!   second ──┘
//! ```
//!
//! Needs root, as all that makes namespaces, and Debian's `arping` and `ndisc6`.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod answers;
mod client;
mod conflicts;
mod flood;
mod heartbeats;
mod lull;
mod moves;
mod node;
mod site;
mod succession;
