//! `BGPAdvertisement`: which pools are announced over BGP, to whom and with which attributes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EmptyStatus;

/// Which pools and services to announce over BGP, to which peers, from which nodes, and how the routes look. Whatever
/// is left out selects everything.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BGPAdvertisement",
    plural = "bgpadvertisements",
    singular = "bgpadvertisement",
    namespaced,
    status = "EmptyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Announces the addresses of services as routes to BGP peers.",
    printcolumn(name = "IPAddressPools", type_ = "string", json_path = ".spec.ipAddressPools"),
    printcolumn(
        name = "IPAddressPool Selectors",
        type_ = "string",
        json_path = ".spec.ipAddressPoolSelectors"
    ),
    printcolumn(name = "Peers", type_ = "string", json_path = ".spec.peers"),
    printcolumn(name = "Node Selectors", type_ = "string", json_path = ".spec.nodeSelectors", priority = 10)
)]
#[serde(rename_all = "camelCase", remote = "Self")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.serviceSelectors) || size(self.serviceSelectors) == 0 || ((!has(self.aggregationLength) || self.aggregationLength == 32) && (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",
    "message": "serviceSelectors and aggregationLength are mutually exclusive: an aggregate would also attract traffic for services that are not selected",
}]))]
pub struct BGPAdvertisementSpec {
    /// Prefix length of announced IPv4 routes, 1 to 32. Below 32, addresses are announced as the larger prefix that
    /// holds them, as long as one of them is announced.
    #[serde(default = "ipv4_host_route")]
    #[schemars(range(min = 1))]
    pub aggregation_length: i32,

    /// Prefix length of announced IPv6 routes, up to 128. Below 128, addresses are announced as the larger prefix
    /// that holds them, as long as one of them is announced.
    #[serde(default = "ipv6_host_route")]
    pub aggregation_length_v6: i32,

    /// The local preference of the routes. It only travels to peers in the same autonomous system, where the route
    /// with the highest value wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>")]
    pub local_pref: Option<u32>,

    /// BGP communities of the routes, each item `1234:5678` (two numbers of 16 bits), `large:1234:5678:9012` (three
    /// numbers of 32 bits), or the name of an alias defined in a `Community` object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<String>,

    /// Pools to announce, by name. When neither this nor `ipAddressPoolSelectors` is given, every pool is announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pools: Vec<String>,

    /// Pools to announce, by label, in addition to those named. A pool needs to match only one of the selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,

    /// Nodes that announce, by label. A node needs to match only one of the selectors; without selectors every node
    /// announces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_selectors: Vec<LabelSelector>,

    /// The `BGPPeer` objects, by name, that receive the routes. Without names, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,

    /// Services to announce, by the labels of the service itself. A service needs to match only one of the
    /// selectors; without selectors every service with an address from a selected pool is announced. Cannot be
    /// combined with an aggregation length, whose routes would attract the traffic of other services as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_selectors: Vec<LabelSelector>,
}

spec_may_be_absent!(BGPAdvertisementSpec);

impl Default for BGPAdvertisementSpec {
    fn default() -> Self {
        Self {
            aggregation_length: ipv4_host_route(),
            aggregation_length_v6: ipv6_host_route(),
            local_pref: None,
            communities: Vec::new(),
            ip_address_pools: Vec::new(),
            ip_address_pool_selectors: Vec::new(),
            node_selectors: Vec::new(),
            peers: Vec::new(),
            service_selectors: Vec::new(),
        }
    }
}

const fn ipv4_host_route() -> i32 {
    32
}

const fn ipv6_host_route() -> i32 {
    128
}
