//! Everything in which our definitions differ from upstream's: rules, by kind, version, field and refusal.
//!
//! And one kind, `BGPNodeStatus`, which `kinds` has a table of as of the others. Nothing else may differ, or an object that applied yesterday is refused, defaulted or merged in another way today.

use std::collections::BTreeSet;

use metallb_core::refusal::{ConfigRefusal, Refusal};
use serde_json::Value;

use super::super::coverage::{Coverage, coverage};
use super::super::rules::RULES;
use crate::config::examples;

/// Each refuses what is refused when it is read, only earlier, and where no webhook runs.
const ALLOWED: &[(&str, &str, &str, &str)] = &[
    // A pool that gives nobody anything.
    ("ipaddresspools", "v1beta1", "spec.addresses", "pool-empty"),
    // The schema has a lower bound, or none. Upstream refuses these when it reads them.
    ("bgpadvertisements", "v1beta1", "spec.aggregationLength", "out-of-range"),
    ("bgpadvertisements", "v1beta1", "spec.aggregationLengthV6", "out-of-range"),
    // The schema knows 32 bits with a sign; upstream cannot decode a negative number, and loses all configuration.
    ("bgpadvertisements", "v1beta1", "spec.localPref", "unreadable"),
    // The schema requires fields of a spec, but no spec.
    ("bgppeers", "v1beta1", "", "unreadable"),
    ("bgppeers", "v1beta2", "", "unreadable"),
    // Both versions, as what is created in one is only checked in that one.
    ("bgppeers", "v1beta1", "spec", "peer-internal-multihop"),
    ("bgppeers", "v1beta2", "spec", "peer-internal-multihop"),
    ("bgppeers", "v1beta1", "spec", "peer-source-family"),
    ("bgppeers", "v1beta2", "spec", "peer-source-family"),
    ("bgppeers", "v1beta1", "spec", "peer-bad-timers"),
    ("bgppeers", "v1beta2", "spec", "peer-bad-timers"),
    ("bgppeers", "v1beta1", "spec.holdTime", "peer-bad-duration"),
    ("bgppeers", "v1beta2", "spec.holdTime", "peer-bad-duration"),
    ("bgppeers", "v1beta1", "spec.holdTime", "peer-bad-timers"),
    ("bgppeers", "v1beta2", "spec.holdTime", "peer-bad-timers"),
    ("bgppeers", "v1beta1", "spec.keepaliveTime", "peer-bad-duration"),
    ("bgppeers", "v1beta2", "spec.keepaliveTime", "peer-bad-duration"),
    ("bgppeers", "v1beta1", "spec.keepaliveTime", "peer-bad-timers"),
    ("bgppeers", "v1beta2", "spec.keepaliveTime", "peer-bad-timers"),
    ("bgppeers", "v1beta1", "spec.myASN", "peer-without-own-asn"),
    ("bgppeers", "v1beta2", "spec.myASN", "peer-without-own-asn"),
    ("bgppeers", "v1beta1", "spec.peerAddress", "peer-bad-address"),
    ("bgppeers", "v1beta2", "spec.peerAddress", "peer-bad-address"),
    ("bgppeers", "v1beta1", "spec.routerID", "peer-bad-router-id"),
    ("bgppeers", "v1beta2", "spec.routerID", "peer-bad-router-id"),
    ("bgppeers", "v1beta1", "spec.sourceAddress", "peer-bad-source-address"),
    ("bgppeers", "v1beta2", "spec.sourceAddress", "peer-bad-source-address"),
    // Of fields that only v1beta2 has. An object of v1beta1 carries them in an annotation, which rules cannot read.
    ("bgppeers", "v1beta2", "spec", "peer-without-asn"),
    ("bgppeers", "v1beta2", "spec", "peer-with-two-asns"),
    ("bgppeers", "v1beta2", "spec", "peer-without-address"),
    ("bgppeers", "v1beta2", "spec", "peer-with-two-addresses"),
    ("bgppeers", "v1beta2", "spec", "peer-with-two-passwords"),
    // Upstream's webhook knows these; an operator that does not run cannot ask it.
    ("metallbs", "v1beta1", "spec.bgpBackend", "unknown-bgp-backend"),
    ("metallbs", "v1beta1", "spec.controllerTolerations[]", "toleration-seconds-without-no-execute"),
    ("metallbs", "v1beta1", "spec.speakerTolerations[]", "toleration-seconds-without-no-execute"),
    (
        "metallbs",
        "v1beta1",
        "spec.controllerConfig.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
        "weight-out-of-range",
    ),
    (
        "metallbs",
        "v1beta1",
        "spec.controllerConfig.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
        "weight-out-of-range",
    ),
    (
        "metallbs",
        "v1beta1",
        "spec.controllerConfig.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
        "weight-out-of-range",
    ),
    (
        "metallbs",
        "v1beta1",
        "spec.speakerConfig.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
        "weight-out-of-range",
    ),
    (
        "metallbs",
        "v1beta1",
        "spec.speakerConfig.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
        "weight-out-of-range",
    ),
    (
        "metallbs",
        "v1beta1",
        "spec.speakerConfig.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
        "weight-out-of-range",
    ),
];

/// A kind that upstream does not have, and so no object of yesterday's is of it.
const OUR_OWN: &str = "bgpnodestatuses";

#[test]
fn our_definitions_have_the_allowed_rules_beyond_upstreams_and_nothing_else() {
    let mut found = BTreeSet::new();
    for ours in super::definitions() {
        let plural = ours["spec"]["names"]["plural"].as_str().unwrap().to_owned();
        if plural == OUR_OWN {
            continue;
        }
        let theirs = super::upstream(&plural);
        for (ours, theirs) in versions(&ours).iter().zip(&versions(&theirs)) {
            let version = ours["name"].as_str().unwrap();
            let [ours, theirs] = [ours, theirs].map(|version| &version["schema"]["openAPIV3Schema"]);
            walk("", ours, theirs, &mut |field, message| {
                let rule = RULES.iter().find(|rule| rule.message == message && rule.field == field);
                let code = rule.unwrap_or_else(|| panic!("{plural} {field}: {message}")).code;
                assert!(
                    found.insert((plural.clone(), version.to_owned(), field.to_owned(), code)),
                    "{field}: {code} twice"
                );
            });
        }
        let mut without_versions = [ours, theirs];
        for crd in &mut without_versions {
            crd["spec"].as_object_mut().unwrap().remove("versions");
        }
        assert_eq!(without_versions[0], without_versions[1]);
    }
    let allowed: BTreeSet<_> = ALLOWED
        .iter()
        .map(|(plural, version, field, code)| {
            ((*plural).to_owned(), (*version).to_owned(), (*field).to_owned(), *code)
        })
        .collect();
    assert_eq!(found, allowed);
}

/// Calls `more` with the field and the message of every rule that only `ours` has. Whatever else differs fails.
fn walk(field: &str, ours: &Value, theirs: &Value, more: &mut impl FnMut(&str, &str)) {
    let mut rest = [ours.clone(), theirs.clone()];
    for schema in &mut rest {
        for key in ["x-kubernetes-validations", "properties", "items", "additionalProperties"] {
            schema.as_object_mut().unwrap().shift_remove(key);
        }
    }
    assert_eq!(rest[0], rest[1], "{field}");
    let rules = |schema: &Value| {
        schema.get("x-kubernetes-validations").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let theirs_rules = rules(theirs);
    assert!(theirs_rules.iter().all(|rule| rules(ours).contains(rule)), "{field}: upstream's rules stay");
    for rule in rules(ours).iter().filter(|rule| !theirs_rules.contains(rule)) {
        more(field, rule["message"].as_str().unwrap());
    }
    let names = |schema: &Value| -> Vec<String> {
        schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|all| all.keys().cloned())
            .collect()
    };
    assert_eq!(names(ours), names(theirs), "{field}");
    for name in names(ours) {
        let below = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
        walk(&below, &ours["properties"][&name], &theirs["properties"][&name], more);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        match (ours.get(key), theirs.get(key)) {
            (Some(ours), Some(theirs)) => walk(&format!("{field}{suffix}"), ours, theirs, more),
            (ours, theirs) => assert_eq!(ours, theirs, "{field}"),
        }
    }
}

fn versions(crd: &Value) -> Vec<Value> {
    crd["spec"]["versions"].as_array().unwrap().clone()
}

#[test]
fn every_rule_names_its_field_and_says_what_to_do() {
    for rule in RULES {
        let last = rule.field.rsplit('.').next().unwrap_or_default();
        let named = match last {
            "" => "spec",
            item if item.ends_with("[]") => "tolerationSeconds",
            name => name,
        };
        assert!(
            rule.message.contains(named) && rule.message.contains(": "),
            "{}: {}",
            rule.field,
            rule.message
        );
        assert!(!rule.message.ends_with('.'), "{}", rule.message);
    }
}

#[test]
fn it_is_said_of_every_code_who_tells_it() {
    for code in ConfigRefusal::codes() {
        assert!(coverage(code).is_some(), "{code}");
    }
    assert_eq!(coverage("pool-full"), None);
}

#[test]
fn what_the_schema_tells_is_nothing_that_only_warns_or_waits() {
    for example in examples::all() {
        let refusal = example.refusal.unwrap();
        let denied = refusal.effect() == metallb_core::refusal::Effect::SetsAside;
        let told = !matches!(coverage(refusal.code()).unwrap(), Coverage::Nothing(_));
        assert!(denied || !told, "{}", refusal.code());
    }
}
