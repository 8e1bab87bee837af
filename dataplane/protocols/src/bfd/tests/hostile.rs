//! Packets that are not the router's: nothing they say changes a session, and nothing is kept of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use metallb_core::config::{BfdProfile, MinimumTtl};
use metallb_core::names::InterfaceName;
use proptest::collection::vec;
use proptest::prelude::*;

use super::link::{Link, address, arrival, chance, ms, path, profile};
use crate::bfd::{
    Arrival, Control, Discriminator, Dropped, Hops, Input, Malformed, Output, Path, SLOW, Sessions, State,
};
use crate::virtual_clock;

/// What the router would say now, by its last packet.
fn router_says(link: &Link) -> Control {
    link.sides[1].sent.last().unwrap().1
}

fn up() -> Link {
    let mut link = Link::up([BfdProfile::default(); 2]);
    link.run_for(ms(600));
    link
}

fn dropped(link: &mut Link, arrival: &Arrival, bytes: &[u8]) -> Vec<Output> {
    link.sides[0].other.clear();
    link.input(0, Input::Control { arrival, bytes });
    link.sides[0].other.clone()
}

#[test]
fn every_forged_packet_is_dropped_for_its_reason() {
    let mut link = up();
    let down = Control { state: State::Down, ..router_says(&link) };
    let stranger = Discriminator::new(12345);
    let elsewhere = Arrival { from: IpAddr::from([203, 0, 113, 9]), ..arrival(0) };
    let afar = Arrival { ttl: 254, ..arrival(0) };
    let other_port = Arrival { hops: Hops::Multi, ..arrival(0) };
    let other_vrf = Arrival { vrf: Some("red".into()), ..arrival(0) };
    let unaware = Control { your_discriminator: None, ..down };
    let guessed = Control { your_discriminator: stranger, ..down };
    let cases = [
        (&afar, down, Dropped::Ttl(254)),
        (&elsewhere, down, Dropped::WrongPath),
        (&other_port, down, Dropped::WrongPath),
        (&other_vrf, down, Dropped::WrongPath),
        (&elsewhere, unaware, Dropped::NoSession),
        (&arrival(0), guessed, Dropped::NoSession),
        (&arrival(0), unaware, Dropped::Unaware),
    ];
    for (arrival, packet, why) in cases {
        assert_eq!(dropped(&mut link, arrival, &packet.emit()), [Output::Dropped(why)]);
    }
    let short = dropped(&mut link, &arrival(0), &[0x20; 23]);
    assert_eq!(short, [Output::Dropped(Dropped::Malformed(Malformed::Length))]);
    assert_eq!(link.sides[0].changes, []);
}

#[test]
fn a_flood_of_strangers_neither_holds_a_dead_session_up_nor_takes_a_living_one_down() {
    let mut link = up();
    let down = Control { state: State::Down, your_discriminator: None, ..router_says(&link) };
    for _ in 0..2000 {
        link.run_for(ms(1));
        link.input(0, Input::Control { arrival: &arrival(0), bytes: &down.emit() });
    }
    assert_eq!(link.sides[0].changes, []);
    link.sides[1].running = false;
    for _ in 0..1000 {
        link.run_for(ms(1));
        let up = Control { your_discriminator: Discriminator::new(7), ..down };
        link.input(0, Input::Control { arrival: &arrival(0), bytes: &up.emit() });
    }
    assert_eq!(link.state(0), State::Down);
}

#[test]
fn over_several_hops_the_profile_says_how_far() {
    let way = Path { hops: Hops::Multi, ..path(0) };
    let minimum_ttl = MinimumTtl::new(250).unwrap();
    let mut sessions = Sessions::new(chance(1));
    let now = virtual_clock::start();
    let profile = BfdProfile { minimum_ttl, ..BfdProfile::default() };
    sessions.handle_input(now, Input::Wanted(&BTreeMap::from([(way.clone(), profile)])));
    let down = Control { state: State::Down, your_discriminator: None, ..super::wire::sample() };
    for (ttl, state) in [(249, State::Down), (250, State::Init)] {
        let arrival = Arrival { hops: Hops::Multi, ttl, ..arrival(0) };
        sessions.handle_input(now, Input::Control { arrival: &arrival, bytes: &down.emit() });
        assert_eq!(sessions.statuses()[&way].state, state, "TTL {ttl}");
    }
}

#[test]
fn a_session_behind_an_interface_hears_nothing_from_another_one() {
    let peer = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]);
    let on = |name: &str| Path { interface: Some(InterfaceName::from(name)), ..Path::to(peer, Hops::Single) };
    let mut sessions = Sessions::new(chance(1));
    let now = virtual_clock::start();
    let wanted = [(on("eth0"), BfdProfile::default()), (on("eth1"), BfdProfile::default())];
    sessions.handle_input(now, Input::Wanted(&wanted.into()));
    let down = Control { state: State::Down, your_discriminator: None, ..super::wire::sample() };
    let arrival = Arrival { from: peer, interface: Some("eth1".into()), ..arrival(0) };
    sessions.handle_input(now, Input::Control { arrival: &arrival, bytes: &down.emit() });
    let statuses = sessions.statuses();
    assert_eq!(statuses[&on("eth0")].state, State::Down);
    assert_eq!(statuses[&on("eth1")].state, State::Init);
}

#[test]
fn a_session_is_told_by_our_address_where_that_is_given() {
    let source = Some(IpAddr::V4(address(0)));
    let way = Path { source, ..path(0) };
    let mut link = Link::between([BfdProfile::default(); 2]);
    link.input(0, Input::Wanted(&[(way.clone(), BfdProfile::default())].into()));
    link.sides[0].other.clear();
    let down = Control { state: State::Down, your_discriminator: None, ..super::wire::sample() };
    let elsewhere = Arrival { to: IpAddr::from([192, 0, 2, 77]), ..arrival(0) };
    let refused = dropped(&mut link, &elsewhere, &down.emit());
    assert_eq!(refused, [Output::Dropped(Dropped::NoSession)]);
    assert_eq!(dropped(&mut link, &arrival(0), &down.emit()), []);
    assert_eq!(link.sides[0].sessions.statuses()[&way].state, State::Init);
}

#[test]
fn discriminators_are_unlike_and_never_zero() {
    let mut sessions = Sessions::new(crate::bfd::Chance::new(|| 0));
    let now = virtual_clock::start();
    let wanted = (1..=9_u8).map(|n| (Path::to([10, 0, 0, n].into(), Hops::Single), BfdProfile::default()));
    sessions.handle_input(now, Input::Wanted(&wanted.collect()));
    sessions.handle_input(now, Input::Tick);
    let mut seen = std::collections::BTreeSet::new();
    while let Some(output) = sessions.poll_output() {
        if let Output::Send { datagram, .. } = output {
            seen.insert(Control::parse(&datagram).unwrap().my_discriminator);
        }
    }
    assert_eq!(seen.len(), 9);
}

/// What can happen in one step of a random walk.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Packet(Vec<u8>, u8),
    Router { code: u8, sequence: u8, tx: u32, rx: u32, echo: u32, multiplier: u8, aware: bool },
    Frame(Vec<u8>),
    Profile { tx: u32, rx: u32, passive: bool, echo: bool },
    Unwanted,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..2000).prop_map(Step::Wait),
        (vec(any::<u8>(), 0..40), any::<u8>()).prop_map(|(bytes, ttl)| Step::Packet(bytes, ttl)),
        (any::<[u8; 3]>(), any::<[u32; 3]>(), any::<bool>()).prop_map(
            |([code, sequence, multiplier], [tx, rx, echo], aware)| Step::Router {
                code,
                sequence,
                tx: tx % 2_000_000,
                rx: rx % 2_000_000,
                echo: echo % 100_000,
                multiplier,
                aware,
            }
        ),
        vec(any::<u8>(), 0..80).prop_map(Step::Frame),
        (10_u32..2000, 10_u32..2000, any::<bool>(), any::<bool>())
            .prop_map(|(tx, rx, passive, echo)| Step::Profile { tx, rx, passive, echo }),
        Just(Step::Unwanted),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold(steps in vec(steps(), 1..60)) {
        let mut link = Link::between([BfdProfile::default(); 2]);
        link.sides[1].running = false;
        let mut ours = None;
        for step in steps {
            match step {
                Step::Wait(millis) => link.run_for(ms(millis)),
                Step::Packet(bytes, ttl) => {
                    let arrival = Arrival { ttl, ..arrival(0) };
                    link.input(0, Input::Control { arrival: &arrival, bytes: &bytes });
                }
                Step::Router { code, sequence, tx, rx, echo, multiplier, aware } => {
                    let mut bytes = super::wire::sample().emit();
                    bytes[1] = (code << 6) | (sequence & 0x32);
                    bytes[2] = multiplier;
                    let yours = ours.filter(|_| aware).map_or(0, Discriminator::get);
                    bytes[8..12].copy_from_slice(&yours.to_be_bytes());
                    bytes[12..16].copy_from_slice(&tx.to_be_bytes());
                    bytes[16..20].copy_from_slice(&rx.to_be_bytes());
                    bytes[20..24].copy_from_slice(&echo.to_be_bytes());
                    link.input(0, Input::Control { arrival: &arrival(0), bytes: &bytes });
                }
                Step::Frame(bytes) => link.input(0, Input::Frame { interface: 1, bytes: &bytes }),
                Step::Profile { tx, rx, passive, echo } => {
                    let profile =
                        BfdProfile { passive_mode: passive, echo_mode: echo, ..profile(tx, rx, 3) };
                    link.want(0, profile);
                }
                Step::Unwanted => link.input(0, Input::Wanted(&BTreeMap::new())),
            }
            let statuses = link.sides[0].sessions.statuses();
            prop_assert!(statuses.len() <= 1);
            for status in statuses.values() {
                prop_assert!(status.ups == status.downs + u64::from(status.state == State::Up));
                prop_assert!(status.state == State::Up || status.echo_interval.is_none());
                let expects = matches!(status.state, State::Init | State::Up);
                prop_assert!(!expects || status.detection_time.is_some_and(|time| time > Duration::ZERO));
            }
            for (_, sent) in &link.sides[0].sent {
                ours = Some(sent.my_discriminator);
                prop_assert!(sent.state == State::Up || sent.desired_min_tx.get() >= SLOW);
                prop_assert!(sent.required_min_echo_rx.is_zero());
            }
            link.sides[0].sent.clear();
        }
    }
}
