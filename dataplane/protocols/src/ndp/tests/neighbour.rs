//! Neighbour solicitations and advertisements: captured frames, what is refused, and that nothing panics.

use std::net::Ipv6Addr;

use proptest::option;
use proptest::prelude::*;

use crate::ethernet::Mac;
use crate::ndp::ALL_NODES;
use crate::ndp::wire::Malformed;
use crate::ndp::wire::neighbour::{
    Advertisement, FRAME_LENGTH, Message, Packet, Solicitation, solicited_node,
};

pub const CLIENT: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x50]);
pub const STATION: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x11]);
pub const VIP: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0xc8);
pub const ASKER: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x50);

/// What Linux sends for `ping fd77::c8` from fd77::50.
pub const ASKED: [u8; FRAME_LENGTH] = [
    0x33, 0x33, 0xff, 0x00, 0x00, 0xc8, 0x02, 0x77, 0x00, 0x00, 0x00, 0x50, 0x86, 0xdd, // Ethernet
    0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // IPv6
    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, // from
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0xc8, // to
    0x87, 0x00, 0x7a, 0x08, 0x00, 0x00, 0x00, 0x00, // solicitation
    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc8, // target
    0x01, 0x01, 0x02, 0x77, 0x00, 0x00, 0x00, 0x50, // source link-layer address
];

/// What Linux answers that has fd77::c8.
pub const ANSWERED: [u8; FRAME_LENGTH] = [
    0x02, 0x77, 0x00, 0x00, 0x00, 0x50, 0x02, 0x77, 0x00, 0x00, 0x00, 0x11, 0x86, 0xdd, // Ethernet
    0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // IPv6
    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc8, // from
    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, // to
    0x88, 0x00, 0x18, 0xd4, 0x60, 0x00, 0x00, 0x00, // advertisement, solicited, overrides
    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc8, // target
    0x02, 0x01, 0x02, 0x77, 0x00, 0x00, 0x00, 0x11, // target link-layer address
];

/// What [`ASKED`] says.
pub fn question() -> Packet {
    Packet {
        destination: Mac::of_group(solicited_node(VIP)),
        source: CLIENT,
        from: ASKER,
        to: solicited_node(VIP),
        message: Message::Solicitation(Solicitation { target: VIP, source: Some(CLIENT) }),
    }
}

/// What [`ANSWERED`] says.
pub fn reply() -> Packet {
    Packet {
        destination: CLIENT,
        source: STATION,
        from: VIP,
        to: ASKER,
        message: Message::Advertisement(Advertisement {
            target: VIP,
            router: false,
            solicited: true,
            replaces: true,
            station: Some(STATION),
        }),
    }
}

/// With the checksum that makes it right.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    for sum in 0..=u16::MAX {
        frame[56..58].copy_from_slice(&sum.to_be_bytes());
        if Packet::parse(&frame) != Err(Malformed::Checksum) {
            return frame;
        }
    }
    panic!("no checksum is right for {frame:?}");
}

#[test]
fn captured_frames_are_read_and_written_byte_for_byte() {
    for (bytes, packet) in [(ASKED, question()), (ANSWERED, reply())] {
        assert_eq!(Packet::parse(&bytes), Ok(packet));
        assert_eq!(packet.emit(), bytes);
    }
}

#[test]
fn padding_after_the_packet_is_no_part_of_it() {
    let padded = [&ASKED[..], &[0xa5; 10]].concat();
    assert_eq!(Packet::parse(&padded), Ok(question()));
}

#[test]
fn every_flag_of_an_advertisement_has_its_place() {
    let flags = |router, solicited, replaces| {
        let Message::Advertisement(said) = reply().message else { unreachable!() };
        let message = Message::Advertisement(Advertisement { router, solicited, replaces, ..said });
        Packet { message, ..reply() }.emit()[58]
    };
    assert_eq!(flags(true, false, false), 0x80);
    assert_eq!(flags(false, true, false), 0x40);
    assert_eq!(flags(false, false, true), 0x20);
}

#[test]
fn a_frame_that_is_damaged_anywhere_is_not_believed() {
    // What the checksum covers: addresses, length, type, and all of the message.
    for position in (22..54).chain(54..FRAME_LENGTH) {
        let mut frame = ASKED;
        frame[position] ^= 0x04;
        assert!(Packet::parse(&frame).is_err(), "octet {position}");
    }
    let mut frame = ASKED;
    frame[85] ^= 1;
    assert_eq!(Packet::parse(&frame), Err(Malformed::Checksum));
}

#[test]
fn a_frame_that_is_cut_off_is_refused_wherever_that_is() {
    for length in 0..FRAME_LENGTH {
        assert_eq!(Packet::parse(&ASKED[..length]), Err(Malformed::Truncated), "{length}");
    }
    for (length, why) in
        [(31, Malformed::OptionTruncated), (23, Malformed::Truncated), (0, Malformed::Truncated)]
    {
        let mut frame = ASKED;
        frame[19] = length;
        let read = if length == 0 { Packet::parse(&frame) } else { Packet::parse(&sealed(frame.to_vec())) };
        assert_eq!(read, Err(why), "{length}");
    }
}

#[test]
fn what_must_not_be_is_refused_by_what_it_is() {
    let changed = |position: usize, byte: u8| {
        let mut frame = ASKED;
        frame[position] = byte;
        Packet::parse(&frame)
    };
    assert_eq!(changed(12, 0x08), Err(Malformed::NotIpv6));
    assert_eq!(changed(14, 0x40), Err(Malformed::NotIpv6));
    assert_eq!(changed(20, 0), Err(Malformed::OtherProtocol(0)), "hop-by-hop options");
    assert_eq!(changed(21, 254), Err(Malformed::HopLimit(254)));
    assert_eq!(changed(54, 133), Err(Malformed::OtherType(133)));
    let group = solicited_node(VIP);
    assert_eq!(
        Packet::parse(&Packet { from: group, ..question() }.emit()),
        Err(Malformed::FromAGroup(group))
    );
    let sealed_with = |position: usize, byte: u8| {
        let mut frame = ASKED;
        frame[position] = byte;
        Packet::parse(&sealed(frame.to_vec()))
    };
    assert_eq!(sealed_with(55, 1), Err(Malformed::Code(1)));
    assert_eq!(sealed_with(79, 0), Err(Malformed::EmptyOption));
    assert_eq!(sealed_with(79, 2), Err(Malformed::OptionTruncated));
}

#[test]
fn a_message_that_contradicts_itself_is_refused() {
    let asks = |from, to, source| {
        let message = Message::Solicitation(Solicitation { target: VIP, source });
        Packet::parse(&Packet { from, to, message, ..question() }.emit()).map(drop)
    };
    let (nobody, group) = (Ipv6Addr::UNSPECIFIED, solicited_node(VIP));
    assert_eq!(asks(nobody, group, None), Ok(()));
    assert_eq!(asks(nobody, group, Some(CLIENT)), Err(Malformed::LinkLayerOfNobody));
    assert_eq!(asks(nobody, VIP, None), Err(Malformed::NobodyToSomebody(VIP)));
    assert_eq!(asks(nobody, ALL_NODES, None), Err(Malformed::NobodyToSomebody(ALL_NODES)));
    assert_eq!(asks(ASKER, VIP, None), Ok(()), "a neighbour that makes sure");
    let about_a_group = Message::Solicitation(Solicitation { target: group, source: None });
    let asked = Packet { message: about_a_group, ..question() }.emit();
    assert_eq!(Packet::parse(&asked), Err(Malformed::AboutAGroup(group)));
    let to_all = Packet { to: ALL_NODES, ..reply() }.emit();
    assert_eq!(Packet::parse(&to_all), Err(Malformed::SolicitedByAll));
}

#[test]
fn an_address_is_asked_for_in_the_group_of_its_last_three_octets() {
    let address = "2001:db8::1234:5678:9abc:def0".parse().unwrap();
    let group: Ipv6Addr = "ff02::1:ffbc:def0".parse().unwrap();
    assert_eq!(solicited_node(address), group);
    assert_eq!(Mac::of_group(group), Mac([0x33, 0x33, 0xff, 0xbc, 0xde, 0xf0]));
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let mac = || any::<[u8; 6]>().prop_map(Mac);
    let address =
        || any::<u128>().prop_map(Ipv6Addr::from).prop_filter("of one host", |ip| !ip.is_multicast());
    let solicitation = (address(), option::of(mac()))
        .prop_map(|(target, source)| Message::Solicitation(Solicitation { target, source }));
    let advertisement = (address(), any::<[bool; 3]>(), option::of(mac())).prop_map(
        |(target, [router, solicited, replaces], station)| {
            Message::Advertisement(Advertisement { target, router, solicited, replaces, station })
        },
    );
    (mac(), mac(), address(), address(), prop_oneof![solicitation, advertisement])
        .prop_map(|(destination, source, from, to, message)| Packet {
            destination,
            source,
            from,
            to,
            message,
        })
        .prop_filter("somebody", |packet| !packet.from.is_unspecified())
}

proptest! {
    #[test]
    fn what_we_emit_we_parse(packet in any_packet()) {
        prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let _ = Packet::parse(&bytes);
        let framed = [&ASKED[..54], &bytes].concat();
        let _ = Packet::parse(&framed);
    }
}
