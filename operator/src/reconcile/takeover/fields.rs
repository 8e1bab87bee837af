//! Who manages which field of an object, and how what its installers manage becomes ours.
//!
//! Server-side apply takes away what its manager had and does not name any more, and nothing else: what another manager
//! wrote once (FRR's containers in the speakers' pods, a proxy that holds the port of the metrics) would stay for good. So
//! their entries are folded into ours before we apply, as client-go does when a program goes over to server-side apply.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};

use crate::reconcile::FIELD_MANAGER;

/// Programs that install what people ask them to. What they wrote into an object of ours they did not add, but brought.
const INSTALLERS: [&str; 5] =
    ["kubectl-client-side-apply", "kubectl", "kubectl-create", "kubectl-replace", "helm"];
/// The name for whatever was there before anybody kept books.
const BEFORE: &str = "before-first-apply";
/// metallb-operator before 0.15, and its binary by another name. Many operators are called so, and one may well have added
/// something to an object of ours: these count only before it is ours.
const OPERATORS: [&str; 2] = ["manager", "operator"];

const APPLY: &str = "Apply";
const UPDATE: &str = "Update";
/// An entry that stands for a field itself, beside those for what is in it.
const ITSELF: &str = ".";

/// The entries as they are to be. `None` when nothing is to be folded.
pub(super) fn folded(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let has_ours = entries.iter().any(is_ours);
    let (installers, mut rest): (Vec<_>, Vec<_>) =
        entries.iter().cloned().partition(|entry| is_installers(entry, has_ours));
    let first = installers.first()?;
    if !has_ours {
        rest.push(ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.to_owned()),
            operation: Some(APPLY.to_owned()),
            fields_v1: Some(FieldsV1(Value::Object(Map::new()))),
            ..first.clone()
        });
    }
    for ours in rest.iter_mut().filter(|entry| is_ours(entry)) {
        let mut fields = ours.fields_v1.take().map_or_else(|| Value::Object(Map::new()), |fields| fields.0);
        for FieldsV1(theirs) in installers.iter().filter_map(|entry| entry.fields_v1.as_ref()) {
            unite(&mut fields, theirs);
        }
        ours.fields_v1 = Some(FieldsV1(fields));
    }
    Some(rest)
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    is_by(entry, FIELD_MANAGER) && is(entry, APPLY)
}

fn is_installers(entry: &ManagedFieldsEntry, has_ours: bool) -> bool {
    // Status is written by controllers, and `scale` by who scales.
    if entry.subresource.is_some() {
        return false;
    }
    let is_operators = OPERATORS.iter().any(|name| is_by(entry, name));
    INSTALLERS.iter().any(|name| is_by(entry, name))
        || (is(entry, UPDATE) && (is_by(entry, BEFORE) || is_by(entry, FIELD_MANAGER)))
        || (is(entry, UPDATE) && is_operators && !has_ours)
        || (!is_ours(entry) && made_it(entry))
}

fn is_by(entry: &ManagedFieldsEntry, manager: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
}

fn is(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.operation.as_deref() == Some(operation)
}

/// A selector is written by whoever makes a workload, and by nobody after that. So programs that deploy are known whatever
/// they are called.
fn made_it(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref();
    fields.is_some_and(|FieldsV1(fields)| fields.pointer("/f:spec/f:selector").is_some())
}

/// Adds to `fields` what is in `more`. A field without anything in it stands for itself.
fn unite(fields: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else { return };
    for (key, theirs) in more {
        let Some(ours) = fields.get_mut(key) else {
            fields.insert(key.clone(), theirs.clone());
            continue;
        };
        let is_leaf = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        let stood_for_itself = is_leaf(ours) != is_leaf(theirs);
        unite(ours, theirs);
        if stood_for_itself
            && key != ITSELF
            && let Value::Object(ours) = ours
        {
            ours.entry(ITSELF).or_insert_with(|| Value::Object(Map::new()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            api_version: Some("apps/v1".to_owned()),
            fields_type: Some("FieldsV1".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    fn outline(entries: &[ManagedFieldsEntry]) -> Vec<(String, String, Value)> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        entries
            .iter()
            .map(|it| (text(&it.manager), text(&it.operation), it.fields_v1.clone().unwrap().0))
            .collect()
    }

    fn ours(fields: Value) -> (String, String, Value) {
        (FIELD_MANAGER.to_owned(), APPLY.to_owned(), fields)
    }

    #[test]
    fn what_an_installer_wrote_becomes_ours() {
        for (manager, operation) in [
            ("kubectl-client-side-apply", UPDATE),
            ("kubectl", APPLY),
            ("helm", UPDATE),
            ("before-first-apply", UPDATE),
            ("manager", UPDATE),
            ("operator", UPDATE),
        ] {
            let frr = json!({ "f:spec": { "f:frr": {} } });
            let folded = folded(&[entry(manager, operation, frr.clone())]).unwrap();
            assert_eq!(outline(&folded), [ours(frr)], "{manager} {operation}");
        }
    }

    #[test]
    fn it_is_added_to_what_was_ours_before() {
        let entries = [
            entry(FIELD_MANAGER, APPLY, json!({ "f:spec": { "f:a": {}, "f:c": { "f:x": {} } } })),
            entry("helm", UPDATE, json!({ "f:spec": { "f:b": {}, "f:c": { ".": {}, "f:y": {} } } })),
        ];
        let united = json!({ "f:spec": { "f:a": {}, "f:b": {}, "f:c": { ".": {}, "f:x": {}, "f:y": {} } } });
        assert_eq!(outline(&folded(&entries).unwrap()), [ours(united)]);
    }

    #[test]
    fn a_field_as_a_whole_stays_one_beside_its_parts() {
        for (one, other) in [(json!({}), json!({ "f:x": {} })), (json!({ "f:x": {} }), json!({}))] {
            let entries = [
                entry(FIELD_MANAGER, APPLY, json!({ "f:c": one })),
                entry("helm", UPDATE, json!({ "f:c": other })),
            ];
            let united = json!({ "f:c": { ".": {}, "f:x": {} } });
            assert_eq!(outline(&folded(&entries).unwrap()), [ours(united)]);
        }
    }

    #[test]
    fn what_others_added_stays_theirs() {
        let status = ManagedFieldsEntry {
            subresource: Some("status".to_owned()),
            ..entry("manager", UPDATE, json!({ "f:status": {} }))
        };
        let replicas = ManagedFieldsEntry {
            subresource: Some("scale".to_owned()),
            ..entry("kubectl", UPDATE, json!({ "f:spec": { "f:replicas": {} } }))
        };
        let entries = [
            entry(FIELD_MANAGER, APPLY, json!({ "f:spec": {} })),
            entry("kubectl-rollout", UPDATE, json!({ "f:restartedAt": {} })),
            entry("kubectl-edit", UPDATE, json!({ "f:x": {} })),
            entry("argocd-controller", APPLY, json!({ "f:x": {} })),
            status,
            replicas,
        ];
        assert_eq!(folded(&entries), None);
    }

    #[test]
    fn a_stranger_called_manager_is_no_installer_of_what_is_ours_already() {
        let ours = entry(FIELD_MANAGER, APPLY, json!({ "f:spec": {} }));
        let stranger = entry("manager", UPDATE, json!({ "f:metadata": { "f:annotations": {} } }));
        assert_eq!(folded(&[ours.clone(), stranger]), None);
        for (manager, operation) in [("manager", UPDATE), ("kustomize-controller", APPLY)] {
            let fields = json!({ "f:spec": { "f:selector": {}, "f:template": {} } });
            let maker = entry(manager, operation, fields);
            assert_eq!(folded(&[ours.clone(), maker]).unwrap().len(), 1, "{manager} made it");
        }
    }
}
