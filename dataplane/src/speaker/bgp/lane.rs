//! The lane from outside: start it, tell it which peers and routes are wanted, read how the sessions stand, end it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use metallb_core::names::PeerName;
use metallb_core::plan::PeerChanges;
pub use metallb_protocols::bgp::session::Ending;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::runtime;
use tokio::sync::watch;

use super::dispatcher::Dispatcher;
use super::metrics::Metrics;
use super::orders::{OfLane, Orders, StandIns, merge};
use super::peer::{Around, Told};
use super::seen::Seen;
use super::wanted::Wanted;
use super::watched::Watched;
use crate::net::tcp::listen;
use crate::speaker::bfd;
use crate::speaker::discovery::Discovery;

/// What the lane works with, besides its sockets.
pub struct Beside {
    /// The lane that watches over peers with a BFD profile.
    pub bfd: bfd::Publisher,
    /// What it sees.
    pub bfd_seen: watch::Receiver<bfd::Seen>,
    /// Routers may connect by themselves to this port; `None`: only we do.
    pub listen: Option<u16>,
    /// What is counted.
    pub metrics: Metrics,
}

/// The running lane.
pub struct Lane {
    orders: Arc<Orders<OfLane>>,
    /// How the sessions stand. Changes, be it to the same, once it is known that there is none. Closes when the lane ends.
    pub seen: watch::Receiver<Seen>,
    thread: JoinHandle<()>,
}

impl Lane {
    /// Starts the thread. Sessions begin when peers are wanted, and not before.
    pub fn start(beside: Beside) -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("cannot start the BGP thread")?;
        let jitter = OsRng.try_next_u64().context("the system gives no random bytes")?;
        let orders = Orders::new();
        let (telling, seen) = watch::channel(Seen::new());
        let (begun, beginning) = std::sync::mpsc::channel();
        let taken = orders.clone();
        let work = async move {
            match begin(beside, taken, telling, jitter) {
                Ok(dispatcher) => {
                    let _ = begun.send(Ok(())); // who started it waits
                    dispatcher.run().await;
                }
                Err(error) => drop(begun.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new()
            .name("bgp".to_owned())
            .spawn(move || runtime.block_on(work))
            .context("cannot start the BGP thread")?;
        beginning.recv().context("the BGP thread ended before it began")??;
        Ok(Self { orders, seen, thread })
    }

    /// From now on, these peers and no others. What changed of one is changed in place where the protocol allows it.
    pub fn set_peers(&self, peers: BTreeMap<PeerName, Wanted>) {
        self.orders.put(|waiting| waiting.peers = Some(peers));
    }

    /// From now on, peers hear this. Those that were not heard of here before are to be in it whole.
    pub fn set_routes(&self, changes: BTreeMap<PeerName, PeerChanges>) {
        self.orders.put(|waiting| {
            for (peer, changes) in changes {
                merge(waiting.routes.entry(peer).or_default(), changes);
            }
        });
    }

    /// Marks all routes as about to go, or no longer (RFC 8326).
    pub fn set_draining(&self, draining: bool) {
        self.orders.put(|waiting| waiting.draining = Some(draining));
    }

    /// Announces this in the name of nodes whose speakers restart, and in the name of others nothing.
    pub fn set_stand_ins(&self, stand_ins: StandIns) {
        self.orders.put(|waiting| waiting.stand_ins = Some(stand_ins));
    }

    /// Ends all sessions, and the thread.
    pub fn leave(self, ending: Ending) {
        self.orders.put(|waiting| waiting.ending = Some(ending));
        if self.thread.join().is_err() {
            tracing::error!(event = "laneEnded", "the BGP thread had panicked");
        }
    }
}

/// Opens what the lane needs, on its own thread.
fn begin(
    beside: Beside,
    orders: Arc<Orders<OfLane>>,
    seen: watch::Sender<Seen>,
    jitter: u64,
) -> anyhow::Result<Dispatcher> {
    let Beside { bfd, bfd_seen, listen: port, metrics } = beside;
    let listeners = port.map(listen).transpose().with_context(|| {
        format!("cannot listen for routers on port {}; is it taken, or below 1024?", port.unwrap_or_default())
    })?;
    let discovery = Discovery::start().context("cannot look for the routers of unnumbered sessions")?;
    let around = Around {
        watched: Watched::new(bfd),
        bfd: bfd_seen,
        neighbours: discovery.seen.clone(),
        missing: discovery.missing.clone(),
        interfaces: discovery.interfaces.clone(),
        told: Told { seen: Arc::new(seen), metrics },
    };
    Ok(Dispatcher::new(orders, around, discovery, listeners, jitter))
}
