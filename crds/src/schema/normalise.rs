//! From what the derive macros publish to what controller-gen publishes.
//!
//! The two agree on types and fields. They differ in what Rust adds (`null` beside every optional value, formats and
//! titles that Kubernetes does not know) and in what k8s-openapi leaves out of its types (merge strategies, the
//! constraints of conditions, the shape of quantities). Kubernetes types are known here by their fields, as the schemas
//! are inlined and carry no names.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// The formats that say something to the API server; all others are Rust's own.
const FORMATS: [&str; 3] = ["date-time", "int32", "int64"];

const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
const CONDITION_REASON: &str = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
const CONDITION_TYPE: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";

/// Evens out one definition.
pub(super) fn normalise(definition: &mut CustomResourceDefinition) {
    let names = &mut definition.spec.names;
    names.list_kind = Some(format!("{}List", names.kind));
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            root(schema);
            node(schema);
        }
    }
}

/// The object as a whole: its envelope, and whether it needs a `spec`.
fn root(schema: &mut JSONSchemaProps) {
    let properties = schema.properties.get_or_insert_default();
    properties.insert("apiVersion".into(), string("The group and version of the kind."));
    properties.insert("kind".into(), string("The kind of the object."));
    properties
        .insert("metadata".into(), JSONSchemaProps { type_: Some("object".into()), ..Default::default() });
    schema.title = None;
    // Of all kinds only a pool is refused for the lack of a spec. (A peer without one is accepted here and refused
    // when it is read.)
    let pool = properties.get("spec").is_some_and(|spec| has(spec, &["addresses"]));
    schema.required = pool.then(|| vec!["spec".into()]);
}

/// Every schema, from the inside out.
fn node(schema: &mut JSONSchemaProps) {
    for child in children(schema) {
        node(child);
    }

    schema.nullable = None;
    schema.format = schema.format.take().filter(|format| FORMATS.contains(&format.as_str()));
    schema.description = schema.description.take().map(|text| unwrap_lines(&text));
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }

    if schema.x_kubernetes_int_or_string == Some(true) {
        quantity(schema);
    } else if is_label_selector(schema) || is_any_selector_of_nodes(schema) {
        schema.x_kubernetes_map_type = Some("atomic".into());
        lists_are_atomic(schema);
    } else if is_affinity(schema) {
        lists_are_atomic(schema);
    } else if has(schema, &["claims", "limits", "requests"]) {
        claims_merge_by_name(schema);
    } else if has(schema, &["lastTransitionTime", "message", "reason", "status", "type"]) {
        condition(schema);
    }
}

/// A number with a unit, written as a number or as text.
fn quantity(schema: &mut JSONSchemaProps) {
    let either = |type_: &str| JSONSchemaProps { type_: Some(type_.into()), ..Default::default() };
    schema.any_of = Some(vec![either("integer"), either("string")]);
    schema.pattern = Some(QUANTITY.into());
    schema.type_ = None;
    schema.description = None; // the field that holds quantities says what they are for
}

/// A condition's bounds, which the API server enforces on its own types by other means.
fn condition(schema: &mut JSONSchemaProps) {
    for (name, property) in schema.properties.iter_mut().flatten() {
        match name.as_str() {
            "message" => property.max_length = Some(32768),
            "observedGeneration" => property.minimum = Some(0.0),
            "reason" => {
                property.min_length = Some(1);
                property.max_length = Some(1024);
                property.pattern = Some(CONDITION_REASON.into());
            }
            "status" => {
                property.enum_ = Some(["True", "False", "Unknown"].map(|value| JSON(value.into())).into());
            }
            "type" => {
                property.max_length = Some(316);
                property.pattern = Some(CONDITION_TYPE.into());
            }
            _ => {}
        }
    }
}

fn claims_merge_by_name(resources: &mut JSONSchemaProps) {
    if let Some(claims) = resources.properties.as_mut().and_then(|all| all.get_mut("claims")) {
        claims.x_kubernetes_list_type = Some("map".into());
        claims.x_kubernetes_list_map_keys = Some(vec!["name".into()]);
    }
}

/// Marks every list below as one value that is replaced as a whole.
fn lists_are_atomic(schema: &mut JSONSchemaProps) {
    if schema.type_.as_deref() == Some("array") {
        schema.x_kubernetes_list_type = Some("atomic".into());
    }
    for child in children(schema) {
        lists_are_atomic(child);
    }
}

/// `LabelSelector`. The selector of `BGPPeer` v1beta1 has the same fields but always asks for `values`, and has never
/// been merged as one value.
fn is_label_selector(schema: &JSONSchemaProps) -> bool {
    has(schema, &["matchExpressions", "matchLabels"])
        && item(schema, "matchExpressions").is_some_and(|expression| !requires(expression, "values"))
}

/// `NodeSelector` and `NodeSelectorTerm`.
fn is_any_selector_of_nodes(schema: &JSONSchemaProps) -> bool {
    has(schema, &["nodeSelectorTerms"]) || has(schema, &["matchExpressions", "matchFields"])
}

/// `NodeAffinity`, `PodAffinity` and `PodAntiAffinity`.
fn is_affinity(schema: &JSONSchemaProps) -> bool {
    has(
        schema,
        &[
            "preferredDuringSchedulingIgnoredDuringExecution",
            "requiredDuringSchedulingIgnoredDuringExecution",
        ],
    )
}

fn has(schema: &JSONSchemaProps, names: &[&str]) -> bool {
    schema.properties.as_ref().is_some_and(|all| names.iter().all(|name| all.contains_key(*name)))
}

fn requires(schema: &JSONSchemaProps, name: &str) -> bool {
    schema.required.iter().flatten().any(|required| required == name)
}

fn item<'a>(schema: &'a JSONSchemaProps, list: &str) -> Option<&'a JSONSchemaProps> {
    match schema.properties.as_ref()?.get(list)?.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// The schemas one level below that the kinds of this crate have.
fn children(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let properties = schema.properties.iter_mut().flat_map(BTreeMap::values_mut);
    let items = schema.items.iter_mut().filter_map(|items| match items {
        JSONSchemaPropsOrArray::Schema(item) => Some(&mut **item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    });
    let values = schema.additional_properties.iter_mut().filter_map(|values| match values {
        JSONSchemaPropsOrBool::Schema(value) => Some(&mut **value),
        JSONSchemaPropsOrBool::Bool(_) => None,
    });
    properties.chain(items).chain(values)
}

fn string(description: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        type_: Some("string".into()),
        description: Some(description.into()),
        ..Default::default()
    }
}

/// Joins the lines of a paragraph, which are wrapped to fit the source, with single spaces. Paragraphs, lists and
/// indented lines stay apart.
fn unwrap_lines(text: &str) -> String {
    let mut unwrapped = String::with_capacity(text.len());
    for line in text.lines() {
        let continues = !line.is_empty() && !line.starts_with([' ', '\t', '-']);
        if continues && !unwrapped.is_empty() && !unwrapped.ends_with('\n') {
            unwrapped.push(' ');
        } else if !unwrapped.is_empty() {
            unwrapped.push('\n');
        }
        if continues {
            unwrapped.push_str(&line.split_whitespace().collect::<Vec<_>>().join(" "));
        } else {
            unwrapped.push_str(line);
        }
    }
    unwrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn after(schema: Value) -> Value {
        let mut schema: JSONSchemaProps = serde_json::from_value(schema).unwrap();
        node(&mut schema);
        serde_json::to_value(schema).unwrap()
    }

    #[test]
    fn what_only_rust_knows_is_dropped() {
        let derived = json!({ "type": "integer", "format": "uint16", "nullable": true });
        assert_eq!(after(derived), json!({ "type": "integer" }));
        let derived = json!({ "type": "string", "enum": ["a", null], "nullable": true });
        assert_eq!(after(derived), json!({ "type": "string", "enum": ["a"] }));
    }

    #[test]
    fn what_kubernetes_knows_is_kept() {
        for kept in [
            json!({ "type": "integer", "format": "int32", "minimum": 1.0, "maximum": 9.0, "default": 3 }),
            json!({ "type": "string", "format": "date-time" }),
            json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] }),
        ] {
            assert_eq!(after(kept.clone()), kept);
        }
    }

    #[test]
    fn every_level_is_reached() {
        let level = |below: Value| json!({ "type": "array", "items": { "type": "object", "additionalProperties": below } });
        let derived =
            level(json!({ "type": "object", "properties": { "a": { "type": "string", "nullable": true } } }));
        let wanted = level(json!({ "type": "object", "properties": { "a": { "type": "string" } } }));
        assert_eq!(after(derived), wanted);
    }

    #[test]
    fn a_quantity_is_a_number_or_a_text_with_a_unit() {
        let found =
            after(json!({ "x-kubernetes-int-or-string": true, "nullable": true, "description": "long" }));
        let pattern = found["pattern"].as_str().unwrap().to_owned();
        assert!(pattern.contains("[KMGTPE]i"));
        assert_eq!(
            found,
            json!({
                "anyOf": [{ "type": "integer" }, { "type": "string" }],
                "pattern": pattern,
                "x-kubernetes-int-or-string": true,
            })
        );
    }

    #[test]
    fn paragraphs_and_lists_survive_the_joining_of_lines() {
        assert_eq!(unwrap_lines("one.  Two\nthree\n\nfour\nfive"), "one. Two three\n\nfour five");
        assert_eq!(unwrap_lines("list:\n- a\n- b\n  more"), "list:\n- a\n- b\n  more");
    }
}
