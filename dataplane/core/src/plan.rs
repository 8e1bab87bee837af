//! What this node should announce: the speaker's world in, announcements and refusals out.
//!
//! [`World`] holds the facts and knows which addresses a change touches; [`Planner::replan`] decides those anew and says
//! which came out different. Every node decides from the same facts by the same rule, and that keeps two of them from
//! answering for one address. [`RoutePlanner`] does the same for BGP, where a node decides for itself alone.
//!
//! Not here: sockets, timers, and who is alive (`protocols::liveness` says that).

mod balance;
mod candidates;
mod layer2;
mod planner;
mod routes;
mod world;

#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use planner::Planner;
pub use routes::{PeerChanges, RouteAttributes, RouteChanges, RoutePlanner, Verdict, peers};
pub use world::{Departure, Endpoints, Leaving, Node, Ownership, Service, Speakers, TrafficPolicy, World};

use crate::config::Interfaces;
use crate::few::FewMap;
use crate::names::{NodeName, ServiceKey};
use crate::refusal::AnnouncementRefusal;

/// The addresses whose plan may differ after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// These.
    Addresses(BTreeSet<IpAddr>),
    /// Any of them: the change was to something they all depend on.
    Everything,
}

impl Touched {
    /// No address at all.
    pub fn nothing() -> Self {
        Self::Addresses(BTreeSet::new())
    }

    /// Is there nothing to plan?
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Addresses(addresses) if addresses.is_empty())
    }

    /// What either touches.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Addresses(mut ours), Self::Addresses(theirs)) => {
                ours.extend(theirs);
                Self::Addresses(ours)
            }
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
        }
    }
}

/// What was decided about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPlan {
    /// The node that announces it, if any does.
    pub owner: Option<NodeName>,
    /// Where this node announces it; `None` where it does not.
    pub announce: Option<Interfaces>,
    /// The services that have the address, each with why this node does not announce it for them.
    pub services: FewMap<ServiceKey, Result<(), AnnouncementRefusal>>,
}

/// What was decided about every address that any service has.
pub type Plan = BTreeMap<IpAddr, AddressPlan>;
