//! The authorities in the webhook configurations and in the definition: what the API server trusts us by.
//!
//! Only that one field is ours. It is applied under a name of its own, and only when it differs, so that whoever keeps
//! the rest of these objects in Git has nothing to fight about.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// Whoever writes the field.
pub const FIELD_MANAGER: &str = "metallb-webhook-certificates";

/// What there is to apply to make `bundle` known in a configuration; `None`: it is.
pub fn to_configuration(object: &ValidatingWebhookConfiguration, bundle: &str) -> Option<Value> {
    let wanted = ByteString(bundle.as_bytes().to_vec());
    let webhooks = object.webhooks.as_deref().unwrap_or_default();
    if webhooks.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref() == Some(&wanted)) {
        return None;
    }
    let webhooks: Vec<Value> = webhooks
        .iter()
        .map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": wanted } }))
        .collect();
    Some(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": object.name_any() }, "webhooks": webhooks,
    }))
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
