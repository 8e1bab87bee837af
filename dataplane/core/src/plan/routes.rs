//! BGP: which routes this node announces to which of its peers, and why an address is not among them.
//!
//! A node decides for itself alone: whether others announce the address too is the routers' business (they balance over
//! them). With aggregation one route may stand for many addresses; it goes when the last of them does.
//!
//! Not here: how a route looks on the wire (`protocols::bgp::adverts`), and whether a peer's session is up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::candidates::labels_of;
use super::{Departure, Service, Touched, TrafficPolicy, World};
use crate::address::Family;
use crate::config::{BgpAdvertisement, Community, Peer};
use crate::few::{FewMap, FewSet};
use crate::names::{AdvertisementName, PeerName, ServiceKey};
use crate::pack::Pack;
use crate::refusal::{AnnouncementRefusal as Refused, Kind};

/// What the advertisements of a route say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteAttributes {
    /// `spec.communities`, of all advertisements of the route.
    pub communities: BTreeSet<Community>,
    /// `spec.localPref`, the highest of all; `None` leaves it to the defaults of the session.
    pub local_preference: Option<u32>,
}

/// The advertisements by which this node announces an address for a service, or why it does not.
pub type Verdict = Result<FewSet<AdvertisementName>, Refused>;

/// What a peer is to hear from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChanges {
    /// The peer is new, and these are all its routes.
    pub complete: bool,
    /// A route as it is from now on, or `None` where it goes.
    pub routes: BTreeMap<IpNet, Option<Arc<RouteAttributes>>>,
}

/// What came out different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteChanges {
    /// By peer. One that is new is here also with no route.
    pub peers: BTreeMap<PeerName, PeerChanges>,
    /// Addresses of which a verdict came out different.
    pub addresses: BTreeSet<IpAddr>,
}

/// The routes of a world, and what helps to bring them up to date.
#[derive(Clone, Debug, Default)]
pub struct RoutePlanner {
    verdicts: BTreeMap<IpAddr, FewMap<ServiceKey, Verdict>>,
    /// The addresses that a route stands for.
    holders: BTreeMap<IpNet, FewSet<IpAddr>>,
    /// The routes that an address is announced in.
    held: BTreeMap<IpAddr, FewSet<IpNet>>,
    /// What each peer of this node hears.
    routes: BTreeMap<PeerName, BTreeMap<IpNet, Arc<RouteAttributes>>>,
    /// Attributes that were used before: most routes have the same.
    known: BTreeSet<Arc<RouteAttributes>>,
}

impl RoutePlanner {
    /// Nothing is decided yet.
    pub const fn new() -> Self {
        Self {
            verdicts: BTreeMap::new(),
            holders: BTreeMap::new(),
            held: BTreeMap::new(),
            routes: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// Decides the touched addresses anew. The outcome is the one that planning everything from nothing would have.
    pub fn replan(&mut self, world: &World, touched: &Touched) -> RouteChanges {
        let mut changes = RouteChanges::default();
        let mut dirty = BTreeSet::new();
        let addresses: BTreeSet<IpAddr> = match touched {
            Touched::Everything => {
                self.set_peers(world, &mut changes);
                dirty.extend(self.holders.keys().copied());
                world.addresses().chain(self.verdicts.keys().copied()).collect()
            }
            Touched::Addresses(addresses) => addresses.clone(),
        };
        for address in addresses {
            if self.decide(world, address, &mut dirty) {
                changes.addresses.insert(address);
            }
        }
        for prefix in dirty {
            self.settle(world, prefix, &mut changes);
        }
        if *touched == Touched::Everything {
            self.known.retain(|attributes| Arc::strong_count(attributes) > 1);
        }
        changes
    }

    /// What is decided about one address alone, from nothing: for who explains it.
    pub fn of_address(world: &World, address: IpAddr) -> Self {
        let mut planner = Self::new();
        let (mut changes, mut dirty) = (RouteChanges::default(), BTreeSet::new());
        planner.set_peers(world, &mut changes);
        planner.decide(world, address, &mut dirty);
        planner
    }

    /// What was decided about every address that a service has.
    pub fn verdicts(&self) -> &BTreeMap<IpAddr, FewMap<ServiceKey, Verdict>> {
        &self.verdicts
    }

    /// What each peer of this node hears.
    pub fn routes(&self) -> &BTreeMap<PeerName, BTreeMap<IpNet, Arc<RouteAttributes>>> {
        &self.routes
    }

    /// The peers of this node that hear of `service`.
    pub fn peers_of(&self, world: &World, service: &ServiceKey, addresses: &[IpAddr]) -> FewSet<PeerName> {
        let verdicts = addresses.iter().filter_map(|address| self.verdicts.get(address)?.get(service));
        let names = verdicts.flatten().flatten();
        let advertisements = names.filter_map(|name| world.config().bgp_advertisements.get(name));
        let peers_of = |advertisement: &'_ BgpAdvertisement| {
            let peers = self.routes.keys().filter(|peer| advertisement.covers_peer(peer));
            peers.cloned().collect::<Vec<_>>()
        };
        advertisements.flat_map(peers_of).collect()
    }

    fn set_peers(&mut self, world: &World, changes: &mut RouteChanges) {
        let peers: BTreeSet<&PeerName> = peers(world).map(|(name, _)| name).collect();
        self.routes.retain(|name, _| peers.contains(name));
        for name in peers {
            if !self.routes.contains_key(name) {
                self.routes.insert(name.clone(), BTreeMap::new());
                let complete = PeerChanges { complete: true, routes: BTreeMap::new() };
                changes.peers.insert(name.clone(), complete);
            }
        }
    }

    /// Did a verdict come out different? The routes that may look different now are added to `dirty`.
    fn decide(&mut self, world: &World, address: IpAddr, dirty: &mut BTreeSet<IpNet>) -> bool {
        let services = world.services_on(address);
        let verdicts: FewMap<_, _> = services
            .map(|(key, service)| {
                let verdict = Offer { world, address, key, service }.verdict(&self.routes);
                (key.clone(), verdict)
            })
            .collect();
        let advertisements = verdicts.values().flatten().flatten();
        let prefixes: FewSet<IpNet> = advertisements
            .filter_map(|name| world.config().bgp_advertisements.get(name))
            .map(|advertisement| advertisement.aggregation.route(address))
            .collect();
        let before = self.held.remove(&address).unwrap_or_default();
        for prefix in before.iter().filter(|prefix| !prefixes.contains(*prefix)) {
            if let Some(holders) = self.holders.get_mut(prefix) {
                holders.remove(&address);
                if holders.is_empty() {
                    self.holders.remove(prefix);
                }
            }
        }
        for prefix in &prefixes {
            self.holders.entry(*prefix).or_default().insert(address);
        }
        dirty.extend(before);
        dirty.extend(prefixes.iter().copied());
        if !prefixes.is_empty() {
            self.held.insert(address, prefixes);
        }
        if verdicts.is_empty() {
            return self.verdicts.remove(&address).is_some();
        }
        let differs = self.verdicts.get(&address) != Some(&verdicts);
        if differs {
            self.verdicts.insert(address, verdicts);
        }
        differs
    }

    /// Brings what every peer hears of `prefix` up to date.
    fn settle(&mut self, world: &World, prefix: IpNet, changes: &mut RouteChanges) {
        let advertisements = &world.config().bgp_advertisements;
        let holders = self.holders.get(&prefix).into_iter().flatten();
        let verdicts = holders.filter_map(|address| Some((address, self.verdicts.get(address)?)));
        let names: BTreeSet<&AdvertisementName> =
            verdicts.flat_map(|(_, verdicts)| verdicts.values().flatten().flatten()).collect();
        // All holders are of one family, and an advertisement has one length for it.
        let of_this_length = |advertisement: &&BgpAdvertisement| {
            advertisement.aggregation.length(Family::of(prefix.addr())) == prefix.prefix_len()
        };
        let in_force: Vec<&BgpAdvertisement> =
            names.into_iter().filter_map(|name| advertisements.get(name)).filter(of_this_length).collect();
        for (peer, routes) in &mut self.routes {
            let heard = in_force.iter().filter(|advertisement| advertisement.covers_peer(peer));
            let now = heard.fold(None, |all: Option<RouteAttributes>, advertisement| {
                let mut all = all.unwrap_or_default();
                all.communities.extend(advertisement.communities.iter().copied());
                all.local_preference = all.local_preference.max(advertisement.local_preference);
                Some(all)
            });
            if routes.get(&prefix).map(Arc::as_ref) == now.as_ref() {
                continue;
            }
            let now = now.map(|attributes| {
                let known = self.known.get(&attributes).cloned();
                known.unwrap_or_else(|| {
                    let new = Arc::new(attributes);
                    self.known.insert(new.clone());
                    new
                })
            });
            match &now {
                Some(attributes) => routes.insert(prefix, attributes.clone()),
                None => routes.remove(&prefix),
            };
            changes.peers.entry(peer.clone()).or_default().routes.insert(prefix, now);
        }
    }
}

impl Pack for RoutePlanner {
    fn pack(&mut self) {
        let Self { verdicts, holders, held, routes: _, known: _ } = self;
        verdicts.pack();
        holders.pack();
        held.pack();
    }
}

/// The peers that this node connects to.
pub fn peers(world: &World) -> impl Iterator<Item = (&PeerName, &Peer)> {
    let labels = labels_of(world.own_node());
    world.config().peers.iter().filter(move |(_, peer)| peer.covers_node(labels))
}

/// An address of a service, and what speaks for announcing it from here.
struct Offer<'w> {
    world: &'w World,
    address: IpAddr,
    key: &'w ServiceKey,
    service: &'w Service,
}

impl Offer<'_> {
    fn verdict(&self, peers: &BTreeMap<PeerName, BTreeMap<IpNet, Arc<RouteAttributes>>>) -> Verdict {
        let Self { world, address, key, service } = self;
        let (pool, labels) = world.pool_of(*address, service).ok_or(Refused::NoPool { address: *address })?;
        let node = world.own_node();
        let kind = Kind::BgpAdvertisement;
        let of_pool = || {
            let all = world.config().bgp_advertisements.iter();
            all.filter(|(_, advertisement)| advertisement.covers_pool(pool, labels))
                .filter(|(_, advertisement)| advertisement.covers_service(&service.labels))
        };
        if of_pool().next().is_none() {
            return Err(Refused::NotAdvertised { pool: pool.clone(), kind });
        }
        let own = labels_of(node);
        let matching: BTreeMap<_, _> =
            of_pool().filter(|(_, advertisement)| advertisement.covers_node(own)).collect();
        if matching.is_empty() {
            return Err(Refused::NodeNotSelected { pool: pool.clone(), kind });
        }
        if let Some((first, second)) = contradiction(&matching, Family::of(*address)) {
            return Err(Refused::TwoLocalPreferences { first: first.clone(), second: second.clone() });
        }
        if node.is_some_and(|node| node.network_unavailable) {
            return Err(Refused::NetworkUnavailable);
        }
        // While it is announced that they go, the routes stay.
        if let Some(refused) = world.leaving().filter(|_| world.departure() != Departure::Announced) {
            return Err(refused);
        }
        let endpoints = world.endpoints(key);
        match service.traffic_policy {
            TrafficPolicy::Local if !endpoints.nodes.contains(world.node()) => {
                return Err(Refused::NoLocalEndpoint);
            }
            TrafficPolicy::Local | TrafficPolicy::Cluster if !endpoints.anywhere => {
                return Err(Refused::NoEndpoints);
            }
            TrafficPolicy::Local | TrafficPolicy::Cluster => {}
        }
        let heard =
            |advertisement: &&BgpAdvertisement| peers.keys().any(|peer| advertisement.covers_peer(peer));
        if !matching.values().any(heard) {
            return Err(Refused::NoPeer { pool: pool.clone() });
        }
        Ok(matching.into_keys().cloned().collect())
    }
}

/// Two that give one route of `family` different local preferences at a peer they share.
fn contradiction<'w>(
    advertisements: &BTreeMap<&'w AdvertisementName, &BgpAdvertisement>,
    family: Family,
) -> Option<(&'w AdvertisementName, &'w AdvertisementName)> {
    // Hardly anybody has more than one.
    let mut rest = advertisements.iter();
    while let Some((first, ours)) = rest.next() {
        let mut others = rest.clone();
        if let Some((second, _)) = others.find(|(_, theirs)| ours.disputes(theirs, family)) {
            return Some((first, second));
        }
    }
    None
}
