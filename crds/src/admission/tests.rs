//! What is denied, what is warned of, and what passes.

#![expect(clippy::needless_pass_by_value, reason = "so that specs are written in place")]

use metallb_core::refusal::Kind;
use serde_json::{Value, json};

use super::*;
use crate::config::Objects;

const NAMESPACE: &str = "metallb-system";

fn object(kind: Kind, name: &str, spec: Value) -> Object {
    let metadata =
        json!({ "name": name, "namespace": NAMESPACE, "creationTimestamp": "2026-01-01T00:00:00Z" });
    Object::read(kind, &json!({ "metadata": metadata, "spec": spec }))
}

fn pool(name: &str, addresses: &[&str]) -> Object {
    object(Kind::IpAddressPool, name, json!({ "addresses": addresses }))
}

fn advertisement(name: &str, spec: Value) -> Object {
    object(Kind::L2Advertisement, name, spec)
}

/// These, and an advertisement of every pool, so that nobody is warned of a pool that nothing advertises.
fn stored(objects: &[Object]) -> Objects {
    let mut all = Objects::default();
    advertisement("all", json!({})).put_into(&mut all);
    for object in objects {
        object.clone().put_into(&mut all);
    }
    all
}

fn create(before: &[Object], new: Object) -> Decision {
    review(&stored(before), Change::Create(new), NAMESPACE)
}

/// The first of `before` becomes `new`.
fn update(before: &[Object], new: Object) -> Decision {
    review(&stored(before), Change::Update { old: before[0].clone(), new }, NAMESPACE)
}

/// The first of `before` goes.
fn delete(before: &[Object]) -> Decision {
    review(&stored(before), Change::Delete(before[0].clone()), NAMESPACE)
}

#[track_caller]
fn denied(decision: &Decision, fragments: &[&str]) {
    assert_eq!(decision.denials.len(), fragments.len(), "{decision:?}");
    for (denial, fragment) in decision.denials.iter().zip(fragments) {
        assert!(denial.contains(fragment), "{denial}");
    }
}

#[track_caller]
fn passes(decision: &Decision) {
    assert_eq!(decision.denials, [""; 0]);
}

#[test]
fn a_sound_object_passes_without_a_word() {
    assert_eq!(create(&[], pool("lab", &["10.0.0.0/24"])), Decision::default());
}

#[test]
fn a_new_object_with_a_fault_is_denied() {
    denied(&create(&[], pool("lab", &["10.0.0.1"])), &["IPAddressPool lab: invalid CIDR or range"]);
}

#[test]
fn of_two_overlapping_pools_the_new_one_is_denied_even_if_it_says_it_is_older() {
    let mut new = pool("aaa", &["10.0.0.0/28"]);
    let old = pool("lab", &["10.0.0.0/24"]);
    denied(&create(std::slice::from_ref(&old), new.clone()), &["overlaps with already defined CIDR"]);
    if let Object::Pool(crate::config::Stored::Readable(pool)) = &mut new {
        pool.metadata.creation_timestamp = None;
    }
    denied(&create(&[old], new), &["IPAddressPool aaa: "]);
}

#[test]
fn a_refusal_that_falls_on_another_object_is_introduced_too_and_names_that_object() {
    let before = [pool("a", &["10.0.0.0/24"]), pool("b", &["10.0.1.0/24"])];
    let decision = update(&before, pool("a", &["10.0.0.0/23"]));
    denied(&decision, &["IPAddressPool b: "]);
}

#[test]
fn an_edit_that_leaves_a_fault_passes_with_a_warning() {
    let before = [pool("b", &["10.0.0.0/24"]), pool("a", &["10.0.0.0/24"])];
    let decision = update(&before, pool("b", &["10.0.0.0/24", "10.9.0.0/24"]));
    passes(&decision);
    assert!(decision.warnings[0].starts_with("IPAddressPool b: "), "{decision:?}");
    passes(&update(&before, pool("b", &["10.0.0.0/28"]))); // less of it
    assert_eq!(update(&before, pool("b", &["10.9.0.0/28"])), Decision::default());
}

#[test]
fn an_edit_that_mends_one_fault_and_makes_another_is_denied_for_the_other() {
    let before = [pool("b", &["10.0.0.0/24"]), pool("a", &["10.0.0.0/24"])];
    denied(&update(&before, pool("b", &["10.9.0.1"])), &["invalid CIDR or range"]);
}

#[test]
fn faults_of_others_are_in_nobodys_way() {
    let broken = Object::read(
        Kind::IpAddressPool,
        &json!({ "metadata": { "name": "x" }, "spec": { "addresses": 7 } }),
    );
    let before = [pool("b", &["10.0.0.1"]), broken.clone(), pool("c", &["10.1.0.0/24"])];
    assert_eq!(create(&before, pool("new", &["10.2.0.0/24"])), Decision::default());
    assert_eq!(create(&before, advertisement("l2", json!({}))), Decision::default());
    passes(&delete(&before));
    passes(&review(&stored(&before), Change::Update { old: broken.clone(), new: broken }, NAMESPACE));
}

#[test]
fn an_object_without_the_shape_of_its_kind_is_denied() {
    let broken = Object::read(
        Kind::IpAddressPool,
        &json!({ "metadata": { "name": "x", "namespace": NAMESPACE }, "spec": { "addresses": 7 } }),
    );
    denied(&create(&[], broken), &["IPAddressPool x: the object cannot be read: spec.addresses"]);
}

#[test]
fn objects_belong_into_the_namespace_of_metallb() {
    for kind in [
        Kind::IpAddressPool,
        Kind::L2Advertisement,
        Kind::BgpAdvertisement,
        Kind::BgpPeer,
        Kind::BfdProfile,
        Kind::Community,
    ] {
        let elsewhere = |spec: Value| {
            Object::read(kind, &json!({ "metadata": { "name": "x", "namespace": "default" }, "spec": spec }))
        };
        // Not even one that switches off the checks upstream.
        let spec = json!({ "addresses": ["10.0.0.0/24"], "myASN": 1, "disableMP": true });
        let new = elsewhere(spec.clone());
        denied(&create(&[], new.clone()), &["resource must be created in metallb-system namespace"]);
        // What is there already can still lose its finalizers.
        let decision =
            review(&Objects::default(), Change::Update { old: new.clone(), new: new.clone() }, NAMESPACE);
        passes(&decision);
        assert!(decision.warnings[0].contains("has no effect in namespace default"), "{decision:?}");
        assert_eq!(review(&Objects::default(), Change::Delete(new), NAMESPACE), Decision::default());
    }
}

#[test]
fn an_object_elsewhere_does_not_hide_the_one_of_its_name_here() {
    let here = pool("lab", &["10.0.0.0/24"]);
    let there = Object::read(
        Kind::IpAddressPool,
        &json!({ "metadata": { "name": "lab", "namespace": "default" }, "spec": { "addresses": ["10.9.0.0/24"] } }),
    );
    let edit = Edit::of(&stored(&[here]), Change::Delete(there), NAMESPACE);
    assert!(!edit.changes_pools());
}

#[test]
fn a_bfd_profile_stays_while_a_peer_names_it() {
    let profile = object(Kind::BfdProfile, "fast", json!({}));
    let peer = |profile: &str| {
        let spec = json!({ "myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "bfdProfile": profile });
        object(Kind::BgpPeer, "router", spec)
    };
    let decision = delete(&[profile.clone(), peer("fast")]);
    denied(&decision, &["failed to delete BFDProfile fast: it is used by BGPPeer router"]);
    passes(&delete(&[profile.clone(), peer("slow")]));
    passes(&delete(&[profile]));
}

#[test]
fn deleting_is_never_denied_for_what_it_leaves_behind() {
    passes(&delete(&[
        pool("lab", &["10.0.0.0/24"]),
        advertisement("l2", json!({ "ipAddressPools": ["lab"] })),
    ]));
}

fn service(name: &str, ip: &str) -> RunningService {
    let service = json!({
        "metadata": { "name": name, "namespace": "web", "labels": { "tier": "front" } },
        "spec": { "type": "LoadBalancer" }, "status": { "loadBalancer": { "ingress": [{ "ip": ip }] } },
    });
    let labels = [("team".to_owned(), "web".to_owned())].into();
    RunningService::read(&serde_json::from_value(service).unwrap(), Some(&labels)).unwrap()
}

/// The warning when the pool `lab` of 10.0.0.0/24 gets another spec.
fn warned(spec: Value, services: &[RunningService]) -> Option<String> {
    let old = pool("lab", &["10.0.0.0/24"]);
    let new = object(Kind::IpAddressPool, "lab", spec);
    Edit::of(&stored(std::slice::from_ref(&old)), Change::Update { old, new }, NAMESPACE).warn_of(services)
}

#[test]
fn services_that_lose_their_address_are_named() {
    let services = [service("a", "10.0.0.5"), service("b", "10.0.0.200"), service("c", "10.7.0.1")];
    let text = warned(json!({ "addresses": ["10.0.0.0/28"] }), &services).unwrap();
    assert!(text.starts_with("IPAddressPool lab: 1 service loses its address"), "{text}");
    assert!(text.ends_with(": web/b (10.0.0.200)"), "{text}");
}

#[test]
fn every_way_to_take_an_address_is_seen_and_every_other_edit_is_not() {
    let allocation =
        |allocation: Value| json!({ "addresses": ["10.0.0.0/24"], "serviceAllocation": allocation });
    let selector = |key: &str, value: &str| json!([{ "matchLabels": { key: value } }]);
    for (spec, loses) in [
        (json!({ "addresses": ["10.0.0.0/25"] }), true),
        (json!({ "addresses": ["10.0.0.0/24"], "avoidBuggyIPs": true }), true),
        (allocation(json!({ "namespaces": ["shop"] })), true),
        (allocation(json!({ "serviceSelectors": selector("tier", "back") })), true),
        (allocation(json!({ "namespaceSelectors": selector("team", "shop") })), true),
        (allocation(json!({ "namespaces": ["web"] })), false),
        (allocation(json!({ "serviceSelectors": selector("tier", "front") })), false),
        (allocation(json!({ "namespaceSelectors": selector("team", "web") })), false),
        (allocation(json!({ "priority": 7 })), false),
        (json!({ "addresses": ["10.0.0.0/24"], "autoAssign": false }), false),
        (json!({ "addresses": ["10.0.0.0/25", "10.0.0.128/25"] }), false),
        (json!({ "addresses": ["10.0.0.0/23"] }), false),
    ] {
        assert_eq!(warned(spec.clone(), &[service("a", "10.0.0.255")]).is_some(), loses, "{spec}");
    }
}

#[test]
fn a_deleted_pool_takes_all_its_addresses_and_a_long_list_is_cut() {
    let pool = pool("lab", &["10.0.0.0/24"]);
    let services: Vec<_> = (0..47).map(|n| service(&format!("s{n}"), &format!("10.0.0.{n}"))).collect();
    let edit = Edit::of(&stored(std::slice::from_ref(&pool)), Change::Delete(pool), NAMESPACE);
    assert!(edit.changes_pools());
    let text = edit.warn_of(&services).unwrap();
    assert!(text.contains("47 services lose their addresses"), "{text}");
    assert!(text.contains("web/s9 (10.0.0.9) and 37 more") && !text.contains("web/s10 "), "{text}");
}

#[test]
fn a_service_that_has_no_address_from_a_load_balancer_runs_nothing() {
    for service in [
        json!({ "spec": { "type": "LoadBalancer" } }),
        json!({ "spec": { "type": "LoadBalancer" }, "status": { "loadBalancer": { "ingress": [{ "hostname": "x" }] } } }),
        json!({ "spec": { "type": "ClusterIP" }, "status": { "loadBalancer": { "ingress": [{ "ip": "10.0.0.1" }] } } }),
        json!({ "spec": { "type": "LoadBalancer" }, "status": { "loadBalancer": { "ingress": [{ "ip": "ten" }] } } }),
    ] {
        assert_eq!(RunningService::read(&serde_json::from_value(service).unwrap(), None), None);
    }
}
