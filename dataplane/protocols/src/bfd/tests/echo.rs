//! Echo mode: when it runs, what it finds, and what its frames look like.

use std::net::{IpAddr, Ipv4Addr};

use metallb_core::config::{BfdInterval, BfdProfile};
use proptest::collection::vec;
use proptest::prelude::*;

use super::link::{INTERFACE, Link, control_frame, ms, path};
use crate::bfd::echo::{Echo, Loop, Sight, sight};
use crate::bfd::{Discriminator, Hops, Input, Path, State, Why};
use crate::ethernet::Mac;

/// 50 ms echo, 300 ms control.
fn echoing() -> BfdProfile {
    BfdProfile { echo_mode: true, ..BfdProfile::default() }
}

fn way() -> Loop {
    Loop {
        station: Mac([2, 0, 0, 0, 0, 1]),
        router: Mac([2, 0, 0, 0, 0, 9]),
        address: Ipv4Addr::new(192, 0, 2, 1),
    }
}

fn packet() -> Echo {
    Echo {
        discriminator: Discriminator::new(0x0a0b_0c0d).unwrap(),
        sequence: 5,
        secret: 0x1122_3344_5566_7788,
    }
}

#[test]
fn an_echo_is_addressed_to_ourselves_by_way_of_the_router() {
    let frame = packet().frame(&way());
    assert_eq!(frame[..12], [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1]);
    // Version 4, 20 bytes, TOS, length 48, TTL 255, UDP, its checksum, and twice 192.0.2.1.
    assert_eq!(frame[12..26], [8, 0, 0x45, 0xc0, 0, 48, 0, 0, 0, 0, 255, 17, 0x36, 0xfa]);
    assert_eq!(frame[26..34], [192, 0, 2, 1, 192, 0, 2, 1]);
    assert_eq!(frame[34..42], [0x0e, 0xc9, 0x0e, 0xc9, 0, 28, 0, 0]);
    assert_eq!(frame[42..46], [1, 20, 0, 0]);
    assert_eq!(frame.len(), 62);
}

#[test]
fn what_comes_back_is_known_again_when_it_crossed_one_router() {
    for (ttl, expected) in [(255, true), (254, true), (253, false)] {
        let mut frame = packet().frame(&way());
        frame[22] = ttl;
        assert_eq!(sight(&frame) == Some(Sight::Returned(packet())), expected, "TTL {ttl}");
    }
}

#[test]
fn a_control_packet_shows_the_way_and_only_from_next_door() {
    let control = super::wire::sample().emit();
    let frame = control_frame(0, 255, &control);
    let expected = Loop {
        station: Mac([2, 0, 0, 0, 0, 0]),
        router: Mac([2, 0, 0, 0, 0, 1]),
        address: Ipv4Addr::new(192, 0, 2, 1),
    };
    let from = Ipv4Addr::new(192, 0, 2, 2);
    let discriminator = Discriminator::new(0x0506_0708).unwrap();
    assert_eq!(sight(&frame), Some(Sight::Control { from, discriminator, path: expected }));
    assert_eq!(sight(&control_frame(0, 254, &control)), None);
}

proptest! {
    #[test]
    fn no_frame_panics(start in 0_usize..62, bytes in vec(any::<u8>(), 0..80)) {
        let mut frame = packet().frame(&way())[..start].to_vec();
        frame.extend(bytes);
        let _ = sight(&frame);
    }
}

#[test]
fn a_router_that_stops_to_forward_is_found_though_it_still_speaks() {
    let mut link = looping();
    assert_eq!(link.status(0).echo_interval, Some(ms(50)));
    link.loops = false;
    link.run_for(ms(160));
    let (at, change) = link.sides[0].changes[0];
    assert_eq!((change.to, change.why), (State::Down, Why::EchoLost));
    assert!(at <= ms(150) + 2 * link.delay, "{at:?}");
}

#[test]
fn a_router_that_says_it_loops_and_never_does_is_watched_by_control_packets() {
    let mut link = Link::up([echoing(), BfdProfile::default()]);
    promise(&mut link, 10);
    link.run_for(ms(9000));
    assert_eq!(link.sides[0].changes, []);
    assert!(link.sides[0].echoes.len() > 30);
}

#[test]
fn a_router_that_once_looped_has_to_go_on() {
    let mut link = looping();
    link.loops = false;
    link.run_for(ms(6000));
    assert!(link.status(0).downs > 1, "it came up again, and echo failed it again");
}

#[test]
fn who_does_not_loop_is_sent_no_echo() {
    let mut link = Link::up([echoing(), echoing()]);
    link.loops = true;
    link.run_for(ms(5000));
    // We never promise it to others, so two of ours never do it.
    assert!(link.sides.iter().all(|side| side.echoes.is_empty()));
    assert_eq!(link.status(0).echo_interval, None);
}

#[test]
fn the_slower_of_the_two_echo_intervals_counts() {
    let mut link = Link::up([
        BfdProfile { echo_interval: BfdInterval::from_millis(400).unwrap(), ..echoing() },
        BfdProfile::default(),
    ]);
    promise(&mut link, 50);
    assert_eq!(link.status(0).echo_interval, Some(ms(400)));
    promise(&mut link, 700);
    assert_eq!(link.status(0).echo_interval, Some(ms(700)));
}

#[test]
fn echo_ends_with_its_session_and_with_its_profile() {
    let mut link = looping();
    link.want(0, BfdProfile::default());
    assert_eq!(link.status(0).echo_interval, None);
    assert!(!link.sides[0].sessions.wants_echo());
    link.want(0, echoing());
    link.run_for(ms(400));
    assert!(link.sides[0].sessions.wants_echo());
    assert_eq!(link.status(0).echo_interval, Some(ms(50)));
    link.sides[1].running = false;
    link.cut = [true; 2];
    link.run_for(ms(2000));
    assert_eq!(link.status(0).echo_interval, None);
}

/// From now on nothing is looped, but after each echo packet `forge` makes a frame of it that arrives.
fn answered_by(forge: impl Fn(Echo) -> Echo, interface: u32) -> Link {
    let mut link = looping();
    link.loops = false;
    for _ in 0..400 {
        link.run_for(ms(1));
        let Some(last) = link.sides[0].echoes.pop() else { continue };
        let Some(Sight::Returned(echo)) = sight(&last) else { panic!("not an echo packet: {last:?}") };
        link.input(0, Input::Frame { interface, bytes: &forge(echo).frame(&way()) });
    }
    link
}

#[test]
fn only_what_was_sent_proves_something_and_only_once() {
    let lost = |link: Link| link.sides[0].changes.iter().any(|(_, change)| change.why == Why::EchoLost);
    assert!(!lost(answered_by(|echo| echo, INTERFACE)));
    assert!(lost(answered_by(|echo| Echo { secret: echo.secret ^ 1, ..echo }, INTERFACE)));
    assert!(lost(answered_by(|echo| echo, INTERFACE + 1)), "it came back somewhere else");
    assert!(
        lost(answered_by(|echo| Echo { sequence: echo.sequence + 1, ..echo }, INTERFACE)),
        "not sent yet"
    );
    assert!(lost(answered_by(|echo| Echo { sequence: echo.sequence - 3, ..echo }, INTERFACE)), "too late");
}

#[test]
fn a_packet_that_was_never_sent_does_not_make_echo_count() {
    let mut link = Link::up([echoing(), BfdProfile::default()]);
    promise(&mut link, 10);
    let last = link.sides[0].echoes.pop().unwrap();
    let Some(Sight::Returned(echo)) = sight(&last) else { panic!("not an echo packet: {last:?}") };
    let early = Echo { sequence: echo.sequence + 1000, ..echo }.frame(&way());
    link.input(0, Input::Frame { interface: INTERFACE, bytes: &early });
    link.run_for(ms(1000));
    assert_eq!(link.sides[0].changes, []);
}

#[test]
fn a_copy_of_an_echo_packet_proves_nothing_new() {
    let mut link = looping();
    link.loops = false;
    link.run_for(ms(60));
    let Some(copied) = link.sides[0].echoes.pop() else { panic!("one was sent") };
    for _ in 0..140 {
        link.input(0, Input::Frame { interface: INTERFACE, bytes: &copied });
        link.run_for(ms(1));
    }
    assert_eq!(link.sides[0].changes, [], "the first copy is the packet itself");
    link.run_for(ms(20));
    assert_eq!(link.sides[0].changes[0].1.why, Why::EchoLost);
}

#[test]
fn nobody_but_the_router_says_where_echo_packets_go() {
    let mut link = looping();
    let said = link.sides[1].sent.last().unwrap().1;
    let mut elsewhere = control_frame(0, 255, &said.emit());
    elsewhere[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 66]);
    elsewhere[29] += 7; // the last byte of its source address
    link.input(0, Input::Frame { interface: INTERFACE, bytes: &elsewhere });
    link.run_for(ms(100));
    assert!(!link.sides[0].echoes.is_empty());
    assert!(link.sides[0].echoes.iter().all(|frame| frame[..6] == [2, 0, 0, 0, 0, 1]));
}

#[test]
fn ipv6_and_several_hops_have_no_echo() {
    let wants = |path: Path| {
        let mut link = Link::between([BfdProfile::default(); 2]);
        link.input(0, Input::Wanted(&[(path, echoing())].into()));
        link.sides[0].sessions.wants_echo()
    };
    assert!(wants(path(0)));
    assert!(!wants(Path { hops: Hops::Multi, ..path(0) }));
    assert!(!wants(Path { peer: IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]), ..path(0) }));
}

/// Side 0 up with a router that loops, and echoing.
fn looping() -> Link {
    let mut link = Link::up([echoing(), BfdProfile::default()]);
    link.loops = true;
    promise(&mut link, 10);
    let sent = link.sides[1].sent.clone();
    link.forget();
    link.sides[1].sent = sent;
    link
}

/// Side 1 says that it loops echo packets, and is heard. Ours never says so: it is put into its mouth.
fn promise(link: &mut Link, every: u64) {
    link.promised = Some(ms(every));
    link.run_for(ms(400));
}
