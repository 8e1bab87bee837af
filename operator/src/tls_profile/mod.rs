//! What OpenShift asks of everybody's TLS: `spec.tlsSecurityProfile` of the APIServer `cluster`.
//!
//! | room | holds |
//! |---|---|
//! | [`profile`] | from a profile to the settings of our servers: pure |
//! | [`follow()`] | the profile of the cluster, as it changes |
//!
//! Where a cluster has one it overrides `TLS_MIN_VERSION`, `TLS_CIPHER_SUITES` and `TLS_CURVE_PREFERENCES` of the
//! operator. Every replica follows it, as each serves webhooks. Not here: the servers.

mod follow;
pub mod profile;

pub use follow::{ClusterTls, follow};
