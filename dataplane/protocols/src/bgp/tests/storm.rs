//! Two speakers in bad weather, in virtual time: whatever happened before, a while after the sky clears the session is
//! up, the router knows what is wanted, and nobody is busy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metallb_core::config::HoldTime;
use proptest::collection::vec;
use proptest::prelude::*;

use super::lab::{DELAY, Lab, ROUTER, US, route, routes, seconds, settings};
use crate::bgp::session::{Beginning, Ending, Input, Jitter, Session, Settings, State};

/// What the weather brings.
#[derive(Clone, Debug)]
enum Gust {
    /// Time.
    Pass(Duration),
    /// Nothing arrives for so long; TCP delivers it afterwards.
    Stall(Duration),
    /// Packets take so long.
    Slow(Duration),
    /// The system of either side ends the connections, and both learn it.
    Reset(usize),
    /// One side loses its connections, and the other is not told.
    HalfOpen(usize),
    /// The process stops for another to take its place.
    Restart(usize),
    /// The machine loses its power, and is back at once.
    Crash(usize),
    /// The process stands still for so long: its timers too.
    Freeze(usize, Duration),
    /// BFD loses the other side, and finds it again.
    Flap(usize),
    /// Its BGPPeer changes in a way that needs a new session.
    Reconfigure(usize),
    /// These routes are wanted.
    Want(Vec<u8>),
    /// This one is wanted, or is not any more.
    Change(u8, bool),
    /// The node is about to leave, or is not.
    Drain(bool),
    /// It takes connections, or does not.
    Listen(usize, bool),
}

fn gusts() -> impl Strategy<Value = Vec<Gust>> {
    let side = || 0..2_usize;
    let while_ = |longest: u64| (0..longest).prop_map(Duration::from_millis);
    let gust = prop_oneof![
        6 => while_(60_000).prop_map(Gust::Pass),
        4 => while_(50).prop_map(Gust::Pass),
        2 => while_(120_000).prop_map(Gust::Stall),
        2 => while_(5_000).prop_map(Gust::Slow),
        3 => side().prop_map(Gust::Reset),
        3 => side().prop_map(Gust::HalfOpen),
        2 => side().prop_map(Gust::Restart),
        2 => side().prop_map(Gust::Crash),
        2 => (side(), while_(200_000)).prop_map(|(node, time)| Gust::Freeze(node, time)),
        2 => side().prop_map(Gust::Flap),
        1 => side().prop_map(Gust::Reconfigure),
        2 => vec(0_u8..20, 0..10).prop_map(Gust::Want),
        3 => (0_u8..20, any::<bool>()).prop_map(|(n, wanted)| Gust::Change(n, wanted)),
        1 => any::<bool>().prop_map(Gust::Drain),
        1 => (side(), any::<bool>()).prop_map(|(node, listens)| Gust::Listen(node, listens)),
    ];
    vec(gust, 1..40)
}

struct Storm {
    lab: Lab,
    wanted: BTreeSet<u8>,
    settings: [Settings; 2],
}

impl Storm {
    fn new(hold: [u64; 2], restart: bool, both_listen: bool) -> Self {
        let settings = |node: usize, my_asn, peer_asn| Settings {
            hold_time: HoldTime::try_from(seconds(hold[node])).unwrap(),
            graceful_restart: restart,
            ..settings(my_asn, peer_asn)
        };
        let settings = [settings(US, 64_512, 64_513), settings(ROUTER, 64_513, 64_512)];
        let mut lab = Lab::ready(settings[US].clone(), settings[ROUTER].clone());
        lab.nodes[US].listens = both_listen;
        lab.start();
        Self { lab, wanted: [1].into(), settings }
    }

    /// All that the node knows of itself, told to a process that begins.
    fn begin(&mut self, node: usize) {
        let all = if node == US { routes(self.wanted.iter().copied()) } else { BTreeMap::new() };
        self.lab.input(node, Input::Routes(all));
        self.lab.input(node, Input::Start);
    }

    fn blow(&mut self, gust: &Gust) {
        let lab = &mut self.lab;
        match gust {
            Gust::Pass(time) => lab.run_for(*time),
            Gust::Stall(time) => lab.stalled_until = lab.now + *time,
            Gust::Slow(delay) => lab.delay = *delay,
            Gust::Reset(node) => {
                lab.lose_connections(*node);
                lab.lose_connections(1 - node);
            }
            Gust::HalfOpen(node) => lab.lose_connections(*node),
            Gust::Restart(node) => {
                lab.stop(*node, Ending::Restarting);
                lab.replace(*node, self.settings[*node].clone());
                self.begin(*node);
            }
            Gust::Crash(node) => {
                lab.lose_connections(*node);
                lab.replace(*node, self.settings[*node].clone());
                self.begin(*node);
            }
            Gust::Freeze(node, time) => {
                lab.nodes[*node].reads = false;
                lab.run_for(*time);
                lab.read_again(*node);
                lab.run_for(Duration::ZERO);
            }
            Gust::Flap(node) => {
                lab.stop(*node, Ending::BfdDown);
                lab.input(*node, Input::PathUp);
            }
            Gust::Reconfigure(node) => {
                let settings = &mut self.settings[*node];
                settings.restart_helper = !settings.restart_helper;
                lab.input(*node, Input::Configure(Box::new(settings.clone())));
            }
            Gust::Want(numbers) => {
                self.wanted = numbers.iter().copied().collect();
                lab.input(US, Input::Routes(routes(self.wanted.iter().copied())));
            }
            Gust::Change(n, true) => {
                self.wanted.insert(*n);
                lab.input(US, Input::Changes(vec![(route(*n), Some(std::sync::Arc::default()))]));
            }
            Gust::Change(n, false) => {
                self.wanted.remove(n);
                lab.input(US, Input::Changes(vec![(route(*n), None)]));
            }
            Gust::Drain(draining) => lab.input(US, Input::Drain(*draining)),
            Gust::Listen(node, listens) => lab.nodes[*node].listens = *listens,
        }
        let busy =
            |node: usize| self.lab.nodes[node].session.poll_timeout().is_some_and(|due| due < self.lab.now);
        assert!(!busy(US) && !busy(ROUTER), "a timer of the past is still there after {gust:?}");
    }

    /// What waits longest: a connection on which nobody says OPEN (four minutes), then the longest wait (two).
    fn clear(&mut self) {
        self.lab.delay = DELAY;
        self.lab.nodes[ROUTER].listens = true;
        self.lab.run_for(seconds(120 + 240 + 120 + 60));
    }

    fn is_well(&mut self) {
        assert_eq!(self.lab.states(), [State::Established; 2]);
        let ends = &self.lab.ends;
        assert_eq!(ends.len(), 2, "one connection, and both know it: {ends:?}");
        let (_, connection) = *ends.keys().find(|(owner, _)| *owner == ROUTER).unwrap();
        let known: Vec<_> = self.lab.tables[&connection].routes.keys().copied().collect();
        let wanted: Vec<_> = routes(self.wanted.iter().copied()).into_keys().collect();
        assert_eq!(known, wanted, "the router knows what is wanted");
        assert!(self.lab.nodes[US].session.adverts().is_synchronised());
        self.lab.forget();
        self.lab.run_for(seconds(600));
        assert_eq!(self.lab.states(), [State::Established; 2]);
        assert!(self.lab.nodes.iter().all(|node| node.log.is_empty()), "and then nothing happens any more");
    }
}

proptest! {
    #[test]
    fn after_any_weather_the_session_is_up_and_the_router_knows_what_is_wanted(
        gusts in gusts(),
        hold in (3_u64..=90, 3_u64..=90),
        restart in any::<bool>(),
        both_listen in any::<bool>(),
    ) {
        let mut storm = Storm::new([hold.0, hold.1], restart, both_listen);
        for gust in &gusts {
            storm.blow(gust);
        }
        storm.clear();
        storm.is_well();
    }

    #[test]
    fn a_tick_long_after_its_time_ends_what_is_over_and_leaves_nothing_due(
        years in 1_u64..200,
        up in any::<bool>(),
    ) {
        let mut storm = Storm::new([90, 90], false, false);
        if up {
            storm.lab.run_for(seconds(1));
        }
        let later = storm.lab.now + Duration::from_hours(years * 24 * 365);
        let session = &mut storm.lab.nodes[US].session;
        let mut ticks = 0;
        while session.poll_timeout().is_some_and(|due| due <= later) {
            session.handle_input(later, Input::Tick);
            while session.poll_output().is_some() {}
            ticks += 1;
            prop_assert!(ticks < 10, "one jump of the clock is one thing that happens");
        }
        prop_assert!(session.state() < State::Established);
        prop_assert!(session.poll_timeout().is_some_and(|due| due > later));
    }
}

#[test]
fn without_hold_time_a_half_open_connection_is_found_when_something_is_said() {
    let mut storm = Storm::new([0, 0], false, false);
    storm.lab.run_for(seconds(1));
    storm.lab.lose_connections(ROUTER);
    storm.lab.run_for(seconds(3600));
    // GAP(RFC 4271 §6.8): neither the hold timer nor the router's next connection ends it; BFD, or the next word, does.
    assert_eq!(storm.lab.states()[US], State::Established);
    storm.blow(&Gust::Change(7, true));
    storm.clear();
    storm.is_well();
}

#[test]
fn a_clock_that_stands_still_moves_nothing() {
    let mut storm = Storm::new([90, 90], false, false);
    storm.lab.run_for(seconds(1));
    storm.lab.forget();
    for _ in 0..1000 {
        storm.lab.input(US, Input::Tick);
        storm.lab.input(ROUTER, Input::Tick);
    }
    assert!(storm.lab.nodes.iter().all(|node| node.log.is_empty()));
    assert_eq!(
        storm.lab.messages.iter().filter(|(node, _)| *node == US).count(),
        5,
        "{:?}",
        storm.lab.messages
    );
}

#[test]
fn a_session_that_begins_long_after_its_process_comes_up_like_any_other() {
    let mut storm = Storm::new([90, 90], true, false);
    storm.lab.now += Duration::from_hours(24 * 365 * 50);
    storm.lab.nodes[US].session =
        Session::new(storm.lab.now, storm.settings[US].clone(), Beginning::Process, Jitter::new(4));
    storm.lab.replace(ROUTER, storm.settings[ROUTER].clone());
    storm.begin(US);
    storm.begin(ROUTER);
    storm.clear();
    storm.is_well();
}
