//! Routers found by their advertisements, and finding us, against FRR (Debian package `frr`) in network namespaces.
//!
//! ```text
//!   node v0 ── v0 router
//! ```
//!
//! Needs root, as all that makes namespaces.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod found;
mod node;
mod router;
#[allow(dead_code)] // BFD needs more of it
mod site;
