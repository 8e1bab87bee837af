//! The `CustomResourceDefinition`s, made from the types.
//!
//! [`all`] is what a cluster is given. The derived definitions differ in a dozen small ways from those that MetalLB's
//! users have installed; `normalise` evens them out, in one place, so that objects are accepted,
//! defaulted and merged as before.
//!
//! Beyond what those have, the API server tells early what can be told of one object: [`rules`] has the rules,
//! [`coverage()`] says which refusals they cover. They need Kubernetes 1.33: since then the API server never holds a
//! rule against a value that was there before it (ratcheting), so that a definition may gain rules.
//!
//! [`unknown_fields`] says what of an object none of them knows.
//!
//! Not here: writing them to files (the operator's `generate` does) and the conversion webhook's address, which depends
//! on where the operator is installed.

mod coverage;
mod normalise;
mod rules;
#[cfg(test)]
mod tests;
mod unknown;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::bgp_peer::{v1beta1, v1beta2};
use crate::{
    BFDProfile, BGPAdvertisement, BGPNodeStatus, Community, ConfigurationState, IPAddressPool,
    L2Advertisement, MetalLB, ServiceBGPStatus, ServiceL2Status,
};
use normalise::normalise;

pub use coverage::{Coverage, coverage};
pub use unknown::{UnknownField, unknown_fields};

/// The definition of every kind, in alphabetical order of their plurals.
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut definitions = as_upstream();
    definitions.iter_mut().for_each(rules::add);
    definitions.append(&mut our_own());
    definitions.sort_by(|one, other| one.spec.names.plural.cmp(&other.spec.names.plural));
    definitions
}

/// The definitions of kinds that upstream does not have.
fn our_own() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![BGPNodeStatus::crd()];
    definitions.iter_mut().for_each(normalise);
    definitions
}

/// The definitions as MetalLB's users know them.
fn as_upstream() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![
        BFDProfile::crd(),
        BGPAdvertisement::crd(),
        two_versions(v1beta1::BGPPeer::crd(), v1beta2::BGPPeer::crd()),
        Community::crd(),
        ConfigurationState::crd(),
        IPAddressPool::crd(),
        L2Advertisement::crd(),
        MetalLB::crd(),
        ServiceBGPStatus::crd(),
        ServiceL2Status::crd(),
    ];
    definitions.iter_mut().for_each(normalise);
    definitions
}

/// One definition that serves both versions and stores the newer one.
///
/// It says nothing about conversion: a cluster that has a conversion webhook keeps it, and one that has none drops the
/// fields that a version does not know.
fn two_versions(
    older: CustomResourceDefinition,
    newer: CustomResourceDefinition,
) -> CustomResourceDefinition {
    let mut both = newer;
    both.spec.versions.splice(0..0, older.spec.versions);
    both
}

/// An integer without bounds and without a format, as Go's `int` is published.
pub(crate) fn plain_integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer" })
}
