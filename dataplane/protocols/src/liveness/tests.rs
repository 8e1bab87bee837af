//! Liveness in virtual time: many speakers, one clock, a network that delays, loses and parts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::virtual_clock;

// ---------------------------------------------------------------------------------------------------------------
// The datagram

fn beat(node: &str, boot_id: u64, sequence: u64) -> Heartbeat {
    Heartbeat { kind: Kind::Beat, node: node.into(), boot_id, sequence }
}

#[test]
fn the_documented_bytes_are_the_bytes() {
    let bytes = Heartbeat { kind: Kind::Leave, ..beat("n1", 0x0102, 3) }.emit();
    assert_eq!(bytes, b"MLBH\x01\x01\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03\x02n1");
}

#[test]
fn foreign_newer_and_damaged_datagrams_are_told_apart() {
    let good = beat("n1", 1, 1).emit();
    let changed = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        Heartbeat::parse(&bytes).unwrap_err()
    };
    assert_eq!(changed(0, 12), Malformed::Foreign); // a memberlist packet with checksum starts with 12
    assert_eq!(changed(4, 2), Malformed::Version(2));
    assert_eq!(changed(5, 9), Malformed::UnknownKind(9));
    assert_eq!(changed(22, 3), Malformed::Length);
    assert_eq!(changed(22, 0), Malformed::Length);
    assert_eq!(changed(23, 0xff), Malformed::Name);
    assert_eq!(Heartbeat::parse(&good[..20]), Err(Malformed::Length));
    assert_eq!(Heartbeat::parse(&beat("", 1, 1).emit()), Err(Malformed::Name));
}

proptest! {
    #[test]
    fn what_we_emit_we_parse(name in "[a-z0-9.-]{1,253}", boot_id: u64, sequence: u64, leaving: bool) {
        let kind = if leaving { Kind::Leave } else { Kind::Beat };
        let heartbeat = Heartbeat { kind, node: name.as_str().into(), boot_id, sequence };
        prop_assert_eq!(Heartbeat::parse(&heartbeat.emit()), Ok(heartbeat));
    }

    #[test]
    fn no_bytes_panic(prefix in 0_usize..6, bytes in vec(any::<u8>(), 0..300)) {
        let mut datagram = b"MLBH\x01\x00"[..prefix].to_vec();
        datagram.extend(bytes);
        let _ = Heartbeat::parse(&datagram);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// A cluster in virtual time

/// A speaker, and whether its process runs.
struct Node {
    liveness: Liveness,
    state: Process,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Running,
    Stopped,
    Dead,
}

struct Cluster {
    now: Instant,
    start: Instant,
    nodes: Vec<Node>,
    in_flight: Vec<(Instant, usize, IpAddr, Vec<u8>)>,
    delay: Duration,
    /// Every n-th datagram is lost; 0 for none.
    lose_every: usize,
    sent: usize,
    /// (sender, receiver) pairs that no datagram crosses.
    cut: BTreeSet<(usize, usize)>,
    facts: Vec<(Duration, usize, Output)>,
}

fn name(node: usize) -> NodeName {
    format!("n{node}").as_str().into()
}

fn address(node: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, u8::try_from(node).unwrap()])
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Cluster {
    fn of(count: usize) -> Self {
        let start = virtual_clock::start();
        let nodes = (0..count).map(|node| Node {
            liveness: Liveness::new(name(node), node as u64, Timing::default()),
            state: Process::Running,
        });
        let mut cluster = Self {
            now: start,
            start,
            nodes: nodes.collect(),
            in_flight: Vec::new(),
            delay: ms(2),
            lose_every: 0,
            sent: 0,
            cut: BTreeSet::new(),
            facts: Vec::new(),
        };
        for node in 0..count {
            cluster.tell_peers(node);
            cluster.input(node, Input::Ready);
        }
        cluster
    }

    fn tell_peers(&mut self, node: usize) {
        let peers = (0..self.nodes.len()).map(|peer| (name(peer), address(peer))).collect();
        self.input(node, Input::Peers(peers));
    }

    fn input(&mut self, node: usize, input: Input<'_>) {
        if self.nodes[node].state != Process::Running {
            return;
        }
        self.nodes[node].liveness.handle_input(self.now, input);
        while let Some(output) = self.nodes[node].liveness.poll_output() {
            if let Output::Send { to, datagram } = output {
                self.send(node, to, datagram);
            } else {
                self.facts.push((self.now - self.start, node, output));
            }
        }
    }

    fn send(&mut self, from: usize, to: IpAddr, datagram: Vec<u8>) {
        let to = (0..self.nodes.len()).find(|node| address(*node) == to).unwrap();
        self.sent += 1;
        let lost = self.lose_every != 0 && self.sent.is_multiple_of(self.lose_every);
        if !lost && !self.cut.contains(&(from, to)) {
            self.in_flight.push((self.now + self.delay, to, address(from), datagram));
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.in_flight.iter().map(|(at, ..)| *at).min();
            let running = self.nodes.iter().filter(|node| node.state == Process::Running);
            let timer = running.filter_map(|node| node.liveness.poll_timeout()).min();
            let Some(next) = arrival.into_iter().chain(timer).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now;
            let (due, later) =
                std::mem::take(&mut self.in_flight).into_iter().partition(|(at, ..)| *at <= now);
            self.in_flight = later;
            for (_, to, from, bytes) in due {
                self.input(to, Input::Datagram { from, bytes: &bytes });
            }
            for node in 0..self.nodes.len() {
                if self.nodes[node].liveness.poll_timeout().is_some_and(|due| due <= now) {
                    self.input(node, Input::Tick);
                }
            }
        }
        self.now = end;
    }

    fn view(&self, node: usize) -> Vec<usize> {
        let alive = self.nodes[node].liveness.alive();
        (0..self.nodes.len()).filter(|peer| alive.contains(&name(*peer))).collect()
    }

    /// Who took whom for dead, and why, by observer.
    fn deaths(&self) -> BTreeSet<(usize, NodeName, Why)> {
        let deaths = self.facts.iter().filter_map(|(_, node, fact)| match fact {
            Output::Dead(name, why) => Some((*node, name.clone(), *why)),
            Output::Alive(_)
            | Output::Dropped(_)
            | Output::Send { .. }
            | Output::Paused
            | Output::Informed => None,
        });
        deaths.collect()
    }
}

#[test]
fn healthy_speakers_see_each_other_and_never_doubt() {
    let mut cluster = Cluster::of(5);
    cluster.run_for(Duration::from_mins(1));
    assert!((0..5).all(|node| cluster.view(node) == [0, 1, 2, 3, 4]));
    assert_eq!(cluster.deaths(), BTreeSet::new());
}

#[test]
fn a_dead_speaker_is_noticed_within_the_silence_that_means_death() {
    let mut cluster = Cluster::of(3);
    cluster.run_for(ms(5000));
    cluster.nodes[1].state = Process::Dead;
    let timing = Timing::default();
    cluster.run_for(timing.dead_after.saturating_sub(timing.interval + ms(10)));
    assert_eq!(cluster.view(0), [0, 1, 2], "too early");
    cluster.run_for(timing.interval + ms(20));
    assert_eq!(cluster.view(0), [0, 2]);
    assert_eq!(cluster.view(2), [0, 2]);
    assert_eq!(cluster.deaths(), BTreeSet::from([(0, name(1), Why::Silent), (2, name(1), Why::Silent)]));
}

#[test]
fn a_speaker_that_says_goodbye_is_not_waited_for() {
    let mut cluster = Cluster::of(3);
    cluster.run_for(ms(5000));
    cluster.input(1, Input::Leave);
    cluster.nodes[1].state = Process::Dead;
    cluster.run_for(ms(3));
    assert_eq!(cluster.view(0), [0, 2]);
    assert_eq!(cluster.deaths(), BTreeSet::from([(0, name(1), Why::Left), (2, name(1), Why::Left)]));
}

#[test]
fn one_lost_datagram_in_five_kills_nobody() {
    let mut cluster = Cluster::of(4);
    cluster.lose_every = 5;
    cluster.run_for(Duration::from_mins(2));
    assert_eq!(cluster.deaths(), BTreeSet::new());
}

#[test]
fn two_halves_each_go_on_alone_and_find_each_other_again() {
    let mut cluster = Cluster::of(4);
    cluster.run_for(ms(2000));
    for (left, right) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        cluster.cut.extend([(left, right), (right, left)]);
    }
    cluster.run_for(ms(2000));
    assert_eq!((cluster.view(0), cluster.view(3)), (vec![0, 1], vec![2, 3]));
    cluster.cut.clear();
    cluster.run_for(ms(500));
    assert!((0..4).all(|node| cluster.view(node) == [0, 1, 2, 3]));
}

#[test]
fn who_was_stopped_itself_does_not_take_the_others_for_dead() {
    let mut cluster = Cluster::of(3);
    cluster.run_for(ms(2000));
    cluster.nodes[0].state = Process::Stopped;
    cluster.run_for(ms(10_000));
    assert_eq!(cluster.view(1), [1, 2], "the others notice that it is silent");
    cluster.in_flight.retain(|(_, to, ..)| *to != 0); // its socket kept none of them
    cluster.nodes[0].state = Process::Running;
    cluster.run_for(ms(1000));
    assert_eq!(cluster.view(0), [0, 1, 2]);
    assert!(cluster.deaths().iter().all(|(observer, ..)| *observer != 0));
    assert!(
        cluster.facts.iter().any(|(_, node, fact)| *node == 0 && *fact == Output::Paused),
        "it knows that it stood still"
    );
    assert_eq!(cluster.view(1), [0, 1, 2]);
}

#[test]
fn a_speaker_that_starts_takes_those_it_does_not_hear_yet_for_alive() {
    let mut cluster = Cluster::of(3);
    cluster.cut.extend([(1, 0), (2, 0)]);
    cluster.run_for(ms(900));
    assert_eq!(cluster.view(0), [0, 1, 2]);
    cluster.run_for(ms(200));
    assert_eq!(cluster.view(0), [0]);
}

#[test]
fn a_speaker_that_had_nothing_to_wait_for_did_not_stand_still() {
    let mut liveness = Liveness::new(name(0), 0, Timing::default());
    let now = virtual_clock::start();
    liveness.handle_input(now, Input::Peers(BTreeMap::new()));
    assert_eq!(liveness.poll_output(), Some(Output::Informed));
    liveness.handle_input(now + Duration::from_mins(1), Input::Ready);
    assert_eq!(liveness.poll_output(), None);
}

#[test]
fn a_speaker_without_peers_is_informed_too() {
    let mut liveness = Liveness::new(name(0), 0, Timing::default());
    let now = virtual_clock::start();
    liveness.handle_input(now, Input::Tick);
    assert_eq!(liveness.poll_output(), None, "nothing is known yet");
    liveness.handle_input(now, Input::Peers(BTreeMap::from([(name(0), address(0))])));
    assert_eq!(liveness.poll_output(), Some(Output::Informed));
    assert_eq!(liveness.alive(), BTreeSet::from([name(0)]));
}

#[test]
fn a_speaker_that_appears_later_counts_only_once_it_was_heard() {
    let mut liveness = Liveness::new(name(0), 0, Timing::default());
    let now = virtual_clock::start();
    let peers =
        |nodes: &[usize]| nodes.iter().map(|node| (name(*node), address(*node))).collect::<BTreeMap<_, _>>();
    liveness.handle_input(now, Input::Peers(peers(&[0, 1])));
    liveness.handle_input(now, Input::Peers(peers(&[0, 1, 2])));
    assert_eq!(liveness.alive(), BTreeSet::from([name(0), name(1)]));
    liveness.handle_input(now, Input::Datagram { from: address(2), bytes: &beat("n2", 7, 1).emit() });
    assert_eq!(liveness.alive(), BTreeSet::from([name(0), name(1), name(2)]));
    liveness.handle_input(now, Input::Peers(peers(&[0, 1])));
    assert_eq!(liveness.alive(), BTreeSet::from([name(0), name(1)]));
}

#[test]
fn a_speaker_beats_only_once_it_is_ready_and_not_after_it_left() {
    let mut liveness = Liveness::new(name(0), 0, Timing::default());
    let start = virtual_clock::start();
    let mut sent = |now, input| {
        liveness.handle_input(now, input);
        let outputs = std::iter::from_fn(|| liveness.poll_output());
        outputs.filter(|output| matches!(output, Output::Send { .. })).count()
    };
    assert_eq!(sent(start, Input::Peers(BTreeMap::from([(name(1), address(1))]))), 0);
    assert_eq!(sent(start + ms(500), Input::Tick), 0);
    assert_eq!(sent(start + ms(500), Input::Ready), 1);
    assert_eq!(sent(start + ms(700), Input::Tick), 1);
    assert_eq!(sent(start + ms(700), Input::Leave), 1);
    assert_eq!(sent(start + ms(5000), Input::Tick), 0);
}

#[test]
fn strangers_impostors_and_repetitions_are_dropped_and_said_to_be() {
    let mut liveness = Liveness::new(name(0), 0, Timing::default());
    let now = virtual_clock::start();
    liveness.handle_input(now, Input::Peers(BTreeMap::from([(name(1), address(1))])));
    let mut dropped = |from, bytes: &[u8]| {
        liveness.handle_input(now, Input::Datagram { from, bytes });
        std::iter::from_fn(|| liveness.poll_output()).find_map(|output| match output {
            Output::Dropped(why) => Some(why),
            Output::Send { .. } | Output::Alive(_) | Output::Dead(..) | Output::Paused | Output::Informed => {
                None
            }
        })
    };
    assert_eq!(dropped(address(1), &beat("n1", 7, 5).emit()), None);
    assert_eq!(dropped(address(1), &beat("n1", 7, 5).emit()), Some(Dropped::Old));
    assert_eq!(dropped(address(1), &beat("n1", 8, 1).emit()), None, "a new life");
    assert_eq!(dropped(address(2), &beat("n1", 8, 2).emit()), Some(Dropped::WrongAddress));
    assert_eq!(dropped(address(2), &beat("n2", 1, 1).emit()), Some(Dropped::UnknownNode));
    assert_eq!(dropped(address(1), b"nonsense"), Some(Dropped::Malformed(Malformed::Foreign)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was cut, stopped and lost before: once all run and hear each other, all agree, and stay agreed.
    #[test]
    fn after_every_trouble_the_views_agree_again(
        troubles in vec((0_usize..4, 0_usize..4, 0_u8..4, 1_u64..3000), 1..12),
    ) {
        let mut cluster = Cluster::of(4);
        for (one, other, kind, millis) in troubles {
            match kind {
                0 => drop(cluster.cut.insert((one, other))),
                1 => cluster.nodes[one].state = Process::Stopped,
                2 => cluster.nodes[one].state = Process::Running,
                _ => cluster.lose_every = other,
            }
            cluster.run_for(ms(millis));
        }
        cluster.cut.clear();
        cluster.lose_every = 0;
        for node in &mut cluster.nodes {
            node.state = Process::Running;
        }
        cluster.run_for(ms(1500));
        let facts = cluster.facts.len();
        cluster.run_for(ms(10_000));
        for node in 0..4 {
            prop_assert_eq!(cluster.view(node), [0, 1, 2, 3]);
        }
        prop_assert_eq!(cluster.facts.len(), facts, "somebody changed its mind without a cause");
    }
}
