//! Where ownership is sticky: who has which address by what speakers claimed, what this node is to claim, and when it hands
//! over what it has too many of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;
use metallb_core::plan::{Planner, Touched, World};
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{NodeId, Tenure};
use metallb_protocols::timetable::Timetable;

use super::succession::set_entry;
use crate::speaker::lane::Tables;

/// Nothing is handed over until nothing has moved for so long: nodes that come back may go again.
const REST: Duration = Duration::from_secs(30);
/// Between two addresses that are handed over. Each breaks connections.
const PACE: Duration = Duration::from_secs(1);
/// Who just claimed an address has it, though its heartbeats are not heard yet: where a network heals, claims of the living may come
/// by way of others first.
const BELIEF: Duration = Duration::from_secs(1);

/// What speakers claimed.
#[derive(Debug, Default)]
pub struct Tenures {
    known: SharedMap<IpAddr, Tenure>,
    /// The nodes, by their ids.
    names: BTreeMap<NodeId, NodeName>,
    /// All nodes that live keep what they have: until then nobody goes by it.
    all_keep: bool,
    /// Addresses that this node handed over and has not seen go yet.
    given: BTreeSet<IpAddr>,
    /// Addresses whose holder was not known to live when it was learnt, and until when it is believed.
    believed: Timetable<IpAddr>,
    /// When to look whether there is something to hand over.
    due: Option<Instant>,
}

impl Tenures {
    /// The cluster has these nodes. Who has which address, where that is another one now.
    pub fn set_nodes(&mut self, world: &mut World) -> Touched {
        self.names = world.nodes().map(|name| (NodeId::from(name), name.clone())).collect();
        self.set_all(world)
    }

    fn set_all(&self, world: &mut World) -> Touched {
        self.known.keys().fold(Touched::nothing(), |touched, address| {
            touched.and(world.set_holder(*address, self.holder(*address)))
        })
    }

    fn holder(&self, address: IpAddr) -> Option<NodeName> {
        self.names.get(&self.known.get(&address)?.owner).cloned()
    }

    /// Whether all nodes that live keep what they have.
    pub fn set_all_keep(&mut self, all_keep: bool, world: &mut World) -> Touched {
        if std::mem::replace(&mut self.all_keep, all_keep) == all_keep {
            return Touched::nothing();
        }
        tracing::info!(event = "ownership", sticky = all_keep, "it is when all speakers say so");
        if all_keep { world.set_sticky().and(self.set_all(world)) } else { world.set_hash() }
    }

    /// This is what was claimed. Before it is known who lives (`informed`), nobody is believed rather than another.
    pub fn set(
        &mut self,
        now: Instant,
        known: SharedMap<IpAddr, Tenure>,
        informed: bool,
        world: &mut World,
    ) -> Touched {
        let before = std::mem::replace(&mut self.known, known);
        let mut touched = BTreeSet::new();
        for address in self.known.changed_since(&before) {
            let holder = self.holder(*address);
            let is_unheard = informed && holder.as_ref().is_some_and(|holder| !world.has_speaker(holder));
            if is_unheard {
                self.believed.set(*address, now + BELIEF);
            } else {
                self.believed.cancel(*address);
            }
            // Touched in any case: the epoch is another one.
            world.set_holder(*address, holder);
            world.set_believed(*address, is_unheard);
            touched.insert(*address);
        }
        Touched::Addresses(touched)
    }

    /// What time alone brings about.
    pub fn pass_time(&mut self, now: Instant, world: &mut World) -> Touched {
        let over = std::iter::from_fn(|| self.believed.pop(now));
        over.fold(Touched::nothing(), |touched, address| touched.and(world.set_believed(address, false)))
    }

    /// The epoch in which a node has an address.
    pub fn epoch_of(&self, address: IpAddr, node: &NodeName) -> Option<u64> {
        self.known
            .get(&address)
            .filter(|tenure| tenure.owner == NodeId::from(node))
            .map(|tenure| tenure.epoch)
    }

    /// Has that node, which has the address from now on, claimed it itself? Then it announces it already.
    pub fn is_taken(&self, address: IpAddr, owner: &NodeName) -> bool {
        self.epoch_of(address, owner).is_some() && !self.given.contains(&address)
    }

    /// From now on this node owns the address, or it does not: what it claims, or no longer. Did the tables change?
    pub fn follow(&mut self, tables: &mut Tables, world: &World, address: IpAddr, is_own: bool) -> bool {
        self.given.remove(&address);
        let me = NodeId::from(world.node());
        let held = self.known.get(&address);
        let claim =
            Some(Tenure::following(held, me)).filter(|_| is_own && held.is_none_or(|held| held.owner != me));
        set_entry(&mut tables.claims, address, claim)
    }

    /// Something moved, or may from now on: a node came or went.
    pub fn rest(&mut self, now: Instant) {
        self.due = Some(now + REST);
    }

    /// Did this node hand all of these over itself?
    pub fn gave(&self, addresses: &BTreeSet<IpAddr>) -> bool {
        addresses.iter().all(|address| self.given.contains(address))
    }

    /// When [`Self::pass_time`] or [`Self::hand_over`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.believed.next()).min()
    }

    /// Gives away what is too much, an address at a time. Did the tables change?
    pub fn hand_over(&mut self, now: Instant, tables: &mut Tables, world: &World, planner: &Planner) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        let Some((address, to)) = planner.surplus(world) else {
            self.due = None;
            return false;
        };
        self.due = Some(now + PACE);
        tracing::info!(event = "handOver", %address, %to, "that node has far fewer addresses");
        self.given.insert(address);
        let tenure = Tenure::following(self.known.get(&address), NodeId::from(&to));
        set_entry(&mut tables.claims, address, Some(tenure))
    }
}
