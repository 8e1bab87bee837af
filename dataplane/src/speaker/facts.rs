//! The speaker's world and what follows from it: changes in; tables, happenings and statuses out. No I/O, no clock.
//!
//! Start at [`Facts::decide`].

mod announced;
mod conflicts;
mod lost;
mod memory;
mod once;
mod peer;
mod routing;
mod slices;
mod stand_ins;
mod state;
mod succession;
mod surroundings;
mod tenures;
mod told;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_core::names::{NamespaceName, NodeName, PeerName, PoolName, ServiceKey};
use metallb_core::plan::{Leaving, Node, Planner, Service, Speakers, Touched, World};
use metallb_core::refusal::AnnouncementRefusal;
use metallb_core::table::{Event, Table};
use metallb_process::watch::ObjectKey;

use crate::kube::configuration::{Change, Configuration, Scope};
use crate::kube::configuration_state::Verdict;
use crate::kube::service_l2_status::Announced;
use crate::net::links::Links;
use crate::speaker::bgp::wanted::Profile;
use crate::speaker::departure::{Pace, Progress};
use crate::speaker::lane::{Phase, Tables};
use conflicts::Conflicts;
use metallb_crds::cluster::endpoints::Slice;
use metallb_crds::cluster::service::reference_to;
use once::Once;
pub use peer::Peer;
use routing::Routing;
pub use routing::{Decided, Heard};
use slices::Slices;
use stand_ins::StandIns;
use succession::Succession;
use surroundings::Surroundings;
use tenures::Tenures;
pub use told::{News, Protocol};
use told::{Told, Verdicts};

/// A change that the brain hears of.
#[derive(Debug)]
pub enum Input {
    /// Of a Service of type LoadBalancer of ours.
    Service(Event<ServiceKey, Row>),
    /// Of an EndpointSlice.
    Slice(Event<ObjectKey, Slice>),
    /// Of a Node.
    Node(Event<NodeName, Node>),
    /// Of the configuration.
    Configuration(Box<Change>),
    /// Of a speaker's Pod.
    Pod(Event<ObjectKey, Peer>),
}

/// A Service as the brain keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What decides where it is announced.
    pub service: Arc<Service>,
    /// For events. All else that they say of it is in its key.
    pub uid: Option<Box<str>>,
}

impl Row {
    /// The service, for an event about it.
    fn reference(&self, service: &ServiceKey) -> ObjectReference {
        let uid = self.uid.as_deref().map(str::to_owned);
        ObjectReference { uid, ..reference_to(service) }
    }
}

/// The speaker's world.
#[derive(Debug)]
pub struct Facts {
    services: Table<ServiceKey, Row>,
    slices: Slices,
    namespaces: Once<NamespaceName>,
    pools: Once<PoolName>,
    nodes: Table<NodeName, Node>,
    pods: Table<ObjectKey, Peer>,
    configuration: Configuration,
    links: Option<Links>,
    /// The lane knows who lives.
    informed: bool,
    heartbeats: bool,
    world: World,
    touched: Touched,
    planner: Planner,
    tables: Tables,
    tables_changed: bool,
    succession: Succession,
    /// `None` unless ownership is sticky.
    tenures: Option<Tenures>,
    surroundings: Surroundings,
    conflicts: Conflicts,
    told: Told,
    routing: Routing,
    stand_ins: StandIns,
    departure: Progress,
    /// Decided and not told yet.
    untold: BTreeSet<IpAddr>,
    /// Services whose object has changed since the statuses were worked out.
    unreported: BTreeSet<ServiceKey>,
    /// `None` until it was decided for the first time.
    statuses: Option<Announced>,
    /// Changes of services and slices since it was packed.
    changed: usize,
}

impl Facts {
    /// An empty world, seen from `node`. With `heartbeats`, the Pods of the speakers must be listed before anything is
    /// announced.
    pub fn new(
        node: NodeName,
        ignore_exclude_label: bool,
        heartbeats: bool,
        profile: Profile,
        pace: Pace,
    ) -> Self {
        Self {
            departure: Progress::new(pace),
            services: Table::default(),
            slices: Slices::default(),
            namespaces: Once::default(),
            pools: Once::default(),
            nodes: Table::default(),
            pods: Table::default(),
            configuration: Configuration::new(Scope::Announcement(node.clone())),
            links: None,
            informed: false,
            heartbeats,
            world: World::new(node, ignore_exclude_label),
            touched: Touched::Everything,
            planner: Planner::default(),
            tables: Tables::default(),
            tables_changed: true,
            succession: Succession::default(),
            tenures: None,
            surroundings: Surroundings::default(),
            conflicts: Conflicts::default(),
            told: Told::new(Protocol::Layer2),
            routing: Routing::new(profile),
            stand_ins: StandIns::default(),
            untold: BTreeSet::new(),
            unreported: BTreeSet::new(),
            statuses: None,
            changed: 0,
        }
    }

    /// Who has an address keeps it, once all speakers say so.
    pub fn set_sticky(&mut self) {
        self.tenures = Some(Tenures::default());
    }

    /// Takes in what a watch reports.
    pub fn apply(&mut self, input: Input) {
        match input {
            Input::Service(event) => {
                let event = self.sharing_names(event);
                for key in self.services.reduce(event) {
                    self.changed += 1;
                    self.unreported.insert(key.clone());
                    let service = self.services.get(&key).map(|row| row.service.clone());
                    let touched = self.world.set_shared_service(key, service);
                    self.touch(touched);
                }
            }
            Input::Slice(event) => {
                let event = event.map_values(|slice| self.sharing(slice));
                for service in self.slices.reduce(event) {
                    self.changed += 1;
                    let endpoints = self.slices.endpoints(&service);
                    let touched = self.world.set_endpoints(service, endpoints);
                    self.touch(touched);
                }
            }
            Input::Node(event) => {
                let changed = self.nodes.reduce(event);
                let is_any = !changed.is_empty();
                for name in changed {
                    let node = self.nodes.get(&name).cloned().or_else(|| self.own_deleted(&name));
                    let labels = node.as_ref().map(|node| node.labels.clone());
                    if name == *self.world.node() && self.configuration.set_node(labels) {
                        self.set_config();
                    }
                    let is_ours = name == *self.world.node();
                    let touched = self.world.set_node(name, node);
                    if is_ours {
                        self.routing.set_peers_stale();
                        self.routing.touch(touched.clone());
                    }
                    self.touch_layer2(touched);
                }
                if is_any {
                    self.set_nodes();
                }
            }
            Input::Configuration(change) => {
                if self.configuration.apply(*change) {
                    self.set_config();
                }
            }
            Input::Pod(event) => {
                if !self.pods.reduce(event).is_empty() || self.tables.peers.is_none() {
                    self.set_peers();
                }
            }
        }
    }

    /// Who else speaks, by the Pods.
    fn set_peers(&mut self) {
        let all = || self.pods.rows().values();
        let nodes =
            |peers: &mut dyn Iterator<Item = &Peer>| Arc::new(peers.map(|peer| peer.node.clone()).collect());
        let ours = all().filter(|peer| peer.is_ours).map(|peer| (peer.node.clone(), peer.address));
        self.tables.peers = self.pods.is_listed().then(|| Arc::new(ours.collect()));
        self.tables.ready = nodes(&mut all().filter(|peer| peer.ready));
        self.tables.upstream = nodes(&mut all().filter(|peer| peer.ready && !peer.is_ours));
        self.tables_changed = true;
    }

    /// By these addresses the others are asked.
    fn set_nodes(&mut self) {
        if let Some(tenures) = &mut self.tenures {
            let touched = tenures.set_nodes(&mut self.world);
            self.touch_layer2(touched);
        }
        let nodes = succession::asked_of_others(&self.world);
        if *self.tables.nodes != nodes {
            self.tables.nodes = Arc::new(nodes);
            self.tables_changed = true;
        }
    }

    /// The own node as it was before it was deleted: it leaves, and until it has left its peers are its peers.
    fn own_deleted(&self, name: &NodeName) -> Option<Node> {
        let own = self.world.own_node().filter(|_| name == self.world.node())?;
        Some(Node { leaving: Some(Leaving::Deleted), ..own.clone() })
    }

    fn set_config(&mut self) {
        let touched = self.world.set_config(self.configuration.config().clone());
        self.routing.set_peers_stale();
        self.touch(touched);
    }

    fn touch(&mut self, touched: Touched) {
        self.routing.touch(touched.clone());
        self.touch_layer2(touched);
    }

    /// Of what BGP does not depend on: other nodes, who lives, the interfaces.
    fn touch_layer2(&mut self, touched: Touched) {
        let before = std::mem::replace(&mut self.touched, Touched::nothing());
        self.touched = before.and(touched);
    }

    /// Have all watches delivered their list, and the lane said who lives? Before that nothing is announced: absence
    /// means nothing yet, and a speaker that knows of no other would take every address.
    pub fn is_ready(&self) -> bool {
        self.services.is_listed()
            && self.slices.is_listed()
            && self.nodes.is_listed()
            && self.configuration.is_listed()
            && self.links.is_some()
            && self.informed
            && (self.pods.is_listed() || !self.heartbeats)
    }

    /// Decides anew what is touched. New tables for the lane, if they differ from the last ones: they go on the wire
    /// before anything is told ([`Facts::tell`]).
    pub fn decide(&mut self, now: Instant) -> Option<Tables> {
        let phase = if self.is_ready() { Phase::Serving } else { Phase::Starting };
        self.tables_changed |= phase != self.tables.phase;
        self.tables.phase = phase;
        self.tell_lost(now);
        let absent = self.stand_ins.absent(&self.world);
        if *self.tables.absent != absent {
            self.tables.absent = Arc::new(absent);
            self.tables_changed = true;
        }
        if let Some(tenures) = &mut self.tenures {
            let touched = tenures.pass_time(now, &mut self.world);
            self.touch_layer2(touched);
        }
        if self.is_ready() && !self.touched.is_nothing() {
            let touched = std::mem::replace(&mut self.touched, Touched::nothing());
            let changed = self.planner.replan(&self.world, &touched);
            for address in &changed {
                let plan = self.planner.plan().get(address);
                let owner = plan.and_then(|plan| plan.owner.as_ref());
                let tenures = self.tenures.as_ref();
                let is_taken =
                    owner.is_some_and(|owner| tenures.is_some_and(|all| all.is_taken(*address, owner)));
                self.tables_changed |= self.succession.follow(
                    now,
                    &mut self.tables,
                    &self.world,
                    &self.planner,
                    *address,
                    is_taken,
                );
                if plan.is_none() {
                    self.succession.forget(*address);
                }
                let announce = plan.and_then(|plan| plan.announce.as_ref());
                if self.tables.announced.get(address) != announce {
                    match announce {
                        Some(interfaces) => self.tables.announced.insert(*address, interfaces.clone()),
                        None => self.tables.announced.remove(address),
                    };
                    self.tables_changed = true;
                }
            }
            self.succession.settle();
            self.tables_changed |= self.succession.reconsider(now, &mut self.tables, &self.world);
            self.follow_tenures(now, touched, &changed);
            self.untold.extend(changed);
        }
        if let Some(tenures) =
            self.tenures.as_mut().filter(|_| phase == Phase::Serving && self.surroundings.is_heard)
        {
            self.tables_changed |= tenures.hand_over(now, &mut self.tables, &self.world, &self.planner);
        }
        std::mem::take(&mut self.tables_changed).then(|| self.tables.clone())
    }

    /// What this node claims, of what was decided. A tenure is looked at also where the owner stays: it may be a new one.
    fn follow_tenures(&mut self, now: Instant, touched: Touched, changed: &BTreeSet<IpAddr>) {
        let Some(tenures) = &mut self.tenures else { return };
        // Who hears less than half of the speakers is cut off from them, more likely than they are dead. It announces what it must, and
        // claims nothing: else it would take that with it when it hears them again.
        let peers = self.tables.peers.as_ref().map_or(0, |peers| peers.len());
        let may_claim = match self.world.speakers() {
            Speakers::EveryNode => true,
            Speakers::Alive(nodes) => 2 * nodes.len() >= peers,
        };
        let plan = self.planner.plan();
        let addresses = match touched {
            Touched::Addresses(addresses) => addresses,
            Touched::Everything => plan.keys().chain(changed).copied().collect(),
        };
        if !tenures.gave(changed) {
            tenures.rest(now);
        }
        for address in addresses {
            let is_own = may_claim && plan.get(&address).is_some_and(|plan| plan.announce.is_some());
            self.tables_changed |= tenures.follow(&mut self.tables, &self.world, address, is_own);
        }
        let known = self.tables.in_use.as_deref();
        let is_news = |address: &IpAddr| {
            known.is_none_or(|known| known.contains(address) != plan.contains_key(address))
        };
        if known.is_none() || changed.iter().any(is_news) {
            self.tables.in_use = Some(Arc::new(plan.keys().copied().collect()));
            self.tables_changed = true;
        }
    }

    /// The Secrets that peers name are where somebody else reads them.
    pub fn leave_secrets_alone(&mut self) {
        self.configuration.leave_secrets_alone();
    }

    /// When [`Facts::decide_routes`] or [`Facts::decide`] is due though nothing has changed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let tenures = self.tenures.as_ref().and_then(Tenures::poll_timeout);
        let reach = self.surroundings.reach.poll_timeout();
        let stand_ins = self.stand_ins.poll_timeout();
        self.departure.poll_timeout().into_iter().chain(tenures).chain(reach).chain(stand_ins).min()
    }

    /// Why this node leaves, if it does.
    pub fn leaving(&self) -> Option<AnnouncementRefusal> {
        self.world.leaving().filter(|_| self.nodes.is_listed())
    }

    /// Has it left, so that nothing is lost when the speaker ends?
    pub fn has_left(&self, now: Instant) -> bool {
        self.departure.is_over(now)
    }

    /// The speaker will be killed at `end`.
    pub fn hurry(&mut self, now: Instant, end: Instant) {
        self.departure.hurry(now, end);
    }

    /// What is new for services since the last time, and of which services this node announces an address: when that is
    /// first known, be there none, and whenever it changed.
    pub fn tell(&mut self) -> (News, Option<Announced>) {
        let changed = std::mem::take(&mut self.untold);
        let services = &self.services;
        let reference = |service: &ServiceKey| services.get(service).map(|row| row.reference(service));
        let mut affected = std::mem::take(&mut self.unreported);
        for address in &changed {
            affected.extend(self.world.services_on(*address).map(|(service, _)| service.clone()));
        }
        let plan = self.planner.plan();
        let verdicts = |address| plan.get(&address).map_or_else(Verdicts::new, |plan| plan.services.clone());
        let mut news = self.told.tell(self.world.node(), verdicts, &changed, reference);
        let services_on = |address| {
            let services = self.world.services_on(address);
            services.filter_map(|(service, _)| reference(service)).collect()
        };
        news.happenings.extend(self.conflicts.tell(services_on));
        // Nothing is decided yet: that is not the same as nothing to say.
        if self.statuses.is_none() && !self.is_ready() {
            return (news, None);
        }
        let mut statuses_changed = self.statuses.is_none();
        let mut statuses = self.statuses.take().unwrap_or_default();
        for service in affected {
            let now = self.announced_from_here(&service);
            if statuses.get(&service) != now.as_ref() {
                statuses_changed = true;
                match now {
                    Some(said) => statuses.insert(service, said),
                    None => statuses.remove(&service),
                };
            }
        }
        let said = statuses_changed.then(|| statuses.clone());
        self.statuses = Some(statuses);
        (news, said)
    }

    /// What is to be said about the configuration; `None` until that is certain.
    pub fn verdict(&self) -> Option<Verdict> {
        self.configuration.verdict()
    }

    /// The BGPPeer, for events.
    pub fn peer_reference(&self, peer: &PeerName) -> Option<ObjectReference> {
        self.configuration.peer_reference(peer)
    }

    /// The configuration that this node follows.
    pub fn scope(&self) -> Scope {
        Scope::Announcement(self.world.node().clone())
    }

    /// The node it is seen from.
    pub fn node(&self) -> &NodeName {
        self.world.node()
    }
}
