//! How two systems agree on intervals: poll sequences, asymmetry, demand.

use std::num::NonZeroU8;

use metallb_core::config::BfdProfile;

use super::link::{Link, arrival, ms, profile};
use crate::bfd::{Control, Diagnostic, Discriminator, Input, Interval, Sequence, State};

#[test]
fn each_direction_is_as_slow_as_its_slower_end() {
    let link = Link::up([profile(50, 400, 3), profile(100, 300, 5)]);
    assert_eq!(link.status(0).transmit_interval, ms(300));
    assert_eq!(link.status(1).transmit_interval, ms(400));
    // The other side's multiplier, and the rate of its direction.
    assert_eq!(link.status(0).detection_time, Some(ms(5 * 400)));
    assert_eq!(link.status(1).detection_time, Some(ms(3 * 300)));
}

#[test]
fn coming_up_the_configured_intervals_are_agreed_on_by_one_poll() {
    let mut link = Link::between([profile(100, 100, 3); 2]);
    link.run_for(ms(3000));
    for side in &link.sides {
        let polls: Vec<_> = side.sent.iter().filter(|(_, sent)| sent.sequence == Sequence::Poll).collect();
        assert!(matches!(polls.len(), 1 | 2), "{polls:?}");
        let (_, poll) = polls[0];
        assert_eq!((poll.state, poll.desired_min_tx.get()), (State::Up, ms(100)));
        assert_eq!(side.sent.last().map(|(_, sent)| sent.sequence), Some(Sequence::None));
    }
}

#[test]
fn a_poll_is_answered_at_once() {
    let mut link = Link::up([BfdProfile::default(); 2]);
    link.want(0, profile(200, 200, 3));
    link.run_for(ms(600));
    let first = |side: usize, sequence| {
        let sent = link.sides[side].sent.iter().find(|(_, packet)| packet.sequence == sequence);
        sent.map(|(at, _)| *at).unwrap()
    };
    assert_eq!(first(1, Sequence::Final), first(0, Sequence::Poll) + link.delay);
}

#[test]
fn a_changed_profile_is_in_force_without_a_flap() {
    let mut link = Link::up([BfdProfile::default(); 2]);
    for (tx, rx, multiplier) in [(50, 50, 3), (1000, 2000, 2), (300, 10, 50), (10, 300, 3)] {
        link.want(0, profile(tx, rx, multiplier));
        link.run_for(ms(10_000));
        assert_eq!(link.status(0).transmit_interval, ms(u64::from(tx).max(300)));
        assert_eq!(link.status(1).transmit_interval, ms(u64::from(rx).max(300)));
        assert_eq!(link.sides[0].changes, []);
        assert_eq!(link.sides[1].changes, []);
    }
}

#[test]
fn who_slows_down_waits_until_the_other_side_knows() {
    let mut link = Link::up([profile(100, 100, 3); 2]);
    link.cut[1] = true; // answers do not arrive
    link.want(0, profile(400, 100, 3));
    link.run_for(ms(250));
    assert_eq!(link.status(0).transmit_interval, ms(100));
    assert!(link.sides[0].sent.iter().all(|(_, sent)| sent.sequence == Sequence::Poll));
    link.cut[1] = false;
    link.run_for(ms(200));
    assert_eq!(link.status(0).transmit_interval, ms(400));
}

#[test]
fn who_expects_more_waits_until_the_other_side_knows_and_who_expects_less_does_not() {
    let mut link = Link::up([profile(100, 400, 3), profile(100, 100, 3)]);
    assert_eq!(link.status(0).detection_time, Some(ms(1200)));
    link.cut[1] = true;
    link.want(0, profile(100, 100, 3));
    link.run_for(ms(300));
    assert_eq!(link.status(0).detection_time, Some(ms(1200)));
    link.want(0, profile(100, 1000, 3));
    assert_eq!(link.status(0).detection_time, Some(ms(3000)));
}

#[test]
fn a_change_during_a_poll_is_polled_for_again() {
    let mut link = Link::up([profile(100, 100, 3); 2]);
    link.want(0, profile(400, 100, 3));
    while link.sides[0].sent.is_empty() {
        link.run_for(ms(1));
    }
    // The first poll has left, and its answer, which knows nothing of the 800 ms, is not here yet.
    link.want(0, profile(800, 100, 3));
    link.run_for(2 * link.delay);
    assert_eq!(link.status(0).transmit_interval, ms(100));
    link.run_for(ms(1000));
    assert_eq!(link.status(0).transmit_interval, ms(800));
    assert_eq!(link.sides[1].changes, []);
}

/// What a router of another make says, made by hand.
fn said(link: &Link, state: State) -> Control {
    let ours = link.sides[0].sent.last().map(|(_, packet)| packet.my_discriminator);
    Control {
        state,
        diagnostic: Diagnostic::None,
        sequence: Sequence::None,
        control_plane_independent: true,
        demand: false,
        detect_multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: Discriminator::MIN,
        your_discriminator: ours,
        desired_min_tx: Interval::from_micros(300_000),
        required_min_rx: Interval::from_micros(300_000),
        required_min_echo_rx: Interval::ZERO,
    }
}

fn hear(link: &mut Link, packet: Control) {
    link.input(0, Input::Control { arrival: &arrival(0), bytes: &packet.emit() });
}

/// Side 0 up and agreed with a router made by hand, and what that says from then on.
fn up_with_a_router() -> (Link, Control) {
    let mut link = Link::between([BfdProfile::default(); 2]);
    link.sides[1].running = false;
    link.run_for(ms(1));
    let said = said(&link, State::Up);
    hear(&mut link, Control { state: State::Init, ..said });
    hear(&mut link, Control { sequence: Sequence::Final, ..said });
    assert_eq!(link.state(0), State::Up);
    link.forget();
    (link, said)
}

#[test]
fn a_router_in_demand_mode_is_spared_until_there_is_something_to_agree_on() {
    let (mut link, said) = up_with_a_router();
    let demanding = Control { demand: true, ..said };
    hear(&mut link, demanding);
    link.run_for(ms(800));
    assert!(link.sides[0].sent.is_empty(), "{:?}", link.sides[0].sent);
    link.want(0, profile(500, 300, 3));
    link.run_for(ms(50));
    assert_eq!(link.sides[0].sent.first().map(|(_, sent)| sent.sequence), Some(Sequence::Poll));
    hear(&mut link, Control { sequence: Sequence::Final, ..demanding });
    link.forget();
    link.run_for(ms(800));
    assert!(link.sides[0].sent.is_empty());
    link.run_for(ms(200));
    assert_eq!(link.state(0), State::Down, "its own silence still counts");
}

#[test]
fn a_router_that_wants_no_packets_gets_none_but_answers() {
    let (mut link, said) = up_with_a_router();
    let quiet = Control { required_min_rx: Interval::ZERO, ..said };
    hear(&mut link, quiet);
    link.run_for(ms(800));
    assert!(link.sides[0].sent.is_empty());
    hear(&mut link, Control { sequence: Sequence::Poll, ..quiet });
    let sent: Vec<_> = link.sides[0].sent.iter().map(|(_, sent)| sent.sequence).collect();
    assert_eq!(sent, [Sequence::Final]);
}

#[test]
fn a_router_that_becomes_patient_again_is_answered_at_its_pace_at_once() {
    let (mut link, said) = up_with_a_router();
    let slow = Control { required_min_rx: Interval::nearest(ms(60_000)), ..said };
    hear(&mut link, slow);
    assert_eq!(link.status(0).transmit_interval, ms(60_000));
    link.run_for(ms(600));
    link.forget();
    hear(&mut link, Control { required_min_rx: Interval::nearest(ms(50)), ..slow });
    link.run_for(ms(400));
    assert!(!link.sides[0].sent.is_empty(), "the minute was not waited for");
}

#[test]
fn who_was_switched_off_answers_nothing() {
    let (mut link, said) = up_with_a_router();
    link.input(0, Input::Farewell);
    link.forget();
    hear(&mut link, Control { sequence: Sequence::Poll, ..said });
    assert!(link.sides[0].sent.is_empty());
}
