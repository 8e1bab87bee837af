//! Somebody on the network who records, plays back, pretends and guesses; and keys that are renewed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Packet, address, key, ms, name};
use crate::liveness::{
    Dropped, Heartbeat, Input, Liveness, Malformed, Output, Page, Report, Stance, Timing, Word,
};
use crate::virtual_clock;

/// What `sender` says to `receiver`, as somebody with that key would write it.
fn written(by: &str, sender: &str, receiver: &str) -> Vec<u8> {
    let ballot = Page::split([]).remove(0);
    let heartbeat = Heartbeat {
        word: Word::State {
            stance: Stance::Serving,
            asks: false,
            keeps: false,
            behind: false,
            ballot,
            tenures: 0,
            reports: 0,
            report: Report::default(),
        },
        newest_key: key(by).id(),
        boot_id: 77,
        sequence: 1,
        echo: 0,
        offer: 5,
        sender,
        receiver,
    };
    heartbeat.emit(&key(by))
}

fn receives(liveness: &mut Liveness, now: Instant, from: IpAddr, bytes: &[u8]) -> Vec<Output> {
    liveness.handle_input(now, Input::Datagram { from, bytes });
    std::iter::from_fn(|| liveness.poll_output()).collect()
}

#[test]
fn what_is_no_peers_of_now_is_dropped_and_said_why() {
    let now = virtual_clock::start();
    let mut liveness = Liveness::new(name(0), 1, Timing::LAN, key("one"));
    liveness.handle_input(now, Input::Peers(BTreeMap::from([(name(1), address(1))])));
    while liveness.poll_output().is_some() {}
    let mut dropped = |from, bytes: &[u8]| {
        let outputs = receives(&mut liveness, now, from, bytes);
        let sent = outputs.iter().filter(|output| matches!(output, Output::Send { .. })).count();
        let why = outputs.iter().find_map(|output| match output {
            Output::Dropped(why) => Some(*why),
            Output::Send { .. }
            | Output::Alive(_)
            | Output::Dead(..)
            | Output::Paused
            | Output::Informed
            | Output::Tenures
            | Output::Outlasted(_)
            | Output::Routes { .. }
            | Output::Lost => None,
        });
        (why, sent)
    };
    let good = written("one", "n1", "n0");
    assert_eq!(dropped(address(2), &written("one", "n2", "n0")), (Some(Dropped::UnknownNode), 0));
    assert_eq!(dropped(address(2), &good), (Some(Dropped::WrongAddress), 0));
    assert_eq!(dropped(address(1), &written("one", "n1", "n3")), (Some(Dropped::NotForUs), 0));
    assert_eq!(dropped(address(1), &written("two", "n1", "n0")), (Some(Dropped::Unproven), 0));
    assert_eq!(dropped(address(1), b"\x0cmemberlist"), (Some(Dropped::Malformed(Malformed::Foreign)), 0));
    for _ in 0..8 {
        assert_eq!(dropped(address(1), &good), (Some(Dropped::Unplaced), 1), "it is challenged");
    }
    assert_eq!(dropped(address(1), &good), (Some(Dropped::Unplaced), 0), "but not for ever");
}

#[test]
fn a_recording_of_the_dead_brings_nobody_back() {
    let mut cluster = Cluster::settled(4, 1);
    cluster.tape = Some(Vec::new());
    cluster.run_for(ms(1000));
    // A second life of the one that records are of, and of one that hears them.
    cluster.kill(1);
    cluster.kill(2);
    cluster.run_for(ms(1000));
    cluster.start(1);
    cluster.start(2);
    cluster.run_for(ms(1000));
    cluster.kill(1);
    // What it last said is kept from the others, and played to them later.
    cluster.run_for(ms(1500));
    let tape = cluster.tape.take().unwrap();
    cluster.forget();
    for packet in tape {
        for to in [0, 2, 3] {
            cluster.carry(&Packet { to, ..packet.clone() });
        }
        cluster.carry(&Packet { to: packet.from, from: packet.to, ..packet });
    }
    cluster.run_for(ms(2000));
    assert_eq!(cluster.moves(), 0, "{:?}", cluster.facts);
    assert!(cluster.all_agree());
    assert!(cluster.dropped > 1000, "{}", cluster.dropped);
}

#[test]
fn what_was_held_back_brings_nobody_back() {
    let mut cluster = Cluster::settled(3, 1);
    cluster.tape = Some(Vec::new());
    cluster.cut.extend([(1, 0), (1, 2)]);
    cluster.run_for(ms(200));
    cluster.kill(1);
    cluster.cut.clear();
    let held_back: Vec<_> =
        cluster.tape.take().unwrap().into_iter().filter(|packet| packet.from == 1).collect();
    assert!(!held_back.is_empty());
    cluster.run_for(ms(2000));
    cluster.forget();
    for packet in &held_back {
        cluster.carry(packet);
    }
    cluster.run_for(ms(1000));
    assert_eq!(cluster.moves(), 0, "{:?}", cluster.facts);
}

#[test]
fn a_new_secret_reaches_the_nodes_one_by_one_and_nobody_dies() {
    let mut cluster = Cluster::settled(5, 1);
    for (round, secret) in ["two", "three"].into_iter().enumerate() {
        for node in 0..5 {
            cluster.renew_key(node, secret);
            cluster.run_for(Duration::from_secs(20));
        }
        assert_eq!(cluster.moves(), 0, "round {round}: {:?}", cluster.facts);
    }
    // Also one that starts in between.
    cluster.leave(0);
    cluster.renew_key(1, "four");
    cluster.renew_key(2, "four");
    cluster.start(0);
    cluster.run_for(ms(1000));
    assert!(cluster.all_agree());
}

#[test]
fn the_key_before_proves_nothing_after_ten_minutes() {
    let now = virtual_clock::start();
    let mut liveness = Liveness::new(name(0), 1, Timing::LAN, key("one"));
    liveness.handle_input(now, Input::Peers(BTreeMap::from([(name(1), address(1))])));
    liveness.handle_input(now, Input::Key(key("two")));
    while liveness.poll_output().is_some() {}
    let unproven = Output::Dropped(Dropped::Unproven);
    let by_the_old_one = written("one", "n1", "n0");
    let minutes = Duration::from_mins;
    assert!(!receives(&mut liveness, now + minutes(9), address(1), &by_the_old_one).contains(&unproven));
    assert!(receives(&mut liveness, now + minutes(10), address(1), &by_the_old_one).contains(&unproven));
    assert!(
        !receives(&mut liveness, now + minutes(10), address(1), &written("two", "n1", "n0"))
            .contains(&unproven)
    );
}

#[test]
fn speakers_with_different_secrets_are_nothing_to_each_other() {
    let mut cluster = Cluster::of(2, 1);
    cluster.kill(1);
    cluster.renew_key(1, "other");
    cluster.start(1);
    cluster.run_for(ms(3000));
    assert_eq!((cluster.view(0), cluster.view(1)), (vec![0], vec![1]));
}
