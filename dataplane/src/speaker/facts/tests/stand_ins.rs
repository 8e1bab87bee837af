//! What routers are told in the name of nodes whose speakers restart, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use metallb_core::names::PeerName;
use metallb_protocols::liveness::Handover;

use super::*;
use crate::speaker::bgp::StandIns;
use crate::speaker::lane::{Membership, Predecessor, Routes};

fn configured(change: Change) -> Input {
    Input::Configuration(Box::new(change))
}

fn labelled(node: u8, rack: &str) -> Node {
    let labels = [("rack".to_owned(), rack.to_owned())].into_iter().collect();
    Node { labels, addresses: vec![[192, 0, 2, node].into()], ..Node::default() }
}

/// node-b of three in one rack, which all have the router `lab`; node-a, node-b and node-c are 192.0.2.1 and so on.
fn ready_for(peer: &Value) -> Facts {
    ready_on_for("node-b", &NODES, peer)
}

fn ready_on_for(own: &str, nodes: &[&str], peer: &Value) -> Facts {
    let mut facts = Facts::new(own.into(), false, true, Profile::Frr, PACE);
    let nodes = nodes.iter().zip(1..).map(|(name, number)| ((*name).into(), labelled(number, "first")));
    for input in [
        Input::Node(listed(nodes)),
        configured(Change::Pool(stored(&json!({ "addresses": ["10.0.0.0/24"] })))),
        configured(Change::L2Advertisement(listed([]))),
        configured(Change::BgpAdvertisement(stored(&json!({})))),
        configured(Change::BfdProfile(listed([]))),
        configured(Change::Community(listed([]))),
        configured(Change::Secret(listed([]))),
        configured(Change::BgpPeer(Box::new(stored(peer)))),
        Input::Service(listed([(key("web"), row(&[VIP]))])),
        Input::Slice(listed([(("default".to_owned(), "web-1".to_owned()), slice("web"))])),
    ] {
        facts.apply(input);
    }
    facts
}

fn ready() -> (Facts, Instant) {
    let now = Instant::now();
    let mut facts = ready_for(&json!({ "myASN": 64500, "peerASN": 64512, "peerAddress": "192.0.2.100" }));
    facts.set_membership(now, membership(&NODES, &[]));
    assert_eq!(facts.decide_routes(now).stand_ins, None, "nobody restarts");
    (facts, now)
}

fn membership(alive: &[&str], handovers: &[(&str, Handover)]) -> Membership {
    let speakers = Some(Speakers::Alive(alive.iter().map(|node| (*node).into()).collect()));
    let routes = |handover| Routes { boot_id: 1, handover };
    let handovers = handovers.iter().map(|(node, handover)| ((*node).into(), routes(*handover))).collect();
    Membership { speakers, is_on: true, handovers, ..Membership::default() }
}

/// In whose name, with which next hop, how many routes go to the router.
fn told(stand_ins: &StandIns) -> Vec<(String, Ipv4Addr, usize)> {
    let lab: PeerName = "lab".into();
    let routes = |routes: &BTreeMap<PeerName, BTreeMap<_, _>>| routes.get(&lab).map_or(0, BTreeMap::len);
    stand_ins
        .iter()
        .map(|(node, stand_in)| (node.to_string(), stand_in.next_hop, routes(&stand_in.routes)))
        .collect()
}

fn in_the_name_of_a() -> Vec<(String, Ipv4Addr, usize)> {
    vec![("node-a".to_owned(), Ipv4Addr::new(192, 0, 2, 1), 1)]
}

/// While node-a restarts.
fn standing_in() -> (Facts, Instant) {
    let (mut facts, now) = ready();
    facts.set_membership(now, membership(&NODES, &[("node-a", Handover::Given)]));
    let stand_ins = facts.decide_routes(now).stand_ins.expect("a node restarts");
    assert_eq!(told(&stand_ins), in_the_name_of_a());
    assert_eq!(facts.decide_routes(now).stand_ins, None, "and nothing is said twice");
    (facts, now)
}

#[test]
fn a_restarting_nodes_routes_are_told_in_its_name_until_it_is_back_and_routers_have_heard_it() {
    let (mut facts, now) = standing_in();
    facts.set_membership(now, membership(&NODES, &[("node-a", Handover::TakenBack)]));
    assert_eq!(facts.decide_routes(now).stand_ins, None, "routers may not have read yet what it told them");
    let due = facts.poll_timeout().unwrap();
    assert_eq!(due, now + Duration::from_secs(1));
    assert_eq!(facts.decide_routes(due).stand_ins, Some(StandIns::new()));
    assert_eq!((facts.decide_routes(due).stand_ins, facts.poll_timeout()), (None, None));
    let mut again = membership(&NODES, &[("node-a", Handover::Given)]);
    again.handovers.values_mut().for_each(|routes| routes.boot_id = 2);
    facts.set_membership(due, again);
    assert!(facts.decide_routes(due).stand_ins.is_some(), "it may restart again");
}

/// What is heard of each restart between two looks may be its last word alone.
#[test]
fn a_restart_in_the_next_life_is_another_one_though_nobody_heard_that_the_last_was_over() {
    let (mut facts, now) = standing_in();
    let later = now + Duration::from_secs(100);
    let mut next = membership(&NODES, &[("node-a", Handover::Given)]);
    next.handovers.values_mut().for_each(|routes| routes.boot_id = 2);
    facts.set_membership(later, next);
    assert_eq!(facts.poll_timeout(), Some(later + Duration::from_mins(2)));
    assert_eq!(told(&facts.decide_routes(later).stand_ins.unwrap()), in_the_name_of_a());
}

#[test]
fn they_follow_what_happens_meanwhile() {
    let (mut facts, now) = standing_in();
    facts.apply(Input::Service(Event::Applied(key("more"), row(&["10.0.0.2"]))));
    facts.apply(Input::Slice(Event::Applied(("default".into(), "more-1".into()), slice("more"))));
    let decided = facts.decide_routes(now);
    assert_eq!(told(&decided.stand_ins.unwrap())[0].2, 2);
    assert_eq!(decided.routes.len(), 1, "and this node's own do, as ever");
    facts.apply(Input::Node(Event::Applied(
        "node-a".into(),
        Node { network_unavailable: true, ..labelled(1, "first") },
    )));
    assert_eq!(told(&facts.decide_routes(now).stand_ins.unwrap())[0].2, 0, "it announces nothing like that");
}

#[test]
fn a_node_whose_speaker_is_silent_is_asked_whether_it_lives_and_one_that_does_not_is_let_go_at_once() {
    let (mut facts, now) = standing_in();
    facts.set_links(now, links());
    facts.decide(now);
    facts.set_membership(now, membership(&NODES[1..], &[("node-a", Handover::Given)]));
    let asked = facts.decide(now).unwrap().absent;
    let node = Predecessor { node: "node-a".into(), address: [192, 0, 2, 1].into() };
    assert_eq!(*asked, BTreeSet::from([node]));
    assert_eq!(facts.decide_routes(now).stand_ins, None, "it goes on forwarding");

    facts.set_membership(now, membership(&NODES[1..], &[]));
    assert_eq!(facts.decide_routes(now).stand_ins, Some(StandIns::new()));
    assert!(facts.decide(now).unwrap().absent.is_empty());
}

#[test]
fn a_speaker_that_does_not_come_back_is_stood_in_for_no_longer_than_routers_would_wait() {
    let (mut facts, now) = standing_in();
    let due = facts.poll_timeout().unwrap();
    assert_eq!(due, now + Duration::from_mins(2));
    assert_eq!(facts.decide_routes(due).stand_ins, Some(StandIns::new()));
    facts.set_membership(due, membership(&NODES, &[("node-a", Handover::Given)]));
    assert_eq!(
        (facts.decide_routes(due).stand_ins, facts.poll_timeout()),
        (None, None),
        "nor again for the same restart"
    );
}

#[test]
fn a_node_that_has_another_router_is_none_of_this_nodes_business() {
    let peer = json!({
        "myASN": 64500, "peerASN": 64512, "peerAddress": "192.0.2.100",
        "nodeSelectors": [{ "matchLabels": { "rack": "first" } }],
    });
    let now = Instant::now();
    let mut facts = ready_for(&peer);
    facts.apply(Input::Node(Event::Applied("node-a".into(), labelled(1, "second"))));
    facts.set_membership(now, membership(&NODES[1..], &[("node-a", Handover::Given)]));
    assert_eq!(facts.decide_routes(now).stand_ins, None);
    assert!(facts.decide(now).unwrap().absent.is_empty(), "nor does it ask whether that one lives");
}

#[test]
fn of_many_that_share_a_router_two_stand_in_and_when_one_of_them_goes_another_does() {
    let names = ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"];
    let standing = |own: &str, alive: &[&str]| {
        let now = Instant::now();
        let peer = json!({ "myASN": 64500, "peerASN": 64512, "peerAddress": "192.0.2.100" });
        let mut facts = ready_on_for(own, &names, &peer);
        facts.set_membership(now, membership(alive, &[("node-a", Handover::Given)]));
        facts.decide_routes(now).stand_ins.is_some()
    };
    let all: Vec<&str> = names[1..].iter().copied().filter(|own| standing(own, &names)).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    let left: Vec<&str> = names.into_iter().filter(|name| *name != all[0]).collect();
    let then: Vec<&str> = left[1..].iter().copied().filter(|own| standing(own, &left)).collect();
    assert!(then.len() == 2 && then.contains(&all[1]), "{then:?}");
}

#[test]
fn who_stands_in_goes_on_though_a_nearer_nodes_speaker_starts_that_heard_nothing_of_it() {
    let names = ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"];
    let peer = json!({ "myASN": 64500, "peerASN": 64512, "peerAddress": "192.0.2.100" });
    for own in &names[1..] {
        let now = Instant::now();
        let mut facts = ready_on_for(own, &names, &peer);
        facts.set_membership(now, membership(&[own], &[("node-a", Handover::Given)]));
        assert!(facts.decide_routes(now).stand_ins.is_some(), "there is no other");
        facts.set_membership(now, membership(&names, &[("node-a", Handover::Given)]));
        assert_eq!(facts.decide_routes(now).stand_ins, None, "{own}: nothing changes");
    }
}

#[test]
fn time_passes_though_nothing_is_known_of_routes_yet() {
    let now = Instant::now();
    let mut facts = Facts::new("node-b".into(), false, true, Profile::Frr, PACE);
    facts.set_membership(now, membership(&NODES, &[("node-a", Handover::Given)]));
    let due = facts.poll_timeout().unwrap();
    facts.decide_routes(due);
    assert_eq!(facts.poll_timeout(), None, "it would be due for ever");
}
