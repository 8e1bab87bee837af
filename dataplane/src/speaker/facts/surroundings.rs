//! What others than the API server say: the lane of who lives, who claimed what and who reaches what; the kernel of the interfaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use metallb_core::names::{InterfaceName, NodeName};
use metallb_core::plan::{Speakers, Touched, World};
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{LOST, Tenure};

use super::succession::Succession;
use super::{Facts, lost};
use crate::net::links::{Link, Links};
use crate::net::reach::Reach;
use crate::speaker::lane::{Contested, Membership, Station};

/// What is out of reach.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// What this node says, others hear.
    pub is_heard: bool,
    /// Of this node, whether or not an address is in its networks.
    pub reach: Reach,
    lost_here: BTreeSet<IpNet>,
    /// Those of other nodes.
    lost_elsewhere: BTreeMap<NodeName, BTreeSet<IpNet>>,
}

impl Facts {
    /// Heartbeats say this.
    pub fn set_membership(&mut self, now: Instant, membership: Membership) {
        self.surroundings.is_heard = membership.is_on;
        self.stand_ins.follow(now, &membership.handovers);
        let is_other = membership.speakers.as_ref().is_some_and(|speakers| self.world.speakers() != speakers);
        self.set_speakers(membership.speakers);
        self.set_tenures(now, membership.tenures);
        if let Some(tenures) = &mut self.tenures {
            let touched = tenures.set_all_keep(membership.all_keep, &mut self.world);
            if is_other {
                tenures.rest(now);
            }
            self.touch_layer2(touched);
        }
        let before = std::mem::replace(&mut self.surroundings.lost_elsewhere, membership.lost);
        let nodes: BTreeSet<_> =
            before.keys().chain(self.surroundings.lost_elsewhere.keys()).cloned().collect();
        for node in nodes {
            let networks = self.surroundings.lost_elsewhere.get(&node).cloned().unwrap_or_default();
            let touched = self.world.set_lost(node, networks);
            self.touch_layer2(touched);
        }
    }

    /// The nodes with a live speaker are these; `None` while that is not known.
    pub(super) fn set_speakers(&mut self, speakers: Option<Speakers>) {
        self.informed = speakers.is_some();
        if let Some(speakers) = speakers {
            let touched = self.world.set_speakers(speakers);
            self.tables_changed |= Succession::forget_living(&mut self.tables, &self.world);
            self.touch_layer2(touched);
        }
    }

    /// Speakers claimed addresses like this. Without meaning unless ownership is sticky.
    pub(super) fn set_tenures(&mut self, now: Instant, known: SharedMap<IpAddr, Tenure>) {
        if let Some(tenures) = &mut self.tenures {
            let touched = tenures.set(now, known, self.informed, &mut self.world);
            if let Touched::Addresses(addresses) = &touched {
                let services = addresses.iter().flat_map(|address| self.world.services_on(*address));
                self.unreported.extend(services.map(|(service, _)| service.clone()));
            }
            self.touch_layer2(touched);
        }
    }

    /// Stations outside the cluster have these announced addresses too.
    pub fn set_contested(&mut self, contested: Contested) {
        for address in self.conflicts.set(contested) {
            self.unreported.extend(self.world.services_on(address).map(|(service, _)| service.clone()));
        }
    }

    /// Of the networks that this node does not reach, others are told of those with an address in them; and this node lets go of what
    /// they are told of, neither more nor less. Who is not heard says nothing.
    pub(super) fn tell_lost(&mut self, now: Instant) {
        let reach = &mut self.surroundings.reach;
        let mut is_news = reach.pass_time(now);
        for network in reach.returning() {
            // Of a network without an address it does not count what others say: it may be one that lies between those they lost.
            if has_address(&self.world, &network) && self.world.is_lost_elsewhere(network) {
                reach.trust(now, &network);
                is_news = true;
            }
        }
        if is_news {
            self.follow_reach();
        }
        if self.surroundings.lost_here.is_empty() && self.tables.lost.is_empty() {
            return;
        }
        let is_heard = self.surroundings.is_heard;
        let lost = self
            .surroundings
            .lost_here
            .iter()
            .filter(|network| is_heard && has_address(&self.world, network));
        let lost: BTreeSet<IpNet> = lost.copied().collect();
        let told = lost::told(&lost, LOST, || self.world.addresses());
        let is_told = |network: &IpNet| told.iter().any(|told| told.contains(network));
        let lost: BTreeSet<IpNet> = lost.into_iter().filter(is_told).collect();
        if *self.tables.lost != told {
            tracing::info!(event = "networksLost", networks = ?told, "without a carrier that lasts; other speakers are told");
            self.tables.lost = Arc::new(told);
            self.tables_changed = true;
        }
        let touched = self.world.set_lost(self.world.node().clone(), lost);
        self.touch_layer2(touched);
    }

    /// These networks are out of reach now.
    fn follow_reach(&mut self) {
        self.surroundings.lost_here = self.surroundings.reach.lost();
        let touched = self.world.set_missed(self.surroundings.reach.missed());
        self.touch_layer2(touched);
    }

    /// The interfaces of this node are these.
    pub fn set_links(&mut self, now: Instant, links: Links) {
        let names: BTreeSet<InterfaceName> = links.values().map(|link| link.name.clone()).collect();
        let own = self.world.own_node().map_or(&[][..], |node| &node.addresses);
        self.surroundings.reach.set(now, &links, own, !self.world.hears_nobody());
        self.follow_reach();
        let answering = links.iter().filter(|(_, link)| link.arp.is_some() || link.ndp.is_some());
        let station = |link: &Link| Station { name: link.name.clone(), arp: link.arp, ndp: link.ndp };
        let stations = answering.map(|(index, link)| (*index, station(link)));
        self.tables.stations = Arc::new(stations.collect());
        self.tables_changed = true;
        self.links = Some(links);
        let touched = self.world.set_interfaces(names);
        self.touch_layer2(touched);
    }
}

fn has_address(world: &World, network: &IpNet) -> bool {
    world.addresses().any(|address| network.contains(&address))
}
