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

/// Who lives by the knowledge of each, after `time` in which these pairs hear nothing of each other: (sender, receiver).
fn views_when_cut(count: usize, cut: &[(usize, usize)]) -> (Cluster, Vec<Vec<usize>>) {
    let mut cluster = Cluster::settled(count, 3);
    cluster.cut.extend(cut.iter().copied());
    cluster.run_for(ms(3000));
    let views = (0..count).map(|node| cluster.view(node)).collect();
    (cluster, views)
}

fn both_ways(one: &[usize], other: &[usize]) -> Vec<(usize, usize)> {
    let pairs = one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other)));
    pairs.flat_map(|(one, other)| [(one, other), (other, one)]).collect()
}

#[test]
fn a_cut_between_two_kills_nobody_while_a_third_hears_both() {
    for count in 3..=4 {
        let all: Vec<_> = (0..count).collect();
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other))) {
            if one == other {
                continue;
            }
            for cut in [vec![(one, other)], both_ways(&[one], &[other])] {
                let (cluster, views) = views_when_cut(count, &cut);
                assert!(views.iter().all(|view| *view == all), "{count} nodes, {cut:?}: {views:?}");
                assert_eq!(cluster.moves(), 0, "not even for a moment: {:?}", cluster.facts);
            }
        }
    }
}

#[test]
fn of_two_the_one_that_hears_nothing_decides_alone_and_the_other_goes_on() {
    let (_, views) = views_when_cut(2, &[(0, 1)]);
    assert_eq!(views, [vec![0, 1], vec![1]]);
}

#[test]
fn who_cannot_be_heard_is_dead_for_all_and_who_cannot_hear_is_alone_with_its_view() {
    for count in 3..=4 {
        let all: Vec<_> = (0..count).collect();
        let others = without(count, &[1]);
        let mute: Vec<_> = others.iter().map(|other| (1, *other)).collect();
        let (_, views) = views_when_cut(count, &mute);
        assert!(others.iter().all(|node| views[*node] == others), "{views:?}");
        assert_eq!(views[1], all, "it hears them");
        let deaf: Vec<_> = others.iter().map(|other| (*other, 1)).collect();
        let (_, views) = views_when_cut(count, &deaf);
        assert!(others.iter().all(|node| views[*node] == all), "{views:?}");
        assert_eq!(views[1], [1]);
    }
}

#[test]
fn two_parts_that_cannot_hear_each_other_both_go_on_and_agree_as_soon_as_they_can() {
    for count in 2..=6 {
        for these in subsets(count).filter(|these| !these.is_empty() && these.len() < count) {
            let those = without(count, &these);
            let (mut cluster, views) = views_when_cut(count, &both_ways(&these, &those));
            for (node, view) in views.iter().enumerate() {
                let own = if these.contains(&node) { &these } else { &those };
                assert_eq!(view, own, "{count} nodes, {these:?} apart");
            }
            cluster.cut.clear();
            let time = cluster.run_until(ms(1000), Cluster::all_agree);
            // At most until the next heartbeat, and until all were asked once more.
            assert!(time.is_some_and(|time| time <= ms(310)), "{these:?} apart: {time:?} to agree");
            cluster.forget();
            cluster.run_for(ms(3000));
            assert_eq!(cluster.moves(), 0, "{:?}", cluster.facts);
        }
    }
}

#[test]
fn any_two_of_five_or_more_may_die_at_any_moment() {
    for count in 5..=9 {
        for (one, other) in (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))) {
            let mut cluster = Cluster::settled(count, 11);
            cluster.kill(one);
            cluster.run_for(ms(u64::try_from(37 * (one + other)).unwrap()));
            cluster.kill(other);
            let time = cluster.run_until(ms(2000), Cluster::all_agree);
            assert!(time.is_some_and(|time| time <= ms(310)), "{one} and {other} of {count}: {time:?}");
        }
    }
}
