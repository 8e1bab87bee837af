//! The layer 2 lane: one thread that answers ARP and neighbour discovery, tells neighbours about addresses that moved here,
//! and exchanges heartbeats with the other speakers.
//!
//! It works from [`Tables`], which the brain swaps whole; it never waits for anything but packets and time. What it
//! finds out (who lives) is a value that the brain may read when it likes.
//!
//! Not here: what is announced, and who is a peer (the brain), and any byte of a protocol (`metallb-protocols`).

mod driver;
mod groups;
mod responder;
mod responders;
mod tables;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_protocols::announcer::Announcer;
use metallb_protocols::liveness::{Liveness, Timing};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::watch;

pub use metallb_protocols::announcer::Refresh;
pub use tables::{Phase, Station, Tables};

use super::metrics::Metrics;
use driver::Driver;
use groups::Groups;
use responders::Responders;

/// How heartbeats are exchanged.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    /// Own address.
    pub address: IpAddr,
    /// UDP port, the same on every node.
    pub port: u16,
    /// Random, different in every life of this speaker.
    pub boot_id: u64,
}

/// The running lane.
pub struct Lane {
    tables: Arc<ArcSwap<Tables>>,
    wake: Arc<EventFd>,
    /// The nodes with a live speaker; `None` until that is known. Closes when the lane ends.
    pub speakers: watch::Receiver<Option<Speakers>>,
    thread: JoinHandle<()>,
}

impl Lane {
    /// Starts the thread. Without heartbeats every node counts as having a speaker; without `refresh` neighbours are told of an
    /// address only when it moved here.
    pub fn start(
        node: NodeName,
        heartbeats: Option<Heartbeats>,
        refresh: Option<Refresh>,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let (sender, speakers) = watch::channel(heartbeats.is_none().then_some(Speakers::EveryNode));
        let heartbeats = match heartbeats {
            Some(heartbeats) => {
                let liveness = Liveness::new(node, heartbeats.boot_id, Timing::default());
                Some((open(&heartbeats)?, heartbeats, liveness))
            }
            None => None,
        };
        let tables = Arc::new(ArcSwap::from_pointee(Tables::default()));
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let groups = Groups::start().context("cannot start the thread for multicast groups")?;
        let responders = Responders::new(metrics);
        let announcer = Announcer::new(refresh);
        let driver =
            Driver::new(tables.clone(), wake.clone(), sender, responders, groups, announcer, heartbeats);
        let thread = std::thread::Builder::new()
            .name("layer2".to_owned())
            .spawn(move || driver.run())
            .context("cannot start the layer 2 thread")?;
        Ok(Self { tables, wake, speakers, thread })
    }

    /// From now on, work from these tables.
    pub fn publish(&self, tables: Tables) {
        self.tables.store(Arc::new(tables));
        // Fails only when 2^64 wake-ups are pending, and then it is awake.
        let _ = nix::unistd::write(self.wake.as_fd(), &1_u64.to_ne_bytes());
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

fn open(heartbeats: &Heartbeats) -> anyhow::Result<UdpSocket> {
    let address = SocketAddr::new(heartbeats.address, heartbeats.port);
    let socket = UdpSocket::bind(address).with_context(|| {
        format!("cannot exchange heartbeats from {address} (UDP); is the port taken, or the address not on this node?")
    })?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
