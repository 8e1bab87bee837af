//! What is wanted of frr-k8s: the peers of this node and what each is to hear, as the brain hands it over.
//!
//! The box holds the difference between what was decided and what was taken up, merged: however long the API server is
//! away, it holds no more than one entry a peer and route.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use metallb_core::config::{Password, Peer};
use metallb_core::names::PeerName;
use metallb_core::plan::{PeerChanges, RouteAttributes};
use tokio::sync::Notify;

/// A router, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// As the user wrote it.
    pub peer: Peer,
    /// The password that it asks for, as far as it is known here.
    pub password: Option<Password>,
}

/// The routers of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The label by which the node is selected, as the Node has it.
    pub hostname: Option<String>,
    /// The routers.
    pub peers: BTreeMap<PeerName, Neighbour>,
}

/// What was decided since it was last taken up.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) neighbours: Option<Neighbours>,
    pub(super) routes: BTreeMap<PeerName, PeerChanges>,
    pub(super) draining: Option<bool>,
    pub(super) complete: bool,
}

/// The box: the brain puts in, the writer takes out. Neither waits for the other.
#[derive(Clone, Debug, Default)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: News,
    /// What was last put in, so that the same again wakes nobody.
    neighbours: Option<Neighbours>,
    complete: bool,
}

impl Inbox {
    /// From now on, these routers and no others.
    pub fn set_neighbours(&self, neighbours: Neighbours) {
        let mut state = self.lock();
        if state.neighbours.as_ref() != Some(&neighbours) {
            state.neighbours = Some(neighbours.clone());
            state.waiting.neighbours = Some(neighbours);
            self.0.wake.notify_one();
        }
    }

    /// From now on, peers hear this. Those that were not heard of here before are to be in it whole.
    pub fn set_routes(&self, changes: BTreeMap<PeerName, PeerChanges>) {
        self.put(|news| {
            for (peer, changes) in changes {
                let waiting = news.routes.entry(peer).or_default();
                if changes.complete {
                    *waiting = changes;
                } else {
                    waiting.routes.extend(changes.routes);
                }
            }
        });
    }

    /// Marks all routes as about to go, or no longer (RFC 8326).
    pub fn set_draining(&self, draining: bool) {
        self.put(|news| news.draining = Some(draining));
    }

    /// Everything was decided once: what is not there now is not wanted. Before this nothing is written or deleted.
    pub fn set_complete(&self) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.complete, true) {
            state.waiting.complete = true;
            self.0.wake.notify_one();
        }
    }

    /// Takes all that waits. May come back with nothing new.
    pub(super) async fn take(&self) -> News {
        self.0.wake.notified().await;
        std::mem::take(&mut self.lock().waiting)
    }

    fn put(&self, add: impl FnOnce(&mut News)) {
        add(&mut self.lock().waiting);
        self.0.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while he held it left something that is whole: entries of maps.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) neighbours: Neighbours,
    pub(super) routes: BTreeMap<PeerName, BTreeMap<IpNet, Arc<RouteAttributes>>>,
    pub(super) draining: bool,
    pub(super) complete: bool,
}

impl Wanted {
    pub(super) fn apply(&mut self, news: News) {
        let News { neighbours, routes, draining, complete } = news;
        for (peer, PeerChanges { complete, routes }) in routes {
            let known = self.routes.entry(peer).or_default();
            if complete {
                known.clear();
            }
            for (prefix, route) in routes {
                match route {
                    Some(attributes) => known.insert(prefix, attributes),
                    None => known.remove(&prefix),
                };
            }
        }
        if let Some(mut neighbours) = neighbours {
            // A password whose Secret is gone stays what it was, as the peer does.
            for (name, neighbour) in &mut neighbours.peers {
                let before = self.neighbours.peers.get(name);
                if neighbour.password.is_none() {
                    let before = before.filter(|before| before.peer.password == neighbour.peer.password);
                    neighbour.password = before.and_then(|before| before.password.clone());
                }
            }
            self.neighbours = neighbours;
        }
        // One that comes back is told whole. But before its Node is known a node has no peers here, and when that comes
        // nothing is told again of those that are for every node.
        if !self.neighbours.peers.is_empty() {
            self.routes.retain(|peer, _| self.neighbours.peers.contains_key(peer));
        }
        self.draining = draining.unwrap_or(self.draining);
        self.complete |= complete;
    }
}
