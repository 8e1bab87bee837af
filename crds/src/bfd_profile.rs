//! `BFDProfile`: timers for sessions that watch over BGP peers.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EmptyStatus;

/// Timers and modes of the BFD sessions that use this profile.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BFDProfile",
    plural = "bfdprofiles",
    singular = "bfdprofile",
    namespaced,
    status = "EmptyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Settings of BFD sessions (RFC 5880), which notice within fractions of a second that a BGP peer is gone. A BGPPeer refers to a profile by name.",
    printcolumn(name = "Passive Mode", type_ = "boolean", json_path = ".spec.passiveMode"),
    printcolumn(name = "Transmit Interval", type_ = "integer", json_path = ".spec.transmitInterval"),
    printcolumn(name = "Receive Interval", type_ = "integer", json_path = ".spec.receiveInterval"),
    printcolumn(name = "Multiplier", type_ = "integer", json_path = ".spec.detectMultiplier")
)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct BFDProfileSpec {
    /// Shortest interval between control packets that we are ready to receive, in milliseconds, 10 to 60000. The
    /// default is 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 10, max = 60000))]
    pub receive_interval: Option<u32>,

    /// Shortest interval between control packets that we send, in milliseconds, 10 to 60000. A peer that asks for a
    /// longer one gets it. The default is 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 10, max = 60000))]
    pub transmit_interval: Option<u32>,

    /// How many packets in a row may be missed before the session is declared down, 2 to 255. The default is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 2, max = 255))]
    pub detect_multiplier: Option<u32>,

    /// Shortest interval between echo packets that we are ready to handle, in milliseconds, 10 to 60000. The default
    /// is 50. Only used in echo mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 10, max = 60000))]
    pub echo_interval: Option<u32>,

    /// Whether echo packets are sent, which the peer's forwarding plane sends straight back. Only possible with peers
    /// on the same network. Off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_mode: Option<bool>,

    /// Whether to wait for the peer to begin, and send nothing until it does. Off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive_mode: Option<bool>,

    /// For sessions over several hops: packets that arrive with a smaller TTL are dropped, 1 to 254. It bounds how
    /// far away a sender can be. The default is 254, one router on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 254))]
    pub minimum_ttl: Option<u32>,
}

spec_may_be_absent!(BFDProfileSpec);
