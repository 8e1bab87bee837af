//! Two systems that watch each other: coming up, falling silent, restarting, being switched off.

use std::collections::BTreeMap;
use std::time::Duration;

use metallb_core::config::BfdProfile;
use proptest::collection::vec;
use proptest::prelude::*;

use super::link::{Link, ms, path, profile};
use crate::bfd::{Change, Diagnostic, FAREWELL, Input, Output, SLOW, State, Why};

fn usual() -> BfdProfile {
    BfdProfile::default()
}

fn passive() -> BfdProfile {
    BfdProfile { passive_mode: true, ..usual() }
}

/// When a side was first in that state, and why.
fn first(link: &Link, side: usize, to: State) -> (Duration, Why) {
    let changes = &link.sides[side].changes;
    let found = changes.iter().find(|(_, change)| change.to == to);
    found.map(|(at, change)| (*at, change.why)).unwrap()
}

#[test]
fn two_systems_that_begin_together_are_up_after_three_packets() {
    let mut link = Link::between([usual(), usual()]);
    link.run_for(ms(10));
    for side in 0..2 {
        assert_eq!(first(&link, side, State::Up).1, Why::Handshake);
        assert_eq!(link.status(side).ups, 1);
    }
}

#[test]
fn who_has_no_answer_sends_once_a_second_and_offers_no_more() {
    let mut link = Link::between([profile(10, 10, 3), usual()]);
    link.sides[1].running = false;
    link.run_for(ms(20_000));
    let sent = &link.sides[0].sent;
    assert!((20_000 / 900..=20_000 / 750 + 1).contains(&sent.len()), "{}", sent.len());
    assert!(sent.iter().all(|(_, packet)| packet.desired_min_tx.get() >= SLOW));
    assert!(sent.iter().all(|(_, packet)| packet.your_discriminator.is_none()));
}

#[test]
fn a_silent_router_is_found_within_the_detection_time() {
    for (interval, multiplier) in [(10, 3), (50, 3), (300, 3), (300, 2), (1000, 5)] {
        let mut link = Link::up([profile(interval, interval, multiplier); 2]);
        link.sides[1].running = false;
        let detection = ms(u64::from(interval * multiplier));
        let last = link.delay;
        link.run_for(detection + last);
        let (at, why) = first(&link, 0, State::Down);
        assert_eq!(why, Why::Silence);
        assert!(at <= detection + last, "{at:?} at {interval} ms");
        assert!(at + ms(interval.into()) >= detection, "{at:?}: too early at {interval} ms");
    }
}

#[test]
fn whose_packets_are_lost_learns_it_from_the_other_side_at_once() {
    let mut link = Link::up([usual(), usual()]);
    link.cut[0] = true;
    link.run_for(ms(910));
    let (found, why) = first(&link, 1, State::Down);
    assert_eq!(why, Why::Silence);
    assert_eq!(first(&link, 0, State::Down), (found + link.delay, Why::NeighborDown));
    let (_, told) = link.sides[1].sent.iter().find(|(_, packet)| packet.state == State::Down).unwrap();
    assert_eq!(told.diagnostic, Diagnostic::DetectionTimeExpired);
}

#[test]
fn after_a_silence_everything_about_the_other_side_is_forgotten() {
    let mut link = Link::up([usual(), usual()]);
    link.sides[1].running = false;
    link.run_for(ms(5000));
    let (_, last) = link.sides[0].sent.last().unwrap();
    assert_eq!((last.state, last.your_discriminator), (State::Down, None));
    assert_eq!(link.status(0).remote_state, None);
    assert_eq!(link.status(0).detection_time, None);
}

#[test]
fn a_path_that_heals_is_up_again_within_two_seconds() {
    let mut link = Link::up([usual(), usual()]);
    link.cut = [true; 2];
    link.run_for(ms(10_000));
    link.cut = [false; 2];
    link.forget();
    link.run_for(ms(2000));
    assert_eq!([link.state(0), link.state(1)], [State::Up; 2]);
    assert_eq!(link.status(0).downs, 1);
}

#[test]
fn a_router_that_restarted_is_noticed_and_back_within_two_detection_times_and_a_second() {
    let mut link = Link::up([usual(), usual()]);
    link.restart(1);
    link.run_for(ms(900) + link.delay);
    assert_eq!(first(&link, 0, State::Down).1, Why::Silence);
    link.run_for(ms(1900));
    assert_eq!([link.state(0), link.state(1)], [State::Up; 2]);
}

#[test]
fn two_passive_systems_never_speak() {
    let mut link = Link::between([passive(), passive()]);
    link.run_for(ms(60_000));
    assert!(link.sides.iter().all(|side| side.sent.is_empty()));
}

#[test]
fn a_passive_system_answers_an_active_one_and_falls_silent_with_it() {
    let mut link = Link::up([passive(), usual()]);
    link.sides[1].running = false;
    link.run_for(ms(1000));
    assert_eq!(link.state(0), State::Down);
    link.forget();
    link.run_for(ms(60_000));
    assert!(link.sides[0].sent.is_empty());
}

#[test]
fn a_session_that_is_no_longer_wanted_tells_that_this_is_no_failure() {
    let mut link = Link::up([usual(), usual()]);
    link.input(0, Input::Wanted(&BTreeMap::new()));
    assert_eq!(link.sides[0].sessions.statuses(), BTreeMap::new());
    link.run_for(ms(10));
    assert_eq!(first(&link, 1, State::Down), (link.delay, Why::NeighborAdminDown));
    link.run_for(FAREWELL);
    assert_eq!(link.sides[0].other, [Output::Ended(path(0))]);
    assert_eq!(link.sides[0].sessions.poll_timeout(), None);
    assert_eq!(link.status(1).downs, 1);
}

#[test]
fn the_farewell_survives_the_loss_of_its_first_packets() {
    let mut link = Link::up([profile(300, 300, 10); 2]);
    let mut left = 2;
    link.loses = Box::new(move |side| {
        let lost = side == 0 && left > 0;
        left -= i32::from(lost);
        lost
    });
    link.input(0, Input::Farewell);
    link.run_for(ms(1900));
    assert_eq!(first(&link, 1, State::Down).1, Why::NeighborAdminDown);
}

#[test]
fn wanted_again_during_its_farewell_a_session_comes_back() {
    let mut link = Link::up([usual(), usual()]);
    link.input(0, Input::Wanted(&BTreeMap::new()));
    link.run_for(ms(1000));
    link.want(0, usual());
    link.run_for(ms(2000));
    assert_eq!([link.state(0), link.state(1)], [State::Up; 2]);
    assert_eq!(link.sides[0].other, []);
}

#[test]
fn a_session_without_answer_ends_without_farewell() {
    let mut link = Link::between([usual(), passive()]);
    link.sides[1].running = false;
    link.run_for(ms(5000));
    link.input(0, Input::Wanted(&BTreeMap::new()));
    assert_eq!(link.sides[0].other, [Output::Ended(path(0))]);
}

#[test]
fn silence_counts_to_the_last_nanosecond() {
    let falls_silent = || {
        let mut link = Link::up([usual(), usual()]);
        link.cut[1] = true;
        link
    };
    let mut link = falls_silent();
    link.run_for(ms(1000));
    let (at, _) = first(&link, 0, State::Down);
    // The same once more, step by step.
    let mut link = falls_silent();
    link.run_for(at.saturating_sub(Duration::from_nanos(1)));
    assert_eq!(link.state(0), State::Up);
    link.run_for(Duration::from_nanos(1));
    assert_eq!(link.state(0), State::Down);
}

#[test]
fn who_stood_still_reads_what_waited_before_it_judges() {
    let mut link = Link::up([usual(), usual()]);
    // A second passes without this system; the other one's packets wait in its socket.
    link.sides[0].running = false;
    let waiting = link.sides[1].sent.len();
    link.run_for(ms(850));
    let (_, packet) = link.sides[1].sent[waiting];
    link.now += ms(500);
    let arrival = super::link::arrival(0);
    link.input(0, Input::Control { arrival: &arrival, bytes: &packet.emit() });
    link.input(0, Input::Tick);
    assert_eq!(link.state(0), State::Up);
}

#[test]
fn no_packets_leave_in_step() {
    let mut link = Link::up([usual(), usual()]);
    link.run_for(ms(30_000));
    let times: Vec<_> = link.sides[0].sent.iter().map(|(at, _)| *at).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    assert!(gaps.iter().all(|gap| (ms(225)..=ms(270)).contains(gap)), "{gaps:?}");
    let distinct: std::collections::BTreeSet<_> = gaps.iter().collect();
    assert!(distinct.len() > gaps.len() / 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn losing_two_of_three_packets_in_a_row_is_no_failure(
        wanted in vec(any::<bool>(), 64),
        delay in 0_u64..200,
    ) {
        let mut link = Link::up([usual(), usual()]);
        link.delay = ms(delay);
        // The change of the delay itself is one more late packet: let it pass.
        link.run_for(ms(600));
        let mut in_a_row = [0; 2];
        let mut draws = wanted.into_iter().cycle();
        link.loses = Box::new(move |side| {
            let lost = in_a_row[side] < 2 && draws.next().unwrap_or(false);
            in_a_row[side] = if lost { in_a_row[side] + 1 } else { 0 };
            lost
        });
        link.forget();
        link.run_for(ms(30_000));
        for side in 0..2 {
            prop_assert_eq!(&link.sides[side].changes, &Vec::<(Duration, Change)>::new());
        }
    }

    #[test]
    fn whatever_was_lost_two_systems_find_each_other_again(
        lost in vec(any::<bool>(), 0..40),
        restarts in vec((0_usize..2, 0_u64..3000), 0..4),
    ) {
        let mut link = Link::between([profile(50, 50, 3), usual()]);
        let mut lost = lost.into_iter();
        link.loses = Box::new(move |_| lost.next().unwrap_or(false));
        for (side, pause) in restarts {
            link.run_for(ms(pause));
            link.restart(side);
        }
        link.run_for(ms(60_000));
        prop_assert_eq!([link.state(0), link.state(1)], [State::Up; 2]);
    }
}
