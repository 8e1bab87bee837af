//! Clusters of one to four nodes, case by case: every set of dead nodes, every cut.

use std::time::Duration;

use super::cluster::{Cluster, ms};

/// A detection: silence of three intervals, up to one that the last heartbeat was early, and what the network takes.
const DETECTION: Duration = ms_of(301);

const fn ms_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The subsets of `0..count`.
fn subsets(count: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1_u32 << count).map(move |bits| (0..count).filter(|node| bits & (1 << node) != 0).collect())
}

fn without(count: usize, some: &[usize]) -> Vec<usize> {
    (0..count).filter(|node| !some.contains(node)).collect()
}

#[test]
fn who_starts_alone_or_together_soon_knows_who_is_there() {
    for count in 1..=4 {
        let mut cluster = Cluster::of(count, 1);
        let time = cluster.run_until(ms(50), Cluster::all_agree);
        assert!(time.is_some(), "{count} nodes: {:?}", cluster.facts);
    }
}

#[test]
fn any_dead_are_dead_for_all_others_in_time_and_stay_so() {
    for count in 2..=4 {
        for dead in subsets(count).filter(|dead| !dead.is_empty() && dead.len() < count) {
            let mut cluster = Cluster::settled(count, 7);
            for node in &dead {
                cluster.kill(*node);
            }
            let alive = without(count, &dead);
            let time =
                cluster.run_until(ms(2000), |cluster| alive.iter().all(|node| cluster.view(*node) == alive));
            // One is left: it needs three detections. More are left: they are the majority of those who watch, if only two.
            let bound = if alive.len() == 1 { 3 * ms(300) + ms(1) } else { DETECTION };
            let time = time.unwrap_or_else(|| panic!("{count} nodes, {dead:?} dead: {:?}", cluster.facts));
            assert!(time <= bound, "{count} nodes, {dead:?} dead: {time:?}");
            if alive.len() == 1 {
                assert!(time > ms(2 * 300), "{count} nodes, {dead:?} dead: {time:?} is rash");
            }
            let moves = cluster.moves();
            assert_eq!(moves, alive.len() * dead.len(), "each death is told once: {:?}", cluster.facts);
            cluster.run_for(ms(5000));
            assert_eq!(cluster.moves(), moves, "{:?}", cluster.facts);
        }
    }
}
