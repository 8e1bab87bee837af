//! The current version of `BGPPeer`.

use k8s_openapi::api::core::v1::SecretReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EmptyStatus;

/// How to reach the router, who connects to it, and what the session can do.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta2",
    kind = "BGPPeer",
    plural = "bgppeers",
    singular = "bgppeer",
    namespaced,
    status = "EmptyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A router that MetalLB announces services to over BGP.",
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

    /// The number of the router's autonomous system, 1 to 4294967295. Either this or `dynamicASN` must be given.
    #[serde(default, rename = "peerASN", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0, max = 4_294_967_295_u32))]
    pub peer_asn: Option<u32>,

    /// The number of an autonomous system to present to this router in place of `myASN`, 1 to 4294967295.
    #[serde(default, rename = "localASN", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 4_294_967_295_u32))]
    pub local_asn: Option<u32>,

    /// Takes the router's autonomous system from its first message, instead of giving it as `peerASN`: `internal`
    /// accepts only our own number, `external` any other.
    #[serde(default, rename = "dynamicASN", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DynamicASN")]
    // an optional enum would be described by the enum's words, not by these
    pub dynamic_asn: Option<DynamicASN>,

    /// The IP address of the router. Either this or `interface` must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_address: Option<String>,

    /// The network interface, by name, behind which the router is. The session is then unnumbered: the router is
    /// found by its IPv6 router advertisements and needs no configured address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,

    /// The local IP address to connect from. By default the system chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address: Option<String>,

    /// The TCP port of the router, 1 to 16384.
    #[serde(default = "bgp_port")]
    #[schemars(range(min = 1, max = 16384))]
    pub peer_port: u16,

    /// The hold time to propose, as a duration such as `90s`: 0, or 3 seconds and more. When nothing is heard
    /// for that long, the session ends. If only `keepaliveTime` is given, it is three times that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<String>,

    /// The interval between keepalive messages, as a duration such as `30s`. It must not exceed the hold time. If
    /// only `holdTime` is given, it is a third of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_time: Option<String>,

    /// How long to wait between attempts to connect, as a duration such as `10s`: whole seconds, 1 to 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {
            "rule": "duration(self) >= duration('1s') && duration(self) <= duration('65535s')",
            "message": "connectTime must be at least 1s and at most 65535s",
        },
        {
            "rule": "duration(self).getMilliseconds() % 1000 == 0",
            "message": "connectTime must be a whole number of seconds",
        },
    ]))]
    pub connect_time: Option<String>,

    /// Our BGP identifier, written like an IPv4 address. By default an IPv4 address of the node.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    pub router_id: Option<String>,

    /// Nodes that connect to the router, by label. A node needs to match only one of the selectors; without
    /// selectors every node connects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_selectors: Vec<LabelSelector>,

    /// The password for TCP MD5 signatures (RFC 2385), in the clear. `passwordSecret` is the better place for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,

    /// The Secret that holds the password for TCP MD5 signatures (RFC 2385) under the key `password`. It must be of
    /// type `kubernetes.io/basic-auth` and lie in the namespace of MetalLB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub password_secret: Option<SecretReference>,

    /// The `BFDProfile`, by name, of a BFD session that watches over this peer. Without a name there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd_profile: Option<String>,

    /// Asks the router to keep our routes while a speaker restarts (RFC 4724). Cannot be changed once set, since it
    /// is only negotiated when a session begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        { "rule": "self == oldSelf", "message": "enableGracefulRestart cannot be changed once it is set" },
    ]))]
    pub enable_graceful_restart: Option<bool>,

    /// Whether the router may be more than one hop away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebgp_multi_hop: Option<bool>,

    /// The VRF, by the name of its network device on the node, through which the router is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,

    /// Deprecated and without effect: a session carries routes of its own address family only, unless
    /// `dualStackAddressFamily` is set.
    #[serde(default, rename = "disableMP")]
    pub disable_mp: bool,

    /// Whether the session carries both IPv4 and IPv6 routes, whatever the family of its own addresses.
    #[serde(default)]
    pub dual_stack_address_family: bool,
}

/// Which autonomous systems to accept when the number is taken from the router's first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DynamicASN {
    /// Only our own.
    Internal,
    /// Any but our own.
    External,
}

impl Default for BGPPeerSpec {
    fn default() -> Self {
        Self {
            my_asn: 0,
            peer_asn: None,
            local_asn: None,
            dynamic_asn: None,
            peer_address: None,
            interface: None,
            source_address: None,
            peer_port: bgp_port(),
            hold_time: None,
            keepalive_time: None,
            connect_time: None,
            router_id: None,
            node_selectors: Vec::new(),
            password: None,
            password_secret: None,
            bfd_profile: None,
            enable_graceful_restart: None,
            ebgp_multi_hop: None,
            vrf: None,
            disable_mp: false,
            dual_stack_address_family: false,
        }
    }
}

const fn bgp_port() -> u16 {
    179
}
