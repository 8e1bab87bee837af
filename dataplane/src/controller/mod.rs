//! The controller: gives every Service of type LoadBalancer an address from the pools, and writes it to its status.
//!
//! | room | holds |
//! |---|---|
//! | [`args`] | flags and environment |
//! | [`run`] | start-up, and what runs beside the brain |
//! | [`brain`] | the one task that owns the world: watches in, settlements out |
//! | [`row`] | a Service, as the controller keeps it |
//! | [`pool_row`] | an IPAddressPool, read as its status and what it keeps back |
//! | [`ledger`] | its world, and what follows from it; no I/O |
//! | [`writing`] | one write of one Service's status |
//! | [`reporting`] | the status of pools and what they keep back, written in rounds |
//! | [`reservations`] | what is kept back, as the text of a ConfigMap |
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
mod pool_row;
mod reporting;
mod reservations;
mod row;
mod run;
mod writing;

pub use run::run;
