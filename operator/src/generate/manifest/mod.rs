//! `config/manifests/metallb-operator.yaml`: everything that a cluster without OLM needs before somebody applies a
//! `MetalLB`. One file, for `kubectl apply -f`.
//!
//! In this room: [`file`](mod@file), which objects, in which order; [`rbac`], who may do what; [`operator`], the
//! Deployment; [`webhooks`], how the API server reaches it.

mod file;
mod operator;
mod rbac;
#[cfg(test)]
mod tests;
mod webhooks;

pub(super) use file::NAMESPACE;
pub(super) use file::artifacts;
pub use file::{Images, manifest};
pub use operator::EXTERNAL_FRRK8S_NAMESPACE;
pub(super) use operator::METRICS;
pub(super) use operator::{deployment, disruption_budget};
pub(super) use rbac::{Accounts, Certificates, accounts};
pub(super) use webhooks::definitions;
