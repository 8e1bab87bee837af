//! The facts a speaker plans from, and what a change of each of them touches.

mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Touched;
use crate::config::Config;
use crate::few::FewSet;
use crate::labels::Labels;
use crate::names::{InterfaceName, NodeName, PoolName, ServiceKey};
use crate::pack::Pack;
use crate::refusal::AnnouncementRefusal;

/// A Service of type LoadBalancer, as far as announcing it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `status.loadBalancer.ingress[].ip`.
    pub addresses: Vec<IpAddr>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.externalTrafficPolicy`.
    pub traffic_policy: TrafficPolicy,
    /// It carries the annotation `allow-shared-ip`, whatever its value.
    pub shares: bool,
    /// The annotation `ip-allocated-from-pool`. It says what the pool was while that pool is invalid.
    pub allocated_from: Option<PoolName>,
}

/// `spec.externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any node takes traffic and passes it on.
    #[default]
    Cluster,
    /// Only nodes with a usable endpoint take traffic.
    Local,
}

/// Where a service has endpoints that can serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// There is at least one, on a node or elsewhere.
    pub anywhere: bool,
    /// The nodes that have one.
    pub nodes: FewSet<NodeName>,
}

/// A Node, as far as announcing from it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.labels`.
    pub labels: Labels,
    /// Condition `NetworkUnavailable` is True.
    pub network_unavailable: bool,
    /// Those of `status.addresses` of type InternalIP, in their order.
    pub addresses: Vec<IpAddr>,
    /// A sign that it is about to go.
    pub leaving: Option<Leaving>,
}

impl Node {
    /// Carries the label that keeps load balancers off, whatever its value.
    pub fn is_excluded(&self) -> bool {
        self.labels.contains_key("node.kubernetes.io/exclude-from-external-load-balancers")
    }
}

/// A sign that a node is about to go, for longer than its speaker takes to start anew. A cordon is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The Node is deleted.
    Deleted,
    /// Its kubelet says that it is shutting down (condition Ready is False for that reason).
    ShuttingDown,
    /// It carries the taint that stands for leaving.
    Tainted,
    /// It carries the annotation that stands for leaving.
    Annotated,
}

impl Leaving {
    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Deleted => "the Node is deleted",
            Self::ShuttingDown => "the node is shutting down",
            Self::Tainted => "the node carries the taint that stands for leaving",
            Self::Annotated => "the node carries the annotation that stands for leaving",
        }
    }
}

/// How far a node that goes has come with its routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Departure {
    /// It stays.
    #[default]
    Staying,
    /// It announces its routes as about to go, so that routers take other ways first.
    Announced,
    /// Its routes are withdrawn.
    Withdrawn,
}

/// The nodes that have a live speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speakers {
    /// Nobody watches: every node counts as having one.
    EveryNode,
    /// These, this node included.
    Alive(BTreeSet<NodeName>),
}

/// How the owner of an address is found among the nodes that may have it and are preferred alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// By upstream's rule, from nothing but the nodes' names: an address returns with its node.
    #[default]
    Hash,
    /// Whoever has it keeps it. By that rule it is given when nobody has it.
    Sticky {
        /// Who has which address.
        holders: BTreeMap<IpAddr, NodeName>,
        /// Those of them whose holder has it though it is not known to live.
        believed: BTreeSet<IpAddr>,
    },
}

/// Everything the plan depends on. Each setter says which addresses it touched.
#[derive(Clone, Debug)]
pub struct World {
    node: NodeName,
    ignore_exclude_label: bool,
    config: Config,
    services: BTreeMap<ServiceKey, Arc<Service>>,
    on_address: BTreeMap<IpAddr, FewSet<ServiceKey>>,
    endpoints: BTreeMap<ServiceKey, Endpoints>,
    nodes: BTreeMap<NodeName, Node>,
    speakers: Speakers,
    interfaces: BTreeSet<InterfaceName>,
    departure: Departure,
    ownership: Ownership,
    lost: BTreeMap<NodeName, BTreeSet<IpNet>>,
    /// Of this node's, those that were lost while other speakers were heard.
    missed: BTreeSet<IpNet>,
}

impl World {
    /// An empty world, seen from `node`. `ignore_exclude_label` is the flag `--ignore-exclude-lb`.
    pub fn new(node: NodeName, ignore_exclude_label: bool) -> Self {
        Self {
            speakers: Speakers::Alive(BTreeSet::from([node.clone()])),
            node,
            ignore_exclude_label,
            config: Config::default(),
            services: BTreeMap::new(),
            on_address: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            nodes: BTreeMap::new(),
            interfaces: BTreeSet::new(),
            departure: Departure::Staying,
            ownership: Ownership::Hash,
            lost: BTreeMap::new(),
            missed: BTreeSet::new(),
        }
    }

    /// From now on who has an address keeps it.
    pub fn set_sticky(&mut self) -> Touched {
        replace(
            &mut self.ownership,
            Ownership::Sticky { holders: BTreeMap::new(), believed: BTreeSet::new() },
        )
    }

    /// From now on the hash alone decides.
    pub fn set_hash(&mut self) -> Touched {
        replace(&mut self.ownership, Ownership::Hash)
    }

    /// That node has the address, or none. Without meaning unless ownership is sticky.
    pub fn set_holder(&mut self, address: IpAddr, holder: Option<NodeName>) -> Touched {
        let Ownership::Sticky { holders, .. } = &mut self.ownership else { return Touched::nothing() };
        if holders.get(&address) == holder.as_ref() {
            return Touched::nothing();
        }
        match holder {
            Some(holder) => holders.insert(address, holder),
            None => holders.remove(&address),
        };
        Touched::Addresses([address].into())
    }

    /// The service is this; `None` when it is gone, or no load balancer of ours.
    pub fn set_service(&mut self, key: ServiceKey, service: Option<Service>) -> Touched {
        self.set_shared_service(key, service.map(Arc::new))
    }

    /// The same of one that somebody else has too.
    pub fn set_shared_service(&mut self, key: ServiceKey, service: Option<Arc<Service>>) -> Touched {
        if self.services.get(&key) == service.as_ref() {
            return Touched::nothing();
        }
        let mut touched = BTreeSet::new();
        if let Some(old) = self.services.remove(&key) {
            for address in old.addresses.iter().copied() {
                if let Some(services) = self.on_address.get_mut(&address) {
                    services.remove(&key);
                    if services.is_empty() {
                        self.on_address.remove(&address);
                    }
                }
                touched.insert(address);
            }
        }
        if let Some(new) = service {
            for address in &new.addresses {
                self.on_address.entry(*address).or_default().insert(key.clone());
                touched.insert(*address);
            }
            self.services.insert(key, new);
        }
        Touched::Addresses(touched)
    }

    /// The endpoints of the service are these.
    pub fn set_endpoints(&mut self, service: ServiceKey, endpoints: Endpoints) -> Touched {
        if self.endpoints(&service) == &endpoints {
            return Touched::nothing();
        }
        let addresses =
            self.services.get(&service).map(|service| service.addresses.iter().copied().collect());
        if endpoints == Endpoints::default() {
            self.endpoints.remove(&service);
        } else {
            self.endpoints.insert(service, endpoints);
        }
        Touched::Addresses(addresses.unwrap_or_default())
    }

    /// The node is this; `None` when it is gone.
    pub fn set_node(&mut self, name: NodeName, node: Option<Node>) -> Touched {
        if self.nodes.get(&name) == node.as_ref() {
            return Touched::nothing();
        }
        match node {
            Some(node) => self.nodes.insert(name, node),
            None => self.nodes.remove(&name),
        };
        Touched::Everything
    }

    /// The configuration is this.
    pub fn set_config(&mut self, config: Config) -> Touched {
        replace(&mut self.config, config)
    }

    /// The live speakers are these.
    pub fn set_speakers(&mut self, speakers: Speakers) -> Touched {
        replace(&mut self.speakers, speakers)
    }

    /// The interfaces of this node are these.
    pub fn set_interfaces(&mut self, interfaces: BTreeSet<InterfaceName>) -> Touched {
        replace(&mut self.interfaces, interfaces)
    }

    /// The same world, seen from `node`. A speaker never moves; who asks what every node decides goes from one to the next.
    pub fn set_own_node(&mut self, node: NodeName) -> Touched {
        replace(&mut self.node, node)
    }

    /// This node's departure has come so far.
    pub fn set_departure(&mut self, departure: Departure) -> Touched {
        replace(&mut self.departure, departure)
    }

    /// Its holder has the address though it is not known to live, or only if it is. Without meaning unless ownership is sticky.
    pub fn set_believed(&mut self, address: IpAddr, is_believed: bool) -> Touched {
        let Ownership::Sticky { believed, .. } = &mut self.ownership else { return Touched::nothing() };
        let changed = if is_believed { believed.insert(address) } else { believed.remove(&address) };
        if changed { Touched::Addresses([address].into()) } else { Touched::nothing() }
    }

    /// Why this node leaves, if it does.
    pub fn leaving(&self) -> Option<AnnouncementRefusal> {
        let Some(node) = self.own_node() else {
            return Some(AnnouncementRefusal::NodeLeaving { why: Leaving::Deleted });
        };
        if self.excludes(node) {
            return Some(AnnouncementRefusal::NodeExcluded);
        }
        node.leaving.map(|why| AnnouncementRefusal::NodeLeaving { why })
    }

    /// How far its departure has come.
    pub const fn departure(&self) -> Departure {
        self.departure
    }

    /// How owners are found.
    pub const fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The node this world is seen from.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every address that a service has.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.on_address.keys().copied()
    }

    /// The services that have `address`.
    pub fn services_on(&self, address: IpAddr) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        let keys = self.on_address.get(&address).into_iter().flatten();
        keys.filter_map(|key| Some((key, self.services.get(key)?.as_ref())))
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        self.services.iter().map(|(key, service)| (key, service.as_ref()))
    }

    /// The service of that name.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.services.get(key).map(Arc::as_ref)
    }

    /// The interfaces of this node.
    pub fn interfaces(&self) -> &BTreeSet<InterfaceName> {
        &self.interfaces
    }

    /// The pool that owns `address`, and its labels; while that pool is invalid, the one the service says it came from.
    pub(super) fn pool_of<'w>(
        &'w self,
        address: IpAddr,
        service: &'w Service,
    ) -> Option<(&'w PoolName, &'w Labels)> {
        let pools = &self.config.pools;
        if let Some(pool) = pools.owner_of(address) {
            return Some((&pool.name, &pool.labels));
        }
        let name = service.allocated_from.as_ref()?;
        Some((name, pools.labels_of(name)?))
    }

    pub(super) fn endpoints(&self, service: &ServiceKey) -> &Endpoints {
        static NONE: Endpoints = Endpoints { anywhere: false, nodes: FewSet::new() };
        self.endpoints.get(service).unwrap_or(&NONE)
    }

    /// The nodes with a live speaker. One whose Node object is unknown counts, with no labels and no condition.
    pub(super) fn speaking_nodes(&self) -> impl Iterator<Item = (&NodeName, Option<&Node>)> {
        let (alive, all) = match &self.speakers {
            Speakers::Alive(names) => (Some(names), None),
            Speakers::EveryNode => (None, Some(self.nodes.keys())),
        };
        let names = alive.into_iter().flatten().chain(all.into_iter().flatten());
        names.map(|name| (name, self.nodes.get(name)))
    }

    /// Every node that there is.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.keys()
    }

    /// A node, if there is one of that name.
    pub fn node_of(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The live speakers.
    pub const fn speakers(&self) -> &Speakers {
        &self.speakers
    }

    /// Has the node a live speaker?
    pub fn has_speaker(&self, node: &NodeName) -> bool {
        match &self.speakers {
            Speakers::EveryNode => self.nodes.contains_key(node),
            Speakers::Alive(alive) => alive.contains(node),
        }
    }

    /// Does what comes to the node for the address reach endpoints, though another node announces it?
    pub fn forwards(&self, node: &NodeName, address: IpAddr) -> bool {
        let has_network = self.node_of(node).is_none_or(|node| !node.network_unavailable)
            && self.lost_network(node, address).is_none();
        has_network
            && self.services_on(address).all(|(key, service)| match service.traffic_policy {
                TrafficPolicy::Cluster => true,
                TrafficPolicy::Local => self.endpoints(key).nodes.contains(node),
            })
    }

    /// The Node that this world is seen from, once that is known.
    pub fn own_node(&self) -> Option<&Node> {
        self.nodes.get(&self.node)
    }

    pub(super) fn excludes(&self, node: &Node) -> bool {
        node.is_excluded() && !self.ignore_exclude_label
    }
}

impl Pack for World {
    fn pack(&mut self) {
        let Self {
            node: _,
            ignore_exclude_label: _,
            config: _,
            services,
            on_address,
            endpoints,
            nodes: _,
            speakers: _,
            interfaces: _,
            departure: _,
            ownership: _,
            lost: _,
            missed: _,
        } = self;
        services.pack();
        on_address.pack();
        endpoints.pack();
    }
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> Touched {
    if *old == new {
        return Touched::nothing();
    }
    *old = new;
    Touched::Everything
}
