//! What a process answers on the network besides its work: probes, and metrics.
//!
//! In this room: [`http`] (plain, for kubelet's probes), [`tls`] (certificates and the options of Go's TLS flags),
//! [`access`] (who may ask: TokenReview and SubjectAccessReview), [`metrics`], [`debug`] (the state of the process, and
//! how much it logs), and [`guarded`], which serves these to whoever may have them.
//! Not here: which metrics there are.

pub mod access;
pub mod debug;
pub mod guarded;
pub mod http;
pub mod metrics;
pub mod tls;
