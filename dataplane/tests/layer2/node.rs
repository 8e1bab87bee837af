//! Our side: the lane, in a node's network, with the interfaces that the kernel says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metallb_core::config::Interfaces;
use metallb_dataplane::net::links::{self, Excluded, Links};
use metallb_dataplane::speaker::lane::{
    Contested, Lane, Pace, Phase, Policy, Predecessor, Refresh, Station, Tables,
};
use metallb_dataplane::speaker::metrics::Metrics;
use metallb_lab::network::Host;
use metallb_protocols::jitter::Jitter;
use prometheus::Registry;
use prometheus::proto::MetricFamily;

/// How long a silent speaker has to come back.
pub const GRACE: Duration = Duration::from_secs(2);

pub struct Node {
    lane: Lane,
    registry: Registry,
    tables: Tables,
}

impl Node {
    /// Answers on all interfaces of a host for nothing yet.
    pub fn start(host: &Host) -> Self {
        Self::refreshing(host, None)
    }

    /// The same, and tells neighbours of its addresses so often.
    pub fn refreshing(host: &Host, interval: Option<Duration>) -> Self {
        Self::with(host, interval, Policy::Announce)
    }

    /// The same, and looks for others that have its addresses before or beside announcing them.
    pub fn with(host: &Host, interval: Option<Duration>, policy: Policy) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry, "node".into()).unwrap();
        let refresh = interval.map(|interval| Refresh { interval, jitter: Jitter::new(7) });
        let pace = Pace { refresh, restart_grace: GRACE, policy };
        let lane = host.inside(|| Lane::start("node".into(), None, pace, metrics).unwrap()).unwrap();
        let tables = Tables { phase: Phase::Serving, ..Tables::default() };
        let mut node = Self { lane, registry, tables };
        node.look(host);
        node
    }

    /// Takes the interfaces as they are now.
    pub fn look(&mut self, host: &Host) {
        self.tables.stations = Arc::new(stations(host));
        self.publish();
    }

    /// Announces these from now on, and nothing else.
    pub fn announce(&mut self, addresses: &[&str]) {
        let announced = addresses.iter().map(|address| (address.parse().unwrap(), Interfaces::All));
        self.tables.announced = announced.collect();
        self.publish();
    }

    /// Announces these from now on, which were those of a node whose speaker fell silent.
    pub fn inherit(&mut self, addresses: &[&str], node: &str, asked_at: &str) {
        let predecessor = Predecessor { node: node.into(), address: asked_at.parse().unwrap() };
        let inherited = addresses.iter().map(|address| (address.parse().unwrap(), predecessor.clone()));
        self.tables.inherited = Arc::new(inherited.collect());
        self.announce(addresses);
    }

    /// The same, and no node had them before.
    pub fn announce_new(&mut self, addresses: &[&str]) {
        self.tables.new = Arc::new(addresses.iter().map(|address| address.parse().unwrap()).collect());
        self.announce(addresses);
    }

    /// The other nodes' kernels have these addresses.
    pub fn know_nodes(&mut self, addresses: &[&str]) {
        let nodes = addresses.iter().map(|address| (address.parse().unwrap(), (*address).into()));
        self.tables.nodes = Arc::new(nodes.collect());
        self.publish();
    }

    /// What it has found of others that have its addresses.
    pub fn contested(&self) -> Contested {
        self.lane.contested.borrow().clone()
    }

    /// Announces nothing any more, as another node does.
    pub fn yield_all(&mut self) {
        self.tables.moved = Arc::new(self.tables.announced.keys().copied().collect());
        self.tables.inherited = Arc::default();
        self.announce(&[]);
    }

    /// Announces nothing any more, as another node does whose kernel has this address, and which is told of.
    pub fn hand_over(&mut self, to: &str) {
        let heir = to.parse().unwrap();
        self.tables.heirs = Arc::new(self.tables.announced.keys().map(|address| (*address, heir)).collect());
        self.yield_all();
    }

    /// Announces these, as soon as the node that has them says so.
    pub fn await_all(&mut self, addresses: &[&str]) {
        self.tables.awaited = Arc::new(addresses.iter().map(|address| address.parse().unwrap()).collect());
        self.announce(addresses);
    }

    /// The speaker ends; its node goes on.
    pub fn leave(self) {
        self.lane.leave();
    }

    fn publish(&self) {
        self.lane.publish(self.tables.clone());
    }

    /// The value of a counter for an address: `requests_received`, `responses_sent`, `gratuitous_sent`.
    pub fn counted(&self, name: &str, address: &str) -> f64 {
        let families = self.registry.gather();
        let name = format!("metallb_layer2_{name}");
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map(MetricFamily::get_metric).unwrap_or_default();
        let of_it = metrics.iter().find(|metric| metric.get_label()[0].value() == address);
        of_it.map_or(0.0, |metric| metric.get_counter().get_value())
    }
}

/// The interfaces of a host that answer.
pub fn stations(host: &Host) -> BTreeMap<u32, Station> {
    let stations = interfaces(host).into_iter().map(|(index, link)| {
        let station = Station { name: link.name, arp: link.arp, ndp: link.ndp };
        (index, station)
    });
    stations.filter(|(_, it)| it.arp.or(it.ndp).is_some()).collect()
}

/// The interfaces of a host, as a speaker there sees them.
pub fn interfaces(host: &Host) -> Links {
    let look = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { links::follow(Excluded::default()).unwrap().borrow().clone() })
    };
    host.inside(look).unwrap()
}
