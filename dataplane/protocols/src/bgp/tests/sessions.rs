//! Sessions between two speakers: up, down, restarted, flapping.

use std::collections::BTreeMap;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{ConnectTime, HoldTime};

use super::lab::{DELAY, Lab, ROUTER, US, route, routes, seconds, settings};
use crate::bgp::session::{Ending, Failure, Input, Output, Retry, Settings, State, Unconnected};
use crate::bgp::wire::{Kind, Reason};

fn with_restart(my_asn: u32, peer_asn: u32) -> Settings {
    Settings { graceful_restart: true, ..settings(my_asn, peer_asn) }
}

fn codes(failures: &[Failure]) -> Vec<&'static str> {
    failures.iter().map(Failure::code).collect()
}

#[test]
fn a_session_comes_up_and_the_router_knows_all_routes_and_that_these_are_all() {
    let lab = Lab::established();
    assert_eq!(lab.table.routes.keys().copied().collect::<Vec<_>>(), [route(1)]);
    assert_eq!(lab.table.ended, [Family::V4, Family::V6].into());
    assert!(lab.nodes[US].session.adverts().is_synchronised());
    let negotiated = lab.nodes[US].session.negotiated().unwrap();
    assert_eq!((negotiated.hold_time, negotiated.internal), (Some(seconds(90)), false));
}

#[test]
fn a_change_is_on_the_wire_at_once() {
    let mut lab = Lab::established();
    lab.input(US, Input::Changes(vec![(route(2), Some(std::sync::Arc::default())), (route(1), None)]));
    assert_eq!(lab.table.routes.keys().copied().collect::<Vec<_>>(), [route(2)]);
}

#[test]
fn a_quiet_session_stays_up() {
    let mut lab = Lab::established();
    lab.run_for(seconds(3600));
    assert_eq!(lab.states(), [State::Established; 2]);
    assert_eq!(lab.nodes[US].session.counters().dropped, 0);
    let sent = lab.nodes[US].session.counters().sent[&Kind::Keepalive];
    assert!((120..=161).contains(&sent), "{sent} keepalives: one in 22.5 to 30 s");
}

#[test]
fn a_silent_router_is_dropped_when_the_hold_time_ends() {
    let mut lab = Lab::established();
    lab.link = false;
    lab.run_for(seconds(59));
    assert_eq!(lab.states()[US], State::Established);
    lab.run_for(seconds(31));
    let session = &lab.nodes[US].session;
    assert!(session.state() < State::Established);
    assert_eq!(
        (session.adverts().announced(), session.adverts().pending()),
        (0, 1),
        "nobody knows our route, and it waits"
    );
    let failures = lab.failures(US);
    assert_eq!(codes(&failures)[0], "hold-timer-expired");
    assert!(failures[0].to_string().contains("90 s"), "{}", failures[0]);
}

#[test]
fn a_session_comes_back_when_the_link_does() {
    let mut lab = Lab::established();
    lab.link = false;
    lab.run_for(seconds(100));
    lab.link = true;
    lab.run_for(seconds(120));
    assert_eq!(lab.states(), [State::Established; 2]);
    assert_eq!(lab.table.routes.len(), 1);
}

#[test]
fn without_hold_time_nobody_has_to_say_anything() {
    let quiet = |my_asn, peer_asn| Settings { hold_time: HoldTime::NONE, ..settings(my_asn, peer_asn) };
    let mut lab = Lab::ready(quiet(64_512, 64_513), settings(64_513, 64_512));
    lab.start();
    lab.run_for(seconds(1));
    assert_eq!(lab.states(), [State::Established; 2]);
    assert_eq!(lab.nodes[US].session.poll_timeout(), None);
    lab.link = false;
    lab.run_for(seconds(100_000));
    assert_eq!(lab.states(), [State::Established; 2]);
}

#[test]
fn a_router_that_does_not_listen_is_tried_less_and_less_often_until_it_does() {
    let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
    lab.nodes[ROUTER].listens = false;
    lab.input(US, Input::Start);
    lab.run_for(seconds(600));
    let failures = lab.failures(US);
    assert!((8..=14).contains(&failures.len()), "{} attempts in ten minutes", failures.len());
    let refused = Failure::Unconnected { why: Unconnected::Refused, password: false };
    assert!(failures.iter().all(|failure| *failure == refused));
    lab.nodes[ROUTER].listens = true;
    lab.input(ROUTER, Input::Start);
    lab.run_for(seconds(121));
    assert_eq!(lab.states(), [State::Established; 2]);
}

#[test]
fn a_router_that_does_not_answer_is_called_that() {
    let mut lab =
        Lab::ready(Settings { password: true, ..settings(64_512, 64_513) }, settings(64_513, 64_512));
    lab.link = false;
    lab.input(US, Input::Start);
    lab.run_for(seconds(35));
    let failures = lab.failures(US);
    assert_eq!(codes(&failures), ["no-answer"; 3]);
    assert!(failures[0].to_string().contains("password"), "{}", failures[0]);
}

#[test]
fn when_the_path_is_there_again_nobody_waits() {
    let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
    lab.nodes[ROUTER].listens = false;
    lab.input(US, Input::Start);
    lab.run_for(seconds(300));
    lab.nodes[ROUTER].listens = true;
    lab.input(ROUTER, Input::Start);
    lab.run_for(DELAY);
    lab.input(US, Input::PathUp);
    lab.run_for(seconds(1));
    assert_eq!(lab.states(), [State::Established; 2]);
}

/// BFD is back before BGP is: what the first attempt meets is still busy with the session before.
#[test]
fn when_the_path_is_there_again_and_the_router_is_not_ready_it_is_asked_again_soon() {
    for connect_time in [None, ConnectTime::new(seconds(120))] {
        let mut ours = settings(64_512, 64_513);
        ours.retry.connect_time = connect_time;
        let mut lab = Lab::ready(ours, settings(64_513, 64_512));
        lab.nodes[ROUTER].listens = false;
        lab.input(US, Input::Start);
        lab.run_for(seconds(300));
        lab.input(US, Input::PathUp);
        lab.run_for(seconds(1) / 2);
        lab.nodes[ROUTER].listens = true;
        lab.input(ROUTER, Input::Start);
        lab.run_for(seconds(2));
        assert_eq!(lab.states(), [State::Established; 2], "{connect_time:?}");
    }
}

#[test]
fn when_the_path_is_there_again_a_connection_that_was_asked_for_before_is_asked_for_anew() {
    let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
    lab.link = false;
    lab.input(US, Input::Start);
    lab.run_for(seconds(3));
    lab.link = true;
    lab.input(ROUTER, Input::Start);
    lab.run_for(DELAY);
    lab.input(US, Input::PathUp);
    lab.run_for(seconds(2));
    assert_eq!(lab.states(), [State::Established; 2]);
}

#[test]
fn when_the_path_is_there_again_a_connection_that_was_just_asked_for_is_waited_for() {
    let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
    lab.start();
    lab.input(US, Input::PathUp);
    lab.run_for(seconds(1));
    assert_eq!(lab.states(), [State::Established; 2]);
    assert_eq!(lab.failures(US), []);
}

/// The kernel of a router that hung took the connection, and the router began anew without it.
#[test]
fn when_the_path_is_there_again_a_connection_on_which_nobody_answers_is_soon_given_up() {
    let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
    lab.input(US, Input::Start);
    lab.link = false;
    lab.pretend(US);
    lab.run_for(seconds(60));
    assert_eq!(lab.states()[US], State::OpenSent, "for that alone it may take long");
    lab.link = true;
    lab.input(ROUTER, Input::Start);
    lab.run_for(DELAY);
    lab.input(US, Input::PathUp);
    lab.run_for(seconds(12));
    assert_eq!(codes(&lab.failures(US)), ["hold-timer-expired"]);
    assert_eq!(lab.states(), [State::Established; 2]);
}

#[test]
fn of_two_connections_at_once_both_sides_keep_the_same() {
    for (ours, theirs) in [(64_512, 64_513), (64_513, 64_512), (64_512, 64_512)] {
        let mut lab = Lab::ready(settings(ours, theirs), settings(theirs, ours));
        if ours == theirs {
            lab = Lab::ready(
                settings(ours, theirs),
                Settings {
                    router_id: metallb_core::config::RouterId::new([1, 1, 1, 1].into()).unwrap(),
                    ..settings(ours, ours)
                },
            );
        }
        lab.nodes[US].listens = true;
        lab.start();
        lab.run_for(seconds(60));
        assert_eq!(lab.states(), [State::Established; 2]);
        for node in [US, ROUTER] {
            let counters = lab.nodes[node].session.counters();
            assert_eq!((counters.established, counters.dropped), (1, 0), "{ours} {theirs} {node}");
        }
        assert_eq!(lab.table.routes.len(), 1);
    }
}

#[test]
fn a_removed_peer_is_told_so_and_not_called_again() {
    let mut lab = Lab::established();
    lab.stop(US, Ending::Deconfigured);
    lab.run_for(seconds(1));
    let [Failure::Notified { notification, .. }] = &lab.failures(ROUTER)[..] else { panic!("not told") };
    assert_eq!(notification.reason, Reason::DECONFIGURED);
    lab.nodes[ROUTER].log.clear();
    lab.nodes[US].log.clear();
    lab.run_for(seconds(1000));
    assert_eq!(lab.states()[US], State::Idle);
    assert_eq!(lab.nodes[US].session.poll_timeout(), None);
    assert!(lab.nodes[US].log.is_empty());
}

#[test]
fn a_node_that_leaves_says_a_hard_reset_where_that_was_agreed_on() {
    let mut lab = Lab::ready(with_restart(64_512, 64_513), with_restart(64_513, 64_512));
    lab.start();
    lab.run_for(seconds(1));
    lab.forget();
    lab.stop(US, Ending::Leaving { text: "drained".into() });
    lab.run_for(seconds(1));
    let failures = lab.failures(ROUTER);
    let [Failure::Notified { notification, .. }] = &failures[..] else { panic!("not told: {failures:?}") };
    assert_eq!(notification.reason, Reason::HARD_RESET);
    assert_eq!(notification.cause().reason, Reason::ADMINISTRATIVE_SHUTDOWN);
    assert_eq!(notification.communication().as_deref(), Some("drained"));
}

#[test]
fn bfd_ends_a_session_at_once_and_it_tries_again() {
    let mut lab = Lab::established();
    lab.stop(US, Ending::BfdDown);
    assert_eq!(lab.states()[US], State::Idle);
    lab.run_for(seconds(10));
    assert!(codes(&lab.failures(ROUTER)).contains(&"notification-received"));
    assert_eq!(lab.states(), [State::Established; 2]);
}

#[test]
fn a_restart_is_silent_and_ends_only_when_all_routes_are_known() {
    let ours = with_restart(64_512, 64_513);
    let mut lab = Lab::ready(ours.clone(), with_restart(64_513, 64_512));
    lab.start();
    lab.run_for(seconds(30));
    lab.stop(US, Ending::Restarting);
    let close = lab.nodes[US].log.iter().rev().find_map(|output| match output {
        Output::Close { farewell, .. } => Some(farewell.clone()),
        _ => None,
    });
    assert_eq!(close, Some(None), "not a word: the router keeps our routes");
    lab.replace(US, ours);
    lab.run_for(seconds(3));
    lab.input(US, Input::Start);
    lab.run_for(seconds(10));
    assert_eq!(lab.states(), [State::Established; 2]);
    let said = lab.nodes[ROUTER].session.negotiated().unwrap().peer_restart.clone().unwrap();
    assert!(said.restarting && said.notifications, "{said:?}");
    assert!(said.families.iter().all(|(_, forwarded)| *forwarded) && said.families.len() == 2);
    assert!(lab.table.ended.is_empty(), "the router would drop what it keeps");
    lab.input(US, Input::Routes(routes([1, 2])));
    assert_eq!((lab.table.routes.len(), lab.table.ended.len()), (2, 2));
}

#[test]
fn a_restart_whose_routes_never_come_does_not_keep_the_router_waiting_for_ever() {
    let mut lab = Lab::new(with_restart(64_512, 64_513), with_restart(64_513, 64_512));
    lab.start();
    lab.run_for(seconds(239));
    assert!(lab.table.ended.is_empty());
    lab.run_for(seconds(5));
    assert_eq!(lab.table.ended.len(), 2);
}

#[test]
fn a_router_that_restarted_unseen_gets_a_new_session_at_once() {
    let theirs = with_restart(64_513, 64_512);
    let mut lab = Lab::ready(with_restart(64_512, 64_513), theirs.clone());
    lab.nodes[US].listens = true;
    lab.start();
    lab.run_for(seconds(30));
    lab.forget();
    lab.link = false; // its last words are lost
    lab.replace(ROUTER, theirs);
    lab.link = true;
    lab.input(ROUTER, Input::Start);
    lab.run_for(seconds(1));
    assert_eq!(lab.states(), [State::Established; 2]);
    assert_eq!(codes(&lab.failures(US))[..], ["replaced"]);
}

#[test]
fn without_agreement_a_restart_says_goodbye() {
    let mut lab = Lab::established();
    lab.stop(US, Ending::Restarting);
    lab.run_for(seconds(1));
    assert_eq!(codes(&lab.failures(ROUTER)), ["notification-received"]);
}

#[test]
fn a_router_that_resets_each_second_is_called_less_and_less_often() {
    let mut lab = Lab::established();
    for _ in 0..600 {
        if lab.states()[ROUTER] == State::Established {
            lab.stop(ROUTER, Ending::Reset { text: "again".into() });
        }
        // It waits to be called.
        lab.nodes[US].listens = false;
        lab.run_for(seconds(1));
    }
    let established = lab.nodes[US].session.counters().established;
    assert!(established < 30, "{established} sessions in ten minutes");
}

#[test]
fn a_session_that_was_stable_comes_back_fast() {
    let mut lab = Lab::established();
    for _ in 0..5 {
        lab.run_for(seconds(60));
        lab.stop(ROUTER, Ending::Reset { text: "maintenance".into() });
        lab.run_for(seconds(2));
        assert_eq!(lab.states(), [State::Established; 2]);
    }
}

#[test]
fn what_needs_no_new_session_is_changed_in_place() {
    let mut lab = Lab::established();
    let mut changed = settings(64_512, 64_513);
    changed.hold_time = HoldTime::try_from(seconds(9)).unwrap();
    changed.retry.longest = Duration::from_secs(5);
    lab.input(US, Input::Configure(Box::new(changed.clone())));
    lab.run_for(seconds(5));
    assert_eq!(lab.nodes[US].session.counters().dropped, 0);
    changed.graceful_restart = true;
    lab.input(US, Input::Configure(Box::new(changed)));
    lab.run_for(seconds(5));
    let session = &lab.nodes[US].session;
    assert_eq!((session.counters().dropped, session.state()), (1, State::Established));
    assert_eq!(session.negotiated().unwrap().hold_time, Some(seconds(9)), "counts from the next OPEN");
}

#[test]
fn after_any_trouble_the_router_knows_what_is_wanted() {
    for seed in 0..20_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |sides: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % sides
        };
        let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
        lab.nodes[US].listens = roll(2) == 0;
        lab.start();
        let mut wanted = BTreeMap::new();
        for _ in 0..60 {
            match roll(8) {
                0 => lab.link = false,
                1 | 2 => lab.link = true,
                3 => lab.stop(ROUTER, Ending::Reset { text: String::new() }),
                4 => lab.stop(US, Ending::BfdDown),
                5 => lab.nodes[ROUTER].listens = roll(3) > 0,
                6 => lab.input(US, Input::PathUp),
                _ => {
                    wanted = routes((0..10).filter(|_| roll(2) == 0));
                    lab.input(US, Input::Routes(wanted.clone()));
                }
            }
            lab.run_for(Duration::from_millis(roll(30_000)));
        }
        lab.link = true;
        lab.nodes[ROUTER].listens = true;
        lab.input(US, Input::Routes(wanted.clone()));
        lab.run_for(seconds(600));
        assert_eq!(lab.states(), [State::Established; 2], "seed {seed}");
        assert!(lab.table.routes.keys().eq(wanted.keys()), "seed {seed}");
        assert!(lab.nodes[US].session.adverts().is_synchronised(), "seed {seed}");
    }
}

/// The seconds at which a router that answers nothing is connected to.
fn attempts_at(connect_time: Option<u64>, within: u64) -> Vec<u64> {
    let connect_time = connect_time.and_then(|time| ConnectTime::new(seconds(time)));
    let ours = settings(64_512, 64_513);
    let retry = Retry { connect_time, ..ours.retry };
    let mut lab = Lab::ready(Settings { retry, ..ours }, settings(64_513, 64_512));
    lab.link = false;
    lab.start();
    let mut attempts = Vec::new();
    for second in 0..within {
        let dialled = lab.nodes[US].log.iter().filter(|output| matches!(output, Output::Connect(_))).count();
        attempts.extend(std::iter::repeat_n(second, dialled));
        lab.forget();
        lab.run_for(seconds(1));
    }
    attempts
}

#[test]
fn a_router_that_does_not_answer_is_tried_less_and_less_often() {
    let attempts = attempts_at(None, 1000);
    let waits: Vec<u64> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Ten seconds each for the attempt, and then 1, 2, 4, … seconds to wait, less the jitter.
    assert!(waits[0] <= 12 && waits.iter().any(|wait| *wait > 90), "{waits:?}");
    assert!(waits.is_sorted_by(|a, b| *a <= *b || *a > 90), "{waits:?}");
    assert!((10..=16).contains(&attempts.len()), "{attempts:?}");
}

#[test]
fn a_connect_time_is_how_long_a_router_that_does_not_answer_is_waited_for_and_left_alone() {
    let waits = |connect_time| {
        let attempts = attempts_at(Some(connect_time), 600);
        attempts.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    let (short, long) = (waits(2), waits(60));
    assert!(short.iter().all(|wait| (2..=5).contains(wait)) && short.len() > 120, "{short:?}");
    assert!(long.iter().all(|wait| (50..=71).contains(wait)), "{long:?}");
}
