//! Why this node does not announce an address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Kind, Refusal};
use crate::names::{AdvertisementName, InterfaceName, NodeName, PoolName};
use crate::plan::Leaving;

/// Why this node does not announce a service's address, by layer 2 or by BGP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // callers print refusals; only this file matches on them
pub enum AnnouncementRefusal {
    /// No pool owns the address, and the service does not say from which it came.
    NoPool {
        /// The address.
        address: IpAddr,
    },
    /// No endpoint can serve.
    NoEndpoints,
    /// No advertisement selects the pool and the service.
    NotAdvertised {
        /// The pool.
        pool: PoolName,
        /// Of which protocol.
        kind: Kind,
    },
    /// Advertisements select the pool and the service, but none covers this node.
    NodeNotSelected {
        /// The pool.
        pool: PoolName,
        /// Of which protocol.
        kind: Kind,
    },
    /// Two BGPAdvertisements give one route two local preferences at the same router.
    TwoLocalPreferences {
        /// One.
        first: AdvertisementName,
        /// The other.
        second: AdvertisementName,
    },
    /// BGPAdvertisements announce it, but to no router that this node talks to.
    NoPeer {
        /// The pool.
        pool: PoolName,
    },
    /// A shared address cannot be announced for some of its services only.
    SharedWithServiceSelector,
    /// The node's network is not available (condition NetworkUnavailable).
    NetworkUnavailable,
    /// The node's interfaces in the address's network have lost their carrier, or have it again only since a moment.
    NetworkLost {
        /// The network.
        network: IpNet,
    },
    /// The node carries the label that excludes it from load balancers.
    NodeExcluded,
    /// The node is about to go.
    NodeLeaving {
        /// By which sign.
        why: Leaving,
    },
    /// externalTrafficPolicy Local, and no usable endpoint here.
    NoLocalEndpoint,
    /// Another node announces it.
    NotOwner {
        /// The node that does.
        owner: NodeName,
    },
    /// No eligible node has a live speaker.
    NobodyEligible,
    /// The interfaces asked for do not exist on this node.
    NoSuchInterface {
        /// Asked for.
        interfaces: Vec<InterfaceName>,
    },
}

impl Refusal for AnnouncementRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoPool { .. } => "no-pool",
            Self::NoEndpoints => "no-endpoints",
            Self::NotAdvertised { .. } => "not-advertised",
            Self::NodeNotSelected { .. } => "node-not-selected",
            Self::TwoLocalPreferences { .. } => "two-local-preferences",
            Self::NoPeer { .. } => "no-peer",
            Self::SharedWithServiceSelector => "shared-with-service-selector",
            Self::NetworkUnavailable => "network-unavailable",
            Self::NetworkLost { .. } => "network-lost",
            Self::NodeExcluded => "node-excluded",
            Self::NodeLeaving { .. } => "node-leaving",
            Self::NoLocalEndpoint => "no-local-endpoint",
            Self::NotOwner { .. } => "not-owner",
            Self::NobodyEligible => "nobody-eligible",
            Self::NoSuchInterface { .. } => "no-such-interface",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::NoPool { address } => format!("no pool owns {address}"),
            Self::NoEndpoints => "no endpoint of the service can serve".to_owned(),
            Self::NotAdvertised { pool, kind } => {
                format!("no {kind} selects pool {pool} and this service")
            }
            Self::NodeNotSelected { pool, kind } => {
                format!("no {kind} of pool {pool} and this service selects this node")
            }
            Self::TwoLocalPreferences { first, second } => format!(
                "BGPAdvertisements {first} and {second} give its route different local preferences at the same peers"
            ),
            Self::NoPeer { pool } => {
                format!("no BGPPeer of this node is among those that pool {pool} is announced to")
            }
            Self::SharedWithServiceSelector => {
                "the service shares its address, and an L2Advertisement with serviceSelectors matches it"
                    .to_owned()
            }
            Self::NetworkUnavailable => "the node has condition NetworkUnavailable".to_owned(),
            Self::NetworkLost { network } => {
                format!(
                    "the node's interfaces in {network} have no carrier, or have it again only since a moment"
                )
            }
            Self::NodeExcluded => {
                "the node has label node.kubernetes.io/exclude-from-external-load-balancers".to_owned()
            }
            Self::NodeLeaving { why } => why.sentence().to_owned(),
            Self::NoLocalEndpoint => {
                "externalTrafficPolicy is Local and no endpoint on this node can serve".to_owned()
            }
            Self::NotOwner { owner } => format!("node {owner} announces it"),
            Self::NobodyEligible => "no eligible node has a live speaker".to_owned(),
            Self::NoSuchInterface { interfaces } => {
                format!("this node has none of the interfaces {}", super::allocation::list(interfaces, ", "))
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoPool { .. } => "create a pool that owns it".to_owned(),
            Self::NoEndpoints => "start pods that the service selects and that become ready".to_owned(),
            Self::NotAdvertised { kind, .. } => format!("create {} {kind} that selects both", kind.article()),
            Self::NodeNotSelected { .. } => "nothing, if other nodes are meant; else widen nodeSelectors".to_owned(),
            Self::TwoLocalPreferences { .. } => {
                "give both the same spec.localPref, or different spec.peers or spec.aggregationLength".to_owned()
            }
            Self::NoPeer { .. } => {
                "create a BGPPeer that selects this node, or add one of its peers to spec.peers of the BGPAdvertisement".to_owned()
            }
            Self::SharedWithServiceSelector => {
                "remove serviceSelectors from the L2Advertisement, or metallb.io/allow-shared-ip from the service".to_owned()
            }
            Self::NetworkUnavailable => "repair the node's network plugin".to_owned(),
            Self::NetworkLost { .. } => "look at the cable and the switch: another node announces it meanwhile, if there is one".to_owned(),
            Self::NodeExcluded => "remove the label".to_owned(),
            Self::NodeLeaving { .. } => "nothing: other nodes announce it, and this one again when the sign is gone".to_owned(),
            Self::NoLocalEndpoint => "nothing, if other nodes have endpoints; else use policy Cluster".to_owned(),
            Self::NotOwner { .. } => "nothing needs to be done: one node announces an address on layer 2".to_owned(),
            Self::NobodyEligible => "start the speaker on a node that the L2Advertisement selects".to_owned(),
            Self::NoSuchInterface { .. } => "correct spec.interfaces of the L2Advertisement".to_owned(),
        }
    }
}
