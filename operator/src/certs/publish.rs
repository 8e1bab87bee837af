//! The authorities in the webhook configurations and in the definition: what the API server trusts us by.
//!
//! Only that one field is ours, and an annotation. They are applied under a name of their own, and only when they differ, so that
//! whoever keeps the rest of these objects in Git has nothing to fight about.
//!
//! Each configuration is written twice, the second time when the first has been there for a while. When an API server learns of a
//! change while it prepares the version before it for use (after a request, say), it keeps that version until the next change: of
//! two changes in a row the last may have no effect, for ever (`getValidatingWebhookConfigurations` of Kubernetes 1.34 stores by
//! name what it made of an older list, after the event of the newer version deleted it). With the second write that does not
//! matter, as it comes when the first has been taken up: what might be kept then has the authorities already.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Whoever writes the field.
pub const FIELD_MANAGER: &str = "metallb-webhook-certificates";

/// The annotation that the second write adds, with the SHA-256 of the authorities.
pub const SETTLED: &str = "metallb.io/authorities-settled";

/// What there is to apply to make `bundle` known in a configuration; `None`: it is.
pub fn to_configuration(object: &ValidatingWebhookConfiguration, bundle: &str) -> Option<Value> {
    let wanted = bytes(bundle);
    let webhooks = object.webhooks.as_deref().unwrap_or_default();
    let is_known = webhooks.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref() == Some(&wanted));
    (!is_known).then(|| configuration(object, bundle, &json!({})))
}

/// What there is to apply to a configuration in which `bundle` has been known for a while; `None`: that was done.
pub fn to_settle(object: &ValidatingWebhookConfiguration, bundle: &str) -> Option<Value> {
    let digest = format!("{:x}", Sha256::digest(bundle));
    let has_webhooks = object.webhooks.as_ref().is_some_and(|webhooks| !webhooks.is_empty());
    (has_webhooks && object.annotations().get(SETTLED) != Some(&digest))
        .then(|| configuration(object, bundle, &json!({ SETTLED: digest })))
}

fn configuration(object: &ValidatingWebhookConfiguration, bundle: &str, annotations: &Value) -> Value {
    let bundle = bytes(bundle);
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
    let wanted = bytes(bundle);
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

fn bytes(bundle: &str) -> ByteString {
    ByteString(bundle.as_bytes().to_vec())
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

    fn configuration(bundle: Option<&str>, settled: Option<&str>) -> ValidatingWebhookConfiguration {
        let bundle = bundle.map(|text| ByteString(text.as_bytes().to_vec()));
        let annotations = settled.map_or(json!({}), |settled| json!({ SETTLED: settled }));
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
        for (old, settled) in [(None, None), (Some("old"), None), (Some("old"), Some("of others"))] {
            let first = to_configuration(&configuration(old, settled), "new").unwrap();
            assert_eq!(first["metadata"]["annotations"], json!({}), "an annotation of ours goes");
        }
        assert_eq!(to_configuration(&configuration(Some("new"), None), "new"), None);
        let second = to_settle(&configuration(Some("new"), None), "new").unwrap();
        assert_eq!(second["webhooks"][0]["clientConfig"]["caBundle"], json!(ByteString(b"new".to_vec())));
        let settled = second["metadata"]["annotations"][SETTLED].as_str().unwrap();
        assert_eq!(to_settle(&configuration(Some("new"), Some(settled)), "new"), None);
        assert!(
            to_settle(&configuration(Some("newer"), Some(settled)), "newer").is_some(),
            "of other authorities"
        );
    }

    #[test]
    fn what_has_no_webhooks_is_left_alone() {
        let mut empty = configuration(None, None);
        empty.webhooks = None;
        assert_eq!((to_configuration(&empty, "new"), to_settle(&empty, "new")), (None, None));
    }
}
