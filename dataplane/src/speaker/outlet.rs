//! Where routes go: to sessions of our own, or to an frr-k8s that somebody else runs.

use metallb_core::names::PeerName;
use tokio::sync::watch;

use super::bgp::seen::{PeerSeen, Seen};
use super::facts::{Decided, Facts};
use super::{bfd, bgp};
use crate::kube::frr_configuration::Inbox;

/// Where routes go.
pub enum Outlet {
    /// To routers, by the lanes that talk to them and watch them.
    Sessions {
        /// Talks to routers.
        bgp: bgp::Lane,
        /// Watches them.
        bfd: bfd::Lane,
    },
    /// Into the FRRConfiguration of this node. Nothing listens where FRR does, and no session is ours to tell of.
    FrrK8s {
        /// What is to be in it.
        inbox: Inbox,
        /// No session, for ever.
        seen: watch::Sender<Seen>,
    },
}

impl Outlet {
    /// The way over frr-k8s.
    pub fn frr_k8s(inbox: Inbox) -> Self {
        Self::FrrK8s { inbox, seen: watch::channel(Seen::new()).0 }
    }

    /// How the sessions of our own stand.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        match self {
            Self::Sessions { bgp, .. } => bgp.seen.clone(),
            Self::FrrK8s { seen, .. } => seen.subscribe(),
        }
    }

    /// Waits until the lane that watches routers has ended, which it does only when something is badly wrong. That of the
    /// sessions closes [`Outlet::seen`].
    pub async fn watching_ended(&self) {
        match self {
            Self::Sessions { bfd, .. } => bfd.ended().await,
            Self::FrrK8s { .. } => std::future::pending().await,
        }
    }

    /// The peers with whom this process is to have a session.
    pub fn sessions_of<'f>(&self, facts: &'f Facts) -> impl Iterator<Item = &'f PeerName> {
        let is_ours = matches!(self, Self::Sessions { .. });
        facts.peers().filter(move |_| is_ours)
    }

    /// Of the routers that drop this node's routes when its session ends, and would take them from others, the most routes that one
    /// knows; `None` where there is no such router.
    pub fn routes_to_hand_over(&self) -> Option<usize> {
        let seen = self.seen();
        let seen = seen.borrow();
        let hands_over = |peer: &PeerSeen| {
            peer.agreed.as_ref().is_some_and(|agreed| agreed.additional_paths && !agreed.graceful_restart)
        };
        seen.values().filter(|peer| hands_over(peer)).map(|peer| peer.announced).max()
    }

    /// Passes on what was decided.
    pub fn pass_on(&self, decided: Decided, facts: &Facts) {
        let Decided { peers, draining, routes, stand_ins } = decided;
        match self {
            Self::Sessions { bgp, .. } => {
                if let Some(peers) = peers {
                    bgp.set_peers(peers);
                }
                if let Some(draining) = draining {
                    bgp.set_draining(draining);
                }
                if !routes.is_empty() {
                    bgp.set_routes(routes);
                }
                if let Some(stand_ins) = stand_ins {
                    bgp.set_stand_ins(stand_ins);
                }
            }
            Self::FrrK8s { inbox, .. } => {
                // What matters here of a peer is more than what a session needs: the name of its profile, for one.
                if let Some(neighbours) = facts.neighbours() {
                    inbox.set_neighbours(neighbours);
                }
                if let Some(draining) = draining {
                    inbox.set_draining(draining);
                }
                if !routes.is_empty() {
                    inbox.set_routes(routes);
                }
                if facts.knows_routes() {
                    inbox.set_complete();
                }
            }
        }
    }

    /// Ends the sessions of our own, which has to be told their routers or not. An FRRConfiguration stays: FRR goes on,
    /// and the next speaker takes over.
    pub fn leave(self, bgp_ending: bgp::Ending) -> Option<bfd::Lane> {
        match self {
            Self::Sessions { bgp, bfd } => {
                bgp.leave(bgp_ending);
                Some(bfd)
            }
            Self::FrrK8s { .. } => None,
        }
    }
}
