//! From what is wanted to the objects that are it: pure, typed, and all of them namespaced but one, which only
//! OpenShift has.
//!
//! In this room: [`render()`], and one file per object. Names, labels, selectors, arguments and ports are upstream's, so
//! that a cluster which upstream's operator set up is taken over in place (selectors are immutable).
//! Not here: ServiceAccounts and RBAC, which are installed with the operator ([`crate::generate`]).
//!
//! What differs from upstream:
//! * No FRR containers, no DaemonSet `frr-k8s` and no Deployment `statuscleaner`, whatever the backend: the speaker
//!   speaks BGP itself, and `METALLB_BGP_TYPE` tells it whose defaults to use; or, with `frr-k8s-external`, that somebody
//!   else's frr-k8s speaks it.
//! * `command` is always set, so one image with both programs will do.
//! * The controller does not mount the webhooks' certificate. Nothing in it needs that, and without the Secret the
//!   pod would not start.
//! * Readiness is asked every 2 s from the start, not every 10 s after 10 s.
//! * Both pods have the seccomp profile of the container runtime. The controller fits the Pod Security Standard
//!   `restricted`.
//! * The NetworkPolicy lets the controller reach the API server on port 443 too.
//! * Both pods are [marked](OURS) as ours, and a ConfigMap holds the spec that all of it comes from.

mod alerts;
mod assemble;
mod controller;
mod excluded_interfaces;
mod in_force;
mod monitors;
mod network_policy;
mod objects;
mod platform;
mod pod;
mod prometheus_rule;
mod scene;
mod security_context_constraints;
mod speaker;
#[cfg(test)]
mod tests;

pub use alerts::{Alert, RUNBOOKS, Severity, alerts};
pub use assemble::{Circumstances, ControllerUpdate, SpeakerUpdate, render};
pub use in_force::{IN_FORCE, spec_in_force};
pub use monitors::{ServiceMonitor, ServiceMonitorSpec, certified_services, is_certified};
pub use objects::{Kind, Object, ObjectId};
pub use platform::{Platform, Served, ServiceCa};
pub use pod::{OURS, is_ours, tls_in_force};
pub use prometheus_rule::{Group, PrometheusRule, PrometheusRuleSpec, Rule};
pub use security_context_constraints::{SPEAKER_CONSTRAINTS, SWEPT, SecurityContextConstraints, Strategy};
pub use speaker::names_constraints;

/// Name of the controller's Deployment, ServiceAccount and container.
pub const CONTROLLER: &str = "controller";
/// Name of the speakers' DaemonSet, ServiceAccount and container.
pub const SPEAKER: &str = "speaker";
/// What the operator itself is called among those whose metrics are looked at.
pub const OPERATOR: &str = "operator";
/// The label of the operator's own pods, upstream's.
pub const OPERATOR_PODS: (&str, &str) = ("control-plane", "controller-manager");
/// The Secret that speakers share, which the controller makes.
pub const MEMBERLIST_SECRET: &str = "metallb-memberlist";
