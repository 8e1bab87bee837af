//! `BGPPeer`: a router to talk BGP with.
//!
//! The API serves two versions. [`v1beta2`] is the one that is stored and that everything else works with;
//! [`v1beta1`] is deprecated, lacks the newer fields, and exists so that old manifests still apply.

pub mod v1beta1;
pub mod v1beta2;
