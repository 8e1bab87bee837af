//! BGPPeers, and the BFDProfiles and Secrets that they refer to.

use std::num::NonZeroU8;
use std::time::Duration;

use metallb_core::config::{Endpoint, Password, PasswordSource, Peer, RemoteAs, SessionFamilies};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{codes, read, refused, set_aside};
use crate::config::{Node, Objects, Secret, Stored, parse};

/// Peers by name, in the order of their age, each complete but for what its spec says.
fn with_peers(peers: &[(&str, Value)]) -> Objects {
    let mut objects = Objects::default();
    for (i, (name, changes)) in peers.iter().enumerate() {
        let mut spec = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "10.0.0.1" });
        for (field, value) in changes.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let created = format!("2026-01-01T00:00:{i:02}Z");
        let object = json!({ "metadata": { "namespace": "metallb-system" }, "spec": spec });
        objects.bgp_peers.insert((*name).to_owned(), read(object, name, &created));
    }
    objects
}

fn with_peer(spec: Value) -> Objects {
    with_peers(&[("tor", spec)])
}

fn named<K: DeserializeOwned>(name: &str, spec: &Value) -> (String, Stored<K>) {
    (name.to_owned(), read(json!({ "metadata": {}, "spec": spec }), name, "2026-01-01T00:00:00Z"))
}

fn secret(kind: &str, keys: &[&str]) -> (String, Secret) {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    ("password".to_owned(), Secret { kind: kind.to_owned(), keys })
}

/// The only peer, which is in force.
fn accepted(objects: &Objects) -> Peer {
    assert_eq!(set_aside(objects), []);
    let peers = parse(objects).config.peers;
    assert_eq!(peers.len(), 1);
    peers.into_values().next().unwrap()
}

fn node(name: &str) -> (String, Node) {
    let labels = [("kubernetes.io/hostname".to_owned(), name.to_owned())].into();
    (name.to_owned(), Node { labels, ..Node::default() })
}

fn on(names: &[&str]) -> Value {
    let on = |name: &&str| json!({ "matchLabels": { "kubernetes.io/hostname": name } });
    names.iter().map(on).collect()
}

#[test]
fn a_complete_peer_is_read_field_by_field() {
    let mut objects = with_peer(json!({
        "localASN": 64999,
        "peerAddress": "fd00::1",
        "sourceAddress": "fd00::7",
        "peerPort": 1179,
        "holdTime": "1m30s",
        "keepaliveTime": "20s",
        "connectTime": "10s",
        "routerID": "10.10.10.10",
        "nodeSelectors": on(&["a"]),
        "passwordSecret": { "name": "password" },
        "bfdProfile": "fast",
        "enableGracefulRestart": true,
        "ebgpMultiHop": true,
        "vrf": "red",
        "dualStackAddressFamily": true,
    }));
    objects.secrets = Some([secret("kubernetes.io/basic-auth", &["password"])].into());
    objects.bfd_profiles = [named("fast", &json!({ "receiveInterval": 50, "minimumTtl": 7 }))].into();
    let peer = accepted(&objects);
    assert_eq!((peer.my_asn.get(), peer.local_asn.unwrap().get()), (64500, 64999));
    assert!(matches!(peer.remote, RemoteAs::Number(asn) if asn.get() == 64510));
    assert_eq!(peer.endpoint, Endpoint::Address("fd00::1".parse().unwrap()));
    assert_eq!(peer.source_address, Some("fd00::7".parse().unwrap()));
    assert_eq!(peer.port.get(), 1179);
    let timers = peer.timers.unwrap();
    assert_eq!(timers.hold_time().get(), Some(Duration::from_secs(90)));
    assert_eq!(timers.keepalive_time(), Some(Duration::from_secs(20)));
    assert_eq!(peer.connect_time.unwrap().get(), Duration::from_secs(10));
    assert_eq!(peer.router_id.unwrap().to_string(), "10.10.10.10");
    assert_eq!(peer.vrf.as_ref().unwrap().as_str(), "red");
    assert_eq!(peer.password, Some(PasswordSource::Secret("password".into())));
    let bfd = peer.bfd.as_ref().unwrap();
    assert_eq!((bfd.name.as_str(), bfd.profile.minimum_ttl.get()), ("fast", 7));
    assert_eq!(bfd.profile.receive_interval.get(), Duration::from_millis(50));
    assert_eq!((peer.graceful_restart, peer.multihop, peer.families), (true, true, SessionFamilies::Both));
    assert_eq!(peer.node_selectors.len(), 1);
    assert_eq!(peer.identity(), "fd00::1-red");
}

#[test]
fn a_peer_with_little_leaves_the_rest_to_the_profile_of_defaults() {
    let peer = accepted(&with_peer(json!({ "password": "secret" })));
    assert_eq!(peer.password, Some(PasswordSource::Inline(Password::new("secret"))));
    assert_eq!((peer.port.get(), peer.timers, peer.connect_time, peer.router_id), (179, None, None, None));
    assert_eq!((peer.families, peer.multihop, peer.node_selectors.len()), (SessionFamilies::Own, false, 0));
    let peer = accepted(&with_peer(json!({ "peerASN": null, "dynamicASN": "internal" })));
    assert_eq!(peer.remote, RemoteAs::Internal);
    let peer = accepted(&with_peer(json!({ "peerASN": 0, "dynamicASN": "external" })));
    assert_eq!(peer.remote, RemoteAs::External, "0 is \"not set\"");
    let peer = accepted(&with_peer(json!({ "peerAddress": "", "interface": "eth1" })));
    assert_eq!(peer.endpoint, Endpoint::Interface("eth1".into()));
}

#[test]
fn an_annotation_turns_ttl_security_on_for_a_number_of_hops() {
    let annotated = |text: &str| {
        let mut objects = with_peer(json!({}));
        let Some(Stored::Readable(peer)) = objects.bgp_peers.get_mut("tor") else {
            panic!("a readable peer")
        };
        peer.metadata.annotations =
            Some([("metallb.io/ttl-security-hops".to_owned(), text.to_owned())].into());
        objects
    };
    for (text, hops) in [("1", 1), (" 254 ", 254)] {
        assert_eq!(accepted(&annotated(text)).ttl_security.map(NonZeroU8::get), Some(hops));
    }
    for text in ["", "0", "255", "-1", "near"] {
        assert_eq!(codes(&annotated(text)), ["BGPPeer tor: peer-bad-ttl-security"], "{text:?}");
    }
}

#[test]
fn every_fault_of_a_peer_has_its_code_and_names_the_value() {
    let expression = |expression: Value| json!({ "nodeSelectors": [{ "matchExpressions": [expression] }] });
    for (spec, code, told) in [
        (json!({ "peerAddress": "1.2.3.400" }), "peer-bad-address", "invalid BGPPeer address \"1.2.3.400\""),
        (json!({ "myASN": 0 }), "peer-without-own-asn", "spec.myASN"),
        (json!({ "peerASN": 0 }), "peer-without-asn", "spec.dynamicASN"),
        (json!({ "dynamicASN": "internal" }), "peer-with-two-asns", "spec.peerASN"),
        (json!({ "peerASN": 64500, "ebgpMultiHop": true }), "peer-internal-multihop", "64500"),
        (json!({ "holdTime": "30s", "keepaliveTime": "90s" }), "peer-bad-timers", "90s"),
        (json!({ "holdTime": "1s" }), "peer-bad-timers", "1s"),
        (json!({ "holdTime": "500ms" }), "peer-bad-timers", "500ms"),
        (json!({ "holdTime": "20h" }), "peer-bad-timers", "65535"),
        (json!({ "holdTime": "soon" }), "peer-bad-duration", "spec.holdTime"),
        (json!({ "keepaliveTime": "-1s" }), "peer-bad-duration", "spec.keepaliveTime"),
        (json!({ "connectTime": "0s" }), "peer-bad-connect-time", "0s"),
        (json!({ "connectTime": "" }), "peer-bad-duration", "spec.connectTime"),
        (json!({ "routerID": "oh god how do I BGP" }), "peer-bad-router-id", "oh god"),
        (json!({ "routerID": "0.0.0.0" }), "peer-bad-router-id", "0.0.0.0"),
        (json!({ "sourceAddress": "here" }), "peer-bad-source-address", "here"),
        (json!({ "sourceAddress": "fd00::1" }), "peer-source-family", "fd00::1"),
        (json!({ "peerPort": 0 }), "out-of-range", "spec.peerPort is 0"),
        (json!({ "peerPort": 16385 }), "out-of-range", "16385"),
        (expression(json!({ "key": "k", "operator": "" })), "bad-selector", "spec.nodeSelectors"),
        (
            expression(json!({ "key": "k", "operator": "Surrounds", "values": ["v"] })),
            "bad-selector",
            "Surrounds",
        ),
        (expression(json!({ "key": "k", "operator": "In", "values": ["v", "v"] })), "bad-selector", "\"v\""),
        (json!({ "nodeSelectors": [{}, {}] }), "bad-selector", "duplicate label selector"),
        (json!({ "peerAddress": "" }), "peer-without-address", "spec.interface"),
        (json!({ "interface": "eth0" }), "peer-with-two-addresses", "spec.interface"),
        (
            json!({ "password": "a", "passwordSecret": { "name": "b" } }),
            "peer-with-two-passwords",
            "spec.password",
        ),
    ] {
        let (found, text) = refused(&with_peer(spec.clone()));
        assert_eq!(found, code, "{spec}");
        assert!(text.contains(told) && text.starts_with("BGPPeer tor: "), "{text}");
    }
}

#[test]
fn passwords_never_show_in_what_is_said() {
    let objects =
        with_peer(json!({ "password": "swordfish", "passwordSecret": { "name": "b" }, "myASN": 0 }));
    assert_eq!(set_aside(&objects).len(), 2);
    assert!(!format!("{:?}", parse(&objects)).contains("swordfish"));
}

#[test]
fn a_secret_that_cannot_be_used_sets_the_peer_aside_once_secrets_are_known() {
    let objects = with_peer(json!({ "passwordSecret": { "name": "password" } }));
    accepted(&objects); // Secrets are unknown
    for (secrets, code, summary) in [
        (
            [].into(),
            "peer-unknown-secret",
            "parsing peer tor secret ref not found for peer config \"metallb-system\"/\"tor\"\nfailed to parse peer tor password secret",
        ),
        (
            [secret("Opaque", &["password"])].into(),
            "peer-secret-type",
            "parsing peer tor secret type mismatch on \"metallb-system\"/\"password\", type \"kubernetes.io/basic-auth\" is expected \nfailed to parse peer tor password secret",
        ),
        (
            [secret("kubernetes.io/basic-auth", &["username"])].into(),
            "peer-secret-without-password",
            "parsing peer tor Secret metallb-system/password of spec.passwordSecret has no key \"password\"\nfailed to parse peer tor password secret",
        ),
    ] {
        let objects = Objects { secrets: Some(secrets), ..objects.clone() };
        assert_eq!(refused(&objects).0, code);
        assert_eq!(set_aside(&objects)[0].summary(), summary);
        assert_eq!(parse(&objects).config.peers.len(), 0);
    }
}

#[test]
fn a_peer_waits_for_its_bfd_profile() {
    let mut objects = with_peer(json!({ "bfdProfile": "fast" }));
    assert_eq!(refused(&objects).0, "peer-unknown-bfd-profile");
    assert_eq!(set_aside(&objects)[0].summary(), "peer tor referencing non existing bfd profile fast");
    objects.bfd_profiles = [named("fast", &json!({ "detectMultiplier": 1 }))].into();
    assert_eq!(codes(&objects), ["BFDProfile fast: out-of-range", "BGPPeer tor: peer-unknown-bfd-profile"]);
    objects.bfd_profiles = [named("fast", &json!({}))].into();
    assert_eq!(accepted(&objects).bfd.unwrap().name.as_str(), "fast");
}

#[test]
fn every_number_of_a_bfd_profile_has_its_range() {
    for (field, low, high) in [
        ("receiveInterval", 9, 60_001),
        ("transmitInterval", 9, 60_001),
        ("echoInterval", 9, 60_001),
        ("detectMultiplier", 1, 256),
        ("minimumTtl", 0, 255),
    ] {
        for value in [low, high] {
            let profile = named("fast", &json!({ field: value }));
            let objects = Objects { bfd_profiles: [profile].into(), ..Objects::default() };
            let (code, text) = refused(&objects);
            assert_eq!(code, "out-of-range");
            assert!(text.contains(&format!("spec.{field} is {value}")), "{text}");
        }
        for value in [low + 1, high - 1] {
            let profile = named("fast", &json!({ field: value }));
            let objects = Objects { bfd_profiles: [profile].into(), ..Objects::default() };
            assert_eq!(set_aside(&objects), [], "{field} {value}");
        }
    }
}

/// Peers on nodes `a` and `b`: which of them contradict each other, and how the younger one is told.
#[test]
fn peers_that_a_node_selects_both_must_agree() {
    let at = |address: &str, more: Value| {
        let mut spec = more;
        spec["peerAddress"] = address.into();
        spec
    };
    let free: [&str; 0] = [];
    for (why, peers, expected) in [
        ("alone", vec![at("10.0.0.1", json!({ "routerID": "1.1.1.1" }))], &free[..]),
        (
            "one of three router IDs differs",
            vec![
                at("10.0.0.1", json!({ "routerID": "1.1.1.1" })),
                at("10.0.0.2", json!({ "routerID": "1.1.1.1" })),
                at("10.0.0.3", json!({ "routerID": "1.1.1.2" })),
            ],
            &["BGPPeer p2: router-ids-differ"],
        ),
        (
            "one is not set",
            vec![at("10.0.0.1", json!({ "routerID": "1.1.1.1" })), at("10.0.0.2", json!({}))],
            &["BGPPeer p1: router-ids-differ"],
        ),
        (
            "router IDs of different VRFs are apart",
            vec![at("10.0.0.1", json!({ "routerID": "1.1.1.1" })), at("10.0.0.2", json!({ "vrf": "red" }))],
            &free,
        ),
        (
            "own systems differ",
            vec![at("10.0.0.1", json!({})), at("10.0.0.2", json!({ "myASN": 64501 }))],
            &["BGPPeer p1: own-asns-differ"],
        ),
        (
            "own systems of different VRFs are apart",
            vec![at("10.0.0.1", json!({})), at("10.0.0.2", json!({ "myASN": 64501, "vrf": "red" }))],
            &free,
        ),
        ("one router twice", vec![at("10.0.0.1", json!({})); 2], &["BGPPeer p1: peers-of-one-router"]),
        (
            "one router written in two ways",
            vec![at("fd00::1", json!({})), at("fd00:0::1", json!({}))],
            &["BGPPeer p1: peers-of-one-router"],
        ),
        (
            "one address in three VRFs",
            vec![
                at("10.0.0.1", json!({})),
                at("10.0.0.1", json!({ "vrf": "red" })),
                at("10.0.0.1", json!({ "vrf": "blue" })),
            ],
            &free,
        ),
        (
            "one address twice in a VRF",
            vec![at("10.0.0.1", json!({ "vrf": "red" })); 2],
            &["BGPPeer p1: peers-of-one-router"],
        ),
        (
            "one interface twice",
            vec![at("", json!({ "interface": "eth0" })); 2],
            &["BGPPeer p1: peers-of-one-router"],
        ),
        ("two interfaces", ["eth0", "eth1"].map(|it| at("", json!({ "interface": it }))).to_vec(), &free),
        (
            "on different nodes",
            [["a"], ["b"]].map(|nodes| at("10.0.0.1", json!({ "nodeSelectors": on(&nodes) }))).to_vec(),
            &free,
        ),
        (
            "on nodes that overlap",
            [&["a"][..], &["a", "b"]]
                .map(|nodes| at("10.0.0.1", json!({ "nodeSelectors": on(nodes) })))
                .to_vec(),
            &["BGPPeer p1: peers-of-one-router"],
        ),
        (
            "one on every node",
            vec![at("10.0.0.1", json!({ "nodeSelectors": on(&["a"]) })), at("10.0.0.1", json!({}))],
            &["BGPPeer p1: peers-of-one-router"],
        ),
        (
            "the third collides",
            [["a"], ["b"], ["a"]]
                .map(|nodes| at("10.0.0.1", json!({ "nodeSelectors": on(&nodes) })))
                .to_vec(),
            &["BGPPeer p2: peers-of-one-router"],
        ),
    ] {
        let names = ["p0", "p1", "p2"];
        let peers: Vec<_> = names.into_iter().zip(peers).collect();
        let mut objects = with_peers(&peers);
        assert_eq!(codes(&objects), expected, "{why}, nodes unknown");
        objects.nodes = Some([node("a"), node("b")].into());
        assert_eq!(codes(&objects), expected, "{why}, nodes known");
        objects.nodes = Some([node("c")].into());
        let elsewhere = peers.iter().all(|(_, spec)| spec.get("nodeSelectors").is_some());
        if elsewhere {
            assert_eq!(codes(&objects), free, "{why}, and neither node exists");
        }
    }
}

#[test]
fn of_two_peers_of_one_router_the_younger_goes_whatever_their_names() {
    for (older, younger) in [("a", "b"), ("b", "a")] {
        let objects = with_peers(&[(older, json!({})), (younger, json!({}))]);
        let (code, text) = refused(&objects);
        assert_eq!(code, "peers-of-one-router");
        assert!(
            text.starts_with(&format!("BGPPeer {younger}: peer 10.0.0.1 already exists as BGPPeer {older}")),
            "{text}"
        );
        let summary = "peer 10.0.0.1 already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node";
        assert_eq!(set_aside(&objects)[0].summary(), summary);
        let peers = parse(&objects).config.peers;
        assert_eq!(peers.keys().collect::<Vec<_>>(), [&older.into()]);
    }
}

#[test]
fn a_peer_that_only_waits_for_something_keeps_its_place_and_an_invalid_one_does_not() {
    let waits = with_peers(&[("a", json!({ "bfdProfile": "fast" })), ("b", json!({}))]);
    assert_eq!(codes(&waits), ["BGPPeer a: peer-unknown-bfd-profile", "BGPPeer b: peers-of-one-router"]);
    let invalid = with_peers(&[("a", json!({ "myASN": 0 })), ("b", json!({}))]);
    assert_eq!(codes(&invalid), ["BGPPeer a: peer-without-own-asn"]);
    assert_eq!(parse(&invalid).config.peers.len(), 1);
}

#[test]
fn a_peer_that_is_set_aside_for_an_older_one_does_not_set_aside_a_third() {
    let objects = with_peers(&[
        ("a", json!({})),
        ("b", json!({ "myASN": 64501 })),
        ("c", json!({ "myASN": 64501, "peerAddress": "10.0.0.3", "vrf": "red" })),
    ]);
    assert_eq!(codes(&objects), ["BGPPeer b: peers-of-one-router", "BGPPeer b: own-asns-differ"]);
}

#[test]
fn disable_mp_is_warned_about_and_changes_nothing_else() {
    let objects = with_peer(json!({ "disableMP": true }));
    assert_eq!(codes(&objects), ["BGPPeer tor: peer-disable-mp"]);
    assert_eq!(accepted(&objects), accepted(&with_peer(json!({}))));
}

#[test]
fn what_tools_expect_first_is_told_first() {
    let mut objects = with_peers(&[
        ("a", json!({ "bfdProfile": "gone" })),
        ("b", json!({ "peerAddress": "10.0.0.2" })),
        ("c", json!({ "peerAddress": "10.0.0.2" })),
    ]);
    objects.pools = [named("lab", &json!({ "addresses": [] }))].into();
    let mut refusals = set_aside(&objects);
    refusals.sort_by(|one, other| one.rank().cmp(&other.rank()));
    let order: Vec<_> = refusals.iter().map(|refusal| refusal.object.to_string()).collect();
    assert_eq!(order, ["BGPPeer c", "BGPPeer a", "IPAddressPool lab"]);
}

/// One autonomous system and one router ID a rack: every pair of peers contradicts, and no two share a node. Were all
/// nodes asked about every pair, this would take minutes.
#[test]
fn very_many_peers_of_very_many_nodes_are_told_apart() {
    let rack = |n: u32| ("rack".to_owned(), n.to_string());
    let peer = |n: u32| {
        let spec = json!({
            "myASN": 64512 + n, "peerASN": 64000, "peerAddress": "192.0.2.1", "routerID": std::net::Ipv4Addr::from_bits(n + 1).to_string(),
            "nodeSelectors": [{ "matchLabels": { "rack": n.to_string() } }],
        });
        let object = json!({ "metadata": { "name": format!("rack-{n}") }, "spec": spec });
        (format!("rack-{n}"), Stored::Readable(serde_json::from_value(object).unwrap()))
    };
    let node = |n: u32| (format!("node-{n}"), Node { labels: [rack(n % 500)].into(), ..Node::default() });
    let mut objects = Objects {
        bgp_peers: (0..500).map(peer).collect(),
        nodes: Some((0..2000).map(node).collect()),
        ..Objects::default()
    };
    assert_eq!(set_aside(&objects), []);
    let everywhere = json!({ "myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.9" });
    let object = json!({ "metadata": { "name": "zz" }, "spec": everywhere });
    objects.bgp_peers.insert("zz".to_owned(), Stored::Readable(serde_json::from_value(object).unwrap()));
    assert_eq!(codes(&objects), ["BGPPeer zz: router-ids-differ", "BGPPeer zz: own-asns-differ"]);
}
