//! The layer 2 lane: one thread that answers ARP and neighbour discovery, tells neighbours about addresses that moved here,
//! and exchanges heartbeats with the other speakers.
//!
//! It works from [`Tables`], which the brain swaps whole; it never waits for anything but packets and time. What it
//! finds out (who lives) is a value that the brain may read when it likes.
//!
//! Not here: what is announced, and who is a peer (the brain), and any byte of a protocol (`metallb-protocols`).

mod conflicts;
mod driver;
mod groups;
mod members;
mod moves;
mod responder;
mod responders;
mod sockets;
mod succession;
mod tables;
mod unsent;

#[cfg(test)]
mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;
use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{Handover, Key, Tenure};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::watch;

pub use conflicts::{Conflict, Contested};
pub use members::Heartbeats;
pub use metallb_protocols::announcer::Refresh;
pub use metallb_protocols::conflict::Policy;
pub use sockets::{Needed, Socket, Sockets};
pub use tables::{Phase, Predecessor, Protocol, Station, Tables};

use super::metrics::Metrics;
use driver::{Driver, Shared};
use groups::Groups;
use members::Members;

/// How addresses move.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How often neighbours are told again; `None`: only when an address moved here.
    pub refresh: Option<Refresh>,
    /// How long a silent speaker has to come back while its node lives.
    pub restart_grace: Duration,
    /// What is done before an address is announced that no node had.
    pub policy: Policy,
}

/// What heartbeats say. One value: who decides from a claim must know that its owner lives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    /// The nodes with a live speaker; `None` until that is known.
    pub speakers: Option<Speakers>,
    /// Who has which address, as far as speakers claimed it.
    pub tenures: SharedMap<IpAddr, Tenure>,
    /// Heartbeats are exchanged: what this node says, others hear.
    pub is_on: bool,
    /// Ownership is sticky on all nodes that live.
    pub all_keep: bool,
    /// The networks that other nodes do not reach, by their own word.
    pub lost: BTreeMap<NodeName, BTreeSet<IpNet>>,
    /// What becomes of the routes of speakers that restart, by their own word. One whose node did not answer while it was silent is in
    /// it no more.
    pub handovers: BTreeMap<NodeName, Routes>,
}

/// What a speaker says of its BGP routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    /// In which life it says so.
    pub boot_id: u64,
    /// What it says.
    pub handover: Handover,
}

/// The running lane.
pub struct Lane {
    tables: Arc<ArcSwap<Tables>>,
    wake: Arc<EventFd>,
    /// Takes the key of the heartbeats. There are none before the first.
    pub keys: Keys,
    /// What heartbeats say. Closes when the lane ends.
    pub membership: watch::Receiver<Membership>,
    /// The announced addresses that stations outside the cluster have too.
    pub contested: watch::Receiver<Contested>,
    /// Where neighbours are answered, and where not.
    pub sockets: watch::Receiver<Sockets>,
    thread: JoinHandle<()>,
}

/// Where to put the key of the heartbeats, now and whenever the Secret changes.
#[derive(Clone)]
pub struct Keys {
    newest: Arc<ArcSwapOption<Key>>,
    wake: Arc<EventFd>,
}

impl Keys {
    /// From now on, prove who we are with this one.
    pub fn put(&self, key: Key) {
        self.newest.store(Some(Arc::new(key)));
        rouse(&self.wake);
    }
}

impl Lane {
    /// Starts the thread. Without heartbeats every node counts as having a speaker.
    pub fn start(
        node: NodeName,
        heartbeats: Option<Heartbeats>,
        pace: Pace,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let speakers = heartbeats.is_none().then_some(Speakers::EveryNode);
        let (sender, membership) = watch::channel(Membership { speakers, ..Membership::default() });
        let keys = Arc::new(ArcSwapOption::empty());
        let open = |heartbeats| Members::open(node, heartbeats, keys.clone(), metrics.clone());
        let members = heartbeats.map(open).transpose()?;
        let tables = Arc::new(ArcSwap::from_pointee(Tables::default()));
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let waking = wake.clone();
        let groups = Groups::start().context("cannot start the thread for multicast groups")?;
        let (telling, contested) = watch::channel(Contested::default());
        let (opening, sockets) = watch::channel(Sockets::new());
        let shared = Shared {
            tables: tables.clone(),
            wake: wake.clone(),
            membership: sender,
            contested: telling,
            sockets: opening,
        };
        let driver = Driver::new(shared, groups, pace, metrics, members);
        let thread = std::thread::Builder::new()
            .name("layer2".to_owned())
            .spawn(move || driver.run())
            .context("cannot start the layer 2 thread")?;
        let keys = Keys { newest: keys, wake: waking };
        Ok(Self { tables, wake, keys, membership, contested, sockets, thread })
    }

    /// From now on, work from these tables.
    pub fn publish(&self, tables: Tables) {
        self.tables.store(Arc::new(tables));
        rouse(&self.wake);
    }

    /// Asks the other speakers to announce the routes of this one in its name while it restarts.
    pub fn hand_routes_over(&self) {
        self.publish(Tables { routes: Some(Handover::Given), ..Tables::clone(&self.tables.load()) });
    }

    /// Tells the other speakers that this one goes, and ends the thread.
    pub fn leave(self) {
        let tables = Tables { phase: Phase::Leaving, ..Tables::clone(&self.tables.load()) };
        self.publish(tables);
        if self.thread.join().is_err() {
            tracing::error!(event = "laneEnded", "the layer 2 thread had panicked");
        }
    }
}

fn rouse(wake: &EventFd) {
    // Fails only when 2^64 wake-ups are pending, and then it is awake.
    let _ = nix::unistd::write(wake.as_fd(), &1_u64.to_ne_bytes());
}
