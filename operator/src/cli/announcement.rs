//! Which nodes announce an address, on layer 2 and to which BGP peers, and why the others do not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kube::ResourceExt;
use metallb_core::config::{Config, Interfaces};
use metallb_core::few::FewSet;
use metallb_core::names::{InterfaceName, NodeName, PeerName, ServiceKey};
use metallb_core::plan::{AddressPlan, Endpoints, Planner, RoutePlanner, Speakers, Touched, World};
use metallb_core::refusal::AnnouncementRefusal;
use metallb_crds::cluster::service::{self, LoadBalancerClass};
use metallb_crds::cluster::{endpoints, node};

use super::allocation::Allocation;
use super::inventory::Inventory;
use super::reports::{Owner, Reports};
use super::speakers::Switches;

/// The speakers' world, to be seen from any node.
pub(super) struct Announcements<'i> {
    inventory: &'i Inventory,
    config: &'i Config,
    services: BTreeMap<ServiceKey, metallb_core::plan::Service>,
    endpoints: BTreeMap<ServiceKey, Endpoints>,
    speakers: Speakers,
    switches: Switches,
    reports: Reports<'i>,
}

/// What the nodes decide about an address.
pub(super) struct Verdicts {
    /// Who announces it.
    pub owner: Owner,
    /// What each node does. What speakers report counts more than what the rules say; of an owner that should not be one, this is
    /// why.
    pub by_node: Vec<(NodeName, ByService)>,
}

/// Of the services that have an address, why a node does not announce it for them.
pub(super) type ByService = BTreeMap<ServiceKey, Result<(), AnnouncementRefusal>>;

impl<'i> Announcements<'i> {
    /// Services as they will be after `allocations`. Without any EndpointSlice of a service it is taken to have
    /// endpoints on every node, unless `inventory` is that of a cluster.
    pub(super) fn after(
        inventory: &'i Inventory,
        config: &'i Config,
        allocations: &[Allocation],
        class: &LoadBalancerClass,
    ) -> Self {
        let mut slices: BTreeMap<ServiceKey, Vec<endpoints::Slice>> = BTreeMap::new();
        for slice in inventory.slices.iter().filter_map(endpoints::read) {
            slices.entry(slice.service.clone()).or_default().push(slice);
        }
        let everywhere = Endpoints {
            anywhere: true,
            nodes: inventory.nodes.iter().map(|node| node.name_any().as_str().into()).collect(),
        };
        let reports = Reports::of(inventory, allocations);
        let allocations: BTreeMap<_, _> = allocations.iter().map(|it| (&it.service, it)).collect();
        let (mut services, mut known) = (BTreeMap::new(), BTreeMap::new());
        for object in &inventory.services {
            let key = service::key(object);
            let (Some(allocation), Some(service)) =
                (allocations.get(&key), service::announced(object, class))
            else {
                continue;
            };
            let mut service = service.unwrap_or_default();
            service.addresses.clone_from(&allocation.after);
            service.allocated_from.clone_from(&allocation.pool);
            let endpoints = match slices.get(&key) {
                Some(slices) => endpoints::merge(slices),
                None if inventory.is_live() => Endpoints::default(),
                None => everywhere.clone(),
            };
            services.insert(key.clone(), service);
            known.insert(key, endpoints);
        }
        let speakers = inventory.speakers.clone().map_or(Speakers::EveryNode, Speakers::Alive);
        let switches = inventory.switches();
        Self { inventory, config, services, endpoints: known, speakers, switches, reports }
    }

    /// The world of the speaker on `node`.
    fn seen_from(&self, node: NodeName) -> World {
        let mut world = World::new(node, self.switches.ignore_exclude_lb);
        world.set_config(self.config.clone());
        for object in &self.inventory.nodes {
            let node = node::read(object, &self.switches.signs);
            world.set_node(object.name_any().as_str().into(), Some(node));
        }
        for (key, service) in &self.services {
            world.set_service(key.clone(), Some(service.clone()));
        }
        for (key, endpoints) in &self.endpoints {
            world.set_endpoints(key.clone(), endpoints.clone());
        }
        world.set_speakers(self.speakers.clone());
        world.set_interfaces(self.interfaces());
        // Speakers tell of epochs where ownership is sticky, and only there.
        let mut holders = self.reports.holders().peekable();
        if holders.peek().is_some() {
            world.set_sticky();
        }
        for (address, holder) in holders {
            world.set_holder(address, Some(holder.clone()));
        }
        world
    }

    /// Only a speaker knows which interfaces its node has; here it has all that an advertisement asks for.
    fn interfaces(&self) -> BTreeSet<InterfaceName> {
        let asked = self.config.l2_advertisements.values().map(|advertisement| &advertisement.interfaces);
        asked
            .filter_map(|interfaces| match interfaces {
                Interfaces::Only(names) => Some(names.clone()),
                Interfaces::All => None,
            })
            .flatten()
            .collect()
    }

    fn nodes(&self) -> impl Iterator<Item = NodeName> {
        self.inventory.nodes.iter().map(|node| node.name_any().as_str().into())
    }

    /// The node that is to announce each address, by the rules.
    pub(super) fn owners(&self) -> BTreeMap<IpAddr, NodeName> {
        let planner = self.planner();
        planner.plan().iter().filter_map(|(address, plan)| Some((*address, plan.owner.clone()?))).collect()
    }

    /// The nodes that may announce each address on layer 2, in the order in which they would: the first is the one that the rules
    /// name.
    pub(super) fn candidates(&self) -> BTreeMap<IpAddr, Vec<NodeName>> {
        let planner = self.planner();
        let of = |address: &IpAddr, plan: &AddressPlan| {
            let mut all: Vec<_> = planner.candidates(*address).into_iter().cloned().collect();
            // Stable: who keeps it goes before the others, and these stay in order.
            all.sort_by_key(|node| Some(node) != plan.owner.as_ref());
            all
        };
        planner.plan().iter().map(|(address, plan)| (*address, of(address, plan))).collect()
    }

    /// Who announces an address, for which the rules name `by_rules`.
    pub(super) fn owner(&self, address: IpAddr, by_rules: Option<NodeName>) -> Owner {
        self.reports.owner(address, by_rules)
    }

    /// What is the same for all nodes, decided by any of them.
    fn planner(&self) -> Planner {
        let mut planner = Planner::default();
        if let Some(any) = self.nodes().next() {
            planner.replan(&self.seen_from(any), &Touched::Everything);
        }
        planner
    }

    /// What each node decides about `address`. One world is shown to all of them, and only this address is planned: a
    /// cluster has a thousand nodes and ten thousand services.
    pub(super) fn verdicts(&self, address: IpAddr) -> Verdicts {
        let (mut by_rules, mut by_node) = (None, Vec::new());
        if let Some(first) = self.nodes().next() {
            let mut world = self.seen_from(first);
            let mut planner = Planner::default();
            let this_one = Touched::Addresses([address].into());
            for node in self.nodes() {
                world.set_own_node(node.clone());
                planner.replan(&world, &this_one);
                let Some(plan) = planner.plan().get(&address) else { continue };
                by_rules.clone_from(&plan.owner);
                let services = plan.services.iter().map(|(key, verdict)| (key.clone(), verdict.clone()));
                by_node.push((node, services.collect()));
            }
        }
        let mut verdicts = Verdicts { owner: self.owner(address, by_rules), by_node };
        verdicts.follow_owner();
        verdicts
    }

    /// To which peers each node announces `address` for `service`, or why to none. Empty where nothing is announced by BGP
    /// at all.
    pub(super) fn routes(
        &self,
        address: IpAddr,
        service: &ServiceKey,
    ) -> Vec<(NodeName, Result<FewSet<PeerName>, AnnouncementRefusal>)> {
        let Some(first) = self.nodes().next().filter(|_| !self.config.bgp_advertisements.is_empty()) else {
            return Vec::new();
        };
        let mut world = self.seen_from(first);
        let decides = |node: NodeName| {
            world.set_own_node(node.clone());
            let planner = RoutePlanner::of_address(&world, address);
            let verdict = planner.verdicts().get(&address)?.get(service)?.as_ref();
            let peers = verdict.map(|_| planner.peers_of(&world, service, &[address]));
            Some((node, peers.map_err(Clone::clone)))
        };
        self.nodes().filter_map(decides).collect()
    }
}

impl Verdicts {
    /// What nodes decide because of who the owner is follows from the one that there is, if the rules name another.
    fn follow_owner(&mut self) {
        let Owner { node: Some(owner), by_rules, .. } = &self.owner else { return };
        if by_rules.as_ref() == Some(owner) {
            return;
        }
        for (node, services) in &mut self.by_node {
            for verdict in services.values_mut() {
                let by_owner = matches!(
                    verdict,
                    Ok(()) | Err(AnnouncementRefusal::NotOwner { .. } | AnnouncementRefusal::NobodyEligible)
                );
                if by_owner {
                    let not_here = || AnnouncementRefusal::NotOwner { owner: owner.clone() };
                    *verdict = if node == owner { Ok(()) } else { Err(not_here()) };
                }
            }
        }
    }
}
