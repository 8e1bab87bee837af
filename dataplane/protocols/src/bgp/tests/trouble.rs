//! Routers that misbehave: floods, nonsense, and those that do not read. What it costs is bounded.

use ipnet::Ipv4Net;

use super::lab::{Lab, ROUTER, US, route, routes, seconds};
use crate::bgp::session::{Failure, Input, State};
use crate::bgp::wire::{
    AddressFamily, AsPath, Attributes, Demarcation, HEADER, Kind, LARGEST, Open, Origin, Reason,
    RouteRefresh, Update, keepalive,
};

/// UPDATEs with `count` routes.
fn flood(count: u32) -> Vec<Vec<u8>> {
    let asn = metallb_core::config::Asn::new(64_513).unwrap();
    let attributes = Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::origin(asn)),
        next_hop: Some([10, 0, 0, 2].into()),
        ..Attributes::default()
    };
    let numbers: Vec<_> = (0..count).collect();
    let update = |part: &[u32]| {
        let announced = part.iter().map(|n| Ipv4Net::new((*n).into(), 32).unwrap()).collect();
        let update = Update { attributes: attributes.clone(), announced, ..Update::default() };
        update.emit(true, LARGEST).unwrap()
    };
    numbers.chunks(800).map(update).collect()
}

#[test]
fn a_million_routes_are_counted_and_dropped() {
    let mut lab = Lab::established();
    for bytes in flood(1_000_000) {
        lab.inject(US, &bytes);
    }
    assert_eq!(lab.nodes[US].session.counters().routes_announced, 1_000_000);
    assert_eq!(lab.states()[US], State::Established);
}

#[test]
fn a_message_may_arrive_octet_by_octet_or_many_at_once() {
    let mut lab = Lab::established();
    let bytes = flood(3).concat();
    for octet in &bytes {
        lab.inject(US, &[*octet]);
    }
    lab.inject(US, &bytes.repeat(10));
    assert_eq!(lab.nodes[US].session.counters().routes_announced, 33);
}

fn answer_to(bytes: &[u8]) -> Reason {
    let mut lab = Lab::established();
    lab.inject(US, bytes);
    assert_eq!(lab.states()[US], State::Idle);
    match &lab.failures(US)[..] {
        [Failure::BadMessage { answer }] => {
            lab.run_for(seconds(1) / 10);
            let told = lab.failures(ROUTER);
            assert!(
                matches!(&told[..], [Failure::Notified { notification, .. }] if notification == answer),
                "{told:?}"
            );
            answer.reason
        }
        failures => panic!("{failures:?}"),
    }
}

#[test]
fn nonsense_ends_the_session_with_a_word() {
    assert_eq!(answer_to(&[0; 19]), Reason::NOT_SYNCHRONISED);
    assert_eq!(answer_to(&[&[0xff; 16][..], &[0, 18, 4]].concat()), Reason::BAD_MESSAGE_LENGTH);
    assert_eq!(answer_to(&[&[0xff; 16][..], &[0, 19, 9]].concat()), Reason::BAD_MESSAGE_TYPE);
    let mut update = flood(1).remove(0);
    update[HEADER + 1] = 200;
    assert_eq!(answer_to(&update), Reason::MALFORMED_ATTRIBUTES);
}

#[test]
fn an_open_in_the_middle_of_a_session_ends_it() {
    let open = Open {
        asn: metallb_core::config::Asn::new(64_513).unwrap(),
        four_octet_as: true,
        hold_time: metallb_core::config::HoldTime::NONE,
        router_id: metallb_core::config::RouterId::new([1, 2, 3, 4].into()).unwrap(),
        capabilities: Vec::new(),
    };
    assert_eq!(answer_to(&open.emit()), Reason::UNEXPECTED_IN_ESTABLISHED);
}

#[test]
fn an_attribute_that_cannot_be_honoured_costs_no_session() {
    let mut lab = Lab::established();
    let mut bytes = flood(2).remove(0);
    bytes[HEADER + 4 + 3] = 9; // ORIGIN
    lab.inject(US, &bytes);
    let counters = lab.nodes[US].session.counters();
    assert_eq!(
        (counters.treated_as_withdraw, counters.routes_withdrawn, counters.routes_announced),
        (1, 2, 0)
    );
    assert_eq!(lab.states()[US], State::Established);
}

#[test]
fn half_a_header_waits_and_the_hold_time_still_counts() {
    let mut lab = Lab::established();
    lab.inject(US, &[0xff; 10]);
    assert_eq!(lab.states()[US], State::Established);
    lab.link = false;
    lab.run_for(seconds(90));
    assert_eq!(lab.failures(US)[0].code(), "hold-timer-expired");
}

#[test]
fn a_router_that_does_not_read_holds_up_no_memory_and_is_told_the_last_state() {
    let mut lab = Lab::established();
    lab.nodes[ROUTER].reads = false;
    for round in 0..100 {
        lab.input(US, Input::Routes(routes(round..round + 100)));
        lab.inject(
            US,
            &RouteRefresh { family: AddressFamily::IPV4_UNICAST, demarcation: Demarcation::Request }.emit(),
        );
        // It does say that it is there.
        lab.inject(US, &keepalive());
        assert!(lab.nodes[US].session.adverts().pending() <= 201, "one mark for a prefix, whatever happens");
        lab.run_for(seconds(3));
    }
    assert_eq!(lab.states()[US], State::Established);
    let before = lab.messages.len();
    lab.read_again(ROUTER);
    assert!(lab.table.routes.keys().copied().eq((99..199).map(route)), "{:?}", lab.table.routes.keys());
    let sent =
        lab.messages[before..].iter().filter(|(node, kind)| *node == US && *kind == Kind::Update).count();
    assert!(sent <= 3, "{sent} messages");
}

#[test]
fn a_router_that_never_reads_is_given_up() {
    let mut lab = Lab::established();
    lab.nodes[ROUTER].reads = false;
    lab.input(US, Input::Changes(vec![(route(9), Some(std::sync::Arc::default()))]));
    for _ in 0..47 {
        lab.inject(US, &keepalive());
        lab.run_for(seconds(10));
    }
    assert_eq!(lab.states()[US], State::Established);
    lab.inject(US, &keepalive());
    lab.run_for(seconds(11));
    assert_eq!(lab.failures(US)[0].code(), "send-hold-timer-expired");
}

#[test]
fn a_refresh_is_answered_between_marks() {
    let mut lab = Lab::established();
    lab.inject(
        US,
        &RouteRefresh { family: AddressFamily::IPV4_UNICAST, demarcation: Demarcation::Request }.emit(),
    );
    let ours: Vec<_> = lab.messages.iter().filter(|(node, _)| *node == US).map(|(_, kind)| *kind).collect();
    assert_eq!(ours[ours.len() - 3..], [Kind::RouteRefresh, Kind::Update, Kind::RouteRefresh]);
    // Of a family that nobody speaks, and a mark of an answer to what we never asked.
    let before = lab.messages.len();
    let evpn = AddressFamily { afi: 25, safi: 70 };
    lab.inject(US, &RouteRefresh { family: evpn, demarcation: Demarcation::Request }.emit());
    lab.inject(
        US,
        &RouteRefresh { family: AddressFamily::IPV4_UNICAST, demarcation: Demarcation::End }.emit(),
    );
    assert_eq!((lab.messages.len(), lab.states()[US]), (before, State::Established));
}

#[test]
fn words_for_people_name_what_to_look_at() {
    for (failure, word) in [
        (Failure::Closed { state: State::OpenSent, text: None }, "neighbour"),
        (Failure::HoldTimerExpired { state: State::OpenSent, after: seconds(240) }, "is it a BGP router"),
        (Failure::Collision, "one too many"),
    ] {
        assert!(failure.to_string().contains(word), "{failure}");
    }
}
