//! What a process answers on the network besides its work: probes, and metrics.
//!
//! In this room: [`http`] (plain, for kubelet's probes), [`tls`] (certificates and the options of Go's TLS flags),
//! [`access`] (who may read metrics: TokenReview and SubjectAccessReview) and [`metrics`].
//! Not here: which metrics there are.

pub mod access;
pub mod http;
pub mod metrics;
pub mod tls;
