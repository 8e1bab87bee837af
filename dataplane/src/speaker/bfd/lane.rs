//! The lane from outside: start it, tell it which sessions are wanted, read how they stand, end it.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use metallb_core::config::BfdProfile;
use metallb_protocols::bfd::{Chance, Path, Status};
use nix::sys::eventfd::{EfdFlags, EventFd};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use tokio::sync::watch;

use super::driver::Driver;
use super::metrics::Metrics;

/// The sessions that are wanted, as they stand. A flap between two looks shows in the counts.
pub type Seen = BTreeMap<Path, Status>;

/// What to tell the routers in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// That this is no failure of the path (`AdminDown`). Some routers (FRR) take the routes away all the same.
    AdminDown,
    /// Nothing: for a restart that keeps its routes, and is back before the detection time has passed.
    Silence,
}

/// What the lane works from.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) wanted: BTreeMap<Path, BfdProfile>,
    pub(super) ending: Option<Ending>,
}

/// Tells the lane what is wanted.
#[derive(Clone)]
pub struct Publisher {
    tables: Arc<ArcSwap<Tables>>,
    wake: Arc<EventFd>,
}

impl Publisher {
    /// From now on, these sessions and no others. Those that go tell it; those whose profile changed do not flap.
    pub fn publish(&self, wanted: BTreeMap<Path, BfdProfile>) {
        self.store(Tables { wanted, ending: None });
    }

    fn store(&self, tables: Tables) {
        self.tables.store(Arc::new(tables));
        // Fails only when 2^64 wake-ups are pending, and then it is awake.
        let _ = nix::unistd::write(self.wake.as_fd(), &1_u64.to_ne_bytes());
    }
}

/// The running lane.
pub struct Lane {
    /// To tell it what is wanted.
    pub publisher: Publisher,
    /// How the sessions stand. Closes when the lane ends.
    pub seen: watch::Receiver<Seen>,
    thread: JoinHandle<()>,
}

impl Lane {
    /// Starts the thread. Sockets are opened when sessions are wanted, and not before.
    pub fn start(metrics: Metrics) -> anyhow::Result<Self> {
        let tables = Arc::new(ArcSwap::from_pointee(Tables::default()));
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let (sender, seen) = watch::channel(Seen::new());
        let mut generator = StdRng::try_from_os_rng().context("the system gives no random bytes")?;
        let mut for_ports = StdRng::from_rng(&mut generator);
        let driver = Driver::new(
            tables.clone(),
            wake.clone(),
            sender,
            metrics,
            Chance::new(move || generator.next_u64()),
            Box::new(move || for_ports.next_u32()),
        );
        let thread = std::thread::Builder::new()
            .name("bfd".to_owned())
            .spawn(move || driver.run())
            .context("cannot start the BFD thread")?;
        Ok(Self { publisher: Publisher { tables, wake }, seen, thread })
    }

    /// Waits until the lane has ended, by itself or by a panic.
    pub async fn ended(&self) {
        let mut seen = self.seen.clone();
        while seen.changed().await.is_ok() {}
    }

    /// Ends all sessions, and the thread.
    pub fn leave(self, ending: Ending) {
        self.publisher.store(Tables { wanted: BTreeMap::new(), ending: Some(ending) });
        if self.thread.join().is_err() {
            tracing::error!(event = "laneEnded", "the BFD thread had panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use prometheus::Registry;

    use super::*;

    #[tokio::test]
    async fn that_the_thread_has_ended_is_seen() {
        let lane = Lane::start(Metrics::register(&Registry::new()).unwrap()).unwrap();
        assert_eq!(lane.ended().now_or_never(), None);
        lane.publisher.store(Tables { wanted: BTreeMap::new(), ending: Some(Ending::Silence) });
        tokio::time::timeout(Duration::from_secs(10), lane.ended()).await.expect("it is seen soon");
    }
}
