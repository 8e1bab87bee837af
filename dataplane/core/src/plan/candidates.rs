//! The nodes that may announce an address, and who of them does: worked out once where many addresses have the same.
//!
//! A node that dies or returns touches every address, but moves few. So sets of candidates are shared by all addresses
//! that the same advertisements cover, and a winner is worked out from the one before: of a set that lost nodes only the
//! orphans are elected anew, and a set that gained nodes is compared with the newcomers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Node, World};
use crate::config::L2Advertisement;
use crate::election::{self, Preference};
use crate::labels::Labels;
use crate::names::{AdvertisementName, NodeName};

/// The nodes that may announce, each with how much it is preferred.
pub(super) type Candidates = BTreeMap<NodeName, Preference>;

/// A set of candidates that has a name, so that equal ones are told by a glance.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Set>);

#[derive(Debug)]
struct Set {
    candidates: Candidates,
    highest: Option<Preference>,
}

impl Shared {
    pub(super) fn new(candidates: Candidates) -> Self {
        let highest = candidates.values().max().copied();
        Self(Arc::new(Set { candidates, highest }))
    }

    pub(super) fn get(&self) -> &Candidates {
        &self.0.candidates
    }

    /// Is it one of them, and none is preferred to it?
    pub(super) fn is_most_preferred(&self, node: &NodeName) -> bool {
        let preference = self.0.candidates.get(node);
        preference.is_some() && preference == self.0.highest.as_ref()
    }

    /// Those to whom none is preferred.
    pub(super) fn most_preferred(&self) -> impl Iterator<Item = &NodeName> {
        let candidates = self.0.candidates.iter();
        candidates.filter(|(_, preference)| Some(**preference) == self.0.highest).map(|(node, _)| node)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Another number than that of any other set that there is.
    pub(super) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// What one set has that another has not, seen from an election.
#[derive(Debug)]
struct Difference {
    /// Nodes of the old set that are out, or whose preference is another: who was elected of these is elected no more.
    unseated: BTreeSet<NodeName>,
    /// Nodes of the new set that the old one did not have like this: only they can beat who was elected.
    newcomers: Candidates,
}

impl Difference {
    fn between(old: &Candidates, new: &Candidates) -> Self {
        let unseated = old.iter().filter(|(node, preference)| new.get(*node) != Some(*preference));
        let newcomers = new.iter().filter(|(node, preference)| old.get(*node) != Some(*preference));
        Self {
            unseated: unseated.map(|(node, _)| node.clone()).collect(),
            newcomers: newcomers.map(|(node, preference)| (node.clone(), *preference)).collect(),
        }
    }
}

/// The sets of candidates under every combination of advertisements, and how they changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    sets: BTreeMap<Vec<AdvertisementName>, Shared>,
    /// Sets without nodes that are cut off: made from which set, without whom. The first is kept, so that its name stays its.
    reduced: BTreeMap<(usize, Vec<NodeName>), (Shared, Shared)>,
    /// Of this round: sets that are known to be up to date, and differences between sets.
    fresh: BTreeSet<Vec<AdvertisementName>>,
    differences: BTreeMap<(usize, usize), Arc<Difference>>,
    /// Keeps the sets of `differences` alive, so that their names stay theirs.
    compared: Vec<Shared>,
}

impl Registry {
    /// A new round. With `stale`, something that all sets depend on has changed.
    pub(super) fn begin(&mut self, stale: bool) {
        if stale {
            self.fresh.clear();
            self.reduced.clear();
        }
        self.differences.clear();
        self.compared.clear();
    }

    /// The nodes that may announce under these advertisements, whatever the service's endpoints. The same set as last
    /// time where it has not changed.
    pub(super) fn under(
        &mut self,
        world: &World,
        advertisements: &BTreeMap<&AdvertisementName, &L2Advertisement>,
    ) -> Shared {
        let key: Vec<AdvertisementName> = advertisements.keys().map(|name| (*name).clone()).collect();
        if let Some(set) = self.sets.get(&key).filter(|_| self.fresh.contains(&key)) {
            return set.clone();
        }
        let candidates: Candidates = world
            .speaking_nodes()
            .filter(|(_, node)| can_announce(world, *node))
            .filter_map(|(name, node)| Some((name.clone(), preference(advertisements, node)?)))
            .collect();
        self.fresh.insert(key.clone());
        let set = match self.sets.get(&key) {
            Some(same) if *same.get() == candidates => same.clone(),
            Some(_) | None => Shared::new(candidates),
        };
        self.sets.insert(key, set.clone());
        set
    }

    /// That set without these nodes; all of it, if no other were left: the others are no better off.
    pub(super) fn without(&mut self, all: Shared, cut_off: Vec<NodeName>) -> Shared {
        let key = (all.id(), cut_off);
        if let Some((_, reduced)) = self.reduced.get(&key) {
            return reduced.clone();
        }
        let connected = all.get().iter().filter(|(node, _)| !key.1.contains(node));
        let connected: Candidates = connected.map(|(node, preference)| (node.clone(), *preference)).collect();
        let reduced = if connected.is_empty() { all.clone() } else { Shared::new(connected) };
        self.reduced.insert(key, (all, reduced.clone()));
        reduced
    }

    /// Forgets the sets that no longer can come up.
    pub(super) fn forget_unused(&mut self) {
        let Self { sets, fresh, .. } = self;
        sets.retain(|key, _| fresh.contains(key));
    }

    /// Who of `new` announces `address`, given who of `old` did.
    pub(super) fn elect(
        &mut self,
        address: IpAddr,
        before: Option<(&Shared, Option<&NodeName>)>,
        new: &Shared,
    ) -> Option<NodeName> {
        let Some((old, Some(seated))) = before else { return election::winner(address, new.get()).cloned() };
        if old.is(new) {
            return Some(seated.clone());
        }
        let difference = self.difference(old, new);
        if difference.unseated.contains(seated) {
            return election::winner(address, new.get()).cloned();
        }
        let mut last_round = difference.newcomers.clone();
        last_round
            .extend(new.get().get_key_value(seated).map(|(node, preference)| (node.clone(), *preference)));
        election::winner(address, &last_round).cloned()
    }

    fn difference(&mut self, old: &Shared, new: &Shared) -> Arc<Difference> {
        let known = self.differences.get(&(old.id(), new.id())).cloned();
        known.unwrap_or_else(|| {
            let difference = Arc::new(Difference::between(old.get(), new.get()));
            self.compared.extend([old.clone(), new.clone()]);
            self.differences.insert((old.id(), new.id()), difference.clone());
            difference
        })
    }
}

/// Is there nothing about the node itself that speaks against it?
pub(super) fn can_announce(world: &World, node: Option<&Node>) -> bool {
    node.is_none_or(|node| !node.network_unavailable && !world.excludes(node))
}

/// How much the node is preferred; `None` when no advertisement covers it.
fn preference(
    advertisements: &BTreeMap<&AdvertisementName, &L2Advertisement>,
    node: Option<&Node>,
) -> Option<Preference> {
    let labels = labels_of(node);
    let covering = || advertisements.values().filter(|advertisement| advertisement.covers_node(labels));
    // An advertisement has no say about nodes that it does not cover.
    covering().next().is_some().then(|| Preference {
        stays: node.is_some_and(|node| node.leaving.is_none()),
        weight: covering().map(|advertisement| advertisement.preference(labels)).sum(),
    })
}

pub(super) fn labels_of(node: Option<&Node>) -> &Labels {
    static NONE: Labels = Labels::new();
    node.map_or(&NONE, |node| &node.labels)
}
