//! What errors cost: RFC 7606 attribute by attribute, and the NOTIFICATIONs of RFC 4271 §6.

use crate::bgp::wire::{
    Fault, Frame, LARGEST, LARGEST_EXTENDED, Open, Parsed, Reason, RouteRefresh, Sender, Update,
};

const EXTERNAL: Sender = Sender { four_octet_as: true, internal: false };
const INTERNAL: Sender = Sender { four_octet_as: true, internal: true };

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 10, 0, 0, 1];
const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// 192.0.2.0/24.
const ROUTE: &[u8] = &[24, 192, 0, 2];

/// The body of an UPDATE with these attributes, and [`ROUTE`].
fn body(attributes: &[&[u8]]) -> Vec<u8> {
    with_routes(attributes, ROUTE)
}

fn with_routes(attributes: &[&[u8]], routes: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    [&[0, 0], &length[..], &attributes, routes].concat()
}

fn parse(sender: Sender, attributes: &[&[u8]]) -> Parsed {
    Update::parse(&body(attributes), sender).expect("the session stays")
}

fn set_aside(sender: Sender, attribute: &[u8]) -> Vec<Fault> {
    match parse(sender, &[ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, attribute]) {
        Parsed::Sound { update, set_aside } => {
            assert_eq!(update.announced.len(), 1);
            set_aside.into_iter().collect()
        }
        Parsed::Withdraw { faults, .. } => panic!("withdrawn for {faults:?}"),
    }
}

fn withdrawn(sender: Sender, attributes: &[&[u8]]) -> Vec<Fault> {
    match parse(sender, attributes) {
        Parsed::Withdraw { routes, faults } => {
            assert_eq!(routes, ["192.0.2.0/24".parse().unwrap()]);
            faults.into_iter().collect()
        }
        Parsed::Sound { update, set_aside } => panic!("taken: {update:?} {set_aside:?}"),
    }
}

#[test]
fn an_attribute_that_a_route_can_do_without_is_set_aside() {
    assert_eq!(set_aside(INTERNAL, &[0x40, 6, 1, 0]), [Fault::Value(6)], "ATOMIC_AGGREGATE");
    assert_eq!(set_aside(INTERNAL, &[0xc0, 7, 6, 0, 0, 0, 0, 0, 1]), [Fault::Value(7)], "AGGREGATOR");
    assert_eq!(set_aside(INTERNAL, &[0xc0, 7, 8, 0, 0, 0, 0, 1, 1, 1, 1]), [Fault::Value(7)], "system 0");
    assert_eq!(set_aside(INTERNAL, &[0xc0, 17, 6, 2, 1, 0, 0, 0, 1]), [Fault::Unexpected(17)], "AS4_PATH");
    let old = Sender { four_octet_as: false, internal: true };
    let path = &[0x40, 2, 4, 2, 1, 0xfc, 0];
    let as4 = &[0xc0, 17, 3, 2, 9, 0];
    let Parsed::Sound { set_aside, .. } = parse(old, &[ORIGIN, path, NEXT_HOP, LOCAL_PREF, as4]) else {
        panic!("withdrawn")
    };
    assert_eq!(set_aside, [Fault::Value(17)].into());
}

#[test]
fn what_only_our_own_system_may_say_is_set_aside_when_another_says_it() {
    for (code, length) in [(5, 4), (9, 4), (10, 8)] {
        let flags = if code == 5 { 0x40 } else { 0x80 };
        let attribute = [&[flags, code, length][..], &vec![1; length.into()]].concat();
        let Parsed::Sound { set_aside, .. } = parse(EXTERNAL, &[ORIGIN, AS_PATH, NEXT_HOP, &attribute])
        else {
            panic!("withdrawn for {code}")
        };
        assert_eq!(set_aside, [Fault::Unexpected(code)].into());
    }
}

#[test]
fn of_an_attribute_that_comes_twice_the_first_counts() {
    let faults = set_aside(INTERNAL, &[0x40, 5, 4, 0, 0, 0, 7]);
    assert_eq!(faults, [Fault::Repeated(5)]);
}

#[test]
fn a_route_with_an_attribute_that_cannot_be_honoured_is_gone() {
    let cases: &[(&[u8], Fault)] = &[
        (&[0x40, 1, 1, 3], Fault::Value(1)),
        (&[0x40, 1, 2, 0, 0], Fault::Value(1)),
        (&[0xc0, 1, 1, 0], Fault::Flags(1)),
        (&[0x40, 2, 1, 2], Fault::Value(2)),
        (&[0x40, 2, 2, 2, 0], Fault::Value(2)),
        (&[0x40, 2, 6, 5, 1, 0, 0, 0, 1], Fault::Value(2)),
        (&[0x40, 2, 6, 2, 1, 0, 0, 0, 0], Fault::Value(2)),
        (&[0x40, 2, 6, 2, 2, 0, 0, 0, 1], Fault::Value(2)),
        (&[0x40, 3, 3, 10, 0, 0], Fault::Value(3)),
        (&[0x80, 4, 3, 0, 0, 0], Fault::Value(4)),
        (&[0xc0, 4, 4, 0, 0, 0, 0], Fault::Flags(4)),
        (&[0x40, 5, 3, 0, 0, 0], Fault::Value(5)),
        (&[0xc0, 8, 0], Fault::Value(8)),
        (&[0xc0, 8, 5, 0, 0, 0, 0, 0], Fault::Value(8)),
        (&[0x80, 9, 3, 0, 0, 0], Fault::Value(9)),
        (&[0x80, 10, 0], Fault::Value(10)),
        (&[0xc0, 16, 7, 0, 0, 0, 0, 0, 0, 0], Fault::Value(16)),
        (&[0xc0, 32, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Fault::Value(32)),
        (&[0xc0, 8, 200, 0], Fault::Overrun),
        (&[0xc0, 8], Fault::Overrun),
    ];
    for (wrong, fault) in cases {
        let sound = [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF];
        let others = sound.into_iter().filter(|attribute| attribute[1] != wrong[1]);
        let attributes: Vec<_> = others.chain([*wrong]).collect();
        assert_eq!(withdrawn(INTERNAL, &attributes), [*fault], "{wrong:x?}");
    }
}

#[test]
fn a_route_that_lacks_what_every_route_has_is_gone() {
    let all = [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF];
    for missing in all {
        let attributes: Vec<_> = all.into_iter().filter(|attribute| *attribute != missing).collect();
        assert_eq!(withdrawn(INTERNAL, &attributes), [Fault::Missing(missing[1])]);
    }
    assert!(matches!(parse(EXTERNAL, &all[..3]), Parsed::Sound { .. }), "others give no preference");
}

fn reset(body: &[u8]) -> Reason {
    Update::parse(body, EXTERNAL).expect_err("the session ends").reason
}

#[test]
fn only_routes_that_cannot_be_told_end_the_session() {
    assert_eq!(reset(&[0]), Reason::MALFORMED_ATTRIBUTES, "too short");
    assert_eq!(reset(&[0, 9, 0, 0]), Reason::MALFORMED_ATTRIBUTES, "withdrawn routes go on behind the end");
    assert_eq!(reset(&[0, 0, 0, 9]), Reason::MALFORMED_ATTRIBUTES, "attributes go on behind the end");
    assert_eq!(reset(&with_routes(&[ORIGIN, AS_PATH, NEXT_HOP], &[33, 1, 2, 3, 4, 5])), Reason::BAD_PREFIX);
    assert_eq!(reset(&with_routes(&[], &[24, 1])), Reason::BAD_PREFIX);
    assert_eq!(reset(&body(&[&[0x40, 99, 0]])), Reason::UNRECOGNISED_WELL_KNOWN);
    let short_next_hop = &[0x80, 14, 6, 0, 2, 1, 1, 0, 0];
    assert_eq!(reset(&body(&[short_next_hop])), Reason::OPTIONAL_ATTRIBUTE);
    let unreach = &[0x80, 15, 3, 0, 2, 1];
    assert_eq!(reset(&body(&[unreach, unreach])), Reason::MALFORMED_ATTRIBUTES, "two lists");
    let hidden = with_routes(&[&[0x40, 1, 1, 9]], &[]);
    assert_eq!(reset(&hidden), Reason::MALFORMED_ATTRIBUTES, "attributes of routes that are not there");
}

#[test]
fn routes_of_a_family_that_we_do_not_speak_are_passed_over() {
    let evpn = &[0x80, 14, 9, 0, 25, 70, 4, 1, 1, 1, 1, 0];
    let Parsed::Sound { update, .. } = parse(EXTERNAL, &[ORIGIN, AS_PATH, NEXT_HOP, evpn]) else {
        panic!("withdrawn")
    };
    assert_eq!((update.mp_announced, update.attributes.unrecognised.len()), (None, 1));
}

fn header(length: u16, kind: u8, limit: usize) -> Result<bool, Reason> {
    let bytes = [&[0xff; 16], &length.to_be_bytes()[..], &[kind]].concat();
    Frame::split(&bytes, limit).map(|frame| frame.is_some()).map_err(|notification| notification.reason)
}

#[test]
fn a_header_that_cannot_be_right_is_refused_at_once() {
    let mut marker = [0xff; 19];
    marker[3] = 0;
    let wrong = Frame::split(&marker[..4], LARGEST).expect_err("no marker");
    assert_eq!(wrong.reason, Reason::NOT_SYNCHRONISED);
    for (length, kind) in [(18, 4), (20, 4), (28, 1), (22, 2), (20, 3), (22, 5), (4097, 2)] {
        assert_eq!(header(length, kind, LARGEST), Err(Reason::BAD_MESSAGE_LENGTH), "{length} {kind}");
    }
    assert_eq!(header(19, 6, LARGEST), Err(Reason::BAD_MESSAGE_TYPE));
    assert_eq!(header(19, 0, LARGEST), Err(Reason::BAD_MESSAGE_TYPE));
}

#[test]
fn long_messages_are_for_those_that_agreed_on_them_and_never_opens() {
    assert_eq!(header(4097, 2, LARGEST_EXTENDED), Ok(false));
    assert_eq!(header(4097, 1, LARGEST_EXTENDED), Err(Reason::BAD_MESSAGE_LENGTH));
}

/// An OPEN of version 4 with this system, hold time, identifier and parameters.
fn open(asn: u16, hold: u16, id: u32, parameters: &[u8]) -> Result<Open, Reason> {
    let fixed = [&[4], &asn.to_be_bytes()[..], &hold.to_be_bytes(), &id.to_be_bytes()].concat();
    let length = [u8::try_from(parameters.len()).unwrap()];
    Open::parse(&[&fixed, &length[..], parameters].concat()).map_err(|notification| notification.reason)
}

#[test]
fn an_open_that_cannot_be_right_is_refused_for_what_is_wrong() {
    let as4 = |number: u32| [&[2, 6, 65, 4][..], &number.to_be_bytes()].concat();
    assert_eq!(open(0, 90, 1, &[]), Err(Reason::BAD_PEER_AS));
    assert_eq!(open(64_512, 90, 1, &as4(0)), Err(Reason::BAD_PEER_AS));
    assert_eq!(open(64_512, 90, 1, &as4(64_513)), Err(Reason::BAD_PEER_AS), "two statements");
    assert_eq!(open(23_456, 90, 1, &as4(23_456)), Err(Reason::BAD_PEER_AS));
    assert_eq!(open(64_512, 90, 0, &[]), Err(Reason::BAD_IDENTIFIER));
    assert_eq!(open(64_512, 2, 1, &[]), Err(Reason::UNACCEPTABLE_HOLD_TIME));
    assert_eq!(open(64_512, 90, 1, &[1, 0]), Err(Reason::UNSUPPORTED_PARAMETER));
    assert_eq!(open(64_512, 90, 1, &[2, 9]), Err(Reason::MALFORMED_OPEN));
    assert_eq!(open(64_512, 90, 1, &[2, 2, 65, 4]), Err(Reason::MALFORMED_OPEN));
    assert_eq!(
        Open::parse(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err().data(),
        [0, 4],
        "the version we speak"
    );
    assert_eq!(open(23_456, 90, 1, &as4(70_000)).map(|open| open.asn.get()), Ok(70_000));
    assert_eq!(open(23_456, 90, 1, &[]).map(|open| open.asn.get()), Ok(23_456), "an old router");
}

#[test]
fn a_mark_of_a_refresh_with_something_behind_it_is_refused() {
    assert_eq!(RouteRefresh::parse(&[0, 1, 1, 1, 0]).unwrap_err().reason, Reason::BAD_REFRESH_LENGTH);
    assert!(RouteRefresh::parse(&[0, 1, 0, 1, 0]).is_ok(), "a filter that nobody asked for");
}
