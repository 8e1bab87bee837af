//! The validation rules, evaluated as the API server would.

use kube_cel::Validator;
use serde_json::{Value, json};

/// The messages of the rules that an object breaks; `old` is what it was before an update.
fn broken(plural: &str, version: usize, object: &Value, old: Option<&Value>) -> Vec<String> {
    let crd = super::definition(plural);
    let schema = &crd["spec"]["versions"][version]["schema"]["openAPIV3Schema"];
    match Validator::new().validate(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| error.message).collect(),
    }
}

fn peer(spec: &Value) -> Vec<String> {
    broken("bgppeers", 1, &json!({ "spec": spec }), None)
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
