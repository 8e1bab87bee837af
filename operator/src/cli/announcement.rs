//! Which nodes announce an address, on layer 2 and to which BGP peers, and why the others do not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kube::ResourceExt;
use metallb_core::config::{Config, Interfaces};
use metallb_core::few::FewSet;
use metallb_core::names::{InterfaceName, NodeName, PeerName, ServiceKey};
use metallb_core::plan::{AddressPlan, Endpoints, Planner, RoutePlanner, Speakers, Touched, World};
use metallb_core::refusal::AnnouncementRefusal;
use metallb_crds::cluster::node::LeavingSigns;
use metallb_crds::cluster::service::{self, LoadBalancerClass};
use metallb_crds::cluster::{endpoints, node};

use super::allocation::Allocation;
use super::inventory::Inventory;

/// The speakers' world, to be seen from any node.
pub(super) struct Announcements<'i> {
    inventory: &'i Inventory,
    config: &'i Config,
    services: BTreeMap<ServiceKey, metallb_core::plan::Service>,
    endpoints: BTreeMap<ServiceKey, Endpoints>,
    speakers: Speakers,
}

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
        Self { inventory, config, services, endpoints: known, speakers }
    }

    /// The world of the speaker on `node`.
    fn seen_from(&self, node: NodeName) -> World {
        let mut world = World::new(node, false);
        world.set_config(self.config.clone());
        for object in &self.inventory.nodes {
            world.set_node(
                object.name_any().as_str().into(),
                Some(node::read(object, &LeavingSigns::default())),
            );
        }
        for (key, service) in &self.services {
            world.set_service(key.clone(), Some(service.clone()));
        }
        for (key, endpoints) in &self.endpoints {
            world.set_endpoints(key.clone(), endpoints.clone());
        }
        world.set_speakers(self.speakers.clone());
        world.set_interfaces(self.interfaces());
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

    /// The node elected to announce each address.
    pub(super) fn owners(&self) -> BTreeMap<IpAddr, NodeName> {
        let planner = self.planner();
        planner.plan().iter().filter_map(|(address, plan)| Some((*address, plan.owner.clone()?))).collect()
    }

    /// The nodes that may announce each address on layer 2, in the order in which they would: the first does.
    pub(super) fn candidates(&self) -> BTreeMap<IpAddr, Vec<NodeName>> {
        let planner = self.planner();
        let of = |address: &IpAddr| planner.candidates(*address).into_iter().cloned().collect();
        planner.plan().keys().map(|address| (*address, of(address))).collect()
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
    pub(super) fn verdicts(&self, address: IpAddr) -> Vec<(NodeName, Option<AddressPlan>)> {
        let Some(first) = self.nodes().next() else { return Vec::new() };
        let mut world = self.seen_from(first);
        let mut planner = Planner::default();
        let this_one = Touched::Addresses([address].into());
        let decides = |node: NodeName| {
            world.set_own_node(node.clone());
            planner.replan(&world, &this_one);
            (node, planner.plan().get(&address).cloned())
        };
        self.nodes().map(decides).collect()
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
