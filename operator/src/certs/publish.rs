//! The authorities in the webhook configurations and in the definition: what the API server trusts us by.
//!
//! Only that one field is ours, and an annotation. They are applied under a name of their own, and only when they differ, so that
//! whoever keeps the rest of these objects in Git has nothing to fight about.
//!
//! Each configuration is written twice, the second time when the first has been there for a while. When an API server learns of a
//! change while it prepares the version before it for use (after a request, say), it keeps that version until the next change: of
//! two changes in a row the last may have no effect, for ever (`getValidatingWebhookConfigurations` of Kubernetes 1.34 stores by
//! name what it made of an older list, after the event of the newer version deleted it). The second write is a change about which
//! that does not matter: what it might keep has the authorities already.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// Whoever writes the field.
pub const FIELD_MANAGER: &str = "metallb-webhook-certificates";

/// The annotation that the second write adds. A first one takes it away again.
pub const SETTLED: &str = "metallb.io/authorities-settled";

/// What there is to apply to make `bundle` known in a configuration; `None`: it is.
pub fn to_configuration(object: &ValidatingWebhookConfiguration, bundle: &str) -> Option<Value> {
    let wanted = ByteString(bundle.as_bytes().to_vec());
    let webhooks = object.webhooks.as_deref().unwrap_or_default();
    let is_known = webhooks.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref() == Some(&wanted));
    (!is_known).then(|| configuration(object, &wanted, &json!({})))
}

/// What there is to apply to a configuration in which `bundle` has been known for a while; `None`: that was done.
pub fn to_settle(object: &ValidatingWebhookConfiguration, bundle: &str) -> Option<Value> {
    let wanted = ByteString(bundle.as_bytes().to_vec());
    let has_webhooks = object.webhooks.as_ref().is_some_and(|webhooks| !webhooks.is_empty());
    (has_webhooks && !object.annotations().contains_key(SETTLED))
        .then(|| configuration(object, &wanted, &json!({ SETTLED: "true" })))
}

fn configuration(object: &ValidatingWebhookConfiguration, bundle: &ByteString, annotations: &Value) -> Value {
    let webhooks = object.webhooks.iter().flatten();
    let webhooks: Vec<Value> = webhooks
        .map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": bundle } }))
        .collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": object.name_any(), "annotations": annotations }, "webhooks": webhooks,
    })
}

/// What there is to apply to make `bundle` known in a definition; `None`: it is, or nobody converts.
pub fn to_definition(object: &CustomResourceDefinition, bundle: &str) -> Option<Value> {
    let wanted = ByteString(bundle.as_bytes().to_vec());
    let client = object.spec.conversion.as_ref()?.webhook.as_ref()?.client_config.as_ref()?;
    if client.ca_bundle.as_ref() == Some(&wanted) {
        return None;
    }
    let conversion = json!({ "webhook": { "clientConfig": { "caBundle": wanted } } });
    Some(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": object.name_any() }, "spec": { "conversion": conversion },
    }))
}

/// Applies it.
pub async fn apply<K>(client: &Client, name: &str, object: &Value) -> kube::Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    api.patch(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(bundle: Option<&str>, annotated: bool) -> ValidatingWebhookConfiguration {
        let bundle = bundle.map(|text| ByteString(text.as_bytes().to_vec()));
        let annotations = if annotated { json!({ SETTLED: "true" }) } else { json!({}) };
        serde_json::from_value(json!({
            "metadata": { "name": "hooks", "annotations": annotations },
            "webhooks": [{
                "name": "one.example", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": { "url": "https://192.0.2.1", "caBundle": bundle },
            }],
        }))
        .unwrap()
    }

    #[test]
    fn a_configuration_is_written_with_the_authorities_and_then_once_more() {
        for (old, annotated) in [(None, false), (Some("old"), false), (Some("old"), true)] {
            let first = to_configuration(&configuration(old, annotated), "new").unwrap();
            assert_eq!(first["metadata"]["annotations"], json!({}), "an annotation of ours goes");
        }
        assert_eq!(to_configuration(&configuration(Some("new"), false), "new"), None);
        let second = to_settle(&configuration(Some("new"), false), "new").unwrap();
        assert_eq!(second["metadata"]["annotations"], json!({ SETTLED: "true" }));
        assert_eq!(second["webhooks"][0]["clientConfig"]["caBundle"], json!(ByteString(b"new".to_vec())));
        assert_eq!(to_settle(&configuration(Some("new"), true), "new"), None);
    }

    #[test]
    fn what_has_no_webhooks_is_left_alone() {
        let mut empty = configuration(None, false);
        empty.webhooks = None;
        assert_eq!((to_configuration(&empty, "new"), to_settle(&empty, "new")), (None, None));
    }
}
