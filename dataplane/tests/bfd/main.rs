//! The BFD lane against a real router: FRR's bfdd (Debian package `frr`), in network namespaces of its own.
//!
//! ```text
//!   node ── 192.0.2.0/24, 2001:db8::/64 ── router ── 198.51.100.0/24 ── far
//!    .1                                   .2    .1                      .2
//! ```
//!
//! Needs root, as all that makes namespaces.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod far;
mod next_door;
mod node;
mod router;
mod site;
