//! What is accepted, what is set aside and why, and that one bad object disables nothing else.

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

/// The only refusal: its code, and what it tells the user.
fn refused(objects: &Objects) -> (&'static str, String) {
    let refusals = parse(objects).refusals;
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    (refusals[0].code(), refusals[0].explain())
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
    let parsed = parse(&with_pool("lab", pool(&spec)));
    assert_eq!(parsed.refusals, []);
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
    let parsed = parse(&with_advertisement(advertisement(&spec)));
    assert_eq!(parsed.refusals, []);
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
