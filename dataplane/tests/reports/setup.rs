//! A namespace with the kinds of metallb.io, and speakers' Pods in it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use metallb_crds::{ServiceBGPStatus, schema};
use metallb_lab::{ApiServer, SharedApiServer, User, eventually};
use metallb_process::cluster;
use serde_json::json;

static SERVER: SharedApiServer = SharedApiServer::new(ApiServer::builder());

pub const SOON: Duration = Duration::from_secs(25);

pub async fn namespace() -> User {
    let admin = SERVER.get().await.unwrap().admin().await.unwrap();
    for crd in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&crd).unwrap()).await.unwrap();
    }
    let user = admin.in_new_namespace().await.unwrap();
    eventually(SOON, "the kinds are served", async || {
        Api::<ServiceBGPStatus>::namespaced(user.client(), user.namespace()).list(&<_>::default()).await
    })
    .await;
    user
}

/// A Pod, as the owner of what its process reports.
pub async fn pod(user: &User, name: &str) -> OwnerReference {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": user.namespace() },
        "spec": { "containers": [{ "name": "main", "image": "none.example/none:1" }] },
    });
    user.apply_yaml(&pod.to_string()).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(user.client(), user.namespace());
    cluster::owned_by(&pods.get(name).await.unwrap()).unwrap()
}
