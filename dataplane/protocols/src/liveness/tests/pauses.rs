//! What a speaker that stood still tells, and when.

use std::net::IpAddr;

use super::cluster::{Cluster, ms, name};
use crate::liveness::{Claim, Input, NodeId, Output, Tenure, Why};

fn address() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

fn claim(cluster: &mut Cluster, node: usize, tenure: Tenure) {
    cluster.input(node, Input::Claims(&[Claim { address: address(), tenure }]));
}

fn tenure(epoch: u64, owner: usize) -> Tenure {
    Tenure { epoch, owner: NodeId::from(&name(owner)) }
}

/// While these stand still, node 0 loses a network, and node 1 claims an address.
fn missed(count: usize, seed: u64, still: &[usize]) -> Cluster {
    let mut cluster = Cluster::settled(count, seed);
    for node in still {
        cluster.stop(*node);
    }
    cluster.run_for(ms(1000));
    cluster.input(0, Input::Lost(vec!["192.0.2.0/24".parse().unwrap()]));
    cluster.run_for(ms(1));
    claim(&mut cluster, 1, tenure(2, 1));
    cluster.run_for(ms(1000));
    cluster.forget();
    cluster
}

/// What a node told of tables, in order.
fn told(cluster: &Cluster, node: usize) -> Vec<Output> {
    let facts = cluster.facts.iter().filter(|(_, of, _)| *of == node).map(|(_, _, fact)| fact.clone());
    facts.filter(|fact| matches!(fact, Output::Tenures | Output::Lost)).collect()
}

#[test]
fn who_stood_still_tells_nothing_before_it_knows_what_it_missed() {
    for seed in 0..50 {
        let mut cluster = missed(4, seed, &[3]);
        cluster.go_on(3);
        cluster.run_for(ms(50));
        assert_eq!(told(&cluster, 3), [Output::Tenures, Output::Lost], "seed {seed}");
        assert_eq!(cluster.tenure(3, address()), Some(tenure(2, 1)), "seed {seed}");
    }
}

#[test]
fn two_that_stood_still_do_not_take_each_others_word() {
    for seed in 0..50 {
        let mut cluster = missed(6, seed, &[4, 5]);
        cluster.go_on(4);
        cluster.go_on(5);
        cluster.run_for(ms(50));
        for node in [4, 5] {
            assert_eq!(told(&cluster, node), [Output::Tenures, Output::Lost], "seed {seed}");
        }
    }
}

#[test]
fn what_was_sent_before_a_second_pause_tells_it_nothing() {
    for seed in 0..50 {
        let mut cluster = missed(4, seed, &[3]);
        cluster.weather.delay = (ms(2), ms(4));
        cluster.go_on(3);
        cluster.run_for(ms(1));
        cluster.stop(3);
        cluster.run_for(ms(500));
        claim(&mut cluster, 2, tenure(3, 2));
        cluster.run_for(ms(400));
        cluster.go_on(3);
        cluster.run_for(ms(100));
        assert_eq!(told(&cluster, 3), [Output::Tenures, Output::Lost], "seed {seed}");
        assert_eq!(cluster.tenure(3, address()), Some(tenure(3, 2)), "seed {seed}");
    }
}

#[test]
fn what_is_claimed_in_ignorance_of_a_claim_is_not_claimed() {
    for seed in 0..50 {
        let mut cluster = missed(4, seed, &[3]);
        cluster.go_on(3);
        claim(&mut cluster, 3, tenure(2, 3));
        cluster.run_for(ms(500));
        assert!((0..4).all(|node| cluster.tenure(node, address()) == Some(tenure(2, 1))), "seed {seed}");
        claim(&mut cluster, 3, tenure(3, 3));
        cluster.run_for(ms(500));
        assert!((0..4).all(|node| cluster.tenure(node, address()) == Some(tenure(3, 3))), "seed {seed}");
    }
}

#[test]
fn who_stood_still_and_hears_nobody_goes_by_what_it_knows() {
    let mut cluster = Cluster::settled(3, 5);
    cluster.stop(2);
    cluster.run_for(ms(1000));
    (0..2).for_each(|node| cluster.kill(node));
    cluster.forget();
    cluster.go_on(2);
    let since = cluster.time;
    claim(&mut cluster, 2, tenure(1, 2));
    cluster.run_for(ms(2000));
    let told = cluster.facts.iter().find(|(_, _, fact)| *fact == Output::Tenures).unwrap().0;
    assert!((since + ms(300)..since + ms(302)).contains(&told), "{told:?}");
    assert_eq!(cluster.view(2), [2]);
}

#[test]
fn all_that_stood_still_go_on() {
    let mut cluster = Cluster::settled(5, 5);
    (0..5).for_each(|node| cluster.stop(node));
    cluster.run_for(ms(5000));
    cluster.forget();
    (0..5).for_each(|node| cluster.go_on(node));
    claim(&mut cluster, 3, tenure(1, 3));
    cluster.run_for(ms(400));
    assert!((0..5).all(|node| cluster.tenure(node, address()) == Some(tenure(1, 3))));
    assert_eq!(cluster.moves(), 0, "nobody died of it");
}

/// What it announces is announced anew then.
#[test]
fn who_stood_still_says_so_once_it_knows_what_it_missed() {
    let mut cluster = missed(4, 5, &[3]);
    cluster.go_on(3);
    cluster.run_for(ms(50));
    let at = |what: Output| {
        let facts = cluster.facts.iter().filter(move |(_, node, fact)| *node == 3 && *fact == what);
        facts.map(|(at, ..)| *at).collect::<Vec<_>>()
    };
    assert_eq!(at(Output::Paused).len(), 1);
    assert_eq!(at(Output::Paused), at(Output::Tenures));
}

#[test]
fn peers_may_go_and_the_speaker_leave_before_it_knows_what_it_missed() {
    let mut cluster = missed(4, 5, &[3]);
    cluster.part(&[0, 1, 2], &[3]);
    cluster.go_on(3);
    cluster.tell_peers(3, 2);
    let removed = Output::Dead(name(2), Why::Removed);
    assert!(cluster.facts.iter().any(|(_, node, fact)| *node == 3 && *fact == removed));
    assert_eq!(cluster.view(3), [0, 1, 3]);
    cluster.tell_peers(3, 0);
    assert_eq!(cluster.view(3), [3]);
    cluster.leave(3);
    cluster.run_for(ms(1000));
    assert_eq!(told(&cluster, 3), []);
}
