//! The controller's program against a real API server: given once, written once, kept over every kind of restart.

#![allow(clippy::unwrap_used, clippy::panic)] // a scenario ends where it fails

mod allocation;
mod guarded;
mod installation;
mod reports;
mod restarts;
