//! What is to be done to an object that is there already, before ours is applied over it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::fields;

/// Something to be done first.
#[derive(Clone, Debug, PartialEq)]
pub enum Preparation {
    /// This JSON patch makes what its installers wrote ours. It fails when the object has changed in between.
    FoldFields(Value),
    /// This merge patch makes all pods of old end before new ones start. Applying cannot do that by itself: the parameters
    /// of the other strategy, which the API server filled in, would stay and be refused.
    EndBeforeStart(Value),
}

/// An object that cannot become ours: its selector is another, and selectors cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSelector {
    /// Its own.
    pub theirs: String,
    /// What it would have to be.
    pub ours: String,
}

const SELECTOR: &str = "/spec/selector";
const STRATEGY: &str = "/spec/strategy/type";
const RECREATE: &str = "Recreate";

/// What is to be done to `live`, whose metadata is `metadata`, before `desired` is applied over it.
pub fn preparations(
    metadata: &ObjectMeta,
    live: &Value,
    desired: &Value,
) -> Result<Vec<Preparation>, OtherSelector> {
    // A Service's selector can be changed; it has no match labels.
    let labels =
        |object: &Value| object.pointer(SELECTOR).filter(|it| it.get("matchLabels").is_some()).cloned();
    if let (Some(theirs), Some(ours)) = (labels(live), labels(desired))
        && theirs != ours
    {
        return Err(OtherSelector { theirs: theirs.to_string(), ours: ours.to_string() });
    }
    let mut preparations = Vec::new();
    if let Some(folded) = fields::folded(metadata.managed_fields.as_deref().unwrap_or_default()) {
        preparations.push(Preparation::FoldFields(json!([
            { "op": "replace", "path": "/metadata/managedFields", "value": folded },
            { "op": "replace", "path": "/metadata/resourceVersion", "value": metadata.resource_version },
        ])));
    }
    let recreates = |object: &Value| object.pointer(STRATEGY).and_then(Value::as_str) == Some(RECREATE);
    if recreates(desired) && !recreates(live) {
        let strategy = json!({ "type": RECREATE, "rollingUpdate": null });
        preparations.push(Preparation::EndBeforeStart(json!({ "spec": { "strategy": strategy } })));
    }
    Ok(preparations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(component: &str, strategy: &str) -> Value {
        json!({ "spec": {
            "selector": { "matchLabels": { "component": component } }, "strategy": { "type": strategy },
        }})
    }

    fn prepare(metadata: &Value, live: &Value, desired: &Value) -> Result<Vec<Preparation>, OtherSelector> {
        preparations(&serde_json::from_value(metadata.clone()).unwrap(), live, desired)
    }

    #[test]
    fn an_object_of_ours_needs_nothing() {
        let ours = workload("controller", "RollingUpdate");
        let entries = json!([{ "manager": "metallb-operator", "operation": "Apply", "fieldsV1": {} }]);
        assert_eq!(prepare(&json!({ "managedFields": entries }), &ours, &ours), Ok(Vec::new()));
    }

    #[test]
    fn a_selector_of_old_is_named_and_so_is_ours() {
        let refusal =
            prepare(&json!({}), &workload("x", "RollingUpdate"), &workload("controller", "RollingUpdate"))
                .unwrap_err();
        assert!(refusal.theirs.contains("\"x\"") && refusal.ours.contains("controller"), "{refusal:?}");
        let service = |app: &str| json!({ "spec": { "selector": { "app": app } } });
        assert_eq!(prepare(&json!({}), &service("a"), &service("b")), Ok(Vec::new()), "services may change");
    }

    #[test]
    fn the_fields_of_installers_are_folded_in_unless_the_object_has_changed() {
        let entries = json!([{ "manager": "helm", "operation": "Update", "fieldsV1": { "f:a": {} } }]);
        let metadata = json!({ "managedFields": entries, "resourceVersion": "7" });
        let ours = workload("controller", "RollingUpdate");
        let preparations = prepare(&metadata, &ours, &ours).unwrap();
        let [Preparation::FoldFields(patch)] = &preparations[..] else { panic!("{preparations:?}") };
        assert_eq!(patch[0]["value"][0]["manager"], "metallb-operator");
        assert_eq!(
            (&patch[1]["path"], &patch[1]["value"]),
            (&json!("/metadata/resourceVersion"), &json!("7"))
        );
    }

    #[test]
    fn ending_before_starting_is_said_before_there_is_a_new_template() {
        let (old, new) = (workload("controller", "RollingUpdate"), workload("controller", "Recreate"));
        let preparations = prepare(&json!({}), &old, &new).unwrap();
        let [Preparation::EndBeforeStart(patch)] = &preparations[..] else { panic!("{preparations:?}") };
        assert_eq!(patch.pointer("/spec/strategy/rollingUpdate"), Some(&Value::Null));
        assert_eq!(prepare(&json!({}), &new, &new), Ok(Vec::new()), "it is said already");
        assert_eq!(prepare(&json!({}), &new, &old), Ok(Vec::new()), "and back needs nothing");
    }
}
