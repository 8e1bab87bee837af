//! `L2Advertisement`: which pools are announced by ARP and neighbour discovery, and from which nodes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EmptyStatus;

/// Which pools and services to announce on the local network, and from where. Whatever is left out selects everything.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "L2Advertisement",
    plural = "l2advertisements",
    singular = "l2advertisement",
    namespaced,
    status = "EmptyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Announces the addresses of services on the local network: one node at a time answers ARP (IPv4) and neighbour discovery (IPv6) for each address.",
    printcolumn(name = "IPAddressPools", type_ = "string", json_path = ".spec.ipAddressPools"),
    printcolumn(
        name = "IPAddressPool Selectors",
        type_ = "string",
        json_path = ".spec.ipAddressPoolSelectors"
    ),
    printcolumn(name = "Interfaces", type_ = "string", json_path = ".spec.interfaces"),
    printcolumn(name = "Node Selectors", type_ = "string", json_path = ".spec.nodeSelectors", priority = 10)
)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct L2AdvertisementSpec {
    /// Pools to announce, by name. When neither this nor `ipAddressPoolSelectors` is given, every pool is announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pools: Vec<String>,

    /// Pools to announce, by label, in addition to those named. A pool needs to match only one of the selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,

    /// Nodes that may announce, by label. A node needs to match only one of the selectors; without selectors every
    /// node may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_selectors: Vec<LabelSelector>,

    /// Network interfaces to answer on, by name. Without names, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,

    /// Services to announce, by the labels of the service itself. A service needs to match only one of the
    /// selectors; without selectors every service with an address from a selected pool is announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_selectors: Vec<LabelSelector>,

    /// Preferences among the nodes that may announce: a node's weights are added up over all entries it matches, and
    /// the node with the highest sum announces. Preferred nodes that are down do not hold up the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_node_selectors: Vec<PreferredNodeSelector>,
}

spec_may_be_absent!(L2AdvertisementSpec);

/// Nodes that should rather announce than others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreferredNodeSelector {
    /// How much a matching node is preferred, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i32,

    /// The preferred nodes, by label. An empty selector matches every node.
    pub preference: LabelSelector,
}
