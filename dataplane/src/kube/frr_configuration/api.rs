//! FRRConfiguration (frrk8s.metallb.io/v1beta1): the fields that are written. Names are the API's.
//!
//! An object that is there is kept as it is ([`Spec`]), so that whatever somebody adds to it shows as a difference.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The `spec` of an object, whatever is in it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "frrk8s.metallb.io",
    version = "v1beta1",
    kind = "FRRConfiguration",
    plural = "frrconfigurations",
    namespaced,
    derive = "PartialEq",
    schema = "disabled"
)]
#[serde(transparent)]
pub struct Spec {
    /// As it is.
    pub content: Value,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) bgp: Bgp,
    pub(super) node_selector: NodeSelector,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeSelector {
    pub(super) match_labels: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bgp {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) bfd_profiles: Vec<BfdProfile>,
    pub(super) routers: Vec<Router>,
}

/// What is absent is FRR's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BfdProfile {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receive_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transmit_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detect_multiplier: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) echo_interval: Option<u32>,
    pub(super) echo_mode: bool,
    pub(super) passive_mode: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minimum_ttl: Option<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Router {
    pub(super) asn: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vrf: Option<String>,
    pub(super) neighbors: Vec<Neighbor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) prefixes: Vec<String>,
}

/// No `toReceive`: nothing is to be received. No `disableMP`: it has no effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Neighbor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asn: Option<u32>,
    #[serde(rename = "dynamicASN", skip_serializing_if = "Option::is_none")]
    pub(super) dynamic_asn: Option<&'static str>,
    #[serde(rename = "localASN", skip_serializing_if = "Option::is_none")]
    pub(super) local_asn: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) interface: Option<String>,
    pub(super) port: u16,
    #[serde(rename = "sourceaddress", skip_serializing_if = "Option::is_none")]
    pub(super) source_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_secret: Option<SecretReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hold_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keepalive_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connect_time: Option<String>,
    #[serde(rename = "ebgpMultiHop", skip_serializing_if = "is_false")]
    pub(super) ebgp_multi_hop: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bfd_profile: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) enable_graceful_restart: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) dual_stack_address_family: bool,
    pub(super) to_advertise: Advertise,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct SecretReference {
    pub(super) name: String,
    pub(super) namespace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Advertise {
    pub(super) allowed: Allowed,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) with_local_pref: Vec<WithLocalPref>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) with_community: Vec<WithCommunity>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Allowed {
    pub(super) mode: Mode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) prefixes: Vec<String>,
}

/// There is another, by which a neighbour hears of all prefixes of its router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    #[default]
    Filtered,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WithLocalPref {
    pub(super) local_pref: u32,
    pub(super) prefixes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct WithCommunity {
    pub(super) community: String,
    pub(super) prefixes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}
