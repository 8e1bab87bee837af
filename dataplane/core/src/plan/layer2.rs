//! Layer 2: one node announces an address. Which one, on which interfaces, and why not here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{AddressPlan, Node, Service, TrafficPolicy, World};
use crate::config::{Interfaces, L2Advertisement};
use crate::election::{self, Preference};
use crate::labels::Labels;
use crate::names::{NodeName, PoolName, ServiceKey};
use crate::refusal::AnnouncementRefusal as Refused;

/// Decides who announces `address`, and whether that is this node.
///
/// The election is over the nodes eligible for any of the services on the address, so that services which share it
/// never split.
pub fn plan_address(world: &World, address: IpAddr) -> AddressPlan {
    let mut eligible: BTreeMap<NodeName, Preference> = BTreeMap::new();
    let mut offers: Vec<(&ServiceKey, Result<Offer<'_>, Refused>)> = Vec::new();
    for (key, service) in world.services_on(address) {
        let offer = Offer::of(world, address, key, service);
        if let Ok(offer) = &offer {
            for (node, preference) in offer.eligible() {
                let highest = eligible.entry(node.clone()).or_default();
                *highest = preference.max(*highest);
            }
        }
        offers.push((key, offer));
    }

    let owner = election::winner(address, &eligible).cloned();
    let announce = match &owner {
        Some(owner) if owner == world.node() => Some(interfaces_of(&offers)),
        Some(_) | None => None,
    };
    let missing = announce.as_ref().and_then(|interfaces| none_present(world, interfaces));
    let services = offers
        .into_iter()
        .map(|(key, offer)| {
            let verdict = match (offer, &owner, &missing) {
                (Err(refused), _, _) => Err(refused),
                (Ok(_), Some(owner), Some(refused)) if owner == world.node() => Err(refused.clone()),
                (Ok(_), Some(owner), None) if owner == world.node() => Ok(()),
                (Ok(offer), owner, _) => Err(offer.why_not_here(owner.as_ref())),
            };
            (key.clone(), verdict)
        })
        .collect();
    AddressPlan { owner, announce: announce.filter(|_| missing.is_none()), services }
}

/// What speaks for announcing an address on behalf of one service.
struct Offer<'w> {
    world: &'w World,
    key: &'w ServiceKey,
    service: &'w Service,
    pool: &'w PoolName,
    advertisements: Vec<&'w L2Advertisement>,
}

impl<'w> Offer<'w> {
    fn of(
        world: &'w World,
        address: IpAddr,
        key: &'w ServiceKey,
        service: &'w Service,
    ) -> Result<Self, Refused> {
        let (pool, labels) = pool_of(world, address, service).ok_or(Refused::NoPool { address })?;
        if !world.endpoints(key).anywhere {
            return Err(Refused::NoEndpoints);
        }
        let advertisements: Vec<_> = world
            .config()
            .l2_advertisements
            .values()
            .filter(|advertisement| advertisement.pools.selects(pool, labels))
            .filter(|advertisement| advertisement.covers_service(&service.labels))
            .collect();
        if advertisements.is_empty() {
            return Err(Refused::NotAdvertised { pool: pool.clone() });
        }
        if service.shares
            && advertisements.iter().any(|advertisement| !advertisement.service_selectors.is_empty())
        {
            return Err(Refused::SharedWithServiceSelector);
        }
        Ok(Self { world, key, service, pool, advertisements })
    }

    /// The nodes that may announce it, each with how much it is preferred.
    fn eligible(&self) -> impl Iterator<Item = (&'w NodeName, Preference)> {
        let speaking = self.world.speaking_nodes();
        let fit = speaking.filter(|(name, node)| self.objection(name, *node).is_none());
        fit.map(|(name, node)| (name, self.preference(node)))
    }

    /// What speaks against a node that has a live speaker.
    fn objection(&self, name: &NodeName, node: Option<&Node>) -> Option<Refused> {
        if node.is_some_and(|node| node.network_unavailable) {
            return Some(Refused::NetworkUnavailable);
        }
        if node.is_some_and(|node| self.world.excludes(node)) {
            return Some(Refused::NodeExcluded);
        }
        if !self.advertisements.iter().any(|advertisement| advertisement.covers_node(labels_of(node))) {
            return Some(Refused::NodeNotSelected { pool: self.pool.clone() });
        }
        let local = self.service.traffic_policy == TrafficPolicy::Local;
        if local && !self.world.endpoints(self.key).nodes.contains(name) {
            return Some(Refused::NoLocalEndpoint);
        }
        None
    }

    fn preference(&self, node: Option<&Node>) -> Preference {
        self.advertisements.iter().map(|advertisement| advertisement.preference(labels_of(node))).sum()
    }

    /// Why this node is not the one.
    fn why_not_here(&self, owner: Option<&NodeName>) -> Refused {
        match (self.objection(self.world.node(), self.world.own_node()), owner) {
            (Some(objection), _) => objection,
            (None, Some(owner)) => Refused::NotOwner { owner: owner.clone() },
            (None, None) => Refused::NobodyEligible,
        }
    }

    /// The interfaces that its advertisements name for this node.
    fn interfaces(&self) -> Interfaces {
        let own = labels_of(self.world.own_node());
        self.advertisements
            .iter()
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

/// The pool that owns `address`; while that pool is invalid, the one the service says it came from.
fn pool_of<'w>(
    world: &'w World,
    address: IpAddr,
    service: &'w Service,
) -> Option<(&'w PoolName, &'w Labels)> {
    let pools = &world.config().pools;
    if let Some(pool) = pools.owner_of(address) {
        return Some((&pool.name, &pool.labels));
    }
    let name = service.allocated_from.as_ref()?;
    Some((name, pools.labels_of(name)?))
}

fn labels_of(node: Option<&Node>) -> &Labels {
    static NONE: Labels = Labels::new();
    node.map_or(&NONE, |node| &node.labels)
}
