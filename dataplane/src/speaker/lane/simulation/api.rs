//! What the API server has: nodes, two services and where their endpoints are. Of the four addresses two are of a service with policy
//! Local.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use metallb_core::names::{NodeName, ServiceKey};
use metallb_core::plan::{Endpoints, Leaving, Node, Service, TrafficPolicy};
use metallb_core::table::Event;
use metallb_crds::cluster::endpoints::Slice;
use metallb_crds::config::Stored;
use metallb_process::watch::ObjectKey;
use serde_json::{Value, json};

use crate::kube::configuration::Change;
use crate::speaker::facts::{Input, Peer, Row};

const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Nodes with this label are preferred.
const BEST: &str = "best";

pub(super) fn name(node: usize) -> NodeName {
    format!("n{node}").into()
}

/// By which it talks, and its kernel is asked.
pub(super) fn address(node: usize) -> IpAddr {
    [10, 0, 0, u8::try_from(node).unwrap() + 1].into()
}

/// Of both families: each service has one of each.
pub(super) fn vip(number: u8) -> IpAddr {
    if number.is_multiple_of(2) {
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into()
    } else {
        [192, 0, 2, number].into()
    }
}

#[derive(Clone)]
pub(super) struct Api {
    nodes: Vec<Node>,
    /// The endpoints of the service with policy Local.
    local: BTreeSet<usize>,
    has_cluster_wide: bool,
}

/// What watches report of a change.
#[derive(Clone)]
pub(super) enum News {
    List(Api),
    Node(usize, Node),
    Local(BTreeSet<usize>),
    ClusterWide(bool),
}

impl Api {
    pub(super) fn new(count: usize) -> Self {
        let node = |node| Node { addresses: vec![address(node)], ..Node::default() };
        Self { nodes: (0..count).map(node).collect(), local: (0..count).collect(), has_cluster_wide: true }
    }

    /// The addresses that services have, and whether all nodes may have one.
    pub(super) fn addresses(&self) -> BTreeMap<IpAddr, bool> {
        let cluster_wide = [1, 2].into_iter().filter(|_| self.has_cluster_wide).map(|last| (vip(last), true));
        cluster_wide.chain([3, 4].map(|last| (vip(last), false))).collect()
    }

    /// Does nothing that the API server says speak against it?
    pub(super) fn may_announce(&self, node: usize, address: IpAddr) -> bool {
        let is_anywhere = self.addresses().get(&address).is_some_and(|anywhere| *anywhere);
        !self.nodes[node].is_excluded() && (is_anywhere || self.local.contains(&node))
    }

    pub(super) fn exclude_or_not(&mut self, node: usize) -> News {
        self.label_or_not(node, EXCLUDED)
    }

    pub(super) fn prefer_or_not(&mut self, node: usize) -> News {
        self.label_or_not(node, BEST)
    }

    fn label_or_not(&mut self, node: usize, label: &str) -> News {
        let it = &mut self.nodes[node];
        if it.labels.remove(label).is_none() {
            it.labels.insert(label.to_owned(), "yes".to_owned());
        }
        News::Node(node, it.clone())
    }

    pub(super) fn is_preferred(&self, node: usize) -> bool {
        self.nodes[node].labels.contains_key(BEST)
    }

    pub(super) fn is_leaving(&self, node: usize) -> bool {
        self.nodes[node].leaving.is_some()
    }

    pub(super) fn leave_or_not(&mut self, node: usize) -> News {
        let it = &mut self.nodes[node];
        it.leaving = if it.leaving.is_none() { Some(Leaving::Tainted) } else { None };
        News::Node(node, it.clone())
    }

    pub(super) fn move_endpoint(&mut self, node: usize) -> News {
        if !self.local.remove(&node) {
            self.local.insert(node);
        }
        News::Local(self.local.clone())
    }

    pub(super) fn delete_service_or_not(&mut self) -> News {
        self.has_cluster_wide = !self.has_cluster_wide;
        News::ClusterWide(self.has_cluster_wide)
    }
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn row(addresses: [u8; 2], traffic_policy: TrafficPolicy) -> Row {
    let addresses = addresses.map(vip).to_vec();
    Row { service: Arc::new(Service { addresses, traffic_policy, ..Service::default() }), uid: None }
}

fn cluster_wide() -> (ServiceKey, Row) {
    (key("wide"), row([1, 2], TrafficPolicy::Cluster))
}

fn slice(service: &str, nodes: &BTreeSet<usize>) -> (ObjectKey, Slice) {
    let nodes: BTreeSet<NodeName> = nodes.iter().map(|node| name(*node)).collect();
    let usable = Endpoints { anywhere: !nodes.is_empty(), nodes: nodes.into_iter().collect() };
    (("default".to_owned(), format!("{service}-1")), Slice { service: key(service), usable })
}

fn stored<K: serde::de::DeserializeOwned>(spec: &Value) -> Event<ObjectKey, Stored<K>> {
    let object = json!({ "metadata": { "name": "lab" }, "spec": spec });
    let stored = Stored::Readable(serde_json::from_value(object).unwrap());
    Event::Listed([(("metallb-system".into(), "lab".into()), stored)].into())
}

impl News {
    /// As the brain hears of it.
    pub(super) fn inputs(self) -> Vec<Input> {
        match self {
            Self::Node(node, it) => vec![Input::Node(Event::Applied(name(node), it))],
            Self::Local(nodes) => {
                let (key, slice) = slice("local", &nodes);
                vec![Input::Slice(Event::Applied(key, slice))]
            }
            Self::ClusterWide(true) => {
                let (key, row) = cluster_wide();
                vec![Input::Service(Event::Applied(key, row))]
            }
            Self::ClusterWide(false) => vec![Input::Service(Event::Deleted(key("wide")))],
            Self::List(Api { nodes, local, has_cluster_wide }) => {
                let services = [(key("local"), row([3, 4], TrafficPolicy::Local))].into_iter();
                let services = services.chain(has_cluster_wide.then(cluster_wide));
                let everywhere = (0..nodes.len()).collect();
                let pod = |node| {
                    let peer = Peer { node: name(node), address: address(node), ready: true, is_ours: true };
                    (("metallb-system".to_owned(), format!("speaker-{node}")), peer)
                };
                let pods = (0..nodes.len()).map(pod).collect();
                let nodes = nodes.into_iter().enumerate().map(|(node, it)| (name(node), it));
                let preferred = json!([{ "weight": 10, "preference": { "matchLabels": { BEST: "yes" } } }]);
                let advertisement = json!({ "preferredNodeSelectors": preferred });
                vec![
                    Input::Service(Event::Listed(services.collect())),
                    Input::Slice(Event::Listed([slice("local", &local), slice("wide", &everywhere)].into())),
                    Input::Node(Event::Listed(nodes.collect())),
                    Input::Configuration(Box::new(Change::Pool(stored(
                        &json!({ "addresses": ["192.0.2.0/24", "2001:db8::/64"] }),
                    )))),
                    Input::Configuration(Box::new(Change::L2Advertisement(stored(&advertisement)))),
                    Input::Pod(Event::Listed(pods)),
                ]
            }
        }
    }
}
