//! What speakers report, on a real API server: written, kept right, taken over, and taken away.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

mod node;
mod services;
mod setup;
