//! What the lane must know of who had an address before, and who has it now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use metallb_core::names::NodeName;
use metallb_core::pack::Pack;
use metallb_core::plan::{Planner, World};
use metallb_protocols::lull::{GIVEN_WITHIN, SETTLING};

use crate::speaker::lane::{Predecessor, Tables};

/// Who owned each address when it was last decided.
#[derive(Debug, Default)]
pub struct Succession {
    owners: BTreeMap<IpAddr, NodeName>,
    /// Addresses that some node owned since a service has them.
    owned: BTreeSet<IpAddr>,
    /// Who says when they are here, of addresses that became this node's a moment ago, and since when that is waited for.
    awaited: BTreeMap<IpAddr, (NodeName, Instant)>,
    /// Until when this node keeps those that it is to give, for sure.
    kept: BTreeMap<IpAddr, Instant>,
    /// Something was decided before: what has no owner now had none then.
    experienced: bool,
}

impl Succession {
    /// From now on the node that the plan says owns the address, or nobody. What follows from it is written into `tables`; did they
    /// change? An address that another node announces already (`is_taken`) is let go at once.
    pub fn follow(
        &mut self,
        now: Instant,
        tables: &mut Tables,
        world: &World,
        planner: &Planner,
        address: IpAddr,
        is_taken: bool,
    ) -> bool {
        let owner = planner.plan().get(&address).and_then(|plan| plan.owner.as_ref());
        let before = match owner {
            Some(owner) => self.owners.insert(address, owner.clone()),
            None => self.owners.remove(&address),
        };
        if before.as_ref() == owner {
            return false;
        }
        let own = Some(world.node());
        let was_owned = owner.is_some() && !self.owned.insert(address);
        let is_new = owner == own && self.experienced && !was_owned;
        // It may go on to a third node while the second has not heard of it: this one answers all the same.
        let was_here = before.as_ref() == own || tables.moved.contains(&address);
        let moved = was_here && owner.is_some() && owner != own && !is_taken;
        let giver = before
            .as_ref()
            .filter(|before| owner == own && says_when(tables, world, before, address))
            .cloned();
        // What is only to be given is here. Who was to have it never had it.
        let is_kept = self.kept.remove(&address).is_some_and(|until| now < until);
        let heir = owner
            .filter(|owner| moved && world.has_speaker(owner) && world.forwards(world.node(), address))
            .and_then(|owner| asked_at(world, owner));
        let is_upstreams = owner.is_some_and(|owner| tables.upstream.contains(owner));
        let is_given = giver.is_some() || heir.is_some();
        let is_unhurried = is_given
            && !is_upstreams
            && before.as_ref().is_some_and(|before| {
                let is_going = world.node_of(before).is_some_and(|node| node.leaving.is_some());
                !is_going && planner.is_candidate(address, before)
            });
        if is_unhurried && heir.is_some() {
            self.kept.insert(address, now + SETTLING);
        }
        let predecessor = before
            .filter(|_| owner == own && !is_kept)
            .filter(|before| !world.has_speaker(before))
            .and_then(|node| Some(Predecessor { address: asked_at(world, &node)?, node }));
        let mut changed = set(&mut tables.moved, address, moved);
        changed |= set_entry(&mut tables.heirs, address, heir);
        changed |= set(&mut tables.unhurried, address, is_unhurried);
        changed |= set(&mut tables.awaited, address, giver.is_some());
        match giver {
            Some(giver) => drop(self.awaited.insert(address, (giver, now))),
            None => drop(self.awaited.remove(&address)),
        }
        changed |= set(&mut tables.new, address, is_new);
        changed | set_entry(&mut tables.inherited, address, predecessor)
    }

    /// Who was to say that an address is here may not be able to any more, or have nothing there that it could forward to: then it is
    /// here. Did `tables` change?
    pub fn reconsider(&mut self, now: Instant, tables: &mut Tables, world: &World) -> bool {
        self.kept.retain(|_, until| now < *until);
        self.awaited.retain(|_, (_, since)| now < *since + SETTLING + GIVEN_WITHIN);
        let silent =
            self.awaited.extract_if(.., |address, (giver, _)| !says_when(tables, world, giver, *address));
        let silent: Vec<IpAddr> = silent.map(|(address, _)| address).collect();
        let mut changed = false;
        for address in silent {
            changed |= set(&mut tables.awaited, address, false);
        }
        changed
    }

    /// No service has the address any more: whoever has it next, outside the cluster or in it, is somebody else.
    pub fn forget(&mut self, address: IpAddr) {
        self.owned.remove(&address);
    }

    /// All is decided that is known.
    pub fn settle(&mut self) {
        self.experienced = true;
    }

    /// Forgets what was inherited from nodes whose speaker is back: when it falls silent again, that is another story.
    pub fn forget_living(tables: &mut Tables, world: &World) -> bool {
        let is_back = |predecessor: &Predecessor| world.has_speaker(&predecessor.node);
        let any = tables.inherited.values().any(is_back);
        if any {
            Arc::make_mut(&mut tables.inherited).retain(|_, predecessor| !is_back(predecessor));
        }
        any
    }
}

impl Pack for Succession {
    fn pack(&mut self) {
        let Self { owners, owned, awaited: _, kept: _, experienced: _ } = self;
        owners.pack();
        owned.pack();
    }
}

/// Does this node, which had the address, say when it is elsewhere? Upstream's speakers say nothing.
fn says_when(tables: &Tables, world: &World, node: &NodeName, address: IpAddr) -> bool {
    !tables.upstream.contains(node) && world.has_speaker(node) && world.forwards(node, address)
}

/// Is `address` among `all` from now on? Did that change?
fn set(all: &mut Arc<BTreeSet<IpAddr>>, address: IpAddr, is_among: bool) -> bool {
    if all.contains(&address) == is_among {
        return false;
    }
    let all = Arc::make_mut(all);
    if is_among { all.insert(address) } else { all.remove(&address) }
}

/// Has `address` that value among `all` from now on, or none? Did that change?
pub fn set_entry<V: Clone + PartialEq>(
    all: &mut Arc<BTreeMap<IpAddr, V>>,
    address: IpAddr,
    value: Option<V>,
) -> bool {
    if all.get(&address) == value.as_ref() {
        return false;
    }
    let all = Arc::make_mut(all);
    match value {
        Some(value) => all.insert(address, value),
        None => all.remove(&address),
    };
    true
}

/// The other nodes, by the addresses by which they are asked.
pub fn asked_of_others(world: &World) -> BTreeMap<IpAddr, NodeName> {
    let others = world.nodes().filter(|node| *node != world.node());
    others.filter_map(|node| Some((asked_at(world, node)?, node.clone()))).collect()
}

/// The address by which it is asked whether a node lives. ARP is asked where it can be: it needs no address of one's own.
pub fn asked_at(world: &World, node: &NodeName) -> Option<IpAddr> {
    let addresses = &world.node_of(node)?.addresses;
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}
