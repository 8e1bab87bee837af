//! `BGPNodeStatus`: how the BGP sessions of one node stand. Written by the speakers; upstream has no such kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::plain_integer;

/// Empty, and not part of the object: this kind has no `spec`, it only reports.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BGPNodeStatus",
    plural = "bgpnodestatuses",
    singular = "bgpnodestatus",
    namespaced,
    no_spec,
    status = "BGPNodeStatusStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Reports how the BGP sessions of one node stand; its name is that of the node. Written by MetalLB; changes by others are overwritten.",
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Sessions", type_ = "string", json_path = ".status.established"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct BGPNodeStatusSpec {}

/// The sessions of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BGPNodeStatusStatus {
    /// The node whose sessions these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,

    /// How many of the sessions are established, out of how many, such as `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub established: Option<String>,

    /// The sessions, in alphabetical order of their peers.
    // One value: the fields of each are then not listed once more for their manager, which would double the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub sessions: Vec<BGPSession>,
}

/// A session with one router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BGPSession {
    /// The name of the `BGPPeer`.
    pub peer: String,

    /// The IP address of the router. Absent while a router behind an interface has not been found yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,

    /// The network interface behind which the router is, where it is given by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,

    /// The TCP port of the router.
    #[schemars(schema_with = "plain_integer")]
    pub port: u16,

    /// The VRF through which the router is reached. Absent for the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,

    /// The state of the session, by the name that RFC 4271 gives it. Routes flow in `Established` only.
    pub state: BGPState,

    /// Since when the session is established, or since when it is not.
    pub since: Time,

    /// How often an established session ended, since the speaker started.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "plain_integer")]
    pub flaps: u64,

    /// Why the session, or an attempt at it, last failed. It stays when the session is established again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<BGPSessionError>,

    /// How many prefixes there are for the router.
    pub prefixes: BGPPrefixes,

    /// The number of our autonomous system, as the router is shown it.
    #[serde(rename = "localASN")]
    #[schemars(schema_with = "plain_integer")]
    pub local_asn: u32,

    /// The number of the router's autonomous system. Absent while it is to be learned and the router has not said it.
    #[serde(default, rename = "remoteASN", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "plain_integer")]
    pub remote_asn: Option<u32>,

    /// Our BGP identifier.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    pub router_id: Option<String>,

    /// The families of the routes that the session carries: `ipv4`, `ipv6`. Both sides agreed on them; absent while
    /// the session is not established.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub families: Vec<BGPFamily>,

    /// Whether both sides agreed that the router keeps our routes while the speaker restarts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub graceful_restart: bool,

    /// The BFD session that watches over the router. Absent when the peer has no BFD profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<BFDSession>,
}

/// Where a BGP session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum BGPState {
    /// Nothing is under way.
    Idle,
    /// A connection is being made.
    Connect,
    /// No connection could be made; it will be tried again.
    Active,
    /// The router was greeted, and has not answered.
    OpenSent,
    /// The router has answered, and not confirmed.
    OpenConfirm,
    /// Routes flow.
    Established,
}

impl BGPState {
    /// As RFC 4271 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        }
    }
}

/// A family of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BGPFamily {
    /// IPv4 unicast.
    Ipv4,
    /// IPv6 unicast.
    Ipv6,
}

/// Why a BGP session failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BGPSessionError {
    /// One word for scripts, such as `hold-timer-expired`; it never changes its meaning.
    pub code: String,

    /// What happened, the likely cause, and what to do about it. Long texts are cut.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,

    /// When it happened last.
    pub time: Time,
}

/// How many prefixes there are for a router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BGPPrefixes {
    /// Those that the router has been told.
    #[schemars(schema_with = "plain_integer")]
    pub announced: u32,

    /// Those that are to be announced, and wait: for the session, or for the router to read.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "plain_integer")]
    pub pending: u32,

    /// Those that this session cannot carry, as their family was not agreed on.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "plain_integer")]
    pub unsendable: u32,
}

/// A BFD session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BFDSession {
    /// The state of the session, by the name that RFC 5880 gives it.
    pub state: BFDState,

    /// Since when it is in that state.
    pub since: Time,

    /// The name of the `BFDProfile`.
    pub profile: String,

    /// Why it last went down. Absent while it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_down: Option<String>,
}

/// Where a BFD session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum BFDState {
    /// Switched off on this side.
    AdminDown,
    /// The router is not heard, or says that it does not hear us.
    Down,
    /// The router is heard.
    Init,
    /// Both sides hear each other.
    Up,
}

impl BFDState {
    /// As RFC 5880 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}
