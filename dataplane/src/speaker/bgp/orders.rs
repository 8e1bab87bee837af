//! What waits to be taken up. A box holds the difference between what was ordered and what was taken up, merged: however
//! fast the brain decides and however slowly a task reads, it holds no more than one entry a peer and route.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use metallb_core::names::{NodeName, PeerName};
use metallb_core::plan::{PeerChanges, RouteAttributes};
use metallb_protocols::bgp::session::Ending;
use tokio::sync::Notify;

use super::wanted::Wanted;

/// What is announced in the name of nodes whose speakers restart: for each of them to the peers that are its peers too.
pub type StandIns = BTreeMap<NodeName, StandIn>;

/// What is announced in the name of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// Its InternalIP.
    pub next_hop: Ipv4Addr,
    /// What each peer hears from it.
    pub routes: BTreeMap<PeerName, BTreeMap<IpNet, Arc<RouteAttributes>>>,
}

/// A box that one side puts orders into and the other empties.
#[derive(Debug)]
pub struct Orders<T> {
    waiting: Mutex<T>,
    wake: Notify,
}

impl<T: Default> Orders<T> {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), wake: Notify::new() })
    }

    /// Adds to what waits.
    pub fn put(&self, add: impl FnOnce(&mut T)) {
        add(&mut self.lock());
        self.wake.notify_one();
    }

    /// Takes all that waits. May come back with nothing new.
    pub async fn take(&self) -> T {
        self.wake.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        // Whoever panicked while he held it left something that is whole: entries of maps.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Orders of the brain.
#[derive(Debug, Default)]
pub struct OfLane {
    /// These peers and no others.
    pub peers: Option<BTreeMap<PeerName, Wanted>>,
    /// What each is to hear.
    pub routes: BTreeMap<PeerName, PeerChanges>,
    /// Mark all routes as about to go, or no longer.
    pub draining: Option<bool>,
    /// Announce this in the name of others, and nothing else.
    pub stand_ins: Option<StandIns>,
    /// End all sessions, and the thread.
    pub ending: Option<Ending>,
}

/// Orders for one peer.
#[derive(Debug, Default)]
pub struct OfPeer {
    pub wanted: Option<Wanted>,
    pub routes: Option<PeerChanges>,
    pub draining: Option<bool>,
    pub stand_ins: Option<Arc<StandIns>>,
    pub ending: Option<Ending>,
}

/// `later` after `earlier`: as if both had been followed.
pub fn merge(earlier: &mut PeerChanges, later: PeerChanges) {
    if later.complete {
        *earlier = later;
    } else {
        earlier.routes.extend(later.routes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(complete: bool, routes: &[(&str, bool)]) -> PeerChanges {
        let routes = routes.iter().map(|(prefix, there)| (prefix.parse().unwrap(), there.then(Arc::default)));
        PeerChanges { complete, routes: routes.collect() }
    }

    #[test]
    fn what_was_not_taken_up_yet_is_overtaken_route_by_route() {
        let mut waiting = changes(true, &[("10.0.0.1/32", true), ("10.0.0.2/32", true)]);
        merge(&mut waiting, changes(false, &[("10.0.0.2/32", false), ("10.0.0.3/32", true)]));
        let merged = [("10.0.0.1/32", true), ("10.0.0.2/32", false), ("10.0.0.3/32", true)];
        assert_eq!(waiting, changes(true, &merged), "still complete, with the later word on each route");
        merge(&mut waiting, changes(true, &[("10.0.0.9/32", true)]));
        assert_eq!(waiting, changes(true, &[("10.0.0.9/32", true)]), "a peer that came back begins anew");
    }
}
