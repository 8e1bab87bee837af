//! The BGP lane against real routers (Debian packages), in network namespaces of its own.
//!
//! ```text
//!   node ── 192.0.2.0/24, 2001:db8::/64 ── tor
//!    .1                                    .2
//! ```
//!
//! Needs root, as all that makes namespaces.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod node;
mod sessions;
