//! What others than the API server say: the lane of who lives, who claimed what and who reaches what; the kernel of the interfaces.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use metallb_core::names::InterfaceName;
use metallb_core::plan::{Speakers, Touched};
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::Tenure;

use super::Facts;
use super::succession::Succession;
use crate::net::links::{self, Link, Links};
use crate::speaker::lane::{Contested, Membership, Station};

impl Facts {
    /// Heartbeats say this.
    pub fn set_membership(&mut self, now: Instant, membership: Membership) {
        self.set_speakers(membership.speakers);
        self.set_tenures(now, membership.tenures);
        let before = std::mem::replace(&mut self.lost, membership.lost);
        let nodes: BTreeSet<_> = before.keys().chain(self.lost.keys()).cloned().collect();
        for node in nodes {
            let networks = self.lost.get(&node).cloned().unwrap_or_default();
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
            let touched = tenures.set(now, known, &mut self.world);
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

    /// The interfaces of this node are these.
    pub fn set_links(&mut self, links: Links) {
        let names: BTreeSet<InterfaceName> = links.values().map(|link| link.name.clone()).collect();
        let lost = links::lost(&links);
        if *self.tables.lost != lost {
            tracing::info!(event = "networksLost", networks = ?lost, "without a carrier; other speakers are told");
            self.tables.lost = Arc::new(lost.clone());
            let touched = self.world.set_lost(self.world.node().clone(), lost);
            self.touch_layer2(touched);
        }
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
