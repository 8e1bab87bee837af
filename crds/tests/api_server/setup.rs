//! Definitions into an API server of one's own: they are the cluster's, so tests cannot share one.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Error, ResourceExt as _};
use metallb_crds::schema;
use metallb_lab::{User, eventually};
use serde_json::{Value, json};

/// Long beside what it takes, as the machine may be busy.
pub const SOON: Duration = Duration::from_secs(30);

/// Applies every definition after `change`.
pub async fn install(admin: &User, change: impl Fn(&mut Value)) -> Result<()> {
    for definition in schema::all() {
        let name = definition.name_any();
        let mut definition = serde_json::to_value(definition)?;
        change(&mut definition);
        admin.apply_yaml(&definition.to_string()).await.with_context(|| name)?;
    }
    Ok(())
}

/// The objects of that kind in the namespace of `user`.
pub fn objects(user: &User, version: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("metallb.io", version, kind));
    Api::default_namespaced_with(user.client(), &resource)
}

/// Creates one, or says why the API server does not.
pub async fn create(user: &User, version: &str, kind: &str, name: &str, spec: &Value) -> Result<(), String> {
    let object = json!({
        "apiVersion": format!("metallb.io/{version}"), "kind": kind, "metadata": { "name": name }, "spec": spec,
    });
    let object = serde_json::from_value(object).unwrap();
    match objects(user, version, kind).create(&PostParams::default(), &object).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 422 => Err(status.message),
        Err(other) => panic!("{kind} {name}: {other}"),
    }
}

/// Waits until every definition is served.
pub async fn until_served(user: &User) {
    eventually(SOON, "the API server serves the kinds", async || {
        for definition in schema::all() {
            for version in &definition.spec.versions {
                let kind = &definition.spec.names.kind;
                objects(user, &version.name, kind).list(&kube::api::ListParams::default()).await?;
            }
        }
        anyhow::Ok(())
    })
    .await;
}
