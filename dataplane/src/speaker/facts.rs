//! The speaker's world and what follows from it: changes in; tables, happenings and statuses out. No I/O, no clock.
//!
//! Start at [`Facts::plan`].

mod slices;
mod told;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use metallb_core::names::{InterfaceName, NodeName, ServiceKey};
use metallb_core::plan::{self, Node, Plan, Service, Speakers, Step, Touched, World, replan};
use metallb_core::table::{Event, Table};
use metallb_process::events::Happening;
use metallb_process::watch::ObjectKey;

use crate::kube::configuration::{Change, Configuration};
use crate::kube::endpoints::Slice;
use crate::kube::service_l2_status::Announced;
use crate::net::links::Links;
use crate::speaker::lane::{Phase, Station, Tables};
use slices::Slices;

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
    /// Of a speaker's Pod: its node and its address.
    Pod(Event<ObjectKey, Peer>),
}

/// A Service as the brain keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What decides where it is announced.
    pub service: Service,
    /// For events.
    pub reference: ObjectReference,
}

/// Where a speaker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeName,
    /// Its address, which is the Pod's too.
    pub address: IpAddr,
}

impl Peer {
    /// Reads a speaker's Pod; `None` while it has no node or no address, and once it has ended.
    pub fn of(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let address =
            status.pod_ip.as_deref().and_then(metallb_core::address::parse_address).filter(|_| !ended)?;
        Some(Self { node: pod.spec.as_ref()?.node_name.as_deref()?.into(), address })
    }
}

/// What a plan led to.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// New tables for the lane, if they differ from the last ones.
    pub tables: Option<Tables>,
    /// What happened to services, for events.
    pub happenings: Vec<Happening>,
    /// Addresses that are announced now and were not before, and the other way round, with their services.
    pub announced: BTreeSet<(ServiceKey, IpAddr)>,
    /// See [`Outcome::announced`].
    pub withdrawn: BTreeSet<(ServiceKey, IpAddr)>,
    /// The services that this node is the announcer of, by the rule of one status per service: it announces the
    /// first of their addresses.
    pub statuses: Option<Announced>,
}

/// The speaker's world.
#[derive(Debug)]
pub struct Facts {
    services: Table<ServiceKey, Row>,
    slices: Slices,
    nodes: Table<NodeName, Node>,
    pods: Table<ObjectKey, Peer>,
    configuration: Configuration,
    links: Option<Links>,
    heartbeats: bool,
    world: World,
    touched: Touched,
    plan: Plan,
    tables: Tables,
    told: told::Told,
    statuses: Announced,
}

impl Facts {
    /// An empty world, seen from `node`. With `heartbeats`, the Pods of the speakers must be listed before anything is
    /// announced.
    pub fn new(node: NodeName, ignore_exclude_label: bool, heartbeats: bool) -> Self {
        Self {
            services: Table::default(),
            slices: Slices::default(),
            nodes: Table::default(),
            pods: Table::default(),
            configuration: Configuration::default(),
            links: None,
            heartbeats,
            world: World::new(node, ignore_exclude_label),
            touched: Touched::Everything,
            plan: Plan::new(),
            tables: Tables::default(),
            told: told::Told::default(),
            statuses: Announced::new(),
        }
    }

    /// Takes in what a watch reports.
    pub fn apply(&mut self, input: Input) {
        match input {
            Input::Service(event) => {
                for key in self.services.reduce(event) {
                    let service = self.services.get(&key).map(|row| row.service.clone());
                    let touched = self.world.set_service(key, service);
                    self.touch(touched);
                }
            }
            Input::Slice(event) => {
                for service in self.slices.reduce(event) {
                    let endpoints = self.slices.endpoints(&service);
                    let touched = self.world.set_endpoints(service, endpoints);
                    self.touch(touched);
                }
            }
            Input::Node(event) => {
                for name in self.nodes.reduce(event) {
                    let node = self.nodes.get(&name).cloned();
                    let touched = self.world.set_node(name, node);
                    self.touch(touched);
                }
            }
            Input::Configuration(change) => {
                if self.configuration.apply(*change) {
                    let touched = self.world.set_config(self.configuration.config().clone());
                    self.touch(touched);
                }
            }
            Input::Pod(event) => drop(self.pods.reduce(event)),
        }
    }

    /// The nodes with a live speaker are these.
    pub fn set_speakers(&mut self, speakers: Speakers) {
        let touched = self.world.set_speakers(speakers);
        self.touch(touched);
    }

    /// The interfaces of this node are these.
    pub fn set_links(&mut self, links: Links) {
        let names: BTreeSet<InterfaceName> = links.values().map(|link| link.name.clone()).collect();
        self.links = Some(links);
        let touched = self.world.set_interfaces(names);
        self.touch(touched);
    }

    fn touch(&mut self, touched: Touched) {
        let before = std::mem::replace(&mut self.touched, Touched::nothing());
        self.touched = before.and(touched);
    }

    /// Have all watches delivered their list? Before that nothing is announced: absence means nothing yet.
    pub fn is_ready(&self) -> bool {
        self.services.is_listed()
            && self.slices.is_listed()
            && self.nodes.is_listed()
            && self.configuration.is_listed()
            && self.links.is_some()
            && (self.pods.is_listed() || !self.heartbeats)
    }

    /// Decides what is touched anew.
    pub fn plan(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        if self.is_ready() && !self.touched.is_nothing() {
            let touched = std::mem::replace(&mut self.touched, Touched::nothing());
            let before = self.plan.clone();
            replan(&mut self.plan, &self.world, &touched);
            for step in plan::diff(&before, &self.plan) {
                match step {
                    Step::Withdraw(address) => {
                        tracing::info!(event = "withdraw", %address, "not from here any more")
                    }
                    Step::Announce(address, interfaces) => {
                        tracing::info!(event = "announce", %address, ?interfaces, "from here now");
                    }
                }
            }
            self.told.tell(&self.world, &self.services, &self.plan, &mut outcome);
            let statuses = self.statuses();
            if statuses != self.statuses {
                self.statuses.clone_from(&statuses);
                outcome.statuses = Some(statuses);
            }
        }
        let tables = self.tables();
        if tables != self.tables {
            self.tables = tables.clone();
            outcome.tables = Some(tables);
        }
        outcome
    }

    fn tables(&self) -> Tables {
        let announced =
            self.plan.iter().filter_map(|(address, plan)| Some((*address, plan.announce.clone()?)));
        let stations =
            self.links.iter().flatten().filter_map(|(index, link)| {
                Some((*index, Station { name: link.name.clone(), mac: link.arp? }))
            });
        let peers = self.pods.rows().values().map(|peer| (peer.node.clone(), peer.address));
        Tables {
            announced: announced.collect(),
            stations: stations.collect(),
            peers: self.pods.is_listed().then(|| peers.collect()),
            phase: if self.is_ready() { Phase::Serving } else { Phase::Starting },
        }
    }

    fn statuses(&self) -> Announced {
        let mut statuses = Announced::new();
        for (key, row) in self.services.rows() {
            let Some(plan) = row.service.addresses.first().and_then(|address| self.plan.get(address)) else {
                continue;
            };
            if let (Some(interfaces), Some(Ok(()))) = (&plan.announce, plan.services.get(key)) {
                statuses.insert(key.clone(), interfaces.clone());
            }
        }
        statuses
    }

    /// Is some object of the configuration set aside?
    pub fn any_set_aside(&self) -> bool {
        self.configuration.refusals().next().is_some()
    }

    /// The node it is seen from.
    pub fn node(&self) -> &NodeName {
        self.world.node()
    }
}
