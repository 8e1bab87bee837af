//! The controller: gives every Service of type LoadBalancer an address from the pools, and writes it to its status.
//!
//! | room | holds |
//! |---|---|
//! | [`args`] | flags and environment |
//! | [`run`] | start-up, and what runs beside the brain |
//! | [`brain`] | the one task that owns the world: watches in, settlements out |
//! | [`row`] | a Service, as the controller keeps it |
//! | [`ledger`] | its world, and what follows from it; no I/O |
//! | [`writing`] | one write of one Service's status |
//! | [`notes`] | what happened to a service, as events with upstream's reasons |
//! | [`memberlist_secret`] | the Secret that speakers share |
//! | [`metrics`] | how full the pools are |
//!
//! Not here: the rules of allocation (`metallb_core::ipam`).

pub mod args;
mod brain;

mod ledger;
mod memberlist_secret;
mod metrics;
mod notes;
mod row;
mod run;
mod writing;

pub use run::run;
