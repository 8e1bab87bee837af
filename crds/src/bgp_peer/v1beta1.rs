//! The deprecated version of `BGPPeer`: fewer fields, a selector type of its own, and no default port.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EmptyStatus;

/// How to reach the router, and who connects to it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BGPPeer",
    plural = "bgppeers",
    singular = "bgppeer",
    namespaced,
    storage = false,
    deprecated = "metallb.io/v1beta1 BGPPeer is deprecated; use metallb.io/v1beta2 BGPPeer",
    status = "EmptyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A router that MetalLB announces services to over BGP. This version is deprecated: it lacks fields of v1beta2. They travel along in an annotation.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.peerAddress"),
    printcolumn(name = "ASN", type_ = "string", json_path = ".spec.peerASN"),
    printcolumn(name = "BFD Profile", type_ = "string", json_path = ".spec.bfdProfile"),
    printcolumn(name = "Multi Hops", type_ = "string", json_path = ".spec.ebgpMultiHop")
)]
#[serde(rename_all = "camelCase")]
pub struct BGPPeerSpec {
    /// The number of our own autonomous system, 1 to 4294967295.
    #[serde(rename = "myASN")]
    #[schemars(with = "i64", range(min = 0, max = 4_294_967_295_u32))]
    pub my_asn: u32,

    /// The number of the router's autonomous system, 1 to 4294967295.
    #[serde(rename = "peerASN")]
    #[schemars(with = "i64", range(min = 0, max = 4_294_967_295_u32))]
    pub peer_asn: u32,

    /// The IP address of the router.
    pub peer_address: String,

    /// The local IP address to connect from. By default the system chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address: Option<String>,

    /// The TCP port of the router, 1 to 16384; 0 or none at all means 179.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16384))]
    pub peer_port: Option<u16>,

    /// The hold time to propose, as a duration such as `90s`: 0, or 3 seconds and more. When nothing is heard
    /// for that long, the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<String>,

    /// The interval between keepalive messages, as a duration such as `30s`. It must not exceed the hold time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_time: Option<String>,

    /// Our BGP identifier, written like an IPv4 address. By default an IPv4 address of the node.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    pub router_id: Option<String>,

    /// Nodes that connect to the router, by label. A node needs to match only one of the selectors; without
    /// selectors every node connects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_selectors: Vec<NodeSelector>,

    /// The password for TCP MD5 signatures (RFC 2385), in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,

    /// The `BFDProfile`, by name, of a BFD session that watches over this peer. Without a name there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd_profile: Option<String>,

    /// Whether the router may be more than one hop away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebgp_multi_hop: Option<bool>,
}

/// Selects nodes by label. Labels and expressions must all match; an empty selector matches every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelector {
    /// Labels that a node must carry, with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,

    /// Conditions on labels that a node must fulfil.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<MatchExpression>,
}

/// A condition on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchExpression {
    /// The key of the label.
    pub key: String,

    /// How the label relates to the values: `In` or `NotIn`. `Exists` and `DoesNotExist`, which take no values, need
    /// v1beta2.
    pub operator: String,

    /// The values, at least one.
    #[schemars(length(min = 1))]
    pub values: Vec<String>,
}
