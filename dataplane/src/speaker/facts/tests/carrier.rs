//! Cables that die and are mended: what others are told, and when addresses move back.

use std::time::Duration;

use ipnet::IpNet;
use metallb_protocols::liveness::LOST;

use super::*;
use crate::speaker::lane::Membership;

fn network() -> IpNet {
    "10.0.0.0/24".parse().unwrap()
}

/// An interface in the network of the addresses, and in one without any.
fn in_two_networks(carrier: bool) -> Links {
    let link = Link {
        name: "eth0".into(),
        arp: Some(Mac([2; 6])),
        ndp: None,
        carrier,
        networks: [network(), "172.17.0.0/16".parse().unwrap()].into(),
    };
    [(2, link)].into()
}

/// All live and are heard, and these nodes have lost the network.
fn membership(lost: &[&str]) -> Membership {
    let lost = lost.iter().map(|node| ((*node).into(), [network()].into())).collect();
    Membership { speakers: Some(all_alive()), is_on: true, lost, ..Membership::default() }
}

/// A node whose cable died at that moment, and the tables of then.
fn cut_off(node: &str, now: Instant) -> (Facts, Tables) {
    let (mut facts, _) = ready_on(node);
    facts.set_membership(now, membership(&[]));
    facts.set_links(now, in_two_networks(true));
    facts.decide(now);
    facts.set_links(now, in_two_networks(false));
    let tables = facts.decide(now).unwrap();
    (facts, tables)
}

#[test]
fn others_are_told_of_a_lost_network_with_addresses_in_it_and_who_is_not_heard_lets_go_of_nothing() {
    let now = Instant::now();
    let (mut facts, tables) = cut_off("node-b", now);
    assert_eq!(*tables.lost, [network()].into());
    assert!(tables.announced.is_empty(), "another node reaches it");
    facts.set_membership(now, Membership { is_on: false, ..membership(&[]) });
    let tables = facts.decide(now).unwrap();
    assert!(tables.lost.is_empty() && tables.announced.contains_key(&vip()));
}

#[test]
fn of_more_lost_networks_than_others_can_be_told_of_all_addresses_are_let_go_and_people_are_told_the_right_network()
 {
    let now = Instant::now();
    let (mut facts, _) = ready_on("node-b");
    facts.set_membership(now, membership(&[]));
    let networks = (0..16).map(|n| format!("10.0.0.{}/28", 16 * n).parse().unwrap()).collect();
    let addresses: Vec<String> = (0..16).map(|n| format!("10.0.0.{}", 16 * n + 1)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    facts.apply(Input::Service(Event::Applied(key("web"), row(&addresses))));
    let link = Link { name: "eth0".into(), arp: Some(Mac([2; 6])), ndp: None, carrier: true, networks };
    facts.set_links(now, [(2, link.clone())].into());
    assert!(!facts.decide(now).unwrap().announced.is_empty());
    facts.set_links(now, [(2, Link { carrier: false, ..link })].into());
    let tables = facts.decide(now).unwrap();
    assert!(tables.lost.len() <= LOST && tables.announced.is_empty(), "{:?}", tables.lost);
    let state = facts.state(&[].into(), &[].into());
    assert_eq!(state["networksLost"].as_array().unwrap().len(), 16);
    let of = |address: &str| {
        let mut addresses = state["addresses"].as_array().unwrap().iter();
        addresses.find(|found| found["address"] == address).unwrap().clone()
    };
    for (address, network) in [("10.0.0.17", "10.0.0.16/28"), ("10.0.0.241", "10.0.0.240/28")] {
        let text = of(address)["services"][0]["refusal"]["text"].to_string();
        assert!(text.contains(network), "{text}");
    }
}

#[test]
fn addresses_move_back_when_the_carrier_has_lasted() {
    let now = Instant::now();
    let (mut facts, _) = cut_off("node-b", now);
    assert_eq!(facts.poll_timeout(), None);
    facts.set_links(now, in_two_networks(true));
    let tables = facts.decide(now).unwrap();
    assert!(!tables.lost.is_empty() && tables.announced.is_empty(), "it may not last");
    let lasted = now + Duration::from_secs(2);
    assert_eq!(facts.poll_timeout(), Some(lasted));
    let tables = facts.decide(lasted).unwrap();
    assert!(tables.lost.is_empty() && tables.announced.contains_key(&vip()));
    assert_eq!(facts.poll_timeout(), None);
}

#[test]
fn a_carrier_is_trusted_at_once_where_all_others_have_lost_the_network() {
    let now = Instant::now();
    let (mut facts, _) = cut_off("node-c", now);
    facts.set_membership(now, membership(&["node-a", "node-b"]));
    assert!(
        facts.decide(now).is_none_or(|tables| tables.announced.is_empty()),
        "node-b is elected, as good as others"
    );
    facts.set_links(now, in_two_networks(true));
    let tables = facts.decide(now).unwrap();
    assert!(tables.lost.is_empty() && tables.announced.contains_key(&vip()));
}

/// It hears nobody any more.
fn alone(node: &str) -> Membership {
    Membership { speakers: Some(Speakers::Alive([node.into()].into())), ..membership(&[]) }
}

#[test]
fn who_hears_nobody_announces_nothing_until_its_carrier_has_lasted_or_others_have_lost_the_network_too() {
    let now = Instant::now();
    let cut_off_alone = || {
        let (mut facts, _) = cut_off("node-b", now);
        facts.set_membership(now, alone("node-b"));
        assert!(facts.decide(now).is_none_or(|tables| tables.announced.is_empty()), "nobody would hear it");
        facts.set_links(now, in_two_networks(true));
        assert!(facts.decide(now).is_none_or(|tables| tables.announced.is_empty()), "others may have it");
        facts
    };
    let mut facts = cut_off_alone();
    let lasted = now + Duration::from_secs(2);
    assert_eq!(facts.poll_timeout(), Some(lasted));
    assert!(facts.decide(lasted).unwrap().announced.contains_key(&vip()), "nobody else is there");
    let mut facts = cut_off_alone();
    facts.set_membership(now, membership(&[]));
    assert!(facts.decide(now).is_none_or(|tables| tables.announced.is_empty()), "node-a has it meanwhile");
    let mut facts = cut_off_alone();
    facts.set_membership(now, membership(&["node-a", "node-c"]));
    assert!(facts.decide(now).unwrap().announced.contains_key(&vip()), "the switch was away");
}

#[test]
fn who_heard_nobody_before_its_cable_died_announces_all_the_time() {
    let now = Instant::now();
    let (mut facts, _) = ready_on("node-b");
    facts.set_membership(now, alone("node-b"));
    for carrier in [true, false, true] {
        facts.set_links(now, in_two_networks(carrier));
        assert!(facts.decide(now).unwrap().announced.contains_key(&vip()));
    }
}

#[test]
fn the_cable_by_which_the_node_talks_is_trusted_as_soon_as_it_is_back_where_others_are_heard() {
    for (heard, trusted) in [(membership(&[]), true), (alone("node-b"), false)] {
        let now = Instant::now();
        let (mut facts, _) = cut_off("node-b", now);
        let node = Node { addresses: vec!["10.0.0.12".parse().unwrap()], ..Node::default() };
        facts.apply(Input::Node(Event::Applied("node-b".into(), node)));
        facts.set_membership(now, heard);
        facts.decide(now);
        facts.set_links(now, in_two_networks(true));
        let tables = facts.decide(now);
        assert_eq!(tables.is_some_and(|tables| tables.announced.contains_key(&vip())), trusted);
    }
}
