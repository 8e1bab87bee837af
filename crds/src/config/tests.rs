//! What is accepted, what is set aside and why, and that one bad object disables nothing else.
//!
//! Pools and layer 2 here; the rest by noun.

mod bgp_advertisement;
mod every_code;
mod peer;
mod properties;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use metallb_core::address::Family;
use metallb_core::config::Interfaces;
use metallb_core::refusal::Refusal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::{IPAddressPool, L2Advertisement};

fn read<K: DeserializeOwned>(mut object: Value, name: &str, created: &str) -> Stored<K> {
    object["metadata"]["name"] = name.into();
    object["metadata"]["creationTimestamp"] = created.into();
    Stored::Readable(serde_json::from_value(object).unwrap())
}

fn pool(spec: &Value) -> Stored<IPAddressPool> {
    read(json!({ "metadata": {}, "spec": spec }), "lab", "2026-01-01T00:00:00Z")
}

fn advertisement(spec: &Value) -> Stored<L2Advertisement> {
    read(json!({ "metadata": {}, "spec": spec }), "lab", "2026-01-01T00:00:00Z")
}

fn with_pool(name: &str, pool: Stored<IPAddressPool>) -> Objects {
    Objects { pools: [(name.to_owned(), pool)].into(), ..Objects::default() }
}

fn with_advertisement(advertisement: Stored<L2Advertisement>) -> Objects {
    Objects { l2_advertisements: [("lab".to_owned(), advertisement)].into(), ..Objects::default() }
}

/// What is not in force, and why.
fn set_aside(objects: &Objects) -> Vec<ObjectRefusal> {
    parse(objects).refusals.into_iter().filter(|refusal| refusal.effect().sets_aside()).collect()
}

/// The only refusal that sets something aside: its code, and what it tells the user.
fn refused(objects: &Objects) -> (&'static str, String) {
    let refusals = set_aside(objects);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    (refusals[0].code(), refusals[0].explain())
}

/// The codes of everything that is said, as `Kind name: code`.
fn codes(objects: &Objects) -> Vec<String> {
    let refusals = parse(objects).refusals;
    refusals.iter().map(|refusal| format!("{}: {}", refusal.object, refusal.code())).collect()
}

#[test]
fn a_complete_pool_is_read_field_by_field() {
    let spec = json!({
        "addresses": ["10.0.0.0/28", "fd00::10-fd00::1f"],
        "autoAssign": false,
        "avoidBuggyIPs": true,
        "serviceAllocation": {
            "priority": 50,
            "namespaces": ["web"],
            "namespaceSelectors": [{ "matchLabels": { "team": "net" } }],
            "serviceSelectors": [{ "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["db"] }] }],
        },
    });
    let objects = with_pool("lab", pool(&spec));
    assert_eq!(set_aside(&objects), []);
    let parsed = parse(&objects);
    let pool = parsed.config.pools.get(&"lab".into()).unwrap();
    assert_eq!((pool.capacity(Family::V4), pool.capacity(Family::V6)), (15, 16));
    assert_eq!((pool.auto_assign, pool.avoid_buggy_ips), (false, true));
    let allocation = pool.allocation.as_ref().unwrap();
    assert_eq!(allocation.priority, 50);
    assert_eq!(allocation.namespaces, ["web".into()].into());
    assert_eq!((allocation.namespace_selectors.len(), allocation.service_selectors.len()), (1, 1));
}

#[test]
fn every_fault_of_a_pool_has_its_code_and_names_the_value() {
    let selectors = |selectors: Value| json!({ "addresses": ["10.0.0.0/24"], "serviceAllocation": { "serviceSelectors": selectors } });
    let expression = |operator: &str, values: Value| {
        selectors(json!([{ "matchExpressions": [{ "key": "k", "operator": operator, "values": values }] }]))
    };
    for (spec, code, named) in [
        (json!({ "addresses": [] }), "pool-empty", "spec.addresses"),
        (json!({ "addresses": ["10.0.0.1"] }), "pool-bad-addresses", "10.0.0.1/32"),
        (json!({ "addresses": ["fd00::1"] }), "pool-bad-addresses", "fd00::1/128"),
        (json!({ "addresses": ["10.0.0.0/33"] }), "pool-bad-addresses", "at most 32"),
        (json!({ "addresses": ["10.0.0.9-10.0.0.1"] }), "pool-bad-addresses", "10.0.0.1-10.0.0.9"),
        (json!({ "addresses": ["10.0.0.1-fd00::1"] }), "pool-bad-addresses", "different families"),
        (json!({ "addresses": ["10.0.0.0/24", "lab"] }), "pool-bad-addresses", "\"lab\""),
        (json!({ "addresses": ["224.0.0.0/24"] }), "pool-unusable-range", "multicast"),
        (json!({ "addresses": ["10.0.0.0/24", "10.0.0.9/32"] }), "pool-ranges-overlap", "10.0.0.9"),
        (
            json!({ "addresses": ["10.0.0.0/24"], "serviceAllocation": { "namespaces": ["a", "a"] } }),
            "duplicate-namespace",
            "namespace a",
        ),
        (expression("Sometimes", json!(["v"])), "bad-selector", "Sometimes"),
        (expression("In", json!([])), "bad-selector", "\"k\""),
        (expression("Exists", json!(["v"])), "bad-selector", "\"k\""),
        (expression("In", json!(["v", "v"])), "bad-selector", "\"v\""),
        (selectors(json!([{}, {}])), "bad-selector", "duplicate label selector"),
    ] {
        let (found, text) = refused(&with_pool("lab", pool(&spec)));
        assert_eq!(found, code, "{spec}");
        assert!(text.contains(named) && text.starts_with("IPAddressPool lab: "), "{text}");
    }
}

#[test]
fn all_that_is_wrong_with_an_object_is_told_at_once() {
    let spec = json!({
        "addresses": ["10.0.0.1", "10.1.0.0/24", "10.1.0.7/32", "224.0.0.0/24", "nonsense"],
        "serviceAllocation": { "namespaces": ["a", "a"], "serviceSelectors": [{}, {}], "namespaceSelectors": [{}, {}] },
    });
    let codes: Vec<_> = set_aside(&with_pool("lab", pool(&spec))).iter().map(Refusal::code).collect();
    let expected = [
        "pool-bad-addresses",
        "pool-bad-addresses",
        "pool-ranges-overlap",
        "pool-unusable-range",
        "duplicate-namespace",
        "bad-selector",
        "bad-selector",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn a_pool_without_any_usable_entry_is_not_called_empty_too() {
    assert_eq!(refused(&with_pool("lab", pool(&json!({ "addresses": ["lab"] })))).0, "pool-bad-addresses");
}

#[test]
fn a_pool_that_overlaps_several_is_told_about_each() {
    let mut objects = with_pool("a", pool(&json!({ "addresses": ["10.0.0.0/24"] })));
    objects.pools.insert("b".into(), pool(&json!({ "addresses": ["10.1.0.0/24"] })));
    objects.pools.insert("c".into(), pool(&json!({ "addresses": ["10.0.0.0/8"] })));
    let told: Vec<_> =
        set_aside(&objects).iter().map(|refusal| format!("{}: {}", refusal.object, refusal.code())).collect();
    assert_eq!(told, ["IPAddressPool c: pools-overlap", "IPAddressPool c: pools-overlap"]);
}

#[test]
fn an_object_that_the_api_server_has_not_seen_yet_is_the_youngest() {
    let addresses = json!({ "addresses": ["10.0.0.0/24"] });
    let mut new = pool(&addresses);
    if let Stored::Readable(object) = &mut new {
        object.metadata.creation_timestamp = None;
    }
    let mut objects = with_pool("a", new);
    objects.pools.insert("b".into(), pool(&addresses));
    assert!(refused(&objects).1.starts_with("IPAddressPool a: "));
}

#[test]
fn a_pool_that_holds_the_address_of_a_node_is_warned_about_and_in_force() {
    let mut objects = with_pool("lab", pool(&json!({ "addresses": ["10.0.0.0/24"] })));
    objects.l2_advertisements.insert("lab".into(), advertisement(&json!({})));
    assert_eq!(codes(&objects), [""; 0]);
    let node = |address: &str| Node { addresses: [address.parse().unwrap()].into(), ..Node::default() };
    objects.nodes = Some([("n1".to_owned(), node("10.0.1.1"))].into());
    assert_eq!(codes(&objects), [""; 0]);
    objects.nodes = Some([("n1".to_owned(), node("10.0.0.1"))].into());
    assert_eq!(codes(&objects), ["IPAddressPool lab: pool-holds-node-address"]);
    let parsed = parse(&objects);
    assert!(!parsed.any_set_aside());
    assert!(parsed.config.pools.get(&"lab".into()).is_some());
}

#[test]
fn a_pool_that_nothing_advertises_is_warned_about_unless_a_broken_advertisement_may_be_meant_to() {
    let mut objects = with_pool("lab", pool(&json!({ "addresses": ["10.0.0.0/24"] })));
    assert_eq!(codes(&objects), ["IPAddressPool lab: pool-not-advertised"]);
    objects
        .l2_advertisements
        .insert("lab".into(), advertisement(&json!({ "ipAddressPools": ["lab", "lab"] })));
    assert_eq!(codes(&objects), ["L2Advertisement lab: duplicate-pool"]);
}

#[test]
fn selectors_that_mean_the_same_are_the_same() {
    let selector =
        |values: Value| json!({ "matchExpressions": [{ "key": "k", "operator": "In", "values": values }] });
    let spec = json!({
        "addresses": ["10.0.0.0/24"],
        "serviceAllocation": { "serviceSelectors": [selector(json!(["a", "b"])), selector(json!(["b", "a"]))] },
    });
    assert_eq!(refused(&with_pool("lab", pool(&spec))).0, "bad-selector");
}

#[test]
fn of_two_overlapping_pools_the_younger_is_set_aside_whatever_their_names() {
    for (older, younger) in [("a", "b"), ("b", "a")] {
        let spec = json!({ "metadata": {}, "spec": { "addresses": ["10.0.0.0/24"] } });
        let pools = [
            (older.to_owned(), read(spec.clone(), older, "2026-01-01T00:00:00Z")),
            (younger.to_owned(), read(spec, younger, "2026-01-02T00:00:00Z")),
        ];
        let objects = Objects { pools: pools.into(), ..Objects::default() };
        let (code, text) = refused(&objects);
        assert_eq!(code, "pools-overlap");
        assert!(text.starts_with(&format!("IPAddressPool {younger}: ")), "{text}");
        assert!(
            text.contains(&format!("overlaps with already defined CIDR 10.0.0.0-10.0.0.255 of pool {older}")),
            "{text}"
        );
        assert!(parse(&objects).config.pools.get(&older.into()).is_some());
    }
}

#[test]
fn an_object_that_cannot_be_read_is_set_aside_and_known_by_name_and_labels() {
    let metadata =
        ObjectMeta { labels: Some([("zone".to_owned(), "a".to_owned())].into()), ..ObjectMeta::default() };
    let broken =
        Stored::Unreadable { metadata: Box::new(metadata), error: "spec.addresses: not a list".into() };
    let mut objects = with_pool("broken", broken);
    objects.pools.insert("good".into(), pool(&json!({ "addresses": ["10.0.0.0/24"] })));
    let parsed = parse(&objects);
    assert_eq!(parsed.refusals[0].code(), "unreadable");
    assert!(parsed.refusals[0].explain().contains("spec.addresses: not a list"));
    assert!(parsed.config.pools.any_set_aside());
    assert_eq!(parsed.config.pools.labels_of(&"broken".into()).unwrap()["zone"], "a");
    assert!(parsed.config.pools.get(&"good".into()).is_some(), "the good one stays in force");
}

#[test]
fn a_complete_l2_advertisement_is_read_field_by_field() {
    let spec = json!({
        "ipAddressPools": ["lab"],
        "ipAddressPoolSelectors": [{ "matchLabels": { "zone": "a" } }],
        "nodeSelectors": [{ "matchLabels": { "edge": "" } }],
        "serviceSelectors": [{}],
        "interfaces": ["eth0", "eth1"],
        "preferredNodeSelectors": [{ "weight": 100, "preference": { "matchLabels": { "rack": "1" } } }],
    });
    let objects = with_advertisement(advertisement(&spec));
    assert_eq!(codes(&objects), ["L2Advertisement lab: advertises-unknown-pool"]);
    let parsed = parse(&objects);
    let advertisement = &parsed.config.l2_advertisements["lab"];
    assert_eq!(advertisement.pools.names, ["lab".into()].into());
    assert_eq!(advertisement.interfaces, Interfaces::Only(["eth0".into(), "eth1".into()].into()));
    assert_eq!(advertisement.preference(&[("rack".to_owned(), "1".to_owned())].into()), 100);
    assert!(advertisement.covers_node(&[("edge".to_owned(), String::new())].into()));
    assert!(!advertisement.covers_node(&[].into()));
}

#[test]
fn every_fault_of_an_l2_advertisement_has_its_code() {
    for (spec, code) in [
        (json!({ "ipAddressPools": ["a", "a"] }), "duplicate-pool"),
        (json!({ "nodeSelectors": [{}, {}] }), "bad-selector"),
        (json!({ "ipAddressPoolSelectors": [{}, {}] }), "bad-selector"),
        (json!({ "serviceSelectors": [{}, {}] }), "bad-selector"),
        (json!({ "preferredNodeSelectors": [{ "weight": 0, "preference": {} }] }), "bad-weight"),
        (json!({ "preferredNodeSelectors": [{ "weight": 101, "preference": {} }] }), "bad-weight"),
    ] {
        assert_eq!(refused(&with_advertisement(advertisement(&spec))).0, code, "{spec}");
    }
}

#[test]
fn an_advertisement_with_nothing_but_a_name_covers_everything() {
    let parsed = parse(&with_advertisement(advertisement(&json!({}))));
    assert_eq!(parsed.config.l2_advertisements["lab"], metallb_core::config::L2Advertisement::default());
}
