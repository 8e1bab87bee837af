//! Messages whose bytes are known, both ways.

use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Asn, Community, HoldTime, RouterId};

use crate::bgp::wire::{
    AddressFamily, AsPath, Attributes, Capability, Demarcation, Frame, GracefulRestart, LARGEST, MpReach,
    NextHop, Notification, Open, Origin, Parsed, Prefixes, Reason, RestartTime, RouteRefresh, Sender, Short,
    Update, keepalive,
};

/// Hexadecimal digits, with spaces for the reader; `marker` stands for its 16 octets.
fn bytes(hex: &str) -> Vec<u8> {
    let hex = hex.replace("marker", &"ff".repeat(16)).replace(char::is_whitespace, "");
    let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(octet).collect()
}

fn body(message: &[u8]) -> &[u8] {
    Frame::split(message, LARGEST).unwrap().unwrap().body
}

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

#[test]
fn a_keepalive_is_nineteen_octets() {
    assert_eq!(keepalive(), bytes("marker 0013 04"));
}

#[test]
fn an_open_with_every_capability_we_offer() {
    let open = Open {
        asn: asn(4_200_000_000),
        four_octet_as: true,
        hold_time: HoldTime::try_from(Duration::from_mins(3)).unwrap(),
        router_id: RouterId::new([192, 0, 2, 1].into()).unwrap(),
        capabilities: vec![
            Capability::Multiprotocol(AddressFamily::IPV4_UNICAST),
            Capability::Multiprotocol(AddressFamily::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::EnhancedRouteRefresh,
            Capability::ExtendedMessage,
            Capability::ExtendedNextHop(vec![(AddressFamily::IPV4_UNICAST, 2)]),
            Capability::GracefulRestart(GracefulRestart {
                restarting: true,
                notifications: true,
                time: RestartTime::new(120).unwrap(),
                families: vec![(AddressFamily::IPV4_UNICAST, true)],
            }),
            Capability::HostName(Short::new("a").unwrap()),
        ],
    };
    let known = bytes(
        "marker 004c 01 04 5ba0 00b4 c0000201 2f 02 2d
         41 04 fa56ea00  01 04 0001 00 01  01 04 0002 00 01  02 00  46 00  06 00
         05 06 0001 0001 0002  40 06 c078 0001 01 80  49 03 01 61 00",
    );
    assert_eq!(open.emit(), known);
    assert_eq!(Open::parse(body(&known)), Ok(open));
}

#[test]
fn parameters_of_more_than_an_octet_can_say_take_the_form_of_rfc_9072() {
    let value = Short::new(vec![7; 254]).unwrap();
    let open = Open {
        asn: asn(65_000),
        four_octet_as: false,
        hold_time: HoldTime::NONE,
        router_id: RouterId::new([1, 1, 1, 1].into()).unwrap(),
        capabilities: vec![Capability::Other { code: 200, value }],
    };
    let mut known = bytes("marker 0123 01 04 fde8 0000 01010101 ff ff 0103 02 0100 c8 fe");
    known.extend([7; 254]);
    assert_eq!(open.emit(), known);
    assert_eq!(Open::parse(body(&known)), Ok(open));
}

#[test]
fn the_form_of_rfc_9072_is_understood_where_it_would_not_be_needed() {
    for length in ["ff", "07"] {
        let known = format!("marker 0029 01 04 fde8 0000 01010101 {length} ff 0009 02 0006 41 04 0000fde8");
        let open = Open::parse(body(&bytes(&known))).unwrap();
        assert!(open.four_octet_as, "{length}");
    }
}

/// What we announce to a router of another system over IPv4.
#[test]
fn an_ipv4_route_with_communities() {
    let update = Update {
        attributes: Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::origin(asn(64_512))),
            next_hop: Some([10, 0, 0, 1].into()),
            med: Some(0),
            communities: ["64512:100".parse().unwrap(), "large:64512:1:2".parse::<Community>().unwrap()]
                .into(),
            ..Attributes::default()
        },
        announced: vec!["192.0.2.10/32".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
        withdrawn: vec!["203.0.113.7/32".parse().unwrap()],
        ..Update::default()
    };
    let known = bytes(
        "marker 0056 02 0005 20cb007107 0031
         40 01 01 00  40 02 06 0201 0000fc00  40 03 04 0a000001  80 04 04 00000000
         c0 08 04 fc000064  c0 20 0c 0000fc00 00000001 00000002
         20c000020a 18c63364",
    );
    assert_eq!(update.emit(true, LARGEST), Ok(known.clone()));
    let read = Update::parse(body(&known), Sender { four_octet_as: true, internal: false });
    assert_eq!(read, Ok(Parsed::Sound { update, set_aside: [].into() }));
}

/// What we announce to a router of our own system over IPv6.
#[test]
fn an_ipv6_route_with_two_next_hops() {
    let update = Update {
        mp_withdrawn: Some(Prefixes::V6(vec!["2001:db8::/32".parse().unwrap()])),
        mp_announced: Some(MpReach {
            next_hop: NextHop::V6 {
                global: "2001:db8::1".parse().unwrap(),
                link_local: Some("fe80::1".parse().unwrap()),
            },
            prefixes: Prefixes::V6(vec!["2001:db8:1::/48".parse().unwrap()]),
        }),
        attributes: Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::default()),
            local_preference: Some(100),
            ..Attributes::default()
        },
        ..Update::default()
    };
    let known = bytes(
        "marker 005f 02 0000 0048
         80 0f 08 0002 01 20 20010db8
         80 0e 2c 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 30 20010db80001
         40 01 01 00  40 02 00  40 05 04 00000064",
    );
    assert_eq!(update.emit(true, LARGEST), Ok(known.clone()));
    let read = Update::parse(body(&known), Sender { four_octet_as: true, internal: true });
    assert_eq!(read, Ok(Parsed::Sound { update, set_aside: [].into() }));
}

#[test]
fn an_ipv4_route_with_an_ipv6_next_hop_as_rfc_8950_has_it() {
    let reach = MpReach {
        next_hop: NextHop::V6 { global: "fe80::1".parse().unwrap(), link_local: None },
        prefixes: Prefixes::V4(vec!["192.0.2.0/24".parse().unwrap()]),
    };
    let update = Update { mp_announced: Some(reach), ..Update::default() };
    let known =
        bytes("marker 0033 02 0000 001c 80 0e 19 0001 01 10 fe80000000000000 0000000000000001 00 18c00002");
    assert_eq!(update.emit(true, LARGEST), Ok(known));
}

#[test]
fn a_large_system_goes_to_an_old_router_in_two_attributes() {
    let mut update = Update::default();
    update.attributes.as_path = Some(AsPath::origin(asn(4_200_000_000)));
    let known = bytes("marker 0027 02 0000 0010  40 02 04 0201 5ba0  c0 11 06 0201 fa56ea00");
    assert_eq!(update.emit(false, LARGEST), Ok(known));
}

#[test]
fn a_shutdown_with_a_word_to_the_operator() {
    let notification = Notification::with_communication(Reason::ADMINISTRATIVE_SHUTDOWN, "node drained");
    let known = bytes("marker 0022 03 06 02 0c 6e6f646520647261696e6564");
    assert_eq!(notification.emit(), known);
    let read = Notification::parse(body(&known)).unwrap();
    assert_eq!(read.communication().as_deref(), Some("node drained"));
    assert_eq!(read.to_string(), "administrative shutdown (6/2): “node drained”");
}

#[test]
fn a_hard_reset_carries_what_it_is_for() {
    let inner = Notification::with_communication(Reason::ADMINISTRATIVE_SHUTDOWN, "ü");
    let hard = inner.clone().hard();
    assert_eq!(hard.emit(), bytes("marker 001a 03 06 09 06 02 02 c3bc"));
    assert_eq!(hard.cause(), inner);
    assert_eq!(hard.to_string(), "hard reset, administrative shutdown (6/2): “ü”");
}

#[test]
fn a_word_to_the_operator_is_cut_between_characters() {
    let long = "ü".repeat(200);
    let cut = Notification::with_communication(Reason::ADMINISTRATIVE_RESET, &long).communication();
    assert_eq!(cut, Some("ü".repeat(127)));
}

#[test]
fn control_characters_of_a_peer_do_not_reach_a_terminal() {
    let evil = Notification::with_communication(Reason::ADMINISTRATIVE_SHUTDOWN, "\u{1b}[2Jgone");
    assert_eq!(evil.communication().as_deref(), Some("[2Jgone"));
}

#[test]
fn refreshes_are_four_octets() {
    let family = AddressFamily::from(Family::V6);
    for (demarcation, known) in [
        (Demarcation::Request, "marker 0017 05 0002 00 01"),
        (Demarcation::Beginning, "marker 0017 05 0002 01 01"),
        (Demarcation::End, "marker 0017 05 0002 02 01"),
    ] {
        assert_eq!(RouteRefresh { family, demarcation }.emit(), bytes(known));
    }
}
