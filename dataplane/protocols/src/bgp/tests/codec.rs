//! Properties of the codec: what is written is read as the same, and no bytes do harm.

use metallb_core::address::Family;
use proptest::collection::vec;
use proptest::prelude::*;

use super::generate;
use crate::bgp::wire::{
    Demarcation, Frame, HEADER, Kind, LARGEST, LARGEST_EXTENDED, Notification, Open, Parsed, RouteRefresh,
    Sender, Update,
};

const OWN: Sender = Sender { four_octet_as: true, internal: true };
const OWN_OLD: Sender = Sender { four_octet_as: false, internal: true };

fn frame(bytes: &[u8], kind: Kind) -> Frame<'_> {
    let frame = Frame::split(bytes, LARGEST_EXTENDED).expect("a sound header").expect("all of it");
    assert_eq!((frame.kind, frame.length), (kind, bytes.len()));
    frame
}

fn sound(update: Update) -> Parsed {
    Parsed::Sound { update, set_aside: [].into() }
}

/// Bytes near to what a peer would send: right lengths, and some octet changed.
fn nearly_an_update() -> impl Strategy<Value = Vec<u8>> {
    let bytes = generate::update().prop_map(|update| update.emit(true, LARGEST_EXTENDED).unwrap());
    (bytes, vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)).prop_map(|(mut bytes, changes)| {
        for (at, octet) in changes {
            let at = at.index(bytes.len() - HEADER) + HEADER;
            bytes[at] = octet;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn an_open_is_read_as_it_was_written(open in generate::open()) {
        let bytes = open.emit();
        prop_assert_eq!(Open::parse(frame(&bytes, Kind::Open).body), Ok(open));
    }

    #[test]
    fn an_update_is_read_as_it_was_written(update in generate::update()) {
        let bytes = update.emit(true, LARGEST_EXTENDED).unwrap();
        prop_assert_eq!(Update::parse(frame(&bytes, Kind::Update).body, OWN), Ok(sound(update)));
    }

    #[test]
    fn large_system_numbers_survive_a_sender_that_knows_two_octets(path in generate::as_path()) {
        let mut update = Update::default();
        update.attributes.as_path = Some(path);
        let bytes = update.emit(false, LARGEST_EXTENDED).unwrap();
        let Ok(Parsed::Sound { update: read, .. }) = Update::parse(frame(&bytes, Kind::Update).body, OWN_OLD)
        else { panic!("not understood") };
        let systems = |update: &Update| -> Vec<_> {
            let path = update.attributes.as_path.clone().unwrap();
            path.segments().iter().flat_map(|segment| segment.systems().to_vec()).collect()
        };
        prop_assert_eq!(systems(&read), systems(&update));
    }

    #[test]
    fn a_notification_is_read_as_it_was_written(notification in generate::notification()) {
        let bytes = notification.emit();
        prop_assert_eq!(Notification::parse(frame(&bytes, Kind::Notification).body), Ok(notification));
    }

    #[test]
    fn what_was_understood_is_written_and_understood_as_the_same(bytes in nearly_an_update()) {
        if let Ok(Parsed::Sound { update, .. }) = Update::parse(&bytes[HEADER..], OWN) {
            let again = update.emit(true, LARGEST_EXTENDED).unwrap();
            prop_assert_eq!(Update::parse(&again[HEADER..], OWN), Ok(sound(update)));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..600)) {
        for sender in [OWN, OWN_OLD, Sender::default()] {
            let _ = Update::parse(&bytes, sender);
        }
        let _ = Open::parse(&bytes);
        let _ = RouteRefresh::parse(&bytes);
        let _ = Notification::parse(&bytes).map(|notification| notification.to_string());
        let _ = Frame::split(&bytes, LARGEST);
    }

    #[test]
    fn nearly_sound_bytes_do_not_panic(bytes in nearly_an_update()) {
        for sender in [OWN, OWN_OLD, Sender::default()] {
            let _ = Update::parse(&bytes[HEADER..], sender);
        }
    }

    #[test]
    fn a_stream_is_cut_where_messages_end_however_it_arrives(
        update in generate::update(),
        first in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = update.emit(true, LARGEST_EXTENDED).unwrap();
        let length = bytes.len();
        let part = first.index(length);
        prop_assert_eq!(Frame::split(&bytes[..part], LARGEST_EXTENDED), Ok(None));
        bytes.extend([0xff; 40]);
        prop_assert_eq!(Frame::split(&bytes, LARGEST_EXTENDED).unwrap().unwrap().length, length);
    }
}

#[test]
fn every_refresh_is_read_as_it_was_written() {
    for family in [Family::V4, Family::V6] {
        for demarcation in
            [Demarcation::Request, Demarcation::Beginning, Demarcation::End, Demarcation::Unknown(9)]
        {
            let refresh = RouteRefresh { family: family.into(), demarcation };
            let bytes = refresh.emit();
            assert_eq!(RouteRefresh::parse(frame(&bytes, Kind::RouteRefresh).body), Ok(refresh));
        }
    }
}

#[test]
fn the_end_of_the_routes_is_recognised_in_each_family() {
    for family in [Family::V4, Family::V6] {
        let end = Update::end_of_rib(family);
        assert_eq!(end.ends_rib(), Some(family));
        let bytes = end.emit(true, LARGEST).unwrap();
        assert_eq!(Update::parse(frame(&bytes, Kind::Update).body, OWN), Ok(sound(end)));
    }
    let withdrawal = Update { withdrawn: vec!["10.0.0.0/8".parse().unwrap()], ..Update::default() };
    assert_eq!(withdrawal.ends_rib(), None);
}

#[test]
fn an_update_beyond_the_limit_is_refused_and_not_cut() {
    let nets = (0..2000_u32).map(|n| ipnet::Ipv4Net::new(n.into(), 32).unwrap());
    let update = Update { withdrawn: nets.collect(), ..Update::default() };
    let wrong = update.emit(true, LARGEST).unwrap_err();
    assert_eq!((wrong.length, wrong.limit), (HEADER + 4 + 2000 * 5, LARGEST));
    assert!(update.emit(true, LARGEST_EXTENDED).is_ok());
}
