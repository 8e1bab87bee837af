//! Networks that nodes do not reach, though they live.
//!
//! Not here: carriers, and since when one is trusted (the speaker says that).

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Speakers, World};
use crate::names::NodeName;
use crate::plan::Touched;
use crate::plan::candidates::can_announce;

impl World {
    /// The node does not reach these networks: its interfaces in them have lost their carrier, or have it again only since a moment.
    pub fn set_lost(&mut self, node: NodeName, networks: BTreeSet<IpNet>) -> Touched {
        let before = self.lost.get(&node).cloned().unwrap_or_default();
        let touched = self.in_one_of(&before, &networks);
        if networks.is_empty() {
            self.lost.remove(&node);
        } else {
            self.lost.insert(node, networks);
        }
        touched
    }

    /// This node does not reach these networks, and others that it heard before may have noticed.
    pub fn set_missed(&mut self, networks: BTreeSet<IpNet>) -> Touched {
        let touched = self.in_one_of(&self.missed, &networks);
        self.missed = networks;
        touched
    }

    /// The addresses in networks that are in one set and not in the other.
    fn in_one_of(&self, one: &BTreeSet<IpNet>, other: &BTreeSet<IpNet>) -> Touched {
        let changed: Vec<_> = one.symmetric_difference(other).collect();
        if changed.is_empty() {
            return Touched::nothing();
        }
        let is_in = |address: &IpAddr| changed.iter().any(|network| network.contains(address));
        Touched::Addresses(self.addresses().filter(is_in).collect())
    }

    /// The network of an address, if that node does not reach it.
    pub(in crate::plan) fn lost_network(&self, node: &NodeName, address: IpAddr) -> Option<IpNet> {
        network_of(address, self.lost.get(node)?)
    }

    /// The network of an address, if this node has lost it, and with it those that it heard. What it says there nobody hears; and
    /// when it is back others may have the address.
    pub(in crate::plan) fn missed_network(&self, address: IpAddr) -> Option<IpNet> {
        network_of(address, &self.missed).filter(|_| self.hears_nobody())
    }

    /// Is no other speaker known to live?
    pub fn hears_nobody(&self) -> bool {
        match &self.speakers {
            Speakers::EveryNode => false,
            Speakers::Alive(alive) => alive.iter().all(|node| *node == self.node),
        }
    }

    /// Do all other nodes that live and may announce say that they do not reach this network? Not where there is none: who hears
    /// nobody does not know what others reach.
    pub fn is_lost_elsewhere(&self, network: IpNet) -> bool {
        let others =
            self.speaking_nodes().filter(|(name, node)| **name != self.node && can_announce(self, *node));
        let has_lost = |name| {
            let mut lost = self.lost.get(name).into_iter().flatten();
            lost.any(|lost| lost.contains(&network))
        };
        let mut others = others.map(|(name, _)| has_lost(name)).peekable();
        others.peek().is_some() && others.all(|has_lost| has_lost)
    }

    /// The nodes that do not reach an address.
    pub(in crate::plan) fn cut_off_from(&self, address: IpAddr) -> impl Iterator<Item = &NodeName> {
        self.lost.keys().filter(move |node| self.lost_network(node, address).is_some())
    }
}

fn network_of(address: IpAddr, networks: &BTreeSet<IpNet>) -> Option<IpNet> {
    networks.iter().find(|network| network.contains(&address)).copied()
}
