//! Fields that no schema knows. The API server drops them and only warns those who ask it to, so that a name written
//! wrongly is a setting that has no effect.
//!
//! Not here: the fields of `metadata`, which are those of every kind in the cluster.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use super::all;
use crate::GROUP;

static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(all);

/// A field that the schema of its kind does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Where it stands, such as `spec.serviceAllocation.namespace`.
    pub path: String,
    /// The fields that there may be in its place.
    pub known: Vec<String>,
}

/// The fields of `object` that the schema of its kind and version does not know. An object of another group has none.
pub fn unknown_fields(object: &Value) -> Vec<UnknownField> {
    let mut found = Vec::new();
    if let Some(schema) = schema_of(object) {
        walk(schema, object, "", &mut found);
    }
    found
}

fn schema_of(object: &Value) -> Option<&'static JSONSchemaProps> {
    let (group, version) = object["apiVersion"].as_str()?.split_once('/')?;
    let kind = object["kind"].as_str().filter(|_| group == GROUP)?;
    let definition = DEFINITIONS.iter().find(|definition| definition.spec.names.kind == kind)?;
    let version = definition.spec.versions.iter().find(|known| known.name == version)?;
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

fn walk(schema: &JSONSchemaProps, value: &Value, path: &str, found: &mut Vec<UnknownField>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if let Some(schema) = field(schema, name) {
                    walk(schema, value, &path, found);
                } else if let Some(properties) = schema.properties.as_ref().filter(|_| is_closed(schema)) {
                    found.push(UnknownField { path, known: properties.keys().cloned().collect() });
                }
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    walk(schema, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of the field of that name: its own, or the one of all values of a map.
fn field<'s>(schema: &'s JSONSchemaProps, name: &str) -> Option<&'s JSONSchemaProps> {
    let own = schema.properties.as_ref().and_then(|properties| properties.get(name));
    own.or_else(|| match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values.as_ref()),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
    })
}

/// Is what it does not name dropped?
fn is_closed(schema: &JSONSchemaProps) -> bool {
    schema.x_kubernetes_preserve_unknown_fields != Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(kind: &str, version: &str, spec: &Value) -> Vec<String> {
        let object = json!({
            "apiVersion": format!("metallb.io/{version}"), "kind": kind,
            "metadata": { "name": "x", "whatever": 1 }, "spec": spec,
        });
        unknown_fields(&object).into_iter().map(|field| field.path).collect()
    }

    #[test]
    fn a_field_that_the_schema_does_not_know_is_named_with_its_place() {
        let pool = json!({ "addresses": [], "autoasign": true, "serviceAllocation": { "namespace": "web" } });
        assert_eq!(
            paths("IPAddressPool", "v1beta1", &pool),
            ["spec.autoasign", "spec.serviceAllocation.namespace"]
        );
        let advertisement = json!({ "nodeSelectors": [{}, { "matchlabels": { "any": "thing" } }] });
        assert_eq!(
            paths("L2Advertisement", "v1beta1", &advertisement),
            ["spec.nodeSelectors[1].matchlabels"]
        );
    }

    #[test]
    fn keys_of_a_map_are_no_fields() {
        let spec = json!({ "nodeSelectors": [{ "matchLabels": { "any": "thing" } }] });
        assert_eq!(paths("L2Advertisement", "v1beta1", &spec), [] as [&str; 0]);
    }

    #[test]
    fn each_version_knows_its_own_fields_and_other_groups_are_not_judged() {
        let spec = json!({ "dynamicASN": "internal" });
        assert_eq!(paths("BGPPeer", "v1beta1", &spec), ["spec.dynamicASN"]);
        assert_eq!(paths("BGPPeer", "v1beta2", &spec), [] as [&str; 0]);
        assert_eq!(
            unknown_fields(&json!({ "apiVersion": "example.com/v1", "kind": "IPAddressPool", "x": 1 })),
            []
        );
    }

    #[test]
    fn what_there_may_be_instead_is_listed() {
        let object =
            json!({ "apiVersion": "metallb.io/v1beta1", "kind": "Community", "spec": { "community": [] } });
        assert_eq!(
            unknown_fields(&object),
            [UnknownField { path: "spec.community".into(), known: vec!["communities".into()] }]
        );
    }
}
