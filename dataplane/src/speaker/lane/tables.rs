//! What the brain tells the lane: complete, immutable, swapped whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metallb_core::config::Interfaces;
use metallb_core::names::{InterfaceName, NodeName};
use metallb_core::shared::SharedMap;
use metallb_protocols::ethernet::Mac;
use metallb_protocols::liveness::{Handover, Tenure};
use metallb_protocols::lull::SETTLING;

/// Everything the lane works from. What did not change is shared with the tables before.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The addresses that this node announces, and on which interfaces.
    pub announced: SharedMap<IpAddr, Interfaces>,
    /// Those of them that were another node's until its speaker fell silent.
    pub inherited: Arc<BTreeMap<IpAddr, Predecessor>>,
    /// Addresses that this node announced, and another one announces now.
    pub moved: Arc<BTreeSet<IpAddr>>,
    /// Where the kernel of that one is asked, if it lives and this node forwards to it what still comes.
    pub heirs: Arc<BTreeMap<IpAddr, IpAddr>>,
    /// Those of the announced addresses that a node had which lives and forwards: it says when they are here.
    pub awaited: Arc<BTreeSet<IpAddr>>,
    /// Those of both that the old owner may keep: the new one is the better place for them, and nothing hurries.
    pub unhurried: Arc<BTreeSet<IpAddr>>,
    /// Those of the announced addresses that no node of the cluster had before, as far as this one has seen.
    pub new: Arc<BTreeSet<IpAddr>>,
    /// Where ownership is sticky: who is to have which address from now on, of those that this node announces. It claims its own
    /// once it announces them in its own name.
    pub claims: Arc<BTreeMap<IpAddr, Tenure>>,
    /// There, the addresses that services have; `None` while that is not known.
    pub in_use: Option<Arc<BTreeSet<IpAddr>>>,
    /// The networks that this node does not reach: others are told.
    pub lost: Arc<BTreeSet<IpNet>>,
    /// The other nodes, by the address by which the kernel of each is asked.
    pub nodes: Arc<BTreeMap<IpAddr, NodeName>>,
    /// The interfaces that answer, by index.
    pub stations: Arc<BTreeMap<u32, Station>>,
    /// The nodes with a speaker that sends heartbeats; `None` until the API server has said so.
    pub peers: Option<Arc<BTreeMap<NodeName, IpAddr>>>,
    /// Those whose speaker is ready, by what the API server says: what counts while there are no heartbeats.
    pub ready: Arc<BTreeSet<NodeName>>,
    /// The nodes with a ready speaker of upstream's, whose heartbeats are others.
    pub upstream: Arc<BTreeSet<NodeName>>,
    /// Nodes whose routes are announced from here in their name while their speakers are silent.
    pub absent: Arc<BTreeSet<Predecessor>>,
    /// What the other speakers are to do with the routes of this one; `None`: nothing was said about it.
    pub routes: Option<Handover>,
    /// How far the speaker is.
    pub phase: Phase,
}

impl Tables {
    /// How much later the address moves than could be.
    pub fn settling(&self, address: IpAddr) -> Duration {
        if self.unhurried.contains(&address) { SETTLING } else { Duration::ZERO }
    }

    /// What moved to other nodes, and did not in `other`. Nothing is looked at where both have the same: there may be thousands.
    pub(super) fn moved_unlike<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a IpAddr> {
        let differ = !Arc::ptr_eq(&self.moved, &other.moved);
        differ.then(|| self.moved.difference(&other.moved)).into_iter().flatten()
    }

    /// Is the address on its way from this node to another one?
    pub fn is_given_up(&self, address: IpAddr) -> bool {
        self.phase == Phase::Leaving || self.moved.contains(&address)
    }

    /// The interfaces on which an address is announced, with the protocol by which it is asked for there.
    pub fn announcing(&self) -> impl Iterator<Item = ((u32, Protocol), &InterfaceName)> {
        let is_asked = |name, protocol| {
            let mut announced = self.announced.iter();
            announced.any(|(address, on)| Protocol::of(*address) == protocol && on.contains(name))
        };
        let places = self.stations.iter().flat_map(|(index, station)| {
            Protocol::ALL.into_iter().map(move |protocol| (*index, station, protocol))
        });
        places
            .filter(move |(_, station, protocol)| {
                station.mac(*protocol).is_some() && is_asked(&station.name, *protocol)
            })
            .map(|(index, station, protocol)| ((index, protocol), &station.name))
    }

    /// One of the addresses that are inherited from the node which is asked at that one.
    pub(super) fn inherited_at(&self, asked_at: IpAddr) -> Option<IpAddr> {
        let mut inherited = self.inherited.iter();
        inherited.find(|(_, predecessor)| predecessor.address == asked_at).map(|(address, _)| *address)
    }

    /// What was that node's and is announced here.
    pub fn inherited_from(&self, node: &NodeName) -> Vec<IpAddr> {
        let its = self.inherited.iter().filter(|(_, predecessor)| predecessor.node == *node);
        its.filter(|(address, _)| self.announced.contains_key(*address))
            .map(|(address, _)| *address)
            .collect()
    }
}

/// A node whose speaker fell silent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Predecessor {
    /// The node.
    pub node: NodeName,
    /// An address that its kernel answers for.
    pub address: IpAddr,
}

/// An interface that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its name, as advertisements call it.
    pub name: InterfaceName,
    /// Its hardware address, if it answers ARP.
    pub arp: Option<Mac>,
    /// Its hardware address, if it answers neighbour discovery.
    pub ndp: Option<Mac>,
}

impl Station {
    /// Its hardware address, if it answers by that protocol.
    pub const fn mac(&self, protocol: Protocol) -> Option<Mac> {
        match protocol {
            Protocol::Arp => self.arp,
            Protocol::Ndp => self.ndp,
        }
    }
}

/// How neighbours ask for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// For IPv4.
    Arp,
    /// Neighbour discovery, for IPv6.
    Ndp,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Arp, Self::Ndp];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arp => "ARP",
            Self::Ndp => "NDP",
        }
    }

    /// That by which neighbours ask for this address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Arp,
            IpAddr::V6(_) => Self::Ndp,
        }
    }
}

/// How far a speaker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It does not know yet what to announce: others must not count on it.
    #[default]
    Starting,
    /// It announces what it should, and says so by its heartbeats.
    Serving,
    /// It is about to end.
    Leaving,
}
