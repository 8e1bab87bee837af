//! The operator: installs MetalLB as a `MetalLB` object asks for it, and says how that is going.
//!
//! | room | holds |
//! |---|---|
//! | [`run()`] | start-up, and what runs beside the reconciler |
//! | [`args`], [`environment`] | what the process is told |
//! | [`discovery`] | which kinds of others the API server knows |
//! | [`tls_profile`] | what OpenShift asks of everybody's TLS |
//! | [`wanted`] | a `MetalLB` object, checked |
//! | [`render`] | the objects it comes to: pure |
//! | [`reconcile`] | watches in, writes and status out |
//! | [`webhooks`] | what the API server asks before it stores an object, and to convert one |
//! | [`certs`] | the certificate that it trusts them by |
//! | [`cli`] | `kubectl metallb`: validate, plan, explain |
//! | [`metrics`] | what is counted |
//! | [`generate`] | files of the repository that follow from the Rust types |
//!
//! Not here: what controller and speakers do.

pub mod args;
pub mod certs;
pub mod cli;
pub mod discovery;
pub mod environment;
pub mod generate;
pub mod metrics;
pub mod reconcile;
pub mod render;
mod run;
pub mod tls_profile;
pub mod wanted;
pub mod webhooks;

pub use run::{run, run_webhooks};
