//! A lease (coordination.k8s.io/v1): who of several replicas works.
//!
//! In this room: [`elector`], the rules, without I/O, in virtual time; and [`holder`], which keeps the Lease object.
//! The rules are client-go's: 15 s of validity, renewed every 2 s, given up after 10 s without success; a standby
//! trusts its own clock only, counting from when it saw the record change. Every write carries the resourceVersion of
//! the read before it, so of two that want the lease one gets it.
//!
//! (`kube-lease-manager` was the library of choice. It takes an expired lease over by a forced write that may undo a
//! takeover that another replica just made, compares wall clocks of different nodes, and does not tell until when the
//! lease holds; [`Lease::outlives`] must.)
//!
//! A lease is no fence: see [`Lease::outlives`].

mod elector;
mod holder;

pub use elector::{Action, Elector, Record, Timing};
pub use holder::{Lease, keep};
