//! `Community`: names for BGP communities.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EmptyStatus;

/// The aliases that this object defines.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "Community",
    plural = "communities",
    singular = "community",
    namespaced,
    status = "EmptyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Gives names to BGP communities, for use in any BGPAdvertisement. The name of the object plays no role, only the names of its aliases do."
)]
#[serde(remote = "Self")]
pub struct CommunitySpec {
    /// The aliases. A name may be defined only once among all `Community` objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<CommunityAlias>,
}

spec_may_be_absent!(CommunitySpec);

/// A name for a BGP community.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommunityAlias {
    /// The name, as it is used in the `communities` of a `BGPAdvertisement`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// What it stands for: `1234:5678` (two numbers of 16 bits), or `large:1234:5678:9012` (three numbers of 32 bits).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
