//! Doing what is to be done: server-side apply, and deletions.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use metallb_process::cluster::REQUEST_TIMEOUT;

use super::FIELD_MANAGER;
use super::gather::{Installed, Live};
use super::steps::Step;
use crate::render::{Kind, Object, ObjectId, ServiceMonitor};

/// Why something could not be done. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The API server said no.
    #[error("cannot {what}: {}", says(source))]
    Refused {
        /// What was tried.
        what: String,
        /// What it said.
        source: kube::Error,
    },
    /// The API server did not say anything.
    #[error("cannot {what}: the API server did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    NoAnswer {
        /// What was tried.
        what: String,
    },
    /// The object was written, but what came back is not one of ours any more.
    #[error("{0} was applied, and lost its owner at once; does something else change it?")]
    Disowned(ObjectId),
    /// This replica may be about to lose the lease, or is about to end.
    #[error("another replica may have to do the rest")]
    NoMandate,
}

impl Failure {
    /// The reason for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { source: kube::Error::Api(_), .. } => "ApplyFailed",
            Self::Refused { .. } | Self::NoAnswer { .. } | Self::Disowned(_) | Self::NoMandate => {
                "ReconcileFailed"
            }
        }
    }
}

/// The message of the API server, without the machinery around it.
fn says(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// Runs a request that does `what`, within the time a request may take.
pub async fn request<T>(what: String, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Failure::Refused { what, source }),
        Err(_) => Err(Failure::NoAnswer { what }),
    }
}

/// Takes one step. What was applied, as it is now; nothing after a deletion.
pub async fn take(client: Client, namespace: &str, step: &Step) -> Result<Option<Live>, Failure> {
    match step {
        Step::Apply(object) => {
            let id = object.id();
            let live = match object {
                Object::NetworkPolicy(object) => apply(client, namespace, &**object).await,
                Object::ConfigMap(object) => apply(client, namespace, &**object).await,
                Object::Service(object) => apply(client, namespace, &**object).await,
                Object::DaemonSet(object) => apply(client, namespace, &**object).await,
                Object::Deployment(object) => apply(client, namespace, &**object).await,
                Object::ServiceMonitor(object) => apply(client, namespace, &**object).await,
            }?;
            tracing::info!(event = "applied", object = %id, "as the MetalLB asks");
            Ok(Some(live.ok_or(Failure::Disowned(id))?))
        }
        Step::Delete(id, uid) => {
            match id.kind {
                Kind::NetworkPolicy => delete::<NetworkPolicy>(client, namespace, id, uid).await,
                Kind::ConfigMap => delete::<ConfigMap>(client, namespace, id, uid).await,
                Kind::Service => delete::<Service>(client, namespace, id, uid).await,
                Kind::DaemonSet => delete::<DaemonSet>(client, namespace, id, uid).await,
                Kind::Deployment => delete::<Deployment>(client, namespace, id, uid).await,
                Kind::ServiceMonitor => delete::<ServiceMonitor>(client, namespace, id, uid).await,
            }?;
            tracing::info!(event = "deleted", object = %id, "the MetalLB does not ask for it any more");
            Ok(None)
        }
    }
}

async fn apply<K: Installed>(client: Client, namespace: &str, object: &K) -> Result<Option<Live>, Failure> {
    let name = object.name_any();
    let api: Api<K> = Api::namespaced(client, namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let what = format!("apply {} {name}", K::KIND);
    request(what, api.patch(&name, &params, &Patch::Apply(object))).await.map(Live::of)
}

async fn delete<K: Installed>(
    client: Client,
    namespace: &str,
    id: &ObjectId,
    uid: &str,
) -> Result<(), Failure> {
    let api: Api<K> = Api::namespaced(client, namespace);
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match request(format!("delete {id}"), api.delete(&id.name, &params)).await {
        Ok(_) => Ok(()),
        // Gone, or another by that name: the watch will tell.
        Err(Failure::Refused { source: kube::Error::Api(status), .. })
            if matches!(status.code, 404 | 409) =>
        {
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}
