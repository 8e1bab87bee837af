//! Who does not reach which network, case by case, in virtual time.

use std::time::Duration;

use ipnet::IpNet;

use super::cluster::{Cluster, Weather, ms, name};
use crate::liveness::Input;

fn network() -> IpNet {
    "192.0.2.0/24".parse().unwrap()
}

/// Does each of these know that node 0 does not reach these networks, and that all others reach all?
fn know(cluster: &Cluster, nodes: impl IntoIterator<Item = usize>, lost: &[IpNet]) -> bool {
    let lost = lost.iter().copied().collect();
    let expected = if lost == [].into() { [].into() } else { [(name(0), lost)].into() };
    nodes.into_iter().all(|node| cluster.lost(node) == expected)
}

#[test]
fn a_network_that_a_node_does_not_reach_is_known_to_all_at_once_and_so_is_its_return() {
    for count in [2, 3, 9, 40] {
        let mut cluster = Cluster::settled(count, 5);
        for lost in [vec![network()], Vec::new()] {
            cluster.input(0, Input::Lost(lost.clone()));
            let time = cluster.run_until(ms(200), |cluster| know(cluster, 1..count, &lost));
            assert!(time.is_some_and(|time| time <= ms(25)), "{count} nodes: {time:?}");
        }
    }
}

#[test]
fn who_does_not_hear_a_node_is_told_by_the_others_which_networks_that_one_lost() {
    for count in [3, 5, 9, 40] {
        let mut cluster = Cluster::settled(count, 5);
        cluster.cut.insert((0, 1));
        cluster.run_for(ms(2000));
        for lost in [vec![network()], Vec::new()] {
            cluster.input(0, Input::Lost(lost.clone()));
            let time = cluster.run_until(ms(2000), |cluster| know(cluster, 1..count, &lost));
            assert!(time.is_some_and(|time| time <= ms(1200)), "{count} nodes: {time:?}");
            cluster.run_for(ms(1000));
        }
    }
}

#[test]
fn who_hears_neither_the_node_nor_its_own_neighbours_is_told_by_another_one() {
    for (count, unheard) in [(9, 6), (40, 20)] {
        for seed in 0..10 {
            let mut cluster = Cluster::settled(count, seed);
            for node in 0..unheard {
                cluster.cut.insert((node, count - 1));
            }
            cluster.run_for(ms(2000));
            cluster.input(0, Input::Lost(vec![network()]));
            let all = |cluster: &Cluster| know(cluster, 1..count, &[network()]);
            let time = cluster.run_until(Duration::from_mins(1), all);
            assert!(time.is_some(), "{count} nodes, seed {seed}");
        }
    }
}

#[test]
fn what_is_known_of_a_life_that_is_over_does_not_count_for_the_next() {
    for count in [2, 3, 9, 40] {
        for wait in [0, 2000] {
            let mut cluster = Cluster::settled(count, 5);
            cluster.input(0, Input::Lost(vec![network()]));
            cluster.run_for(ms(500));
            cluster.kill(0);
            cluster.run_for(ms(wait));
            cluster.start(0);
            let time = cluster.run_until(ms(2000), |cluster| know(cluster, 1..count, &[]));
            assert!(time.is_some_and(|time| time <= ms(100)), "{count} nodes: {time:?}");
            cluster.input(0, Input::Lost(vec![network()]));
            let time = cluster.run_until(ms(2000), |cluster| know(cluster, 1..count, &[network()]));
            assert!(time.is_some_and(|time| time <= ms(150)), "{count} nodes: {time:?}");
        }
    }
}

#[test]
fn who_starts_is_told_which_networks_others_lost() {
    let mut cluster = Cluster::settled(4, 5);
    cluster.cut.insert((0, 1));
    cluster.input(0, Input::Lost(vec![network()]));
    cluster.run_for(ms(2000));
    cluster.kill(1);
    cluster.run_for(ms(2000));
    cluster.start(1);
    let time = cluster.run_until(ms(2000), |cluster| know(cluster, 1..4, &[network()]));
    assert!(time.is_some_and(|time| time <= ms(50)), "{time:?}");
}

#[test]
fn who_starts_knows_all_networks_that_others_lost_before_it_is_informed() {
    for seed in 0..20 {
        let mut cluster = Cluster::settled(40, seed);
        (0..20).for_each(|node| _ = cluster.cut.insert((node, 39)));
        (0..20).for_each(|node| cluster.input(node, Input::Lost(vec![network()])));
        cluster.run_for(ms(500));
        cluster.kill(39);
        cluster.run_for(ms(500));
        cluster.start(39);
        assert!(cluster.run_until(ms(2000), |cluster| cluster.told(39).is_some()).is_some());
        assert_eq!(cluster.lost(39).len(), 20, "seed {seed}");
    }
}

#[test]
fn what_is_lost_on_the_way_is_told_again() {
    let mut cluster = Cluster::settled(9, 5);
    cluster.weather = Weather { lost: 300, ..Weather::FAIR };
    cluster.cut.insert((0, 1));
    let lost: Vec<IpNet> =
        (0..8).map(|network| IpNet::new([10, network, 0, 0].into(), 16).unwrap()).collect();
    for count in (0..=8).rev() {
        cluster.input(0, Input::Lost(lost[..count].to_vec()));
        cluster.run_for(ms(7));
    }
    for count in 0..=8 {
        cluster.input(0, Input::Lost(lost[..count].to_vec()));
        cluster.run_for(ms(7));
    }
    assert!(cluster.run_until(ms(5000), |cluster| know(cluster, 1..9, &lost)).is_some());
}

#[test]
fn once_all_know_it_nothing_more_is_said() {
    let mut cluster = Cluster::settled(9, 5);
    cluster.run_for(ms(3000));
    let before = cluster.rates(ms(3000));
    for lost in [vec![network()], Vec::new(), vec![network()]] {
        (0..9).for_each(|node| cluster.input(node, Input::Lost(lost.clone())));
        cluster.run_for(Duration::from_secs(2));
    }
    cluster.forget();
    cluster.run_for(ms(3000));
    let after = cluster.rates(ms(3000));
    assert!(before.iter().zip(&after).all(|(before, after)| after < &(before * 1.1)), "{before:?} {after:?}");
}

#[test]
fn a_node_that_is_gone_lacks_nothing() {
    let mut cluster = Cluster::settled(4, 5);
    cluster.input(3, Input::Lost(vec![network()]));
    cluster.run_for(ms(100));
    assert!(!know(&cluster, 0..3, &[]));
    cluster.leave(3);
    (0..3).for_each(|node| cluster.tell_peers(node, 3));
    cluster.run_for(ms(2000));
    assert!(know(&cluster, 0..3, &[]));
}
