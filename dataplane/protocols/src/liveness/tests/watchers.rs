//! Who watches whom.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::btree_set;
use proptest::prelude::*;

use super::cluster::name;
use crate::liveness::NodeId;
use crate::liveness::watchers::Rings;

fn rings(nodes: impl IntoIterator<Item = NodeId>) -> Rings {
    let mut rings = Rings::default();
    nodes.into_iter().for_each(|node| rings.insert(node));
    rings
}

fn cluster(count: usize) -> Vec<NodeId> {
    (0..count).map(|node| NodeId::from(&name(node))).collect()
}

#[test]
fn the_id_of_a_node_is_the_same_everywhere() {
    // echo -n n1 | sha256sum
    assert_eq!(NodeId::from(&name(1)), NodeId(0x676b_8bb8_4ce7_267d));
}

#[test]
fn a_node_is_watched_by_three_others_or_all_there_are() {
    for count in 1..=9 {
        let nodes = cluster(count);
        let rings = rings(nodes.clone());
        for node in nodes {
            let watchers: BTreeSet<_> = rings.watchers(node).into_iter().collect();
            assert_eq!(watchers.len(), 3.min(count - 1), "{count} nodes");
            assert!(!watchers.contains(&node));
        }
    }
}

#[test]
fn no_node_of_a_thousand_watches_many() {
    let nodes = cluster(1000);
    let rings = rings(nodes.clone());
    let mut load = BTreeMap::<_, usize>::new();
    for watcher in nodes.iter().flat_map(|node| rings.watchers(*node)) {
        *load.entry(watcher).or_default() += 1;
    }
    assert!(load.values().max() <= Some(&4), "{:?}", load.values().max());
}

#[test]
fn a_node_that_goes_changes_the_watchers_of_a_few() {
    let nodes = cluster(100);
    let all = rings(nodes.clone());
    let mut fewer = all.clone();
    fewer.remove(nodes[7]);
    let differ = nodes.iter().filter(|node| all.watchers(**node) != fewer.watchers(**node)).count();
    assert!((1..=5).contains(&differ), "{differ}");
    fewer.insert(nodes[7]);
    assert!(nodes.iter().all(|node| all.watchers(*node) == fewer.watchers(*node)));
}

proptest! {
    #[test]
    fn who_watches_and_who_is_watched_are_two_sides_of_one_thing(
        all in btree_set(any::<u64>(), 1..30), dead in btree_set(0_usize..30, 0..30),
    ) {
        let all: Vec<_> = all.into_iter().map(NodeId).collect();
        let known = rings(all.clone());
        let living = rings(all.iter().enumerate().filter(|(at, _)| !dead.contains(at)).map(|(_, node)| *node));
        for watcher in all.iter().filter(|node| living.contains(**node)) {
            let watched: BTreeSet<_> =
                all.iter().filter(|node| living.watchers(**node).contains(watcher)).copied().collect();
            prop_assert_eq!(living.watched_by(*watcher, &known), watched);
        }
        for dead in all.iter().filter(|node| !living.contains(**node)) {
            prop_assert_eq!(living.watched_by(*dead, &known), BTreeSet::new());
        }
    }
}
