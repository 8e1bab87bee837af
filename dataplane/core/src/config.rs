//! The checked configuration: pools, advertisements and peers past which an invalid one cannot be represented.
//!
//! `metallb-crds` turns the objects of the API server into these types; the constructors here hold what must be true
//! of them. One file a kind. Not here: YAML, defaults, and how the user is told.

mod bfd_profile;
mod bgp_advertisement;
mod bgp_session;
mod community;
mod l2_advertisement;
mod peer;
mod pool;
mod selection;

use std::collections::BTreeMap;

use crate::names::{AdvertisementName, BfdProfileName, PeerName};

pub use bfd_profile::{BfdInterval, BfdProfile, DetectMultiplier, MinimumTtl};
pub use bgp_advertisement::{Aggregation, BgpAdvertisement, widest_block};
pub use bgp_session::{Asn, BadTimers, ConnectTime, HoldTime, Password, RouterId, Timers};
pub use community::{BadCommunity, Community};
pub use l2_advertisement::{Interfaces, L2Advertisement};
pub use peer::{Bfd, Endpoint, PasswordSource, Peer, PeerConflict, RemoteAs, SessionFamilies};
pub use pool::{Pool, Pools, ServiceAllocation};
pub use selection::{PoolSelection, may_share_a_node, share_a_node};

/// Everything users configure, as far as it is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The pools, disjoint.
    pub pools: Pools,
    /// The layer 2 advertisements.
    pub l2_advertisements: BTreeMap<AdvertisementName, L2Advertisement>,
    /// The BGP advertisements. A name may be that of a layer 2 advertisement too: they are of different kinds.
    pub bgp_advertisements: BTreeMap<AdvertisementName, BgpAdvertisement>,
    /// The BGP peers. No two that a node selects contradict each other.
    pub peers: BTreeMap<PeerName, Peer>,
    /// The BFD profiles.
    pub bfd_profiles: BTreeMap<BfdProfileName, BfdProfile>,
    /// The communities by their aliases.
    pub communities: BTreeMap<String, Community>,
}
