//! Who owns which address follows from who lives: the first, in an order of its own, of those that do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::Cluster;
use crate::dice::Dice;

/// Two nodes that hear each other both own an address for so long at most: what one finds out the other does as well, some
/// detections later.
const DISPUTE: Duration = Duration::from_millis(600);

/// Of so many nodes: who owns the address rather than whom.
pub(super) fn order(address: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    order.sort_by_cached_key(|node| Dice(address * 1000 + *node as u64).roll());
    order
}

/// Since when two nodes that hear each other both own an address.
#[derive(Default)]
pub(super) struct Disputes(BTreeMap<(usize, usize, usize), Duration>);

impl Disputes {
    /// Takes in who believes to own each address; none of them may have been disputed for too long by two that `hear_each_other`.
    pub(super) fn look(
        &mut self,
        cluster: &Cluster,
        owners: &[Vec<usize>],
        hear_each_other: impl Fn(usize, usize) -> bool,
        name: &str,
    ) {
        let now = cluster.time;
        let places = owners.iter().enumerate().flat_map(|(address, owners)| {
            let pairs = owners.iter().enumerate();
            let pairs = pairs.flat_map(|(at, one)| owners[at + 1..].iter().map(move |other| (*one, *other)));
            pairs
                .filter(|(one, other)| hear_each_other(*one, *other))
                .map(move |(one, other)| (address, one, other))
        });
        let disputed = places.map(|place| (place, self.0.get(&place).copied().unwrap_or(now)));
        self.0 = disputed.collect();
        for ((address, one, other), since) in &self.0 {
            assert!(
                now.saturating_sub(*since) < DISPUTE,
                "{name} at {now:?}: {one} and {other} hear each other, and both have {address} since {since:?}"
            );
        }
    }
}
