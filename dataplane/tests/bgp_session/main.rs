//! The state machine of a BGP session against real routers, before any of the speaker's own transport: a driver of a few
//! lines gives it a plain socket. Needs root, and the routers' packages.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod driver;
mod routers;
