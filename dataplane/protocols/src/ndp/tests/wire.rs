//! Router solicitations and advertisements: captured bytes, what is refused, and that nothing panics.

use std::cmp::Ordering;
use std::net::Ipv6Addr;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::ethernet::Mac;
use crate::ndp::wire::{Advertisement, Arrival, Malformed, Message, Solicitation};

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const MAC: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x11]);

fn from(address: Ipv6Addr) -> Arrival {
    Arrival { from: address, hop_limit: 255 }
}

/// What FRR's zebra sends with `no ipv6 nd suppress-ra`: lifetime 30 seconds, and its link-layer address.
const ADVERTISED: [u8; 24] = [
    134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, // header
    1, 1, 0x02, 0x77, 0, 0, 0, 0x11, // source link-layer address
];

fn advertisement() -> Advertisement {
    Advertisement {
        hop_limit: NonZeroU8::new(64),
        router_lifetime: NonZeroU16::new(30),
        source: Some(MAC),
        ..Advertisement::default()
    }
}

/// What Linux sends when an interface comes up.
const SOLICITED: [u8; 16] = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x02, 0x77, 0, 0, 0, 0x11];

#[test]
fn captured_packets_are_read_and_written_byte_for_byte() {
    let solicitation = Message::Solicitation(Solicitation { source: Some(MAC) });
    for (bytes, message) in
        [(&ADVERTISED[..], Message::Advertisement(advertisement())), (&SOLICITED[..], solicitation)]
    {
        assert_eq!(Message::parse(from(ROUTER), bytes), Ok(message));
        assert_eq!(message.emit(), bytes);
    }
}

#[test]
fn the_checksum_is_not_ours_to_check() {
    let mut sealed = ADVERTISED;
    sealed[2..4].copy_from_slice(&[0xbe, 0xef]);
    assert_eq!(Message::parse(from(ROUTER), &sealed), Ok(Message::Advertisement(advertisement())));
}

#[test]
fn every_field_of_an_advertisement_has_its_place() {
    let bytes = [134, 0, 0, 0, 1, 0xff, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let message = Advertisement {
        hop_limit: NonZeroU8::new(1),
        managed: true,
        other: true,
        router_lifetime: NonZeroU16::new(0x0203),
        reachable_time: NonZeroU32::new(0x0405_0607),
        retransmission_timer: NonZeroU32::new(0x0809_0a0b),
        source: None,
    };
    assert_eq!(Message::parse(from(ROUTER), &bytes), Ok(Message::Advertisement(message)));
    let written = Message::Advertisement(message).emit();
    assert_eq!(written[5], 0xc0, "bits that are reserved are sent as zero");
    assert_eq!((&written[..5], &written[6..]), (&bytes[..5], &bytes[6..]));
}

#[test]
fn what_is_not_from_a_neighbour_is_refused_by_what_it_is() {
    let far = Arrival { from: ROUTER, hop_limit: 254 };
    assert_eq!(Message::parse(far, &ADVERTISED), Err(Malformed::HopLimit(254)));
    assert_eq!(Message::parse(far, &SOLICITED), Err(Malformed::HopLimit(254)));
    for source in ["::", "2001:db8::2", "fec0::2", "ff02::2", "::ffff:192.0.2.2"] {
        let source = source.parse().unwrap();
        assert_eq!(Message::parse(from(source), &ADVERTISED), Err(Malformed::NotLinkLocal(source)));
    }
    assert_eq!(Message::parse(from(Ipv6Addr::UNSPECIFIED), &SOLICITED), Err(Malformed::LinkLayerOfNobody));
    let anonymous = Message::Solicitation(Solicitation { source: None });
    assert_eq!(Message::parse(from(Ipv6Addr::UNSPECIFIED), &SOLICITED[..8]), Ok(anonymous));
}

#[test]
fn a_packet_that_is_cut_off_is_refused_wherever_that_is() {
    for (bytes, header) in [(&ADVERTISED[..], 16), (&SOLICITED[..], 8)] {
        for length in 0..bytes.len() {
            let read = Message::parse(from(ROUTER), &bytes[..length]);
            match length.cmp(&header) {
                Ordering::Less => assert_eq!(read, Err(Malformed::Truncated), "{length}"),
                Ordering::Equal => assert!(read.is_ok(), "options are none"),
                Ordering::Greater => assert_eq!(read, Err(Malformed::OptionTruncated), "{length}"),
            }
        }
    }
}

#[test]
fn a_header_or_an_option_that_must_not_be_is_refused() {
    let changed = |position: usize, byte: u8| {
        let mut bytes = ADVERTISED;
        bytes[position] = byte;
        Message::parse(from(ROUTER), &bytes)
    };
    assert_eq!(changed(0, 135), Err(Malformed::OtherType(135)));
    assert_eq!(changed(1, 1), Err(Malformed::Code(1)));
    assert_eq!(changed(17, 0), Err(Malformed::EmptyOption));
    assert_eq!(changed(17, 2), Err(Malformed::OptionTruncated));
    assert_eq!(changed(17, 255), Err(Malformed::OptionTruncated));
}

#[test]
fn options_that_say_nothing_to_us_are_passed_over() {
    let mtu = [5, 1, 0, 0, 0, 0, 5, 220];
    let dns = [[25, 3, 0, 0, 0, 0, 0, 30], [0x20; 8], [0; 8]].concat();
    let of_another_kind_of_link = [[1, 3, 0, 0, 0, 0, 0, 1], [2; 8], [3; 8]].concat();
    let known = &ADVERTISED[16..];
    for (options, source) in [
        ([&mtu[..], &dns, known].concat(), Some(MAC)),
        ([known, &mtu, &dns].concat(), Some(MAC)),
        (of_another_kind_of_link, None),
        (Vec::new(), None),
    ] {
        let bytes = [&ADVERTISED[..16], &options].concat();
        let expected = Message::Advertisement(Advertisement { source, ..advertisement() });
        assert_eq!(Message::parse(from(ROUTER), &bytes), Ok(expected), "{options:?}");
    }
}

prop_compose! {
    fn advertisements()(
        hop_limit: u8,
        flags: (bool, bool),
        lifetime: u16,
        times: (u32, u32),
        source: Option<[u8; 6]>,
    ) -> Message {
        Message::Advertisement(Advertisement {
            hop_limit: NonZeroU8::new(hop_limit),
            managed: flags.0,
            other: flags.1,
            router_lifetime: NonZeroU16::new(lifetime),
            reachable_time: NonZeroU32::new(times.0),
            retransmission_timer: NonZeroU32::new(times.1),
            source: source.map(Mac),
        })
    }
}

fn solicitations() -> impl Strategy<Value = Message> {
    any::<Option<[u8; 6]>>()
        .prop_map(|source| Message::Solicitation(Solicitation { source: source.map(Mac) }))
}

proptest! {
    #[test]
    fn what_we_emit_we_parse(message in prop_oneof![advertisements(), solicitations()]) {
        prop_assert_eq!(Message::parse(from(ROUTER), &message.emit()), Ok(message));
    }

    #[test]
    fn no_bytes_panic_and_what_is_read_can_be_written(
        kind in prop_oneof![Just(133_u8), Just(134), any::<u8>()],
        rest in vec(any::<u8>(), 0..80),
        link_local: bool,
    ) {
        let source = if link_local { ROUTER } else { Ipv6Addr::UNSPECIFIED };
        let bytes = [vec![kind, 0], rest].concat();
        if let Ok(message) = Message::parse(from(source), &bytes) {
            prop_assert_eq!(Message::parse(from(ROUTER), &message.emit()), Ok(message));
        }
    }

    #[test]
    fn no_options_panic(options in vec(prop_oneof![0_u8..6, any::<u8>()], 0..80)) {
        let bytes = [&ADVERTISED[..16], &options].concat();
        if Message::parse(from(ROUTER), &bytes).is_ok() {
            prop_assert_eq!(options.len() % 8, 0, "all of them were read to their ends");
        }
    }
}
