//! Who has which address, case by case, in virtual time.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::cluster::{Cluster, Weather, ms, name};
use crate::liveness::{Claim, Input, NodeId, Output, Tenure};

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn tenure(epoch: u64, owner: usize) -> Tenure {
    Tenure { epoch, owner: NodeId::from(&name(owner)) }
}

fn claim(cluster: &mut Cluster, node: usize, last: u8, epoch: u64) {
    let claim = Claim { address: address(last), tenure: tenure(epoch, node) };
    cluster.input(node, Input::Claims(&[claim]));
}

/// Do all that run know this?
fn all_know(cluster: &Cluster, last: u8, tenure: Tenure) -> bool {
    cluster.running().iter().all(|node| cluster.tenure(*node, address(last)) == Some(tenure))
}

#[test]
fn a_claim_is_known_to_all_at_once() {
    for count in [1, 2, 3, 9, 40] {
        let mut cluster = Cluster::settled(count, 5);
        claim(&mut cluster, 0, 1, 1);
        let time = cluster.run_until(ms(50), |cluster| all_know(cluster, 1, tenure(1, 0)));
        assert!(time.is_some_and(|time| time <= ms(5)), "{count} nodes: {time:?}");
    }
}

#[test]
fn of_two_that_claim_at_the_same_time_all_know_the_same_one() {
    let mut cluster = Cluster::settled(9, 5);
    for node in 0..9 {
        claim(&mut cluster, node, 1, 4);
    }
    let last = (0..9).map(|node| tenure(4, node)).max().unwrap();
    let time = cluster.run_until(ms(50), |cluster| all_know(cluster, 1, last));
    assert!(time.is_some_and(|time| time <= ms(5)), "{time:?}");
}

#[test]
fn who_starts_knows_who_has_what_before_it_serves() {
    let mut cluster = Cluster::settled(5, 5);
    for last in 0..200 {
        claim(&mut cluster, usize::from(last % 4), last, 1);
    }
    cluster.run_for(ms(1500));
    cluster.kill(4);
    cluster.run_for(ms(1000));
    cluster.start(4);
    let time = cluster.run_until(ms(1000), |cluster| cluster.told(4).is_some());
    assert!(time.is_some_and(|time| time <= ms(50)), "{time:?}");
    for last in 0..200 {
        assert_eq!(cluster.tenure(4, address(last)), Some(tenure(1, usize::from(last % 4))));
    }
}

#[test]
fn two_parts_agree_on_the_later_epoch_as_soon_as_they_hear_each_other() {
    let mut cluster = Cluster::settled(4, 5);
    claim(&mut cluster, 0, 1, 1);
    cluster.run_for(ms(500));
    cluster.part(&[0, 1], &[2, 3]);
    cluster.run_for(ms(2000));
    claim(&mut cluster, 3, 1, 2);
    cluster.run_for(ms(2000));
    assert_eq!(cluster.tenure(0, address(1)), Some(tenure(1, 0)));
    cluster.cut.clear();
    let time = cluster.run_until(ms(2000), |cluster| all_know(cluster, 1, tenure(2, 3)));
    assert!(time.is_some_and(|time| time <= ms(500)), "{time:?}");
}

#[test]
fn who_has_the_later_epoch_is_told_once_that_another_one_claimed_the_address_too() {
    let mut cluster = Cluster::settled(4, 5);
    cluster.part(&[0, 1], &[2, 3]);
    cluster.run_for(ms(2000));
    claim(&mut cluster, 0, 1, 1);
    claim(&mut cluster, 3, 1, 2);
    cluster.run_for(ms(2000));
    cluster.forget();
    cluster.cut.clear();
    cluster.run_for(ms(3000));
    let outlasted = cluster.facts.iter().filter(|(_, _, fact)| matches!(fact, Output::Outlasted(_)));
    let outlasted: Vec<_> = outlasted.map(|(_, node, fact)| (*node, fact.clone())).collect();
    assert_eq!(outlasted, [(3, Output::Outlasted(address(1)))]);
}

#[test]
fn what_is_lost_on_the_way_is_told_again() {
    let mut cluster = Cluster::settled(6, 5);
    cluster.weather = Weather { lost: 200, ..Weather::FAIR };
    for last in 0..100 {
        claim(&mut cluster, usize::from(last % 6), last, 1);
        cluster.run_for(ms(7));
    }
    let know =
        |cluster: &Cluster| (0..100).all(|last| all_know(cluster, last, tenure(1, usize::from(last % 6))));
    assert!(cluster.run_until(ms(5000), know).is_some());
}

#[test]
fn once_all_know_it_nothing_more_is_said() {
    let mut cluster = Cluster::settled(5, 5);
    cluster.run_for(ms(3000));
    let before = cluster.rates(ms(3000));
    for last in 0..50 {
        claim(&mut cluster, 0, last, 1);
    }
    cluster.run_for(ms(3000));
    cluster.forget();
    cluster.run_for(ms(3000));
    let after = cluster.rates(ms(3000));
    assert!(before.iter().zip(&after).all(|(before, after)| after < &(before * 1.1)), "{before:?} {after:?}");
}

#[test]
fn addresses_that_no_service_has_any_more_are_forgotten() {
    let mut cluster = Cluster::settled(3, 5);
    claim(&mut cluster, 0, 1, 1);
    claim(&mut cluster, 0, 2, 1);
    cluster.run_for(ms(100));
    for in_use in [BTreeSet::from([address(1), address(2)]), BTreeSet::from([address(2)])] {
        for node in 0..3 {
            cluster.input(node, Input::InUse(in_use.clone()));
            cluster.run_for(ms(20));
        }
    }
    cluster.run_for(ms(3000));
    assert!((0..3).all(|node| cluster.tenure(node, address(1)).is_none()));
    assert!(all_know(&cluster, 2, tenure(1, 0)));
}

#[test]
fn who_starts_is_informed_only_when_it_knows_whether_all_keep_what_they_have() {
    for seed in 0..50 {
        let mut cluster = Cluster::settled(5, seed);
        cluster.weather.delay.1 = ms(5);
        (0..5).for_each(|node| cluster.input(node, Input::Keep));
        cluster.run_for(ms(500));
        cluster.kill(0);
        cluster.run_for(ms(500));
        cluster.start(0);
        cluster.input(0, Input::Keep);
        while cluster.told(0).is_none() {
            cluster.run_for(Duration::from_micros(100));
        }
        assert!(cluster.all_keep(0), "seed {seed}");
    }
}
