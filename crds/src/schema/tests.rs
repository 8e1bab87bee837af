//! What the definitions promise: rules that hold for all of them here, each kind's own in `kinds`, what they have
//! beyond upstream's in `beyond`, and what the validation rules let through in `rules`.

mod beyond;
mod kinds;
mod metallb;
mod outline;
mod rules;

use serde::Serialize;
use serde_json::Value;

use crate::{
    BFDProfileSpec, BGPAdvertisementSpec, BGPPeerSpec, CommunitySpec, IPAddressPoolSpec, L2AdvertisementSpec,
    MetalLBSpec, bgp_peer,
};

#[test]
fn every_kind_is_defined_once_and_in_order() {
    let names: Vec<String> = super::all().into_iter().filter_map(|crd| crd.metadata.name).collect();
    assert_eq!(
        names,
        [
            "bfdprofiles.metallb.io",
            "bgpadvertisements.metallb.io",
            "bgpnodestatuses.metallb.io",
            "bgppeers.metallb.io",
            "communities.metallb.io",
            "configurationstates.metallb.io",
            "ipaddresspools.metallb.io",
            "l2advertisements.metallb.io",
            "metallbs.metallb.io",
            "servicebgpstatuses.metallb.io",
            "servicel2statuses.metallb.io",
        ]
    );
}

#[test]
fn a_definition_holds_nothing_that_the_cluster_fills_in() {
    for definition in definitions() {
        let name = &definition["metadata"]["name"];
        assert!(definition.get("status").is_none(), "{name}");
        assert_eq!(definition["metadata"].as_object().unwrap().len(), 1, "{name}: only a name");
        assert!(
            definition["spec"].get("conversion").is_none(),
            "{name}: belongs to whoever runs the webhook"
        );
    }
}

#[test]
fn schemas_are_structural() {
    each_schema(|path, schema| {
        for forbidden in ["$ref", "$schema", "allOf", "oneOf", "not", "nullable", "title", "uniqueItems"] {
            assert!(schema.get(forbidden).is_none(), "{path}: {forbidden}");
        }
        if schema.get("x-kubernetes-int-or-string").is_some() {
            assert_eq!(
                schema["anyOf"],
                serde_json::json!([{ "type": "integer" }, { "type": "string" }]),
                "{path}"
            );
        } else {
            assert!(schema.get("anyOf").is_none(), "{path}: anyOf");
            assert!(schema["type"].is_string(), "{path}: one type");
        }
        let both = schema.get("properties").is_some() && schema.get("additionalProperties").is_some();
        assert!(!both, "{path}: either known fields or a map");
    });
}

#[test]
fn formats_are_those_that_the_api_server_knows() {
    each_schema(|path, schema| {
        if let Some(format) = schema.get("format") {
            assert!(["int32", "int64", "date-time"].iter().any(|known| format == known), "{path}: {format}");
        }
    });
}

#[test]
fn no_choice_is_null() {
    each_schema(|path, schema| {
        let choices = schema.get("enum").and_then(Value::as_array);
        assert!(!choices.is_some_and(|all| all.contains(&Value::Null)), "{path}");
    });
}

#[test]
fn kubectl_explain_has_a_sentence_for_every_field_of_ours() {
    each_schema(|path, schema| {
        let theirs =
            ["affinity", "resources", "olerations", "electors", "conditions", "preference", "passwordSecret"]
                .iter()
                .any(|name| path.contains(&format!("{name}[]")) || path.contains(&format!("{name}.")));
        let scalar_item = path.ends_with("[]") || path.ends_with("{}");
        let is_scalar = schema["type"] == "string" || schema["type"] == "integer";
        if path.ends_with(".metadata") || theirs || (scalar_item && is_scalar) {
            return;
        }
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        assert!(text.ends_with(['.', ')']), "{path}: {text:?}");
        assert!(!text.contains('\n'), "{path}: wrapped as in the source: {text:?}");
    });
}

/// Reading an object through the types and through the API server must give the same values.
#[test]
fn the_default_of_a_type_is_what_the_api_server_fills_in() {
    agree("ipaddresspools", 0, &IPAddressPoolSpec::default());
    agree("l2advertisements", 0, &L2AdvertisementSpec::default());
    agree("bgpadvertisements", 0, &BGPAdvertisementSpec::default());
    agree("bgppeers", 0, &bgp_peer::v1beta1::BGPPeerSpec::default());
    agree("bgppeers", 1, &BGPPeerSpec::default());
    agree("bfdprofiles", 0, &BFDProfileSpec::default());
    agree("communities", 0, &CommunitySpec::default());
    agree("metallbs", 0, &MetalLBSpec::default());
}

fn agree(plural: &str, version: usize, default: &impl Serialize) {
    let crd = definition(plural);
    let spec = &crd["spec"]["versions"][version]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let required: Vec<&Value> =
        spec.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let mut published = serde_json::Map::new();
    for (name, field) in spec["properties"].as_object().unwrap() {
        if let Some(value) = field.get("default") {
            published.insert(name.clone(), value.clone());
        }
    }
    let mut ours = serde_json::to_value(default).unwrap();
    ours.as_object_mut().unwrap().retain(|name, _| !required.iter().any(|required| *required == name));
    assert_eq!(ours, Value::Object(published), "{plural}");
}

fn definitions() -> Vec<Value> {
    super::all().iter().map(|definition| serde_json::to_value(definition).unwrap()).collect()
}

/// Before it gets rules of ours.
fn upstream(plural: &str) -> Value {
    let all = super::as_upstream().into_iter().map(|definition| serde_json::to_value(definition).unwrap());
    all.into_iter().find(|crd| crd["spec"]["names"]["plural"] == plural).unwrap()
}

fn definition(plural: &str) -> Value {
    definitions().into_iter().find(|crd| crd["spec"]["names"]["plural"] == plural).unwrap()
}

/// Calls `look` with the path and content of every schema of every definition.
fn each_schema(mut look: impl FnMut(&str, &Value)) {
    for definition in definitions() {
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
            let path = format!("{kind} {}", version["name"].as_str().unwrap());
            descend(&path, &version["schema"]["openAPIV3Schema"], &mut look);
        }
    }
}

fn descend(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        descend(&format!("{path}.{name}"), property, look);
    }
    if let Some(items) = schema.get("items") {
        descend(&format!("{path}[]"), items, look);
    }
    if let Some(values) = schema.get("additionalProperties") {
        descend(&format!("{path}{{}}"), values, look);
    }
}
