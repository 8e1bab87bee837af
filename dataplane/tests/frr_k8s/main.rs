//! FRRConfigurations on a real API server that knows the kind: what is written there, when, and what is told.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

mod installing;
mod site;
mod speaker;
mod writing;
