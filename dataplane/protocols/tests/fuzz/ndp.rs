//! Neighbour discovery: frames of neighbours, read and answered; messages of routers, read.

use std::net::{IpAddr, Ipv6Addr};

use metallb_fuzz::{Found, measure, mutated, run};
use metallb_protocols::ethernet::Mac;
use metallb_protocols::ndp::wire::neighbour::{self, FRAME_LENGTH, Packet, Solicitation, solicited_node};
use metallb_protocols::ndp::wire::{self, Arrival, Malformed};
use metallb_protocols::ndp::{ALL_NODES, Announcement, answer};
use metallb_protocols::responder::{Answer, Host};
use proptest::prelude::*;

const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);
const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 9]);
const OURS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const THEIRS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
/// Where the checksum is in a frame, and in what follows the IPv6 header.
const CHECKSUM: std::ops::Range<usize> = 56..58;

struct Node;

impl Host for Node {
    fn announces(&self, address: IpAddr) -> bool {
        address == OURS
    }

    fn has_station(&self, station: Mac) -> bool {
        station == STATION
    }
}

fn asked(from: Ipv6Addr, to: Ipv6Addr, source: Option<Mac>) -> Vec<u8> {
    let message = neighbour::Message::Solicitation(Solicitation { target: OURS, source });
    Packet { destination: Mac::of_group(to), source: CLIENT, from, to, message }.emit()
}

fn frames() -> Vec<Vec<u8>> {
    let group = solicited_node(OURS);
    let padded = [&asked(THEIRS, group, Some(CLIENT))[..], &[0; 18]].concat();
    vec![
        asked(THEIRS, group, Some(CLIENT)),
        asked(THEIRS, group, None),
        asked(Ipv6Addr::UNSPECIFIED, group, None),
        padded,
        Announcement { address: OURS, station: Mac([2, 0, 0, 0, 0, 7]), from: Mac([2, 0, 0, 0, 0, 7]) }
            .frame(),
    ]
}

/// With the checksum that it should have, so that changes get past it.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let (Some(addresses), Some(message)) = (frame.get(22..54), frame.get(54..)) else { return frame };
    if message.len() < 4 {
        return frame;
    }
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut all = [addresses, &[0, 0], &length.to_be_bytes(), &[0, 0, 0, 58], message].concat();
    all[42..44].fill(0);
    all.resize(all.len().next_multiple_of(2), 0);
    let sum: u64 = all.chunks(2).map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    // Ones' complement: modulo 65535, and zero is never what is left of anything but zeros.
    let left = u16::try_from(sum % 0xffff).unwrap();
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame[CHECKSUM].copy_from_slice(&(!left).to_be_bytes());
    frame
}

#[test]
fn any_frame_is_read_or_refused_and_answered_in_kind_at_most() -> Result<(), Found> {
    let near = (mutated(frames()), any::<bool>());
    run(near.prop_map(|(frame, seal)| if seal { sealed(frame) } else { frame }), |frame| {
        let ((read, answer), allocated) = measure(|| (Packet::parse(&frame), answer(STATION, &frame, &Node)));
        let replies =
            i64::try_from(FRAME_LENGTH * usize::from(matches!(answer, Answer::Reply { .. }))).unwrap();
        prop_assert!(allocated.peak <= 256 && allocated.kept == replies, "{:?}", allocated);
        if let Ok(packet) = read {
            prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
        }
        if let Answer::Reply { address, frame: reply } = answer {
            let reply = Packet::parse(&reply).expect("others can read it");
            prop_assert_eq!((address, reply.from, reply.source), (IpAddr::V6(OURS), OURS, STATION));
            let neighbour::Message::Advertisement(said) = reply.message else { panic!("{reply:?}") };
            prop_assert_eq!((said.target, said.station, said.router), (OURS, Some(STATION), false));
            prop_assert_eq!(said.solicited, reply.to != ALL_NODES);
            prop_assert_eq!(reply.to == ALL_NODES, reply.destination.is_group());
            prop_assert!(
                read.is_ok_and(|question| reply.to == question.from || question.from.is_unspecified())
            );
        }
        Ok(())
    })
}

#[test]
fn changes_get_past_the_checksum_when_it_is_set_right() -> Result<(), Found> {
    run(mutated(frames()).prop_map(sealed), |frame| {
        let length_fits = frame.len() >= 58;
        prop_assert!(!length_fits || Packet::parse(&frame) != Err(Malformed::Checksum), "{:02x?}", frame);
        Ok(())
    })
}

fn messages() -> Vec<Vec<u8>> {
    let link_layer = [1, 1, 2, 0, 0, 0, 0, 9];
    let advertised = [134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0];
    let mtu = [5, 1, 0, 0, 0, 0, 5, 220];
    vec![
        [&advertised[..], &link_layer].concat(),
        [&advertised[..], &mtu, &link_layer].concat(),
        advertised.to_vec(),
        [&[133, 0, 0, 0, 0, 0, 0, 0][..], &link_layer].concat(),
    ]
}

#[test]
fn any_message_of_a_router_is_read_or_refused() -> Result<(), Found> {
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    let from = prop_oneof![3 => Just(link_local), 1 => Just(Ipv6Addr::UNSPECIFIED), 1 => Just(THEIRS)];
    let hop_limit = prop_oneof![4 => Just(255), 1 => any::<u8>()];
    run((mutated(messages()), from, hop_limit), |(bytes, from, hop_limit)| {
        let arrival = Arrival { from, hop_limit };
        let (read, allocated) = measure(|| wire::Message::parse(arrival, &bytes));
        prop_assert_eq!(allocated.total, 0, "nothing is copied");
        if let Ok(message) = read {
            prop_assert_eq!(hop_limit, 255);
            prop_assert_eq!(wire::Message::parse(arrival, &message.emit()), Ok(message));
            let is_advertised = matches!(message, wire::Message::Advertisement(_));
            prop_assert!(!is_advertised || from == link_local, "{:?}", message);
        }
        Ok(())
    })
}
