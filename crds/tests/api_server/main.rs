//! The definitions on a real API server: what they cost, what they refuse without any webhook, and what they leave
//! alone.

#![allow(clippy::panic, clippy::unwrap_used)] // all of this file is a test

mod budget;
mod refusals;
mod setup;
mod stored;
