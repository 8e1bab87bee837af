//! What is announced, asked and answered.

mod announced;
mod by_address;

use std::net::IpAddr;

use metallb_core::names::NodeName;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

pub use announced::Announced;
pub use by_address::ByAddress;

use crate::observe::ClientMetrics;

/// The speaker's metrics. Names and labels are upstream's, except those that upstream has nothing like.
#[derive(Clone)]
pub struct Metrics {
    /// Those that every process has.
    pub client: ClientMetrics,
    /// 1 for every service, protocol and address that this node announces.
    pub announced: Announced,
    /// Requests for addresses that are announced here.
    pub requests_received: ByAddress,
    /// Answers to them.
    pub responses_sent: ByAddress,
    /// Frames that tell, unasked, that an address is here.
    pub gratuitous_sent: ByAddress,
    /// 1 for every announced address that a station outside the cluster has too.
    pub contested: Contested,
    /// Datagrams on the port of the heartbeats that counted for nothing.
    pub heartbeats_dropped: IntCounterVec,
    /// The speakers of other nodes: those that are ready, and those of them that are heard.
    pub peers: Peers,
}

impl Metrics {
    /// Registers those of `node`.
    pub fn register(registry: &Registry, node: NodeName) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = ByAddress::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let announced = Announced::new(node)?;
        registry.register(Box::new(announced.clone()))?;
        let heartbeats_dropped = Opts::new(
            "metallb_speaker_heartbeats_dropped_total",
            "Datagrams on the port of the heartbeats that counted for nothing; foreign: upstream's memberlist",
        );
        let heartbeats_dropped = IntCounterVec::new(heartbeats_dropped, &["reason"])?;
        registry.register(Box::new(heartbeats_dropped.clone()))?;
        Ok(Self {
            client: ClientMetrics::register(registry)?,
            announced,
            requests_received: counter(
                "metallb_layer2_requests_received",
                "ARP requests and neighbour solicitations for announced addresses",
            )?,
            responses_sent: counter(
                "metallb_layer2_responses_sent",
                "ARP answers and solicited neighbour advertisements",
            )?,
            gratuitous_sent: counter(
                "metallb_layer2_gratuitous_sent",
                "Gratuitous ARP frames and unsolicited neighbour advertisements",
            )?,
            contested: Contested::register(registry)?,
            heartbeats_dropped,
            peers: Peers::register(registry)?,
        })
    }

    /// An address is no longer answered for here: its counters go.
    pub fn forget(&self, address: IpAddr) {
        for counter in self.by_address() {
            counter.forget(address);
        }
    }

    /// Makes all as small as what is in it.
    pub fn pack(&self) {
        self.announced.pack();
        for counter in self.by_address() {
            counter.pack();
        }
    }

    const fn by_address(&self) -> [&ByAddress; 3] {
        [&self.requests_received, &self.responses_sent, &self.gratuitous_sent]
    }
}

/// `metallb_layer2_address_conflict`.
#[derive(Clone)]
pub struct Contested(IntGaugeVec);

impl Contested {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new(
            "metallb_layer2_address_conflict",
            "1 for every announced address that a station outside the cluster has too",
        );
        let gauge = IntGaugeVec::new(opts, &["ip"])?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(Self(gauge))
    }

    /// These, and no others.
    pub fn set<'a>(&self, addresses: impl Iterator<Item = &'a IpAddr>) {
        self.0.reset();
        for address in addresses {
            self.0.with_label_values(&[&address.to_string()]).set(1);
        }
    }
}

/// `metallb_speaker_peers_ready` and `metallb_speaker_peers_heard`. There are no samples before heartbeats are exchanged.
#[derive(Clone)]
pub struct Peers {
    /// Without labels; vectors, as those can be empty.
    ready: IntGaugeVec,
    heard: IntGaugeVec,
}

impl Peers {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &[])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            ready: gauge(
                "metallb_speaker_peers_ready",
                "Speakers of other nodes that the API server calls ready, while heartbeats are exchanged",
            )?,
            heard: gauge(
                "metallb_speaker_peers_heard",
                "Those of them that live by what the heartbeats say; fewer than are ready: is UDP between the nodes blocked?",
            )?,
        })
    }

    /// That many, from now on.
    pub fn set(&self, ready: usize, heard: usize) {
        for (gauge, count) in [(&self.ready, ready), (&self.heard, heard)] {
            gauge.with_label_values::<&str>(&[]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
