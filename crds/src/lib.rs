//! The API: every kind of group `metallb.io`, as users write it and as the cluster stores it.
//!
//! One file per kind, named after it; [`schema`] turns the types into the `CustomResourceDefinition`s that a cluster
//! is given, [`read()`] turns one stored object into its type and says which field is wrong when it cannot.
//!
//! Not here: any client or watch (the binaries have those), and what a value *means*. These types hold what the API
//! server lets through, durations and prefixes still as text; checking them is the business of the configuration parser.
//!
//! Types carry the name of their kind, letter for letter: `BGPPeer` in YAML is `BGPPeer` in Rust.

#![allow(clippy::duplicated_attributes)] // printer columns: several have the same type

#[macro_use]
mod absent;

pub mod admission;
pub mod bfd_profile;
pub mod bgp_advertisement;
pub mod bgp_node_status;
pub mod bgp_peer;
pub mod cluster;
pub mod community;
pub mod config;
pub mod configuration_state;
pub mod conversion;
pub mod ip_address_pool;
pub mod l2_advertisement;
pub mod metallb;
mod read;
pub mod schema;
pub mod service_bgp_status;
pub mod service_l2_status;
mod status;

pub use bfd_profile::{BFDProfile, BFDProfileSpec};
pub use bgp_advertisement::{BGPAdvertisement, BGPAdvertisementSpec};
pub use bgp_node_status::{
    BFDSession, BFDState, BGPFamily, BGPNodeStatus, BGPNodeStatusSpec, BGPNodeStatusStatus, BGPPrefixes,
    BGPSession, BGPSessionError, BGPState,
};
pub use bgp_peer::v1beta2::{BGPPeer, BGPPeerSpec, DynamicASN};
pub use community::{Community, CommunityAlias, CommunitySpec};
pub use configuration_state::{
    ConfigurationResult, ConfigurationState, ConfigurationStateSpec, ConfigurationStateStatus,
};
pub use ip_address_pool::{IPAddressPool, IPAddressPoolSpec, IPAddressPoolStatus, ServiceAllocation};
pub use l2_advertisement::{L2Advertisement, L2AdvertisementSpec, PreferredNodeSelector};
pub use metallb::{
    ComponentConfig, ComponentStatus, ConfigurationSummary, ConflictPolicy, FRRK8sConfig, ImagePullSecret,
    Layer2, LogLevel, MetalLB, MetalLBSpec, MetalLBStatus, NetworkPolicyConfig, NodeLeaving, Ownership,
    SpeakerRollingUpdate, SpeakerUpdateStrategy, SpeakerUpdateType,
};
pub use read::{Malformed, read};
pub use service_bgp_status::{ServiceBGPStatus, ServiceBGPStatusSpec, ServiceBGPStatusStatus};
pub use service_l2_status::{
    AddressConflict, AnnouncingInterface, ServiceL2Status, ServiceL2StatusSpec, ServiceL2StatusStatus,
};
pub use status::EmptyStatus;

/// The API group of every kind in this crate.
pub const GROUP: &str = "metallb.io";
