//! One task a peer: begun when it is wanted, told what concerns it, ended when it is not.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use metallb_core::config::Endpoint;
use metallb_core::names::PeerName;
use metallb_protocols::bgp::session::{Beginning, Ending};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::listener::Listeners;
use super::orders::{OfLane, OfPeer, Orders, StandIns, merge};
use super::peer::{Around, Peer};
use super::wanted::Wanted;
use crate::speaker::discovery::Discovery;

/// Connections of one router that wait to be taken up. It makes one at a time.
const ACCEPTED: usize = 2;
/// Sessions that end get this long to say so.
const FAREWELL: Duration = Duration::from_secs(2);

/// Owns the tasks.
pub struct Dispatcher {
    orders: Arc<Orders<OfLane>>,
    around: Around,
    /// Finds the routers of unnumbered peers.
    discovery: Discovery,
    listeners: Option<Listeners>,
    /// Of the moments at which peers try again.
    seed: u64,
    /// The first peers are those of the process; later ones are new.
    first: bool,
    draining: bool,
    stand_ins: Arc<StandIns>,
    running: BTreeMap<PeerName, Running>,
    tasks: JoinSet<()>,
}

struct Running {
    wanted: Wanted,
    orders: Arc<Orders<OfPeer>>,
    accepted: mpsc::Sender<TcpStream>,
}

impl Dispatcher {
    pub fn new(
        orders: Arc<Orders<OfLane>>,
        around: Around,
        discovery: Discovery,
        listeners: Option<[TcpListener; 2]>,
        seed: u64,
    ) -> Self {
        Self {
            orders,
            around,
            discovery,
            listeners: listeners.map(Listeners::new),
            seed,
            first: true,
            draining: false,
            stand_ins: Arc::default(),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until it is told to end, or a task breaks. What has told that its session is up can take it back no more, and
    /// its routes are nowhere else: the speaker has to start anew, as it does where a panic ends the process at once.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                orders = self.orders.take() => {
                    let OfLane { peers, routes, draining, stand_ins, ending } = orders;
                    if let Some(ending) = ending {
                        return self.end(&ending).await;
                    }
                    if let Some(peers) = peers {
                        self.set_peers(peers);
                    }
                    for (peer, changes) in routes {
                        // Of a peer that is gone nobody needs to know.
                        if let Some(running) = self.running.get(&peer) {
                            running.orders.put(|waiting| match &mut waiting.routes {
                                Some(earlier) => merge(earlier, changes),
                                none => *none = Some(changes),
                            });
                        }
                    }
                    if let Some(draining) = draining {
                        self.draining = draining;
                        for running in self.running.values() {
                            running.orders.put(|waiting| waiting.draining = Some(draining));
                        }
                    }
                    if let Some(stand_ins) = stand_ins {
                        self.stand_ins = Arc::new(stand_ins);
                        for running in self.running.values() {
                            running.orders.put(|waiting| waiting.stand_ins = Some(self.stand_ins.clone()));
                        }
                    }
                }
                (stream, from) = accepted(self.listeners.as_mut()) => self.hand_over(stream, from),
                Some(ended) = self.tasks.join_next() => if let Err(error) = ended {
                    tracing::error!(event = "peerTaskEnded", %error, "a peer's task broke; the BGP lane ends");
                    return;
                },
            }
        }
    }

    async fn end(mut self, ending: &Ending) {
        for running in self.running.values() {
            running.orders.put(|waiting| waiting.ending = Some(ending.clone()));
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }

    fn set_peers(&mut self, peers: BTreeMap<PeerName, Wanted>) {
        let interfaces = peers.values().filter_map(|wanted| match &wanted.transport.endpoint {
            Endpoint::Interface(interface) => Some(interface.clone()),
            Endpoint::Address(_) => None,
        });
        self.discovery.publish(interfaces.collect());
        if let Some(listeners) = &mut self.listeners {
            listeners.expect(peers.values());
        }
        self.running.retain(|name, running| {
            let stays = peers.contains_key(name);
            if !stays {
                running.orders.put(|waiting| waiting.ending = Some(Ending::Deconfigured));
            }
            stays
        });
        let beginning = if self.first { Beginning::Process } else { Beginning::Peer };
        self.first = false;
        if peers.is_empty() {
            // No task will ever tell that; those that end now tell it again.
            self.around.told.seen.send_if_modified(|_| true);
        }
        for (name, wanted) in peers {
            match self.running.get_mut(&name) {
                Some(running) if running.wanted == wanted => {}
                Some(running) => {
                    running.wanted = wanted.clone();
                    running.orders.put(|waiting| waiting.wanted = Some(wanted));
                }
                None => self.begin(name, wanted, beginning),
            }
        }
    }

    fn begin(&mut self, name: PeerName, wanted: Wanted, beginning: Beginning) {
        let orders = Orders::<OfPeer>::new();
        let (accepted, incoming) = mpsc::channel(ACCEPTED);
        if self.draining {
            orders.put(|waiting| waiting.draining = Some(true));
        }
        if !self.stand_ins.is_empty() {
            orders.put(|waiting| waiting.stand_ins = Some(self.stand_ins.clone()));
        }
        let seed = self.seed ^ RandomState::new().hash_one(&name);
        let running = Running { wanted: wanted.clone(), orders: orders.clone(), accepted };
        let peer = Peer::new(name.clone(), wanted, beginning, seed, self.around.clone(), orders, incoming);
        self.tasks.spawn(peer.run());
        self.running.insert(name, running);
    }

    /// A router connected: to the peer at its address it goes, if there is one.
    fn hand_over(&self, stream: TcpStream, from: IpAddr) {
        let is_from = |running: &&Running| match &running.wanted.transport.endpoint {
            Endpoint::Address(address) => *address == from && running.wanted.transport.vrf.is_none(),
            Endpoint::Interface(_) => false,
        };
        let Some(running) = self.running.values().find(is_from) else {
            tracing::debug!(event = "strangerRefused", %from, "no BGPPeer of this node has that address");
            return;
        };
        if self.listeners.as_ref().is_some_and(|listeners| !listeners.vouches_for(from)) {
            tracing::debug!(event = "connectionRefused", %from, "its password could not be set");
            return;
        }
        if let Err(error) = super::listener::dress(&stream, &running.wanted.transport) {
            tracing::warn!(event = "connectionRefused", %from, %error, "its socket does not take the options of the BGPPeer");
            return;
        }
        // Full: it makes more connections than anybody needs.
        let _ = running.accepted.try_send(stream);
    }
}

async fn accepted(listeners: Option<&mut Listeners>) -> (TcpStream, IpAddr) {
    match listeners {
        Some(listeners) => listeners.accept().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tokio::sync::watch;

    use super::super::metrics::Metrics;
    use super::super::peer::Told;
    use super::super::seen::Seen;
    use super::super::watched::Watched;
    use super::*;
    use crate::speaker::bfd;

    /// Its last word would stand for ever: that its session is up.
    #[tokio::test]
    async fn a_task_that_breaks_ends_the_lane_and_nobody_says_any_more_how_sessions_stand() {
        let registry = Registry::new();
        let bfd = bfd::Lane::start(bfd::metrics::Metrics::register(&registry).unwrap()).unwrap();
        let discovery = Discovery::start().unwrap();
        let (telling, mut seen) = watch::channel(Seen::new());
        let around = Around {
            watched: Watched::new(bfd.publisher.clone()),
            bfd: bfd.seen.clone(),
            neighbours: discovery.seen.clone(),
            missing: discovery.missing.clone(),
            interfaces: discovery.interfaces.clone(),
            told: Told { seen: Arc::new(telling), metrics: Metrics::register(&registry).unwrap() },
        };
        let mut dispatcher = Dispatcher::new(Orders::new(), around, discovery, None, 0);
        dispatcher.tasks.spawn(async { panic!("of this test") });
        let ended = tokio::time::timeout(Duration::from_secs(10), dispatcher.run());
        ended.await.expect("the lane ends");
        assert!(seen.changed().await.is_err(), "and it is seen");
        bfd.leave(bfd::Ending::Silence);
    }
}
