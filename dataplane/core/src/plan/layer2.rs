//! Layer 2: one node announces an address. Which may, on which interfaces, and why not here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::candidates::{Candidates, Registry, Shared, labels_of};
use super::{AddressPlan, Service, TrafficPolicy, World};
use crate::config::{Interfaces, L2Advertisement};
use crate::names::{AdvertisementName, NodeName, PoolName, ServiceKey};
use crate::refusal::{AnnouncementRefusal as Refused, Kind};

/// What speaks for announcing an address, on behalf of each service that has it.
pub(super) struct Offers<'w> {
    world: &'w World,
    address: IpAddr,
    by_service: Vec<(&'w ServiceKey, Result<Offer<'w>, Refused>)>,
}

impl<'w> Offers<'w> {
    pub(super) fn of(world: &'w World, address: IpAddr) -> Self {
        let services = world.services_on(address);
        let offers = services.map(|(key, service)| (key, Offer::of(world, address, key, service)));
        Self { world, address, by_service: offers.collect() }
    }

    /// No service has the address.
    pub(super) fn is_empty(&self) -> bool {
        self.by_service.is_empty()
    }

    /// The nodes that may announce the address for any of its services: services that share one never split.
    pub(super) fn candidates(&self, registry: &mut Registry) -> Shared {
        let all = self.connected_or_not(registry);
        let cut_off = self.world.cut_off_from(self.address).filter(|node| all.get().contains_key(*node));
        let cut_off: Vec<_> = cut_off.cloned().collect();
        if cut_off.is_empty() { all } else { registry.without(all, cut_off) }
    }

    fn connected_or_not(&self, registry: &mut Registry) -> Shared {
        let offers: Vec<_> = self.by_service.iter().filter_map(|(_, offer)| offer.as_ref().ok()).collect();
        let mut sets = offers.iter().map(|offer| offer.candidates(registry));
        let Some(first) = sets.next() else { return Shared::new(Candidates::new()) };
        sets.fold(first, |all, set| {
            if all.is(&set) {
                return all;
            }
            let mut union = all.get().clone();
            for (node, preference) in set.get() {
                let highest = union.entry(node.clone()).or_default();
                *highest = (*highest).max(*preference);
            }
            Shared::new(union)
        })
    }
}

/// What follows from `owner` having been elected.
pub(super) fn verdict(offers: Offers<'_>, owner: Option<NodeName>) -> AddressPlan {
    let Offers { world, address, by_service: offers } = offers;
    let is_ours = owner.as_ref() == Some(world.node());
    let interfaces = is_ours.then(|| interfaces_of(&offers));
    let missing = interfaces.as_ref().and_then(|interfaces| {
        let missed = world.missed_network(address).map(|network| Refused::NetworkLost { network });
        missed.or_else(|| none_present(world, interfaces))
    });
    let services = offers.into_iter().map(|(key, offer)| {
        let verdict = match (offer, &missing) {
            (Err(refused), _) => Err(refused),
            (Ok(_), Some(refused)) => Err(refused.clone()),
            (Ok(_), None) if is_ours => Ok(()),
            (Ok(offer), None) => Err(offer.why_not_here(address, owner.as_ref())),
        };
        (key.clone(), verdict)
    });
    let services = services.collect();
    AddressPlan { owner, announce: interfaces.filter(|_| missing.is_none()), services }
}

/// What speaks for announcing an address on behalf of one service.
struct Offer<'w> {
    world: &'w World,
    key: &'w ServiceKey,
    service: &'w Service,
    pool: &'w PoolName,
    advertisements: BTreeMap<&'w AdvertisementName, &'w L2Advertisement>,
}

impl<'w> Offer<'w> {
    fn of(
        world: &'w World,
        address: IpAddr,
        key: &'w ServiceKey,
        service: &'w Service,
    ) -> Result<Self, Refused> {
        let (pool, labels) = world.pool_of(address, service).ok_or(Refused::NoPool { address })?;
        if !world.endpoints(key).anywhere {
            return Err(Refused::NoEndpoints);
        }
        let advertisements: BTreeMap<_, _> = world
            .config()
            .l2_advertisements
            .iter()
            .filter(|(_, advertisement)| advertisement.pools.selects(pool, labels))
            .filter(|(_, advertisement)| advertisement.covers_service(&service.labels))
            .collect();
        if advertisements.is_empty() {
            return Err(Refused::NotAdvertised { pool: pool.clone(), kind: Kind::L2Advertisement });
        }
        if service.shares
            && advertisements.values().any(|advertisement| !advertisement.service_selectors.is_empty())
        {
            return Err(Refused::SharedWithServiceSelector);
        }
        Ok(Self { world, key, service, pool, advertisements })
    }

    /// The nodes that may announce it. Policy Local keeps those with a usable endpoint.
    fn candidates(&self, registry: &mut Registry) -> Shared {
        let covered = registry.under(self.world, &self.advertisements);
        match self.service.traffic_policy {
            TrafficPolicy::Cluster => covered,
            TrafficPolicy::Local => {
                let nodes = self.world.endpoints(self.key).nodes.iter();
                let local = nodes.filter_map(|node| Some((node.clone(), *covered.get().get(node)?)));
                Shared::new(local.collect())
            }
        }
    }

    /// Why this node is not the one.
    fn why_not_here(&self, address: IpAddr, owner: Option<&NodeName>) -> Refused {
        let node = self.world.own_node();
        if node.is_some_and(|node| node.network_unavailable) {
            return Refused::NetworkUnavailable;
        }
        if node.is_some_and(|node| self.world.excludes(node)) {
            return Refused::NodeExcluded;
        }
        if !self.advertisements.values().any(|advertisement| advertisement.covers_node(labels_of(node))) {
            return Refused::NodeNotSelected { pool: self.pool.clone(), kind: Kind::L2Advertisement };
        }
        let local = self.service.traffic_policy == TrafficPolicy::Local;
        if local && !self.world.endpoints(self.key).nodes.contains(self.world.node()) {
            return Refused::NoLocalEndpoint;
        }
        let Some(owner) = owner else { return Refused::NobodyEligible };
        if let Some(network) = self.world.lost_network(self.world.node(), address) {
            return Refused::NetworkLost { network };
        }
        match node.and_then(|node| node.leaving) {
            Some(why) => Refused::NodeLeaving { why },
            None => Refused::NotOwner { owner: owner.clone() },
        }
    }

    /// The interfaces that its advertisements name for this node.
    fn interfaces(&self) -> Interfaces {
        let own = labels_of(self.world.own_node());
        self.advertisements
            .values()
            .filter(|advertisement| advertisement.covers_node(own))
            .fold(Interfaces::Only([].into()), |all, advertisement| all.union(&advertisement.interfaces))
    }
}

fn interfaces_of(offers: &[(&ServiceKey, Result<Offer<'_>, Refused>)]) -> Interfaces {
    let offers = offers.iter().filter_map(|(_, offer)| offer.as_ref().ok());
    offers.fold(Interfaces::Only([].into()), |all, offer| all.union(&offer.interfaces()))
}

/// The refusal, when `interfaces` names some and this node has none of them.
fn none_present(world: &World, interfaces: &Interfaces) -> Option<Refused> {
    match interfaces {
        Interfaces::All => None,
        Interfaces::Only(names) if names.iter().any(|name| world.interfaces().contains(name)) => None,
        Interfaces::Only(names) => {
            Some(Refused::NoSuchInterface { interfaces: names.iter().cloned().collect() })
        }
    }
}
