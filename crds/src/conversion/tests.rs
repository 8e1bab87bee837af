//! Whatever a version can say survives the way through the other one, and edits on the way are kept.

#![expect(clippy::needless_pass_by_value, reason = "so that specs are written in place")]

use serde_json::{Value, json};

use super::*;

fn peer(version: Version, spec: Value) -> Value {
    json!({
        "apiVersion": version.api_version(), "kind": "BGPPeer",
        "metadata": { "name": "router", "namespace": "metallb-system", "labels": { "a": "b" } },
        "spec": spec,
    })
}

fn v1(spec: Value) -> Value {
    peer(Version::V1Beta1, spec)
}

fn v2(spec: Value) -> Value {
    peer(Version::V1Beta2, spec)
}

/// A v1beta2 spec as the API server hands it out: with its defaults.
fn with_defaults(mut spec: Value) -> Value {
    for (field, default) in
        [("peerPort", json!(179)), ("disableMP", json!(false)), ("dualStackAddressFamily", json!(false))]
    {
        spec.as_object_mut().unwrap().entry(field).or_insert(default);
    }
    spec
}

fn there_and_back(object: &Value) -> Value {
    let from = Version::parse(object["apiVersion"].as_str().unwrap()).unwrap();
    convert(convert(object.clone(), from.other()).unwrap(), from).unwrap()
}

const FULL: &str = r#"{
    "myASN": 64512, "peerASN": 64513, "localASN": 64514, "peerAddress": "192.0.2.1", "sourceAddress": "192.0.2.2",
    "peerPort": 1179, "holdTime": "90s", "keepaliveTime": "30s", "connectTime": "10s", "routerID": "10.0.0.1",
    "nodeSelectors": [{ "matchLabels": { "rack": "1" } }, { "matchExpressions": [{ "key": "edge", "operator": "Exists" }] }],
    "passwordSecret": { "name": "secret" }, "bfdProfile": "fast", "enableGracefulRestart": true, "ebgpMultiHop": true,
    "vrf": "red", "disableMP": true, "dualStackAddressFamily": true
}"#;

#[test]
fn fields_that_both_versions_know_are_the_same_in_both() {
    let spec = json!({
        "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "sourceAddress": "192.0.2.2",
        "peerPort": 1179, "holdTime": "90s", "keepaliveTime": "30s", "routerID": "10.0.0.1",
        "nodeSelectors": [{}, { "matchExpressions": [{ "key": "k", "operator": "In", "values": ["v"] }] }],
        "password": "secret", "bfdProfile": "fast", "ebgpMultiHop": true,
    });
    let newer = convert(v1(spec.clone()), Version::V1Beta2).unwrap();
    assert_eq!(newer, v2(with_defaults(spec.clone())), "nothing is added but defaults");
    assert_eq!(convert(newer, Version::V1Beta1).unwrap(), v1(spec));
}

#[test]
fn timers_that_are_absent_stay_absent() {
    let newer =
        convert(v1(json!({ "myASN": 1, "peerASN": 2, "peerAddress": "a" })), Version::V1Beta2).unwrap();
    assert_eq!(newer["spec"].get("holdTime"), None);
    assert_eq!(newer["spec"].get("keepaliveTime"), None);
}

#[test]
fn every_field_of_v1beta2_survives_v1beta1() {
    let full: Value = serde_json::from_str(FULL).unwrap();
    assert_eq!(there_and_back(&v2(full.clone())), v2(full.clone()));
    // Every field for itself, too: what carries one must not depend on another.
    for (field, value) in full.as_object().unwrap() {
        let mut spec = with_defaults(json!({ "myASN": 64512 }));
        spec[field] = value.clone();
        assert_eq!(there_and_back(&v2(spec.clone())), v2(spec), "{field}");
    }
}

#[test]
fn every_way_to_name_a_port_survives_v1beta2() {
    for port in [None, Some(0), Some(179), Some(1179)] {
        let mut spec = json!({ "myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1" });
        if let Some(port) = port {
            spec["peerPort"] = port.into();
        }
        let newer = convert(v1(spec.clone()), Version::V1Beta2).unwrap();
        assert_eq!(newer["spec"]["peerPort"], port.filter(|port| *port > 0).unwrap_or(179));
        assert_eq!(there_and_back(&v1(spec.clone())), v1(spec), "{port:?}");
    }
}

#[test]
fn a_peer_without_number_or_address_shows_zero_and_nothing_in_v1beta1_and_gets_neither_back() {
    let spec = with_defaults(json!({ "myASN": 1, "dynamicASN": "external", "interface": "eth0" }));
    let older = convert(v2(spec.clone()), Version::V1Beta1).unwrap();
    assert_eq!((&older["spec"]["peerASN"], &older["spec"]["peerAddress"]), (&json!(0), &json!("")));
    assert_eq!(convert(older, Version::V1Beta2).unwrap(), v2(spec));
}

#[test]
fn an_edit_through_v1beta1_is_kept_and_loses_nothing_else() {
    let full: Value = serde_json::from_str(FULL).unwrap();
    let mut older = convert(v2(full.clone()), Version::V1Beta1).unwrap();
    older["spec"]["peerAddress"] = "198.51.100.1".into();
    older["spec"]["nodeSelectors"] = json!([{ "matchLabels": { "rack": "2" } }]);
    let mut expected = full;
    expected["peerAddress"] = "198.51.100.1".into();
    expected["nodeSelectors"] = json!([{ "matchLabels": { "rack": "2" } }]);
    assert_eq!(convert(older, Version::V1Beta2).unwrap(), v2(expected));
}

#[test]
fn an_edit_through_v1beta2_is_kept() {
    let mut newer =
        convert(v1(json!({ "myASN": 1, "peerASN": 2, "peerAddress": "a", "peerPort": 0 })), Version::V1Beta2)
            .unwrap();
    newer["spec"]["peerPort"] = 1179.into();
    let older = convert(newer, Version::V1Beta1).unwrap();
    assert_eq!(older["spec"]["peerPort"], 1179);
}

#[test]
fn a_damaged_annotation_carries_nothing_and_stops_nothing() {
    let mut older = v1(json!({ "myASN": 1, "peerASN": 2, "peerAddress": "a" }));
    for damage in ["", "{", "[]", "7"] {
        older["metadata"]["annotations"] = json!({ "metallb.io/v1beta2-fields": damage, "mine": "stays" });
        let newer = convert(older.clone(), Version::V1Beta2).unwrap();
        assert_eq!(newer["metadata"]["annotations"], json!({ "mine": "stays" }));
    }
}

#[test]
fn status_and_metadata_stay_as_they_are() {
    let mut object = v2(with_defaults(json!({ "myASN": 1, "peerASN": 2, "peerAddress": "a" })));
    object["status"] = json!({ "from": "the future" });
    let older = convert(object.clone(), Version::V1Beta1).unwrap();
    assert_eq!((&older["metadata"], &older["status"]), (&object["metadata"], &object["status"]));
}

#[test]
fn an_object_that_is_of_the_version_asked_for_is_given_back() {
    let object = v2(json!({ "myASN": 1 }));
    assert_eq!(convert(object.clone(), Version::V1Beta2), Ok(object));
}

#[test]
fn other_kinds_and_versions_are_refused_by_name() {
    let mut object = v2(json!({}));
    object["apiVersion"] = "metallb.io/v1".into();
    assert_eq!(
        convert(object.clone(), Version::V1Beta1),
        Err(CannotConvert::UnknownVersion("metallb.io/v1".into()))
    );
    object["kind"] = "Service".into();
    assert_eq!(convert(object, Version::V1Beta1), Err(CannotConvert::NotAPeer("Service".into())));
    assert!(Version::parse("v1beta2").is_err());
    assert!(Version::parse("example.org/v1beta2").is_err());
}

#[test]
fn metadata_that_is_no_object_is_refused_and_nothing_else_breaks() {
    let peer = |metadata: Value| {
        let spec = json!({ "myASN": 1, "vrf": "red" });
        json!({ "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": metadata, "spec": spec })
    };
    for metadata in [json!("x"), json!(7), json!([]), json!(true)] {
        assert_eq!(convert(peer(metadata), Version::V1Beta1), Err(CannotConvert::Metadata));
    }
    for metadata in [json!(null), json!({ "annotations": "x" }), json!({ "annotations": null })] {
        assert!(convert(peer(metadata), Version::V1Beta1).is_ok());
    }
}
