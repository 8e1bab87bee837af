//! BGP messages, one at a time.

use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use metallb_core::address::Family;
use metallb_core::config::{Asn, Community, HoldTime, RouterId};
use metallb_fuzz::{Allocated, Found, measure, mutated, run};
use metallb_protocols::bgp::wire::{
    AddressFamily, Aggregator, AsPath, Attributes, Capability, Demarcation, Frame, GracefulRestart, HEADER,
    Kind, LARGEST, LARGEST_EXTENDED, MpReach, NextHop, Notification, Open, Origin, Parsed, Prefixes, Reason,
    RestartTime, RouteRefresh, Sender, Short, Update, keepalive,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

/// Octets allocated at one time for one that came in. A prefix is one octet on the wire at least, and many in a list
/// that grows by doubling.
const AMPLIFICATION: u64 = 128;
/// And whatever the length.
const FIXED: u64 = 4096;

const SENDERS: [Sender; 4] = [
    Sender { four_octet_as: true, internal: true },
    Sender { four_octet_as: true, internal: false },
    Sender { four_octet_as: false, internal: true },
    Sender { four_octet_as: false, internal: false },
];

pub fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

/// An OPEN of system 64513 that our side takes.
pub fn open(capabilities: Vec<Capability>) -> Open {
    Open {
        asn: asn(64_513),
        four_octet_as: true,
        hold_time: HoldTime::try_from(Duration::from_secs(90)).unwrap(),
        router_id: RouterId::new([10, 0, 0, 2].into()).unwrap(),
        capabilities,
    }
}

pub fn every_capability() -> Vec<Capability> {
    vec![
        Capability::Multiprotocol(AddressFamily::IPV4_UNICAST),
        Capability::Multiprotocol(AddressFamily::IPV6_UNICAST),
        Capability::RouteRefresh,
        Capability::EnhancedRouteRefresh,
        Capability::ExtendedMessage,
        Capability::ExtendedNextHop(vec![(AddressFamily::IPV4_UNICAST, 2)]),
        Capability::GracefulRestart(GracefulRestart {
            restarting: true,
            notifications: true,
            time: RestartTime::default(),
            families: vec![(AddressFamily::IPV4_UNICAST, true)],
        }),
        Capability::HostName(Short::new("router").unwrap()),
        Capability::Other { code: 200, value: Short::new([1, 2, 3]).unwrap() },
    ]
}

/// OPENs, the last of them in the form of RFC 9072.
pub fn opens() -> Vec<Vec<u8>> {
    let long = Capability::Other { code: 201, value: Short::new([7; 255]).unwrap() };
    vec![
        open(Vec::new()).emit(),
        open(every_capability()).emit(),
        open([every_capability(), vec![long]].concat()).emit(),
    ]
}

fn v4(count: u32) -> Vec<Ipv4Net> {
    (0..count).map(|n| Ipv4Net::new((0x0a00_0000 + n * 256).into(), 24).unwrap()).collect()
}

fn v6(count: u128) -> Vec<Ipv6Net> {
    (0..count).map(|n| Ipv6Net::new(((0xfd00 << 112) + n).into(), 128).unwrap()).collect()
}

fn attributes() -> Attributes {
    Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::origin(asn(64_513))),
        next_hop: Some([10, 0, 0, 2].into()),
        med: Some(1),
        local_preference: Some(100),
        aggregator: Some(Aggregator { asn: asn(70_000), address: [10, 0, 0, 9].into() }),
        communities: [
            Community::Standard { asn: 64_513, value: 1 },
            Community::Large { global: 1, local_1: 2, local_2: 3 },
        ]
        .into(),
        originator_id: Some([10, 0, 0, 3].into()),
        cluster_list: vec![[10, 0, 0, 4].into()],
        ..Attributes::default()
    }
}

/// UPDATEs of every form: routes that come and go, of either family, in either place, and ends of them.
pub fn updates() -> Vec<Vec<u8>> {
    let next_hop =
        NextHop::V6 { global: "fd00::2".parse().unwrap(), link_local: Some("fe80::2".parse().unwrap()) };
    let reach = |prefixes| Some(MpReach { next_hop, prefixes });
    let all = Update {
        withdrawn: v4(3),
        mp_withdrawn: Some(Prefixes::V6(v6(3))),
        mp_announced: reach(Prefixes::V6(v6(4))),
        attributes: attributes(),
        announced: v4(4),
    };
    let many = Update { attributes: attributes(), announced: v4(900), ..Update::default() };
    let over_v6 =
        Update { attributes: attributes(), mp_announced: reach(Prefixes::V4(v4(2))), ..Update::default() };
    let ends = [Family::V4, Family::V6].map(Update::end_of_rib);
    let updates = [all, many, over_v6].into_iter().chain(ends);
    updates.flat_map(|update| [true, false].map(|four| update.emit(four, LARGEST).unwrap())).collect()
}

pub fn notifications() -> Vec<Vec<u8>> {
    let spoken =
        Notification::with_communication(Reason::ADMINISTRATIVE_SHUTDOWN, "maintenance, back at noon");
    let all = [
        Reason::HOLD_TIMER_EXPIRED.into(),
        Reason::UNSUPPORTED_PARAMETER.into(),
        spoken.clone().hard(),
        spoken,
    ];
    all.iter().map(Notification::emit).collect()
}

pub fn refreshes() -> Vec<Vec<u8>> {
    let marks = [Demarcation::Request, Demarcation::Beginning, Demarcation::End, Demarcation::Unknown(7)];
    marks.map(|demarcation| RouteRefresh { family: AddressFamily::IPV4_UNICAST, demarcation }.emit()).to_vec()
}

fn bodies(messages: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    mutated(messages.into_iter().map(|message| message[HEADER..].to_vec()).collect())
}

/// The whole message, which any receiver without extended messages can read.
pub fn readable(bytes: &[u8], kind: Kind) -> &[u8] {
    let frame = Frame::split(bytes, LARGEST).expect("a sound header").expect("all of it");
    assert_eq!((frame.kind, frame.length), (kind, bytes.len()));
    frame.body
}

/// An answer to an error is a NOTIFICATION.
pub fn answers(answer: &Notification) -> TestCaseResult {
    let bytes = answer.emit();
    let read = Notification::parse(readable(&bytes, Kind::Notification)).expect("it is long enough");
    prop_assert_eq!(read.reason, answer.reason);
    prop_assert_ne!(read.reason.code, 0, "no reason has this code");
    prop_assert!(!answer.to_string().is_empty());
    Ok(())
}

fn bounded(allocated: Allocated, bytes: &[u8]) -> TestCaseResult {
    let length = u64::try_from(bytes.len()).unwrap();
    prop_assert!(allocated.peak <= FIXED + AMPLIFICATION * length, "{:?} for {} octets", allocated, length);
    prop_assert!(
        allocated.total <= 2 * (FIXED + AMPLIFICATION * length),
        "{:?} for {} octets",
        allocated,
        length
    );
    Ok(())
}

#[test]
fn any_open_is_read_or_answered() -> Result<(), Found> {
    run(bodies(opens()), |body| {
        let (read, allocated) = measure(|| Open::parse(&body));
        bounded(allocated, &body)?;
        match read {
            Ok(open) => {
                let again = open.emit();
                let again = Open::parse(readable(&again, Kind::Open));
                // Those beyond what fits are left out.
                prop_assert!(body.len() > 3800 || again == Ok(open.clone()), "{:?}, then {:?}", open, again);
                Ok(())
            }
            Err(answer) => answers(&answer),
        }
    })
}

#[test]
fn any_update_is_read_or_answered() -> Result<(), Found> {
    run(bodies(updates()), |body| {
        for sender in SENDERS {
            let (read, allocated) = measure(|| Update::parse(&body, sender));
            bounded(allocated, &body)?;
            match read {
                Ok(Parsed::Sound { update, set_aside }) => {
                    let written = update.emit(sender.four_octet_as, LARGEST_EXTENDED).unwrap();
                    let again = Update::parse(&written[HEADER..], sender);
                    // A sender that knows two octets cannot pass on as it is what one with four said.
                    if sender.four_octet_as && set_aside.is_empty() {
                        prop_assert_eq!(again, Ok(Parsed::Sound { update, set_aside }));
                    } else {
                        prop_assert!(matches!(again, Ok(Parsed::Sound { .. })), "{:?}", again);
                    }
                }
                Ok(Parsed::Withdraw { faults, routes }) => {
                    prop_assert!(!faults.is_empty());
                    prop_assert!(routes.len() <= body.len(), "a route is an octet at least");
                }
                Err(answer) => answers(&answer)?,
            }
        }
        Ok(())
    })
}

#[test]
fn any_notification_is_read_and_can_be_told() -> Result<(), Found> {
    run(bodies(notifications()), |body| {
        let (read, allocated) = measure(|| Notification::parse(&body));
        bounded(allocated, &body)?;
        match read {
            Ok(notification) => {
                let bytes = notification.emit();
                prop_assert_eq!(
                    Notification::parse(readable(&bytes, Kind::Notification)),
                    Ok(notification.clone())
                );
                let told = notification.to_string();
                prop_assert!(!told.chars().any(char::is_control), "a line of a log stays one: {:?}", told);
                Ok(())
            }
            Err(answer) => answers(&answer),
        }
    })
}

#[test]
fn any_refresh_is_read_or_answered() -> Result<(), Found> {
    run(bodies(refreshes()), |body| {
        let (read, allocated) = measure(|| RouteRefresh::parse(&body));
        bounded(allocated, &body)?;
        match read {
            Ok(refresh) => {
                let bytes = refresh.emit();
                prop_assert_eq!(RouteRefresh::parse(readable(&bytes, Kind::RouteRefresh)), Ok(refresh));
                Ok(())
            }
            Err(answer) => answers(&answer),
        }
    })
}

/// Every kind of message, whole.
pub fn messages() -> Vec<Vec<u8>> {
    [opens(), updates(), notifications(), refreshes(), vec![keepalive()]].concat()
}

#[test]
fn any_stream_is_cut_into_messages_or_answered_and_always_gets_on() -> Result<(), Found> {
    run(proptest::collection::vec(mutated(messages()), 1..5), |stream| {
        let stream = stream.concat();
        for limit in [LARGEST, LARGEST_EXTENDED] {
            let mut rest = stream.as_slice();
            loop {
                let (split, allocated) = measure(|| Frame::split(rest, limit));
                prop_assert!(allocated.peak <= 64, "a view, and not a copy: {:?}", allocated);
                match split {
                    Ok(Some(frame)) => {
                        prop_assert!((HEADER..=limit).contains(&frame.length));
                        prop_assert_eq!(frame.body.len() + HEADER, frame.length);
                        rest = &rest[frame.length..];
                    }
                    Ok(None) => {
                        prop_assert!(rest.len() < limit, "no message waits for more than the longest has");
                        break;
                    }
                    Err(answer) => break answers(&answer)?,
                }
            }
        }
        Ok(())
    })
}
