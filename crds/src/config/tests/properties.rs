//! Of any objects at all: there is a configuration, always the same, and one bad object more changes nothing of it.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::{Node, Objects, Stored, parse};

/// Specs that are valid alone or not, many of which contradict each other.
fn pools() -> Vec<Value> {
    let of = |addresses: Value| json!({ "addresses": addresses });
    vec![
        of(json!(["10.0.0.0/24"])),
        of(json!(["10.0.0.128/25", "fd00::/120"])),
        of(json!(["10.1.0.0-10.1.0.9"])),
        of(json!([])),
        of(json!("10.0.0.0/24")),
        json!({ "addresses": ["10.9.0.0/24"], "serviceAllocation": { "namespaces": ["a", "a"] } }),
    ]
}

fn l2_advertisements() -> Vec<Value> {
    vec![json!({}), json!({ "ipAddressPools": ["a"] }), json!({ "ipAddressPools": ["a", "a"] }), json!([])]
}

fn bgp_advertisements() -> Vec<Value> {
    vec![
        json!({ "localPref": 100 }),
        json!({ "localPref": 200, "peers": ["a"] }),
        json!({ "aggregationLength": 20 }),
        json!({ "communities": ["quiet"] }),
        json!({ "communities": ["1:2:3"] }),
        json!({ "aggregationLength": "24" }),
    ]
}

fn peers() -> Vec<Value> {
    let peer = |more: Value| {
        let mut spec = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "10.0.0.1" });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        spec
    };
    vec![
        peer(json!({})),
        peer(json!({ "vrf": "red", "bfdProfile": "a" })),
        peer(json!({ "peerAddress": "10.0.0.2", "routerID": "1.1.1.1" })),
        peer(
            json!({ "peerAddress": "10.0.0.3", "myASN": 64501, "nodeSelectors": [{ "matchLabels": { "n": "1" } }] }),
        ),
        peer(json!({ "holdTime": "1s" })),
        peer(json!({ "myASN": "64500" })),
    ]
}

fn bfd_profiles() -> Vec<Value> {
    vec![
        json!({ "echoMode": true }),
        json!({}),
        json!({ "detectMultiplier": 1 }),
        json!({ "echoMode": "yes" }),
    ]
}

fn communities() -> Vec<Value> {
    let alias = |value: &str| json!({ "communities": [{ "name": "quiet", "value": value }] });
    vec![alias("1:2"), alias("large:1:2:3"), alias("loud"), json!({ "communities": {} })]
}

fn stored<K: DeserializeOwned>(name: &str, spec: &Value, age: u8) -> Stored<K> {
    let metadata = json!({ "name": name, "creationTimestamp": format!("2026-01-01T00:00:{:02}Z", age % 60) });
    let object = json!({ "metadata": metadata, "spec": spec });
    serde_json::from_value(object).map_or_else(
        |error| Stored::Unreadable {
            metadata: Box::new(serde_json::from_value(metadata).unwrap()),
            error: error.to_string(),
        },
        Stored::Readable,
    )
}

fn some<K: DeserializeOwned + std::fmt::Debug>(
    specs: Vec<Value>,
) -> impl Strategy<Value = BTreeMap<String, Stored<K>>> {
    let made = btree_map(select(vec!["a", "b", "c", "d"]), (select(specs), 0..4_u8), 0..4);
    made.prop_map(|made| {
        made.into_iter().map(|(name, (spec, age))| (name.to_owned(), stored(name, &spec, age))).collect()
    })
}

prop_compose! {
    fn objects()(
        pools in some(pools()),
        l2_advertisements in some(l2_advertisements()),
        bgp_advertisements in some(bgp_advertisements()),
        bgp_peers in some(peers()),
        bfd_profiles in some(bfd_profiles()),
        communities in some(communities()),
        nodes in proptest::option::of(select(vec![vec!["1"], vec![], vec!["1", "2"]])),
    ) -> Objects {
        let node = |n: &str| {
            let labels = [("n".to_owned(), n.to_owned())].into();
            (n.to_owned(), Node { labels, addresses: ["10.0.0.7".parse().unwrap()].into() })
        };
        let nodes = nodes.map(|names| names.into_iter().map(node).collect());
        Objects { pools, l2_advertisements, bgp_advertisements, bgp_peers, bfd_profiles, communities, nodes, secrets: None }
    }
}

/// A malformed object of each kind.
fn add_malformed(objects: &mut Objects, kind: usize) {
    let name = "malformed".to_owned();
    match kind {
        0 => drop(objects.pools.insert(name, stored("malformed", &json!({ "addresses": 7 }), 0))),
        1 => {
            drop(objects.pools.insert(name, stored("malformed", &json!({ "addresses": ["10.0.0.0/33"] }), 0)))
        }
        2 => drop(
            objects
                .l2_advertisements
                .insert(name, stored("malformed", &json!({ "nodeSelectors": [{}, {}] }), 0)),
        ),
        3 => drop(
            objects
                .bgp_advertisements
                .insert(name, stored("malformed", &json!({ "communities": ["1:2:3"] }), 0)),
        ),
        4 => drop(
            objects
                .bgp_peers
                .insert(name, stored("malformed", &json!({ "myASN": 0, "peerAddress": "10.0.0.1" }), 0)),
        ),
        5 => drop(objects.bfd_profiles.insert(name, stored("malformed", &json!({ "minimumTtl": 0 }), 0))),
        _ => drop(objects.communities.insert(
            name,
            stored("malformed", &json!({ "communities": [{ "name": "quiet", "value": "?" }] }), 0),
        )),
    }
}

proptest! {
    #[test]
    fn there_is_one_answer_for_any_objects(objects in objects()) {
        let parsed = parse(&objects);
        prop_assert_eq!(&parsed, &parse(&objects));
        for refusal in &parsed.refusals {
            prop_assert!(!refusal.summary().is_empty());
        }
    }

    #[test]
    fn a_malformed_object_more_changes_nothing_else(objects in objects(), kind in 0..7_usize) {
        let before = parse(&objects);
        let mut with = objects.clone();
        add_malformed(&mut with, kind);
        let after = parse(&with);
        let others = |parsed: &crate::config::Parsed| -> Vec<_> {
            let is_warning = |code: &str| code == "pool-not-advertised";
            parsed.refusals.iter()
                .filter(|refusal| refusal.object.name != "malformed")
                .filter(|refusal| !is_warning(metallb_core::refusal::Refusal::code(*refusal)))
                .cloned().collect()
        };
        prop_assert_eq!(others(&before), others(&after));
        let mut config = after.config;
        if kind <= 1 {
            // A pool that was refused is known to be there, and that is all.
            prop_assert!(config.pools.is_set_aside(&"malformed".into()));
            config.pools = before.config.pools.clone();
        }
        prop_assert_eq!(config, before.config);
    }

    #[test]
    fn what_is_in_force_is_in_force_without_what_is_set_aside(objects in objects()) {
        let parsed = parse(&objects);
        let mut rest = objects.clone();
        let config = &parsed.config;
        rest.l2_advertisements.retain(|name, _| config.l2_advertisements.contains_key(name.as_str()));
        rest.bgp_advertisements.retain(|name, _| config.bgp_advertisements.contains_key(name.as_str()));
        rest.bgp_peers.retain(|name, _| config.peers.contains_key(name.as_str()));
        rest.pools.retain(|name, _| config.pools.get(&name.as_str().into()).is_some());
        let again = parse(&rest);
        prop_assert_eq!(&again.config.peers, &config.peers);
        prop_assert_eq!(&again.config.bgp_advertisements, &config.bgp_advertisements);
        prop_assert_eq!(&again.config.l2_advertisements, &config.l2_advertisements);
    }
}
