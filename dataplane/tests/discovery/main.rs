//! Routers found by their advertisements, and finding us, against FRR (Debian package `frr`) in network namespaces.
//!
//! ```text
//!   node v0 ── v0 tor
//! ```
//!
//! Needs root, as all that makes namespaces.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod found;
mod node;
