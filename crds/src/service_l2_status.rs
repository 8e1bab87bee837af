//! `ServiceL2Status`: which node answers for a service on the local network. Written by the speakers.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Empty: objects of this kind only report.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "ServiceL2Status",
    plural = "servicel2statuses",
    singular = "servicel2status",
    namespaced,
    status = "ServiceL2StatusStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Reports which node answers ARP and neighbour discovery for a service. Written by MetalLB; changes by others are overwritten.",
    printcolumn(name = "Allocated Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Service Name", type_ = "string", json_path = ".status.serviceName"),
    printcolumn(name = "Service Namespace", type_ = "string", json_path = ".status.serviceNamespace")
)]
#[serde(remote = "Self")]
pub struct ServiceL2StatusSpec {}

spec_may_be_absent!(ServiceL2StatusSpec);

/// The service, and the node that answers for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceL2StatusStatus {
    /// The node that answers for the addresses of the service. When another node takes over, it writes an object of
    /// its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [{ "rule": "self == oldSelf", "message": "the node of a status cannot be changed" }]))]
    pub node: Option<String>,

    /// The name of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [{ "rule": "self == oldSelf", "message": "the service of a status cannot be changed" }]))]
    pub service_name: Option<String>,

    /// The namespace of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [{ "rule": "self == oldSelf", "message": "the service of a status cannot be changed" }]))]
    pub service_namespace: Option<String>,

    /// The network interfaces on which the node answers. Absent when it answers on all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<AnnouncingInterface>,

    /// Stations outside the cluster that have an address of the service too (RFC 5227).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<AddressConflict>,

    /// The addresses of the service for which the node answers. Of two, each may be on a node of its own, and both write an object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,

    /// Where ownership is sticky: since which epoch the node has the first of `addresses`. It rises whenever the address moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
}

/// Another station has an address of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressConflict {
    /// The address.
    pub address: String,

    /// The hardware address of the other station, such as `02:00:5e:10:00:01`.
    pub hardware_address: String,

    /// The network interface on which it was heard. Absent when that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// A network interface on which a service is announced.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct AnnouncingInterface {
    /// The name of the interface, such as `eth0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
