//! What the API server asks before it stores an object of ours, and when it needs one in another version.
//!
//! | room | holds |
//! |---|---|
//! | [`paths`] | which path is about which kind: upstream's |
//! | [`start()`] | the webhooks as a process runs them |
//! | [`server`] | listening, and leaving without a request being lost |
//! | [`admission`] | AdmissionReview in and out; start here |
//! | [`gather`] | the objects that an edit is judged beside, read live |
//! | [`metallb`] | the `MetalLB` object |
//! | [`conversion`] | ConversionReview in and out |
//!
//! Every replica serves, whoever holds the lease: nothing here writes. Not here: the decisions themselves
//! ([`metallb_crds::admission`], [`crate::wanted`]), and certificates ([`crate::certs`]).

pub mod admission;
pub mod conversion;
pub mod gather;
pub mod metallb;
pub mod paths;
pub mod server;
mod start;

pub use admission::Reviewer;
pub use server::{Server, serve};
pub use start::{Webhooks, start};
