//! Who watches whom.
//!
//! The nodes stand on three rings, each in an order of its own that comes from their names. On each ring a node is watched
//! by the next one after it; a ring on which that one watches it already gives the one after that. So every node has three
//! watchers (or all others, where there are fewer) and watches three, on any number of nodes; a node that comes or goes
//! changes one neighbourhood a ring; and all who know the same nodes agree without a word.
//!
//! Drawing the three highest of a rendezvous hash gives as many watchers, but not as many to watch: among a thousand nodes,
//! one watches eleven, and hears more than a hundred datagrams a second.

use std::collections::BTreeSet;

use metallb_core::names::NodeName;
use ring::digest::{SHA256, digest};

/// As many watch a node: a majority of them is two, and one may err.
pub(super) const WATCHERS: usize = 3;

/// A node, by its name's digest: short enough to name many in a datagram. Two nodes that share one (of 2^64) would be taken
/// for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The one of the node with this name.
    pub(super) fn of(name: &str) -> Self {
        let digest = digest(&SHA256, name.as_bytes());
        Self(digest.as_ref().iter().take(8).fold(0, |id, octet| (id << 8) | u64::from(*octet)))
    }
}

impl From<&NodeName> for NodeId {
    fn from(name: &NodeName) -> Self {
        Self::of(name.as_str())
    }
}

/// A node, and before it its place on a ring.
type Placed = (u64, NodeId);
type Ring = Vec<Placed>;

/// Nodes that can watch, in their three orders. Read much more often than changed, and small: sorted lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Rings([Ring; WATCHERS]);

impl Rings {
    pub(super) fn insert(&mut self, node: NodeId) {
        for (number, ring) in (0..).zip(&mut self.0) {
            let place = place(number, node);
            if let Err(at) = find(ring, place) {
                ring.insert(at, (place, node));
            }
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        for (number, ring) in (0..).zip(&mut self.0) {
            if let Ok(at) = find(ring, place(number, node)) {
                ring.remove(at);
            }
        }
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.iter().take(1).any(|ring| find(ring, place(0, node)).is_ok())
    }

    /// Those of these nodes that watch `target`, which need not be one of them.
    pub(super) fn watchers(&self, target: NodeId) -> Vec<NodeId> {
        let mut watchers = Vec::with_capacity(WATCHERS);
        for (number, ring) in (0..).zip(&self.0) {
            let after = after(ring, place(number, target));
            let next = after.filter(|node| *node != target).find(|node| !watchers.contains(node));
            watchers.extend(next);
        }
        watchers
    }

    /// The nodes of `all` that `watcher` watches, when these nodes can.
    pub(super) fn watched_by(&self, watcher: NodeId, all: &Self) -> BTreeSet<NodeId> {
        let mut targets = BTreeSet::new();
        if !self.contains(watcher) {
            return targets;
        }
        for (number, ring) in (0..).zip(&all.0) {
            // Nearer ones to pass over: only one that watches already from an earlier ring is.
            let mut between = 0;
            for node in before(ring, place(number, watcher)) {
                if between == 0 || self.watchers(node).contains(&watcher) {
                    targets.insert(node);
                }
                between += u64::from(self.contains(node));
                if between > number {
                    break;
                }
            }
        }
        targets
    }

    /// The node after `node` in the first order, beginning anew at its end.
    pub(super) fn next(&self, node: NodeId) -> Option<NodeId> {
        self.0.first().and_then(|ring| after(ring, place(0, node)).next())
    }
}

/// The index of `place`, or where it would be.
fn find(ring: &Ring, place: u64) -> Result<usize, usize> {
    // Places are as good as random, so it is near its share of the whole: a halving search touches more memory.
    let near = (u128::from(place) * ring.len() as u128) >> 64;
    let near = usize::try_from(near).unwrap_or_default().min(ring.len());
    let (lower, higher) = ring.split_at(near);
    let down = lower.iter().rev().take_while(|(at, _)| *at >= place).count();
    let up = higher.iter().take_while(|(at, _)| *at < place).count();
    let index = near - down + up;
    if ring.get(index).is_some_and(|(at, _)| *at == place) { Ok(index) } else { Err(index) }
}

/// All others, from the next one after `place` around the ring.
fn after(ring: &Ring, place: u64) -> impl Iterator<Item = NodeId> + '_ {
    let (lower, higher) = sides(ring, place);
    higher.iter().chain(lower).map(|(_, node)| *node)
}

/// All others, from the next one before `place` around the ring.
fn before(ring: &Ring, place: u64) -> impl Iterator<Item = NodeId> + '_ {
    let (lower, higher) = sides(ring, place);
    lower.iter().rev().chain(higher.iter().rev()).map(|(_, node)| *node)
}

/// Those below `place`, and those above it.
fn sides(ring: &Ring, place: u64) -> (&[Placed], &[Placed]) {
    let (end, start) = find(ring, place).map_or_else(|at| (at, at), |at| (at, at + 1));
    (ring.get(..end).unwrap_or_default(), ring.get(start..).unwrap_or_default())
}

/// Where `node` stands on ring `number`: all speakers must agree, so this is part of the protocol.
fn place(number: u64, node: NodeId) -> u64 {
    // The finaliser of splitmix64, a permutation: no two nodes share a place.
    let mixed = node.0.wrapping_add((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
