//! What is said of services on layer 2: which of their addresses are announced here, where, and who else has them.

use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{NodeId, Tenure};

use super::*;
use crate::kube::service_l2_status::OnLayer2;
use crate::speaker::lane::{Conflict, Contested, Membership, Needed, Protocol, Socket, Sockets};

/// It elects node-c.
const OTHER: &str = "2001:db8::4";

/// A node that knows of a service with these addresses, in pools that are announced on these interfaces, and what it says of it.
fn of_two(node: &str, addresses: &[&str], interfaces: [&[&str]; 2]) -> (Facts, Option<OnLayer2>) {
    let (mut facts, _) = ready_on(node);
    let object = |name: &str, spec: &Value| {
        let object = json!({ "metadata": { "name": name }, "spec": spec });
        (("metallb-system".to_owned(), name.to_owned()), object)
    };
    let pools = [("v4", "10.0.0.0/24"), ("v6", "2001:db8::/64")]
        .map(|(name, range)| object(name, &json!({ "addresses": [range] })));
    let advertisements = ["v4", "v6"].iter().zip(interfaces).map(|(pool, interfaces)| {
        object(pool, &json!({ "ipAddressPools": [pool], "interfaces": interfaces }))
    });
    facts.apply(Input::Configuration(Box::new(Change::Pool(listed(pools.map(readable))))));
    let advertisements = listed(advertisements.map(readable));
    facts.apply(Input::Configuration(Box::new(Change::L2Advertisement(advertisements))));
    facts.apply(Input::Service(Event::Applied(key("web"), row(addresses))));
    let said = said(&mut facts);
    (facts, said)
}

fn readable<K: serde::de::DeserializeOwned>((key, object): (ObjectKey, Value)) -> (ObjectKey, Stored<K>) {
    (key, Stored::Readable(serde_json::from_value(object).unwrap()))
}

/// What is said of the service now.
fn said(facts: &mut Facts) -> Option<OnLayer2> {
    round(facts);
    facts.statuses.as_ref()?.get(&key("web")).cloned()
}

fn addresses(said: &OnLayer2) -> Vec<String> {
    said.addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn each_node_that_announces_an_address_of_a_service_says_so_of_that_address() {
    for (node, expected) in
        [("node-a", None), ("node-b", Some((VIP, true))), ("node-c", Some((OTHER, false)))]
    {
        let (_, said) = of_two(node, &[VIP, OTHER], [&[], &[]]);
        let said = said.map(|said| (addresses(&said).join(" "), said.has_first));
        assert_eq!(said, expected.map(|(address, first)| (address.to_owned(), first)), "{node}");
    }
    let (_, said) = of_two("node-c", &[OTHER, VIP], [&[], &[]]);
    assert!(said.unwrap().has_first, "the first of this one");
}

#[test]
fn an_address_that_nobody_announces_does_not_keep_the_announcer_of_another_from_saying_so() {
    let (_, said) = of_two("node-b", &["192.0.2.1", VIP], [&[], &[]]);
    let said = said.unwrap();
    assert_eq!((addresses(&said), said.has_first), (vec![VIP.to_owned()], false), "192.0.2.1 is of no pool");
}

#[test]
fn who_announces_both_names_both_in_the_order_of_the_service_and_every_interface() {
    let only = |names: &[&str]| Interfaces::Only(names.iter().map(|name| (*name).into()).collect());
    for (interfaces, expected) in [
        ([&["eth0"][..], &["eth1"][..]], only(&["eth0", "eth1"])),
        ([&["eth0"], &["eth0"]], only(&["eth0"])),
        ([&["eth0"], &[]], Interfaces::All),
    ] {
        let (mut facts, said) = of_two("node-c", &[OTHER, VIP], interfaces);
        assert_eq!(addresses(&said.unwrap()), [OTHER]);
        facts.set_speakers(Some(alive(&["node-c"])));
        let said = self::said(&mut facts).unwrap();
        assert_eq!(addresses(&said), [OTHER, VIP]);
        assert_eq!(said.interfaces, expected);
        facts.set_speakers(Some(all_alive()));
        assert_eq!(addresses(&self::said(&mut facts).unwrap()), [OTHER], "the other one went back");
    }
}

#[test]
fn conflicts_and_the_epoch_are_those_of_the_addresses_that_are_announced_here() {
    let (mut facts, _) = of_two("node-c", &[VIP, OTHER], [&[], &[]]);
    let station = Conflict { interface: None, station: Mac([2, 0, 0, 0, 0, 0x63]) };
    let both = [VIP, OTHER].map(|address| (address.parse().unwrap(), station.clone()));
    facts.set_contested(both.into());
    let conflicts = said(&mut facts).unwrap().conflicts;
    assert_eq!(conflicts.iter().map(|conflict| conflict.address.as_str()).collect::<Vec<_>>(), [OTHER]);

    facts.set_sticky();
    let tenure = |epoch, node: &str| Tenure { epoch, owner: NodeId::from(&node.into()) };
    let claims = [(vip(), tenure(7, "node-b")), (OTHER.parse().unwrap(), tenure(3, "node-c"))];
    let tenures: SharedMap<_, _> = claims.into_iter().collect();
    let membership =
        Membership { speakers: Some(all_alive()), tenures, is_on: true, ..Membership::default() };
    facts.set_membership(Instant::now(), membership);
    assert_eq!(said(&mut facts).unwrap().epoch, Some(3));
}

#[test]
fn a_station_outside_the_cluster_that_has_the_address_is_told_once_and_reported_until_it_is_gone() {
    let (mut facts, _) = ready();
    let station = "02:00:00:00:00:63";
    let conflict = Conflict { interface: Some("eth0".into()), station: Mac([2, 0, 0, 0, 0, 0x63]) };
    for _ in 0..2 {
        facts.set_contested([(vip(), conflict.clone())].into());
    }
    let outcome = round(&mut facts);
    assert_eq!(reasons(&outcome), ["addressConflict"]);
    let message = &outcome.news.happenings[0].message;
    assert!(
        message.contains(station) && message.contains("eth0") && message.contains("10.0.0.1"),
        "{message}"
    );
    let said = outcome.statuses.unwrap();
    let conflicts = &said.get(&key("web")).unwrap().conflicts;
    assert_eq!(
        (conflicts[0].address.as_str(), conflicts[0].hardware_address.as_str()),
        ("10.0.0.1", station)
    );
    assert_eq!(reasons(&round(&mut facts)), [""; 0]);
    facts.set_contested(Contested::new());
    let outcome = round(&mut facts);
    assert_eq!(reasons(&outcome), ["addressConflictOver"]);
    assert!(outcome.statuses.unwrap().get(&key("web")).unwrap().conflicts.is_empty());
}

#[test]
fn the_state_names_every_socket_and_a_roll_out_waits_for_those_that_are_needed() {
    let (facts, _) = ready();
    let failed = || Socket::Failed("Operation not permitted (os error 1)".to_owned());
    let sockets: Sockets = [((2, Protocol::Arp), Socket::Open), ((2, Protocol::Ndp), failed())].into();
    let state = facts.state(&[].into(), &sockets);
    assert_eq!(
        state["layer2"]["sockets"],
        json!([
            { "interface": "eth0", "protocol": "ARP", "open": true, "text": null },
            { "interface": "eth0", "protocol": "NDP", "open": false, "text": "Operation not permitted (os error 1)" },
        ])
    );
    let needed = facts.needed_sockets(&sockets);
    assert_eq!(needed, Needed { open: 1, missing: [].into() }, "it has no IPv6 address to announce");
    assert_eq!(ready_on("node-a").0.needed_sockets(&Sockets::new()), Needed::default(), "nor this one any");
}
