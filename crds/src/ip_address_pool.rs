//! `IPAddressPool`: addresses that MetalLB may hand out, and to whom.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::plain_integer;

/// The addresses of the pool, and which services may have them.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "IPAddressPool",
    plural = "ipaddresspools",
    singular = "ipaddresspool",
    namespaced,
    status = "IPAddressPoolStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Addresses that MetalLB may give to services of type LoadBalancer. A pool is only announced to the network where an L2Advertisement or a BGPAdvertisement selects it.",
    printcolumn(name = "Auto Assign", type_ = "boolean", json_path = ".spec.autoAssign"),
    printcolumn(name = "Avoid Buggy IPs", type_ = "boolean", json_path = ".spec.avoidBuggyIPs"),
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses")
)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolSpec {
    /// The addresses, each item a prefix in CIDR notation (`192.0.2.0/24`, host bits are ignored) or a range with both
    /// ends included (`192.0.2.10-192.0.2.20`). IPv4 and IPv6 may be mixed. A single address is a `/32` or `/128`.
    pub addresses: Vec<String>,

    /// Whether services that ask for nothing in particular may get an address from this pool. When false, the pool
    /// serves only those that name it, or one of its addresses.
    #[serde(default = "yes")]
    pub auto_assign: bool,

    /// Leaves out IPv4 addresses that end in `.0` or `.255`: some old equipment takes them for network or broadcast
    /// addresses and drops their traffic.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,

    /// Restricts the pool to certain services, and ranks it among the pools open to the same service. Absent means
    /// any service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,
}

/// Which services a pool is meant for. Namespaces and services must both match when both are given; within
/// each, one match is enough.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// Rank among the pools that match a service: 1 comes first, higher numbers later, and 0 or none at all last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "plain_integer")]
    pub priority: Option<i64>,

    /// Namespaces, by name, whose services may use the pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,

    /// Namespaces, by label, whose services may use the pool. A namespace needs to match only one of the selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespace_selectors: Vec<LabelSelector>,

    /// Services that may use the pool, by the labels of the service itself (not those of its pods). A service needs to
    /// match only one of the selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_selectors: Vec<LabelSelector>,
}

/// How much of the pool is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IPAddressPoolStatus {
    /// IPv4 addresses held by services. An address shared by several services counts once.
    #[serde(default, rename = "assignedIPv4")]
    #[schemars(!default)]
    pub assigned_ipv4: i64,

    /// IPv6 addresses held by services. An address shared by several services counts once.
    #[serde(default, rename = "assignedIPv6")]
    #[schemars(!default)]
    pub assigned_ipv6: i64,

    /// IPv4 addresses still free.
    #[serde(default, rename = "availableIPv4")]
    #[schemars(!default)]
    pub available_ipv4: i64,

    /// IPv6 addresses still free, or the largest number that fits when there are more.
    #[serde(default, rename = "availableIPv6")]
    #[schemars(!default)]
    pub available_ipv6: i64,
}

impl Default for IPAddressPoolSpec {
    fn default() -> Self {
        Self { addresses: Vec::new(), auto_assign: yes(), avoid_buggy_ips: false, service_allocation: None }
    }
}

const fn yes() -> bool {
    true
}
