//! ARP: captured bytes, hostile bytes, and the table of who is answered.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::ethernet::Mac;
use crate::responder::hosts::Awaiting;
use crate::responder::{Answer, Host, Ignored};

const STATION: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x11]);
const CLIENT: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x50]);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);

/// A host with one interface that announces the VIP, or nothing.
struct Announcing(bool);

impl Host for Announcing {
    fn announces(&self, address: IpAddr) -> bool {
        self.0 && address == VIP
    }

    fn has_station(&self, station: Mac) -> bool {
        station == STATION
    }
}

fn request() -> Packet {
    Packet {
        destination: Mac::BROADCAST,
        source: CLIENT,
        operation: Operation::Request,
        sender_mac: CLIENT,
        sender_ip: Ipv4Addr::new(10, 77, 0, 50),
        target_mac: Mac([0; 6]),
        target_ip: VIP,
    }
}

/// What Linux puts on the wire for `arping 10.77.0.200` from 10.77.0.50.
const CAPTURED: [u8; FRAME_LENGTH] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x77, 0x00, 0x00, 0x00, 0x50, 0x08, 0x06, // Ethernet
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // Ethernet, IPv4, request
    0x02, 0x77, 0x00, 0x00, 0x00, 0x50, 10, 77, 0, 50, // sender
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 10, 77, 0, 200, // target
];

#[test]
fn the_captured_request_is_read_and_written_byte_for_byte() {
    assert_eq!(Packet::parse(&CAPTURED), Ok(request()));
    assert_eq!(request().emit(), CAPTURED);
}

#[test]
fn padding_to_the_ethernet_minimum_is_no_part_of_the_packet() {
    let mut padded = CAPTURED.to_vec();
    padded.resize(60, 0xa5);
    assert_eq!(Packet::parse(&padded), Ok(request()));
}

#[test]
fn what_is_no_arp_for_ipv4_is_refused_by_what_it_is() {
    let changed = |position: usize, byte: u8| {
        let mut frame = CAPTURED;
        frame[position] = byte;
        Packet::parse(&frame)
    };
    assert_eq!(Packet::parse(&CAPTURED[..41]), Err(Malformed::Truncated));
    assert_eq!(Packet::parse(&[]), Err(Malformed::Truncated));
    assert_eq!(changed(13, 0x00), Err(Malformed::NotArp));
    assert_eq!(changed(15, 6), Err(Malformed::OtherProtocol));
    assert_eq!(changed(16, 0x86), Err(Malformed::OtherProtocol));
    assert_eq!(changed(18, 8), Err(Malformed::OtherProtocol));
    assert_eq!(changed(19, 16), Err(Malformed::OtherProtocol));
    assert_eq!(changed(21, 9), Err(Malformed::UnknownOperation(9)));
}

#[test]
fn an_announced_address_is_answered_to_whoever_asked() {
    let answer = answer(STATION, &CAPTURED, &Announcing(true));
    let Answer::Reply { address, frame } = answer else { panic!("no reply: {answer:?}") };
    assert_eq!(address, IpAddr::V4(VIP));
    let expected = Packet {
        destination: CLIENT,
        source: STATION,
        operation: Operation::Reply,
        sender_mac: STATION,
        sender_ip: VIP,
        target_mac: CLIENT,
        target_ip: Ipv4Addr::new(10, 77, 0, 50),
    };
    assert_eq!(Packet::parse(&frame), Ok(expected));
}

#[test]
fn only_requests_to_this_station_or_to_all_for_announced_addresses_are_answered() {
    let elsewhere = Mac([0x02, 0x77, 0, 0, 0, 0x12]);
    for (packet, announced, expected) in [
        (Packet { destination: STATION, ..request() }, true, None),
        (Packet { sender_ip: Ipv4Addr::UNSPECIFIED, ..request() }, true, None),
        (Packet { destination: elsewhere, ..request() }, true, Some(Ignored::NotForThisStation)),
        (Packet { operation: Operation::Reply, ..request() }, true, Some(Ignored::NotARequest)),
        (Packet { sender_mac: Mac::BROADCAST, ..request() }, true, Some(Ignored::FromAGroup(Mac::BROADCAST))),
        (request(), false, Some(Ignored::NotAnnounced(IpAddr::V4(VIP)))),
    ] {
        let ignored = match answer(STATION, &packet.emit(), &Announcing(announced)) {
            Answer::Reply { .. } => None,
            Answer::Ignore(why) => Some(why),
            Answer::Contested { .. } | Answer::Given { .. } | Answer::Heard { .. } => {
                panic!("nothing is contested or looked for")
            }
        };
        assert_eq!(ignored, expected, "{packet:?}");
    }
}

#[test]
fn whoever_else_claims_an_announced_address_contests_it_in_whatever_words() {
    let elsewhere = Mac([0x02, 0x77, 0, 0, 0, 0x12]);
    let [request, reply] = Announcement { address: VIP, station: elsewhere, from: elsewhere }.frames();
    let to_a_client = Packet { destination: CLIENT, ..Packet::parse(&reply).unwrap() }.emit();
    for frame in [request, reply, to_a_client] {
        let contested = Answer::Contested { address: IpAddr::V4(VIP), by: elsewhere, from: elsewhere };
        assert_eq!(answer(STATION, &frame, &Announcing(true)), contested);
        assert_ne!(answer(STATION, &frame, &Announcing(false)), contested, "not announced here");
    }
    let in_its_name = Packet { source: CLIENT, ..Packet::parse(&reply).unwrap() }.emit();
    let contested = Answer::Contested { address: IpAddr::V4(VIP), by: elsewhere, from: CLIENT };
    assert_eq!(answer(STATION, &in_its_name, &Announcing(true)), contested, "another one says so");
    let [own, _] = Announcement { address: VIP, station: STATION, from: STATION }.frames();
    assert!(
        !matches!(answer(STATION, &own, &Announcing(true)), Answer::Contested { .. }),
        "an interface of our own"
    );
}

/// Is to announce the VIP.
const AWAITING: Awaiting = Awaiting { address: IpAddr::V4(VIP), station: STATION };

#[test]
fn who_awaits_an_address_is_given_it_by_another_station_that_says_so() {
    let given = Announcement { address: VIP, station: STATION, from: CLIENT };
    for frame in given.frames() {
        assert_eq!(answer(STATION, &frame, &AWAITING), Answer::Given { address: IpAddr::V4(VIP) });
        assert!(!matches!(answer(STATION, &frame, &Announcing(false)), Answer::Given { .. }), "not awaited");
    }
    let [own, _] = Announcement { from: STATION, ..given }.frames();
    assert_eq!(answer(STATION, &own, &AWAITING), Answer::Ignore(Ignored::NotAnnounced(VIP.into())));
    let [elsewhere, _] = Announcement { station: CLIENT, ..given }.frames();
    let contested = Answer::Contested { address: IpAddr::V4(VIP), by: CLIENT, from: CLIENT };
    assert_eq!(answer(STATION, &elsewhere, &AWAITING), contested, "another one has it");
}

/// A host that answers in another's name, or does not know yet, and asks where that one is.
struct StandingIn(Option<Mac>);

const THEIRS: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x12]);
const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 12);

impl Host for StandingIn {
    fn announces(&self, address: IpAddr) -> bool {
        address == VIP
    }

    fn told(&self, address: IpAddr, own: Mac) -> Option<Mac> {
        assert_eq!((address, own), (IpAddr::V4(VIP), STATION));
        self.0
    }

    fn asks_for(&self, address: IpAddr) -> bool {
        address == NODE
    }

    fn has_station(&self, station: Mac) -> bool {
        station == STATION
    }
}

#[test]
fn who_stands_in_tells_of_the_others_station_and_sends_from_its_own() {
    let Answer::Reply { frame, .. } = answer(STATION, &CAPTURED, &StandingIn(Some(THEIRS))) else {
        panic!("no reply")
    };
    let reply = Packet::parse(&frame).unwrap();
    assert_eq!((reply.source, reply.sender_mac), (STATION, THEIRS));
    let undecided = Answer::Ignore(Ignored::Undecided(IpAddr::V4(VIP)));
    assert_eq!(answer(STATION, &CAPTURED, &StandingIn(None)), undecided);
}

#[test]
fn a_question_claims_nothing_and_its_answer_is_heard() {
    let question = Packet::parse(&super::question(STATION, NODE)).unwrap();
    assert_eq!((question.sender_ip, question.target_ip), (Ipv4Addr::UNSPECIFIED, NODE));
    assert_eq!((question.destination, question.source), (Mac::BROADCAST, STATION));
    let reply = Packet {
        destination: STATION,
        source: THEIRS,
        operation: Operation::Reply,
        sender_mac: THEIRS,
        sender_ip: NODE,
        target_mac: STATION,
        target_ip: Ipv4Addr::UNSPECIFIED,
    };
    let heard = Answer::Heard { address: IpAddr::V4(NODE), station: THEIRS, from: THEIRS };
    assert_eq!(answer(STATION, &reply.emit(), &StandingIn(None)), heard);
    let of_another = Packet { sender_ip: Ipv4Addr::new(10, 77, 0, 13), ..reply };
    let ignored = Answer::Ignore(Ignored::NotARequest);
    assert_eq!(answer(STATION, &of_another.emit(), &StandingIn(None)), ignored);
}

#[test]
fn an_announcement_is_a_broadcast_request_and_reply_about_oneself() {
    let frames = Announcement { address: VIP, station: STATION, from: STATION }.frames();
    let packets = frames.map(|frame| Packet::parse(&frame).unwrap());
    assert_eq!(packets.map(|packet| packet.operation), [Operation::Request, Operation::Reply]);
    for packet in packets {
        assert_eq!((packet.sender_ip, packet.target_ip), (VIP, VIP));
        assert_eq!((packet.source, packet.sender_mac), (STATION, STATION));
        assert_eq!((packet.destination, packet.target_mac), (Mac::BROADCAST, Mac::BROADCAST));
    }
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let mac = any::<[u8; 6]>().prop_map(Mac);
    let ip = any::<u32>().prop_map(Ipv4Addr::from);
    let operation = prop_oneof![Just(Operation::Request), Just(Operation::Reply)];
    (mac.clone(), mac.clone(), operation, mac.clone(), ip.clone(), mac, ip).prop_map(
        |(destination, source, operation, sender_mac, sender_ip, target_mac, target_ip)| Packet {
            destination,
            source,
            operation,
            sender_mac,
            sender_ip,
            target_mac,
            target_ip,
        },
    )
}

proptest! {
    #[test]
    fn what_we_emit_we_parse(packet in any_packet()) {
        prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = answer(STATION, &bytes, &Announcing(true));
    }

    #[test]
    fn no_damaged_request_panics(position in 0_usize..FRAME_LENGTH, byte: u8, length in 0_usize..FRAME_LENGTH) {
        let mut frame = CAPTURED;
        frame[position] = byte;
        let _ = answer(STATION, &frame[..length], &Announcing(true));
    }
}

#[test]
fn who_speaks_in_anothers_name_does_not_mislead_switches() {
    for frame in (Announcement { address: VIP, station: CLIENT, from: STATION }).frames() {
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!((packet.source, packet.sender_mac), (STATION, CLIENT));
    }
}
