//! The validation rules, evaluated as the API server would.

use std::collections::BTreeMap;

use kube_cel::{CompiledSchema, compile_schema, validate_compiled};
use metallb_core::refusal::{Effect, Refusal};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::{Objects, Stored, parse};
use crate::conversion::{Version, convert};

/// The messages of the rules that an object breaks; `old` is what it was before an update.
fn broken(plural: &str, version: usize, object: &Value, old: Option<&Value>) -> Vec<String> {
    validate(&compiled(plural, version, old.is_some()), object, old)
}

fn validate(schema: &CompiledSchema, object: &Value, old: Option<&Value>) -> Vec<String> {
    match validate_compiled(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| error.message).collect(),
    }
}

fn compiled(plural: &str, version: usize, has_old: bool) -> CompiledSchema {
    let mut crd = super::definition(plural);
    let schema = &mut crd["spec"]["versions"][version]["schema"]["openAPIV3Schema"];
    without_before(schema, has_old);
    let compiled = compile_schema(schema);
    assert!(!compiled.has_errors(), "{:?}", compiled.compilation_errors());
    compiled
}

/// Leaves out what rules say about an object before the edit, which the evaluator cannot read: of a new object that
/// part of the rule, of an edited one the rule. (The tests on a real API server have them whole.)
fn without_before(schema: &mut Value, has_old: bool) {
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut) {
        rules.retain(|rule| !has_old || rule.get("optionalOldSelf").is_none());
        for rule in rules.iter_mut().filter(|rule| rule.get("optionalOldSelf").is_some()) {
            let (now, _) = rule["rule"].as_str().unwrap().split_once(" || (oldSelf.hasValue()").unwrap();
            *rule = json!({ "rule": now, "message": rule["message"] });
        }
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(serde_json::Map::values_mut) {
        without_before(property, has_old);
    }
    if let Some(items) = schema.get_mut("items") {
        without_before(items, has_old);
    }
}

/// The messages about a peer that has what it needs, with the changes of `spec`.
fn peer(spec: &Value) -> Vec<String> {
    let mut complete = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "192.0.2.1" });
    for (field, value) in spec.as_object().unwrap() {
        complete[field] = value.clone();
    }
    complete.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    broken("bgppeers", 1, &json!({ "spec": complete }), None)
}

fn advertisement(spec: &Value) -> Vec<String> {
    broken("bgpadvertisements", 0, &json!({ "spec": spec }), None)
}

#[test]
fn a_connect_time_is_a_whole_number_of_seconds_within_bounds() {
    for fine in ["1s", "10s", "1m30s", "65535s"] {
        assert_eq!(peer(&json!({ "connectTime": fine })), [""; 0], "{fine}");
    }
    let bounds = "connectTime must be at least 1s and at most 65535s";
    let whole = "connectTime must be a whole number of seconds";
    assert_eq!(peer(&json!({ "connectTime": "0s" })), [bounds]);
    assert_eq!(peer(&json!({ "connectTime": "65536s" })), [bounds]);
    assert_eq!(peer(&json!({ "connectTime": "1500ms" })), [whole]);
    assert_eq!(peer(&json!({ "connectTime": "500ms" })), [bounds, whole]);
    assert_eq!(peer(&json!({ "connectTime": "soon" })).len(), 2, "no duration at all breaks both");
}

#[test]
fn an_aggregate_and_a_choice_of_services_exclude_each_other() {
    let refused = |spec| {
        let messages = advertisement(&spec);
        assert_eq!(messages.len(), 1, "{spec}");
        assert!(messages[0].starts_with("serviceSelectors and aggregationLength are mutually exclusive"));
    };
    refused(json!({ "serviceSelectors": [{}], "aggregationLength": 24 }));
    refused(json!({ "serviceSelectors": [{}], "aggregationLengthV6": 64 }));
    refused(json!({ "serviceSelectors": [{}], "aggregationLength": 32, "aggregationLengthV6": 64 }));

    for fine in [
        json!({}),
        json!({ "aggregationLength": 24, "aggregationLengthV6": 64 }),
        json!({ "serviceSelectors": [], "aggregationLength": 24 }),
        json!({ "serviceSelectors": [{}] }),
        json!({ "serviceSelectors": [{}], "aggregationLength": 32, "aggregationLengthV6": 128 }),
    ] {
        assert_eq!(advertisement(&fine), [""; 0], "{fine}");
    }
}

#[test]
fn graceful_restart_stays_as_it_was_set() {
    let (on, off, unset) = (json!(true), json!(false), Value::Null);
    let change = |old: &Value, new: &Value| {
        let object = |value: &Value| match value {
            Value::Null => json!({ "spec": { "myASN": 1 } }),
            set => json!({ "spec": { "myASN": 1, "enableGracefulRestart": set } }),
        };
        broken("bgppeers", 1, &object(new), Some(&object(old)))
    };
    let refusal = ["enableGracefulRestart cannot be changed once it is set"];
    assert_eq!(change(&on, &off), refusal);
    assert_eq!(change(&off, &on), refusal);
    for (old, new) in [(&on, &on), (&off, &off), (&unset, &on), (&on, &unset)] {
        assert_eq!(change(old, new), [""; 0], "{old} to {new}");
    }
}

#[test]
fn a_service_status_stays_with_its_node_and_service() {
    for plural in ["servicel2statuses", "servicebgpstatuses"] {
        for field in ["node", "serviceName", "serviceNamespace"] {
            let status = |value: &str| json!({ "status": { field: value } });
            assert_eq!(broken(plural, 0, &status("b"), Some(&status("a"))).len(), 1, "{plural} {field}");
            assert_eq!(broken(plural, 0, &status("a"), Some(&status("a"))), [""; 0], "{plural} {field}");
            assert_eq!(broken(plural, 0, &status("a"), Some(&json!({}))), [""; 0], "{plural} {field}");
        }
    }
}

#[test]
fn what_is_valid_breaks_no_rule_however_it_is_written() {
    for fine in [
        json!({}),
        json!({ "peerASN": null, "dynamicASN": "external" }),
        json!({ "peerASN": 0, "dynamicASN": "internal", "ebgpMultiHop": true }),
        json!({ "peerASN": 64500, "ebgpMultiHop": false }),
        json!({ "peerAddress": null, "interface": "eth1" }),
        json!({ "peerAddress": "", "interface": "eth1" }),
        json!({ "interface": "" }),
        json!({ "peerAddress": " 192.0.2.1 " }),
        json!({ "peerAddress": "2001:DB8::1", "sourceAddress": "fd00::1" }),
        json!({ "peerAddress": "::FFFF:192.0.2.1", "sourceAddress": "192.0.2.9" }),
        json!({ "sourceAddress": "", "routerID": "", "password": "", "passwordSecret": { "name": "tor" } }),
        json!({ "password": "swordfish", "passwordSecret": {} }),
        json!({ "routerID": "10.0.0.1" }),
        json!({ "holdTime": "0", "keepaliveTime": "0s" }),
        json!({ "holdTime": "1m30s", "keepaliveTime": ".5m" }),
        json!({ "holdTime": "3s" }),
        json!({ "keepaliveTime": "1s" }),
        json!({ "holdTime": "9s", "keepaliveTime": "9s" }),
        json!({ "holdTime": "65535s" }),
        json!({ "holdTime": "90000000µs" }),
    ] {
        assert_eq!(peer(&fine), [""; 0], "{fine}");
    }
}

#[test]
fn each_rule_about_a_peer_refuses_what_it_is_about_and_says_so() {
    for (change, told) in [
        (json!({ "myASN": 0 }), "spec.myASN is 0"),
        (json!({ "peerASN": null }), "neither spec.peerASN nor spec.dynamicASN"),
        (json!({ "peerASN": 0 }), "neither spec.peerASN nor spec.dynamicASN"),
        (json!({ "dynamicASN": "internal" }), "both spec.peerASN and spec.dynamicASN"),
        (json!({ "peerASN": 64500, "ebgpMultiHop": true }), "remove ebgpMultiHop"),
        (json!({ "peerAddress": null }), "neither spec.peerAddress nor spec.interface"),
        (json!({ "peerAddress": "", "interface": "" }), "neither spec.peerAddress nor spec.interface"),
        (json!({ "interface": "eth1" }), "both spec.peerAddress and spec.interface"),
        (json!({ "peerAddress": "192.0.2" }), "invalid BGPPeer address"),
        (json!({ "peerAddress": "fe80::1%eth0" }), "invalid BGPPeer address"),
        (json!({ "sourceAddress": "eth0" }), "invalid source address"),
        (json!({ "sourceAddress": "2001:db8::7" }), "different families"),
        (json!({ "routerID": "2001:db8::7" }), "invalid router ID"),
        (json!({ "routerID": "0.0.0.0" }), "invalid router ID"),
        (json!({ "routerID": "7" }), "invalid router ID"),
        (json!({ "holdTime": "90" }), "invalid duration in spec.holdTime"),
        (json!({ "keepaliveTime": "-1s" }), "invalid duration in spec.keepaliveTime"),
        (json!({ "holdTime": "" }), "invalid duration in spec.holdTime"),
        (json!({ "holdTime": "2s" }), "spec.holdTime must be 0s, or 3s"),
        (json!({ "holdTime": "500ms" }), "spec.holdTime must be 0s, or 3s"),
        (json!({ "holdTime": "65536s" }), "spec.holdTime must be 0s, or 3s"),
        (json!({ "keepaliveTime": "999ms" }), "spec.keepaliveTime must be 0s, or 1s"),
        (json!({ "holdTime": "0s", "keepaliveTime": "1s" }), "must not exceed spec.holdTime"),
        (
            json!({ "password": "a", "passwordSecret": { "name": "b" } }),
            "both spec.password and spec.passwordSecret",
        ),
    ] {
        let messages = peer(&change);
        assert!(messages.len() == 1 && messages[0].contains(told), "{change}: {messages:?}");
    }
}

/// One of a few values of each field, most of them wrong in some company.
fn specs(fields: &'static [(&'static str, &'static [&'static str])]) -> impl Strategy<Value = Value> {
    let values = fields.iter().map(|(name, values)| {
        let read = |text: &&str| serde_json::from_str::<Value>(text).unwrap();
        let values: Vec<Value> = values.iter().map(read).collect();
        proptest::option::of(select(values)).prop_map(move |value| ((*name).to_owned(), value))
    });
    values.collect::<Vec<_>>().prop_map(|fields| {
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    })
}

const ADDRESSES: &[&str] = &[
    r#""""#,
    r#"" ""#,
    r#""192.0.2.1""#,
    r#"" 192.0.2.1""#,
    r#""192.0.2""#,
    r#""192.0.2.01""#,
    r#""2001:db8::1""#,
    r#""::ffff:192.0.2.1""#,
    r#""0:0:0:0:0:FFFF:C000:201""#,
    r#""fe80::1%eth0""#,
    r#""ffff:""#,
    r#""0.0.0.0""#,
    r#""::""#,
];
const DURATIONS: &[&str] = &[
    r#""""#,
    r#""0""#,
    r#""0s""#,
    r#""+3s""#,
    r#""1s""#,
    r#""2999ms""#,
    r#""3s""#,
    r#""1.5h""#,
    r#""90""#,
    r#"".s""#,
    r#""1.s""#,
    r#""-1s""#,
    r#""1m30s""#,
    r#""99999h""#,
    TOO_LONG,
    r#""65535.9s""#,
    r#""1h1h1h1h""#,
    r#""10µs""#,
    r#""1 s""#,
    r#""00""#,
    EXPONENT,
];
/// No duration for Go, and so for the API server; for the `duration()` that the rules are tried with here, it is one.
const EXPONENT: &str = r#""1e3s""#;
/// Longer than Go can hold. A rule sees numbers and units, not what they come to.
const TOO_LONG: &str = r#""9999999999h""#;
/// For what a rule of upstream's converts.
const CONVERTED: &[&str] = match DURATIONS.split_last() {
    Some((_, others)) => others,
    None => &[],
};

fn peers() -> impl Strategy<Value = Value> {
    let fields = specs(&[
        ("peerASN", &["0", "64500", "64510"]),
        ("dynamicASN", &[r#""internal""#, r#""external""#]),
        ("peerAddress", ADDRESSES),
        ("interface", &[r#""""#, r#""eth1""#]),
        ("sourceAddress", ADDRESSES),
        ("routerID", ADDRESSES),
        ("holdTime", DURATIONS),
        ("keepaliveTime", DURATIONS),
        ("connectTime", CONVERTED),
        ("password", &[r#""""#, r#""swordfish""#]),
        ("passwordSecret", &["{}", r#"{ "name": "" }"#, r#"{ "name": "tor" }"#]),
        ("ebgpMultiHop", &["true", "false"]),
    ]);
    (fields, select(vec![0, 64500])).prop_map(|(mut spec, my_asn)| {
        spec["myASN"] = my_asn.into();
        spec
    })
}

fn stored<K: DeserializeOwned>(spec: &Value) -> BTreeMap<String, Stored<K>> {
    let object = json!({ "metadata": { "name": "lab", "namespace": "metallb-system" }, "spec": spec });
    let stored = serde_json::from_value(object).map_or_else(
        |error| Stored::Unreadable { metadata: Box::default(), error: error.to_string() },
        Stored::Readable,
    );
    [("lab".to_owned(), stored)].into()
}

/// The codes for which admission would deny it.
fn denied(objects: &Objects) -> Vec<&'static str> {
    let refusals = parse(objects).refusals;
    refusals.iter().filter(|refusal| refusal.effect() == Effect::SetsAside).map(Refusal::code).collect()
}

/// What the rules of one version tell about specs, and what the parser does: `(told, denied)` for each of many.
fn judged(
    specs: &impl Strategy<Value = Value>,
    (plural, version): (&str, usize),
    object: impl Fn(&Value) -> Value,
    read: impl Fn(&Value) -> Objects,
    judge: impl Fn(&Value, &[String], &[&'static str]) -> Result<(), TestCaseError>,
) {
    let schema = compiled(plural, version, false); // once: it takes long
    let mut runner = TestRunner::deterministic();
    let judged = runner
        .run(specs, |spec| judge(&spec, &validate(&schema, &object(&spec), None), &denied(&read(&spec))));
    judged.unwrap_or_else(|failure| panic!("{failure}"));
}

fn as_peer(spec: &Value) -> Objects {
    Objects { bgp_peers: stored(spec), ..Objects::default() }
}

#[test]
fn a_rule_refuses_no_peer_that_is_read() {
    // As far as the rules are whole, the reverse is true as well.
    let in_part = ["peer-bad-address", "peer-bad-source-address", "peer-source-family", "peer-bad-timers"];
    judged(
        &peers(),
        ("bgppeers", 1),
        |spec| json!({ "spec": spec }),
        as_peer,
        |spec, told, denied| {
            prop_assert!(told.is_empty() || !denied.is_empty(), "{spec}: {told:?}");
            let is_too_long = spec.to_string().contains(TOO_LONG);
            let is_in_part = |code| in_part.contains(code) || *code == "peer-bad-duration" && is_too_long;
            prop_assert!(!told.is_empty() || denied.iter().all(is_in_part), "{spec}: {denied:?}");
            Ok(())
        },
    );
}

#[test]
fn a_rule_refuses_no_older_peer_that_is_read() {
    let older = |spec: &Value| {
        let newer =
            json!({ "spec": spec, "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": {} });
        convert(newer, Version::V1Beta1).unwrap()
    };
    judged(&peers(), ("bgppeers", 0), older, as_peer, |spec, told, denied| {
        prop_assert!(told.is_empty() || !denied.is_empty(), "{spec}: {told:?}");
        Ok(())
    });
}

#[test]
fn a_rule_refuses_no_advertisement_that_is_read() {
    let advertisements = specs(&[
        ("aggregationLength", &["-1", "0", "1", "24", "32", "33"]),
        ("aggregationLengthV6", &["-1", "0", "64", "128", "129"]),
        ("localPref", &["-1", "0", "100"]),
        ("serviceSelectors", &["[]", "[{}]"]),
    ]);
    let read = |spec: &Value| Objects { bgp_advertisements: stored(spec), ..Objects::default() };
    let object = |spec: &Value| json!({ "spec": spec });
    judged(&advertisements, ("bgpadvertisements", 0), object, read, |spec, told, denied| {
        prop_assert!(told.is_empty() || !denied.is_empty(), "{spec}: {told:?}");
        // Below 1 it is the schema's bound that refuses, which is no rule.
        let is_bounded =
            spec.get("aggregationLength").and_then(Value::as_i64).is_some_and(|length| length < 1);
        prop_assert!(is_bounded || !told.is_empty() || denied.is_empty(), "{spec}: {denied:?}");
        Ok(())
    });
}
