//! The table of who is answered for an IPv6 address, where, and with what.

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::neighbour::{ANSWERED, ASKED, ASKER, CLIENT, STATION, VIP, question, reply};
use crate::ethernet::Mac;
use crate::ndp::wire::Malformed;
use crate::ndp::wire::neighbour::{Advertisement, Message, Packet, Solicitation, solicited_node};
use crate::ndp::{ALL_NODES, Announcement, answer};
use crate::responder::hosts::Awaiting;
use crate::responder::{Answer, Host, Ignored};

const ELSEWHERE: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x12]);

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

/// Is to announce the VIP.
const AWAITING: Awaiting = Awaiting { address: IpAddr::V6(VIP), station: STATION };

#[test]
fn who_awaits_an_address_is_given_it_by_another_station_that_says_so() {
    let given = Announcement { address: VIP, station: STATION, from: ELSEWHERE };
    assert_eq!(answer(STATION, &given.frame(), &AWAITING), Answer::Given { address: IpAddr::V6(VIP) });
    assert!(
        !matches!(answer(STATION, &given.frame(), &Announcing(false)), Answer::Given { .. }),
        "not awaited"
    );
    let own = Announcement { from: STATION, ..given }.frame();
    assert_eq!(answer(STATION, &own, &AWAITING), Answer::Ignore(Ignored::NotARequest));
    let elsewhere = Announcement { station: ELSEWHERE, ..given }.frame();
    let contested = Answer::Contested { address: IpAddr::V6(VIP), by: ELSEWHERE, from: ELSEWHERE };
    assert_eq!(answer(STATION, &elsewhere, &AWAITING), contested, "another one has it");
}

/// A host that answers in another's name, and asks where that one is.
struct StandingIn;

const NODE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x12);

impl Host for StandingIn {
    fn announces(&self, address: IpAddr) -> bool {
        address == VIP
    }

    fn told(&self, _: IpAddr, _: Mac) -> Option<Mac> {
        Some(ELSEWHERE)
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
    let question = super::super::question(CLIENT, VIP);
    let Answer::Reply { frame, .. } = answer(STATION, &question, &StandingIn) else { panic!("no reply") };
    let reply = Packet::parse(&frame).unwrap();
    let Message::Advertisement(advertisement) = reply.message else { panic!("{reply:?}") };
    assert_eq!((reply.source, advertisement.station), (STATION, Some(ELSEWHERE)));
}

#[test]
fn a_question_claims_nothing_and_its_answer_is_heard() {
    let question = Packet::parse(&super::super::question(STATION, NODE)).unwrap();
    assert_eq!((question.from, question.to), (Ipv6Addr::UNSPECIFIED, solicited_node(NODE)));
    let answered = Announcement { address: NODE, station: ELSEWHERE, from: ELSEWHERE }.frame();
    let heard = Answer::Heard { address: IpAddr::V6(NODE), station: ELSEWHERE, from: ELSEWHERE };
    assert_eq!(answer(STATION, &answered, &StandingIn), heard);
}

fn asked(packet: Packet) -> Answer<Malformed> {
    answer(STATION, &packet.emit(), &Announcing(true))
}

fn replied(packet: Packet) -> Packet {
    let answer = asked(packet);
    let Answer::Reply { address, frame } = answer else { panic!("no reply: {answer:?}") };
    assert_eq!(address, IpAddr::V6(VIP));
    Packet::parse(&frame).unwrap()
}

#[test]
fn an_announced_address_is_answered_like_the_kernel_answers_for_its_own() {
    let expected = Answer::Reply { address: VIP.into(), frame: ANSWERED.to_vec() };
    assert_eq!(answer(STATION, &ASKED, &Announcing(true)), expected);
}

#[test]
fn an_address_that_is_not_announced_here_is_not_answered() {
    let ignored = Answer::Ignore(Ignored::NotAnnounced(VIP.into()));
    assert_eq!(answer(STATION, &ASKED, &Announcing(false)), ignored);
}

#[test]
fn a_neighbour_that_makes_sure_by_unicast_is_answered_also_without_saying_where_it_is() {
    for source in [Some(CLIENT), None] {
        let message = Message::Solicitation(Solicitation { target: VIP, source });
        assert_eq!(replied(Packet { destination: STATION, to: VIP, message, ..question() }), reply());
    }
}

#[test]
fn the_answer_goes_where_the_asker_says_that_it_is() {
    let behind_a_bridge = Packet { source: ELSEWHERE, ..question() };
    assert_eq!(replied(behind_a_bridge).destination, CLIENT);
}

#[test]
fn who_is_about_to_take_the_address_is_told_before_all_that_it_is_taken() {
    let message = Message::Solicitation(Solicitation { target: VIP, source: None });
    let probe = Packet { from: Ipv6Addr::UNSPECIFIED, message, ..question() };
    let expected = Packet {
        destination: Mac([0x33, 0x33, 0, 0, 0, 1]),
        to: ALL_NODES,
        message: Message::Advertisement(Advertisement {
            target: VIP,
            router: false,
            solicited: false,
            replaces: true,
            station: Some(STATION),
        }),
        ..reply()
    };
    assert_eq!(replied(probe), expected);
}

#[test]
fn what_is_for_another_station_or_from_many_is_not_answered() {
    let elsewhere = Packet { destination: ELSEWHERE, ..question() };
    assert_eq!(asked(elsewhere), Answer::Ignore(Ignored::NotForThisStation));
    for group in [Mac::BROADCAST, Mac::of_group(ALL_NODES)] {
        let message = Message::Solicitation(Solicitation { target: VIP, source: Some(group) });
        let ignored = Answer::Ignore(Ignored::FromAGroup(group));
        assert_eq!(asked(Packet { message, ..question() }), ignored);
    }
    assert_eq!(asked(reply()), Answer::Ignore(Ignored::NotARequest), "our own");
    let far = answer(STATION, &[], &Announcing(true));
    assert_eq!(far, Answer::Ignore(Ignored::Malformed(Malformed::Truncated)));
}

#[test]
fn whoever_else_claims_an_announced_address_contests_it_in_whatever_words() {
    let unasked = Announcement { address: VIP, station: ELSEWHERE, from: ELSEWHERE }.frame();
    let to_a_client = Packet {
        source: ELSEWHERE,
        message: Message::Advertisement(Advertisement {
            target: VIP,
            router: true,
            solicited: true,
            replaces: false,
            station: None,
        }),
        ..reply()
    };
    let asking_from_it = Packet {
        source: ELSEWHERE,
        from: VIP,
        message: Message::Solicitation(Solicitation { target: ASKER, source: Some(ELSEWHERE) }),
        ..question()
    };
    for frame in [unasked, to_a_client.emit(), asking_from_it.emit()] {
        let contested = Answer::Contested { address: VIP.into(), by: ELSEWHERE, from: ELSEWHERE };
        assert_eq!(answer(STATION, &frame, &Announcing(true)), contested);
        assert_ne!(answer(STATION, &frame, &Announcing(false)), contested, "not announced here");
    }
}

#[test]
fn an_announcement_tells_all_nodes_to_replace_what_they_know() {
    let told =
        Packet::parse(&Announcement { address: VIP, station: STATION, from: STATION }.frame()).unwrap();
    let expected = Packet {
        destination: Mac::of_group(ALL_NODES),
        source: STATION,
        from: VIP,
        to: ALL_NODES,
        message: Message::Advertisement(Advertisement {
            target: VIP,
            router: false,
            solicited: false,
            replaces: true,
            station: Some(STATION),
        }),
    };
    assert_eq!(told, expected);
}

proptest! {
    #[test]
    fn only_solicitations_for_the_address_are_answered(target: u128, from: u128, unicast: bool) {
        let (target, from) = (Ipv6Addr::from(target), Ipv6Addr::from(from));
        let message = Message::Solicitation(Solicitation { target, source: Some(CLIENT) });
        let to = if unicast { target } else { solicited_node(target) };
        let answer = asked(Packet { from, to, message, ..question() });
        prop_assert!(target == VIP || !matches!(answer, Answer::Reply { .. }), "{answer:?}");
    }
}
