//! How lives begin and end: starts, goodbyes, pauses, peers that come and go by the API server's word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cluster::{Clock, Cluster, Process, address, key, ms, name};
use crate::liveness::{Handover, Heartbeat, Input, Liveness, Output, Stance, Timing, Why, Word};
use crate::virtual_clock;

fn alone() -> Liveness {
    Liveness::new(name(0), 1, Timing::LAN, key("one"))
}

fn outputs(liveness: &mut Liveness, now: std::time::Instant, input: Input<'_>) -> Vec<Output> {
    liveness.handle_input(now, input);
    std::iter::from_fn(|| liveness.poll_output()).collect()
}

#[test]
fn who_says_goodbye_is_dead_at_once_and_returns_with_its_next_life() {
    let mut cluster = Cluster::settled(4, 1);
    cluster.leave(2);
    cluster.run_for(ms(1));
    assert_eq!(cluster.view(0), [0, 1, 3]);
    let left = |fact: &Output| *fact == Output::Dead(name(2), Why::Left);
    assert_eq!(cluster.facts.iter().filter(|(_, _, fact)| left(fact)).count(), 3);
    cluster.run_for(ms(2000));
    assert_eq!(cluster.moves(), 3, "its silence is no second death");
    cluster.start(2);
    let time = cluster.run_until(ms(100), Cluster::all_agree);
    assert!(time.is_some_and(|time| time <= ms(10)), "{time:?}");
}

#[test]
fn who_did_not_hear_a_goodbye_is_told_when_it_asks() {
    let mut cluster = Cluster::settled(3, 1);
    cluster.cut.extend([(2, 0), (2, 1)]);
    cluster.input(2, Input::Leave);
    cluster.run_for(ms(10));
    assert_eq!(cluster.view(0), [0, 1, 2]);
    cluster.cut.clear();
    cluster.run_for(ms(250));
    let left = |fact: &Output| *fact == Output::Dead(name(2), Why::Left);
    assert_eq!(cluster.facts.iter().filter(|(_, _, fact)| left(fact)).count(), 2, "{:?}", cluster.facts);
}

#[test]
fn who_starts_does_not_take_the_dead_for_alive() {
    for (count, dead) in [(3, vec![1]), (4, vec![1, 2]), (9, vec![1, 4, 5]), (9, vec![1, 2, 3, 4, 5, 6])] {
        let mut cluster = Cluster::settled(count, 5);
        for node in &dead {
            cluster.kill(*node);
        }
        cluster.leave(0);
        cluster.run_for(ms(3000));
        cluster.forget();
        cluster.start(0);
        let informed = |cluster: &Cluster| cluster.told(0).is_some();
        let time = cluster.run_until(ms(2000), informed);
        assert!(time.is_some_and(|time| time <= ms(301)), "{count} nodes, {dead:?} dead: {time:?}");
        assert!(cluster.told(0).unwrap().is_disjoint(&dead.iter().copied().collect()), "{dead:?}");
        cluster.run_for(ms(2000));
        assert!(cluster.all_agree());
        assert!(cluster.deaths().is_empty(), "{:?}", cluster.facts);
    }
}

#[test]
fn who_starts_alone_waits_as_long_as_a_lone_survivor() {
    let mut cluster = Cluster::settled(3, 5);
    (0..3).for_each(|node| cluster.kill(node));
    cluster.start(1);
    let time = cluster.run_until(ms(2000), |cluster| cluster.told(1).is_some());
    assert!(time.is_some_and(|time| (ms(900)..=ms(1200)).contains(&time)), "{time:?}");
    cluster.run_for(ms(100));
    assert_eq!(cluster.view(1), [1]);
}

#[test]
fn who_is_in_a_new_life_counts_as_dead_until_it_serves() {
    let mut cluster = Cluster::settled(3, 5);
    cluster.kill(0);
    cluster.run_for(ms(50));
    cluster.busy = true;
    cluster.start(0);
    cluster.run_for(ms(120));
    assert_eq!((cluster.view(1), cluster.view(2)), (vec![1, 2], vec![1, 2]));
    let starting = |fact: &Output| *fact == Output::Dead(name(0), Why::Starting);
    assert_eq!(cluster.facts.iter().filter(|(_, _, fact)| starting(fact)).count(), 2);
    cluster.input(0, Input::Ready);
    cluster.run_for(ms(10));
    assert!(cluster.all_agree());
}

#[test]
fn who_stood_still_does_not_take_the_others_for_dead() {
    for stopped in [200, 400, 10_000] {
        let mut cluster = Cluster::settled(3, 2);
        cluster.stop(0);
        cluster.run_for(ms(stopped));
        cluster.go_on(0);
        assert_eq!(cluster.process(0), Process::Running);
        let time = cluster.run_until(ms(500), Cluster::all_agree);
        assert!(time.is_some_and(|time| time <= ms(20)), "{stopped} ms: {time:?}");
        cluster.run_for(ms(3000));
        assert!(cluster.deaths().iter().all(|(_, observer, _)| *observer != 0), "{:?}", cluster.facts);
        let paused = cluster.facts.iter().any(|(_, node, fact)| *node == 0 && *fact == Output::Paused);
        assert!(paused, "it knows that it stood still");
        assert_eq!(cluster.deaths().len(), if stopped < 300 { 0 } else { 2 }, "{:?}", cluster.facts);
    }
}

#[test]
fn a_speaker_that_appears_later_counts_once_it_said_that_it_serves() {
    let mut cluster = Cluster::settled(4, 9);
    cluster.kill(3);
    cluster.run_for(ms(1000));
    (0..3).for_each(|node| cluster.tell_peers(node, 3));
    cluster.forget();
    (0..3).for_each(|node| cluster.tell_peers(node, 4));
    cluster.run_for(ms(3000));
    assert_eq!((cluster.view(0), cluster.moves()), (vec![0, 1, 2], 0), "nothing was heard of it");
    cluster.start(3);
    cluster.run_for(ms(50));
    assert!(cluster.all_agree(), "{:?}", cluster.facts);
    (0..3).for_each(|node| cluster.tell_peers(node, 3));
    let removed = |fact: &Output| *fact == Output::Dead(name(3), Why::Removed);
    assert_eq!(cluster.facts.iter().filter(|(_, _, fact)| removed(fact)).count(), 3);
}

#[test]
fn all_hear_what_becomes_of_its_routes_though_datagrams_are_lost() {
    let mut cluster = Cluster::settled(9, 1);
    cluster.weather.lost = 200;
    for handover in [Handover::Given, Handover::TakenBack] {
        cluster.forget();
        cluster.input(4, Input::Routes(handover));
        cluster.run_for(ms(1000));
        let said = |fact: &Output| matches!(fact, Output::Routes { node, handover: said, .. } if *node == name(4) && *said == handover);
        let heard: Vec<usize> =
            cluster.facts.iter().filter(|(_, _, fact)| said(fact)).map(|(_, node, _)| *node).collect();
        let nodes: BTreeSet<usize> = heard.iter().copied().collect();
        assert_eq!(nodes, (0..9).filter(|node| *node != 4).collect(), "all but itself");
        assert!(heard.len() <= 3 * 8, "it is said three times: {heard:?}");
    }
}

#[test]
fn a_speaker_without_peers_is_informed_too() {
    let mut liveness = alone();
    let now = virtual_clock::start();
    assert_eq!(outputs(&mut liveness, now, Input::Tick), [], "nothing is known yet");
    let peers = BTreeMap::from([(name(0), address(0))]);
    assert_eq!(outputs(&mut liveness, now, Input::Peers(peers)), [Output::Informed]);
    assert_eq!(liveness.alive(), BTreeSet::from([name(0)]));
    assert_eq!(liveness.poll_timeout(), None);
    assert_eq!(
        outputs(&mut liveness, now + Duration::from_mins(1), Input::Ready),
        [],
        "it did not stand still"
    );
}

#[test]
fn a_speaker_says_that_it_serves_only_once_it_does_and_nothing_after_goodbye() {
    let mut liveness = alone();
    let now = virtual_clock::start();
    let mut words = |after: u64, input| {
        let mut words = Vec::new();
        for output in outputs(&mut liveness, now + ms(after), input) {
            if let Output::Send { datagram, .. } = output {
                words.push(match Heartbeat::parse(&datagram).unwrap().0.word {
                    Word::State { stance, .. } => Some(stance),
                    Word::Leave => None,
                    Word::Challenge | Word::Claims(_) | Word::Reports(_) | Word::Routes(_) => {
                        panic!("nobody said anything")
                    }
                });
            }
        }
        words
    };
    let asked = words(0, Input::Peers(BTreeMap::from([(name(1), address(1))])));
    assert_eq!(asked, [Some(Stance::Starting)]);
    assert!(words(100, Input::Tick).iter().all(|stance| *stance == Some(Stance::Starting)));
    let served = words(110, Input::Ready);
    assert!(!served.is_empty() && served.iter().all(|stance| *stance == Some(Stance::Serving)));
    assert_eq!(words(120, Input::Leave), [None]);
    for after in [200, 5000] {
        assert_eq!(words(after, Input::Tick), []);
        assert_eq!(words(after, Input::Ready), []);
    }
}

#[test]
fn who_has_lost_all_peers_has_no_timer_but_its_heartbeat() {
    for count in [9, 200] {
        let mut cluster = Cluster::settled(count, 3);
        cluster.cut.extend((1..count).map(|other| (other, 0)));
        cluster.tell_peers(0, 1);
        cluster.run_for(ms(2000));
        cluster.forget();
        cluster.run_for(ms(1000));
        let woken = cluster.woken()[0];
        assert!(woken <= 15, "{count} nodes: {woken} times, of 10 heartbeats that nobody is sent");
        assert!(cluster.facts.iter().all(|(_, node, _)| *node != 0), "{:?}", cluster.facts);
    }
}

#[test]
fn beats_of_few_fall_together_whatever_their_clocks_say() {
    for seed in 0..20 {
        let mut cluster = Cluster::with_clocks(3, seed, Clock::any);
        cluster.run_for(ms(3000));
        assert!(cluster.all_agree(), "seed {seed}");
        cluster.forget();
        cluster.run_for(ms(10_000));
        let (woken, rates) = (cluster.woken(), cluster.rates(ms(10_000)));
        assert!(
            woken.iter().all(|times| *times <= 150),
            "seed {seed}: {woken:?}, of 100 beats and 200 heard"
        );
        assert!(rates.iter().all(|rate| *rate < 42.0), "seed {seed}: {rates:?} datagrams a second");
    }
}
