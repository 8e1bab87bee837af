//! The BGP lane against real routers (FRR, BIRD and GoBGP, of Debian packages), in network namespaces of its own.
//!
//! ```text
//!   node ── 192.0.2.0/24, 2001:db8::/64 ── tor
//!    .1                                    .2
//! ```
//!
//! Needs root, as all that makes namespaces.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod bfd;
mod changes;
mod distance;
mod fake;
mod hostile;
mod node;
mod numbers;
mod passwords;
mod restarts;
mod sessions;
mod site;
mod trouble;
mod unnumbered;
mod volume;
mod vrf;
