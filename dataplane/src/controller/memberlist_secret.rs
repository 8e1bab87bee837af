//! The Secret that speakers share. Made once, and never changed from here; speakers follow whoever changes it.

use anyhow::Context as _;
use base64::Engine as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use metallb_process::cluster::owned_by;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

/// Makes the Secret `name` unless it exists: 16 random bytes in unpadded base64 under `secretkey`, as upstream does.
/// It belongs to the Deployment of the controller, so it goes when that goes.
pub async fn ensure(client: Client, namespace: &str, name: &str, deployment: &str) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let exists = secrets
        .get_opt(name)
        .await
        .with_context(|| format!("cannot look for the Secret {namespace}/{name}"))?;
    if exists.is_some() {
        return Ok(());
    }
    let deployments: Api<Deployment> = Api::namespaced(client, namespace);
    let owner = deployments.get(deployment).await.with_context(|| {
        format!("cannot read the Deployment {namespace}/{deployment}, which is to own the Secret {name}")
    })?;
    let mut key = [0; 16];
    OsRng.try_fill_bytes(&mut key).context("the system gives no random bytes")?;
    let key = base64::engine::general_purpose::STANDARD_NO_PAD.encode(key);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: Some(vec![owned_by(&owner)?]),
            ..ObjectMeta::default()
        },
        data: Some([("secretkey".to_owned(), ByteString(key.into_bytes()))].into()),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => {
            tracing::info!(event = "secretCreated", secret = name, "speakers can share it");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()), // another replica was faster
        Err(error) => Err(error).with_context(|| format!("cannot create the Secret {namespace}/{name}")),
    }
}
