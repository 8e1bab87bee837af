//! What is wrong with an L2Advertisement or a BGPAdvertisement.

use super::{Effect, codes, community};
use crate::config::BadCommunity;
use crate::names::{AdvertisementName, BfdProfileName, PeerName, PoolName};
use crate::refusal::Refusal;

/// What is wrong with an L2Advertisement or a BGPAdvertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdvertisementRefusal {
    /// A pool stands twice in `spec.ipAddressPools`.
    DuplicatePool {
        /// The pool.
        pool: PoolName,
    },
    /// A peer stands twice in `spec.peers`.
    DuplicatePeer {
        /// The peer.
        peer: PeerName,
    },
    /// A community stands twice in `spec.communities`.
    DuplicateCommunity {
        /// The community as written.
        community: String,
    },
    /// A weight outside 1..100.
    Weight {
        /// The weight.
        weight: i64,
    },
    /// `spec.serviceSelectors` together with an aggregation length.
    AggregationOfSelected,
    /// The aggregate is wider than an entry of a pool. The advertisement does not announce that pool.
    AggregationTooWide {
        /// The aggregation length.
        length: u8,
        /// The length of the widest prefix in the entry.
        prefix: u8,
        /// The entry of `spec.addresses` as written.
        entry: String,
        /// The pool.
        pool: PoolName,
    },
    /// An item of `spec.communities` that is no community.
    BadCommunity {
        /// The item as written.
        community: String,
        /// What is wrong with it.
        cause: BadCommunity,
    },
    /// An item of `spec.communities` that is no community, and no alias that is defined.
    UnknownCommunity {
        /// The item as written.
        community: String,
    },
    /// Another advertisement gives the same routes another local preference. The older one stays in force.
    LocalPreferences {
        /// This one's.
        ours: u32,
        /// The older advertisement.
        other: AdvertisementName,
        /// The older one's.
        theirs: u32,
        /// A pool that both announce.
        pool: PoolName,
    },
    /// A pool with IPv6 addresses goes to a peer watched by BFD in echo mode. The advertisement does not announce that
    /// pool.
    EchoWithIpv6 {
        /// The pool.
        pool: PoolName,
        /// The peer.
        peer: PeerName,
        /// Its profile.
        profile: BfdProfileName,
    },
    /// `spec.ipAddressPools` names a pool that does not exist.
    UnknownPool {
        /// The pool.
        pool: PoolName,
    },
    /// `spec.peers` names a peer that does not exist.
    UnknownPeer {
        /// The peer.
        peer: PeerName,
    },
}

codes!(AdvertisementRefusal {
    DuplicatePool => "duplicate-pool",
    DuplicatePeer => "duplicate-peer",
    DuplicateCommunity => "duplicate-community",
    Weight => "bad-weight",
    AggregationOfSelected => "aggregation-of-selected",
    AggregationTooWide => "aggregation-too-wide",
    BadCommunity => "bad-community",
    UnknownCommunity => "unknown-community",
    LocalPreferences => "local-preferences-differ",
    EchoWithIpv6 => "echo-with-ipv6",
    UnknownPool => "advertises-unknown-pool",
    UnknownPeer => "advertises-to-unknown-peer",
});

impl AdvertisementRefusal {
    pub(super) const fn effect(&self) -> Effect {
        match self {
            Self::UnknownPool { .. } | Self::UnknownPeer { .. } => Effect::Warning,
            Self::UnknownCommunity { .. } => Effect::Dangling,
            Self::DuplicatePool { .. }
            | Self::DuplicatePeer { .. }
            | Self::DuplicateCommunity { .. }
            | Self::Weight { .. }
            | Self::AggregationOfSelected
            | Self::AggregationTooWide { .. }
            | Self::BadCommunity { .. }
            | Self::LocalPreferences { .. }
            | Self::EchoWithIpv6 { .. } => Effect::SetsAside,
        }
    }

    /// The texts that tools compare as a whole.
    pub(super) fn summary(&self) -> Option<String> {
        let (community, cause) = match self {
            Self::BadCommunity { community, cause } => (community, cause),
            Self::UnknownCommunity { community } => (community, &BadCommunity::Format),
            _ => return None,
        };
        let told = community::told(community, cause);
        Some(format!("{told}\ninvalid community {community:?} in BGP advertisement"))
    }
}

impl Refusal for AdvertisementRefusal {
    fn code(&self) -> &'static str {
        self.own_code()
    }

    fn sentence(&self) -> String {
        match self {
            Self::DuplicatePool { pool } => format!("pool {pool} stands twice in spec.ipAddressPools"),
            Self::DuplicatePeer { peer } => format!("peer {peer} stands twice in spec.peers"),
            Self::DuplicateCommunity { community } => {
                format!("duplicate definition of community {community:?} in spec.communities")
            }
            Self::Weight { weight } => {
                format!("weight {weight} in spec.preferredNodeSelectors is outside 1 to 100")
            }
            Self::AggregationOfSelected => {
                "serviceSelectors and aggregationLength are mutually exclusive: an aggregate attracts traffic for services that are not selected"
                    .to_owned()
            }
            Self::AggregationTooWide { length, prefix, entry, pool } => {
                format!("invalid aggregation length {length}: prefix {prefix} in this pool is more specific than the aggregation length for addresses {entry} (pool {pool}, which is not announced)")
            }
            Self::BadCommunity { community, cause } => {
                format!("spec.communities: {}", community::told(community, cause))
            }
            Self::UnknownCommunity { community } => {
                format!("spec.communities: {community:?} is the alias of no Community")
            }
            Self::LocalPreferences { ours, other, theirs, pool } => {
                format!("spec.localPref is {ours}, but BGPAdvertisement {other} announces the same routes of pool {pool} to the same peers with {theirs}")
            }
            Self::EchoWithIpv6 { pool, peer, profile } => {
                format!("pool {pool} has IPv6 addresses, and peer {peer} is watched by BFD in echo mode (BFDProfile {profile}): it is not announced")
            }
            Self::UnknownPool { pool } => {
                format!("spec.ipAddressPools names {pool}, and there is no such IPAddressPool")
            }
            Self::UnknownPeer { peer } => format!("spec.peers names {peer}, and there is no such BGPPeer"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::DuplicatePool { .. } | Self::DuplicatePeer { .. } | Self::DuplicateCommunity { .. } => {
                "remove one of the two".to_owned()
            }
            Self::Weight { .. } => "choose a weight from 1 to 100".to_owned(),
            Self::AggregationOfSelected => {
                "remove spec.serviceSelectors, or the aggregation lengths".to_owned()
            }
            Self::AggregationTooWide { prefix, .. } => {
                format!("choose an aggregation length of {prefix} or more, or select other pools")
            }
            Self::BadCommunity { .. } => community::fix().to_owned(),
            Self::UnknownCommunity { community } => {
                format!("define {community} in a Community, or write the numbers")
            }
            Self::LocalPreferences { other, .. } => {
                format!(
                    "give both one localPref, or different peers, nodes or pools; {other} is older and stays in force"
                )
            }
            Self::EchoWithIpv6 { .. } => {
                "turn echo mode off, or announce IPv4 pools only to this peer".to_owned()
            }
            Self::UnknownPool { .. } => "create the pool, or correct the name".to_owned(),
            Self::UnknownPeer { .. } => "create the peer, or correct the name".to_owned(),
        }
    }
}
