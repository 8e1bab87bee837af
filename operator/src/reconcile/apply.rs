//! Doing what is to be done: server-side apply of what is [ours by then](super::takeover::adopt), and deletions.

use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use metallb_process::cluster::REQUEST_TIMEOUT;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::FIELD_MANAGER;
use super::gather::{Installed, Live, Reach as _};
use super::steps::Superfluous;
use super::takeover::adopt::{OtherSelector, Preparation, preparations};
use super::takeover::leftovers::{FRR_WEBHOOK, is_answered_in};
use crate::render::{Kind, Object, ObjectId, PrometheusRule, SecurityContextConstraints, ServiceMonitor};

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
    /// What is there by that name cannot become ours.
    #[error(
        "{id} selects {}, not {}, and a selector cannot be changed; delete it, or rename it if it is not MetalLB's",
        .selector.theirs, .selector.ours
    )]
    OtherSelector {
        /// The object.
        id: ObjectId,
        /// Its selector.
        selector: OtherSelector,
    },
    /// This replica may be about to lose the lease, or is about to end.
    #[error("another replica may have to do the rest")]
    NoMandate,
}

impl Failure {
    /// The reason for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::OtherSelector { .. } => "SelectorCannotBeChanged",
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

/// Applies `object`. As it is now.
pub async fn apply(client: Client, namespace: &str, object: &Object) -> Result<Live, Failure> {
    let id = object.id();
    let live = match object {
        Object::SecurityContextConstraints(object) => send(client, namespace, &**object).await,
        Object::NetworkPolicy(object) => send(client, namespace, &**object).await,
        Object::ConfigMap(object) => send(client, namespace, &**object).await,
        Object::Service(object) => send(client, namespace, &**object).await,
        Object::DaemonSet(object) => send(client, namespace, &**object).await,
        Object::Deployment(object) => send(client, namespace, &**object).await,
        Object::ServiceMonitor(object) => send(client, namespace, &**object).await,
        Object::PrometheusRule(object) => send(client, namespace, &**object).await,
    }?;
    tracing::info!(event = "applied", object = %id, "as the MetalLB asks");
    live.filter(|live| live.owner.is_some()).ok_or(Failure::Disowned(id))
}

/// Deletes what is superfluous.
pub async fn delete(client: Client, namespace: &str, superfluous: &Superfluous) -> Result<(), Failure> {
    let Superfluous { id, uid } = superfluous;
    match id.kind {
        Kind::SecurityContextConstraints => {
            remove::<SecurityContextConstraints>(client, namespace, id, uid).await
        }
        Kind::NetworkPolicy => remove::<NetworkPolicy>(client, namespace, id, uid).await,
        Kind::ConfigMap => remove::<ConfigMap>(client, namespace, id, uid).await,
        Kind::Service => remove::<Service>(client, namespace, id, uid).await,
        Kind::DaemonSet => remove::<DaemonSet>(client, namespace, id, uid).await,
        Kind::Deployment => remove::<Deployment>(client, namespace, id, uid).await,
        Kind::ServiceMonitor => remove::<ServiceMonitor>(client, namespace, id, uid).await,
        Kind::PrometheusRule => remove::<PrometheusRule>(client, namespace, id, uid).await,
    }?;
    tracing::info!(event = "deleted", object = %id, "the MetalLB does not ask for it any more");
    Ok(())
}

async fn send<K: Installed>(client: Client, namespace: &str, object: &K) -> Result<Option<Live>, Failure> {
    let name = object.name_any();
    let api = K::Scope::api::<K>(client, namespace);
    for is_last in [false, false, false, true] {
        let looked_at = request(format!("read {} {name}", K::KIND), api.get_opt(&name)).await?;
        let Some(live) = looked_at else { break };
        match prepare(&api, &live, object).await {
            // Its status, mostly: whoever writes that does not wait for us.
            Err(Failure::Refused { source: kube::Error::Api(status), .. })
                if status.code == 409 && !is_last => {}
            other => {
                other?;
                break;
            }
        }
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let what = format!("apply {} {name}", K::KIND);
    request(what, api.patch(&name, &params, &Patch::Apply(object))).await.map(Live::of)
}

/// Makes what is there already ready to become `object`.
async fn prepare<K: Installed>(api: &Api<K>, live: &K, object: &K) -> Result<(), Failure> {
    let id = ObjectId::new(K::KIND, object.name_any());
    let written = |object: &K| {
        let refused = |source| Failure::Refused {
            what: format!("write {id} down"),
            source: kube::Error::SerdeError(source),
        };
        serde_json::to_value(object).map_err(refused)
    };
    let preparations = preparations(live.meta(), &written(live)?, &written(object)?)
        .map_err(|selector| Failure::OtherSelector { id: id.clone(), selector })?;
    for preparation in preparations {
        match preparation {
            Preparation::FoldFields(patch) => {
                patch_fields(api, format!("take over {id}"), &id.name, patch).await?;
                tracing::info!(event = "takenOver", object = %id, "what its installer wrote is ours now");
            }
            Preparation::EndBeforeStart(patch) => {
                let patch = Patch::Merge(patch);
                request(format!("hold {id}"), api.patch(&id.name, &as_ourselves(), &patch)).await?;
                tracing::info!(event = "endsBeforeStart", object = %id, "its pods end before ours start");
            }
        }
    }
    Ok(())
}

fn as_ourselves() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Changes single fields of `name` by a JSON patch (RFC 6902).
async fn patch_fields<K>(api: &Api<K>, what: String, name: &str, patch: Value) -> Result<(), Failure>
where
    K: Clone + DeserializeOwned + Debug,
{
    let patch = serde_json::from_value(patch)
        .map_err(|source| Failure::Refused { what: what.clone(), source: kube::Error::SerdeError(source) })?;
    request(what, api.patch(name, &as_ourselves(), &Patch::Json::<()>(patch))).await?;
    Ok(())
}

/// Makes the Service of the webhooks look for us alone.
pub async fn lead_back(client: Client, namespace: &str, id: &ObjectId, patch: Value) -> Result<(), Failure> {
    let api: Api<Service> = Api::namespaced(client, namespace);
    let what = format!("correct the selector of {id}");
    patch_fields(&api, what, &id.name, patch).await?;
    tracing::info!(event = "ledBack", object = %id, "it looked for upstream's webhook server");
    Ok(())
}

/// Deletes a DaemonSet, and leaves its pods at work.
pub async fn let_go(client: Client, namespace: &str, superfluous: &Superfluous) -> Result<(), Failure> {
    let Superfluous { id, uid } = superfluous;
    let api: Api<DaemonSet> = Api::namespaced(client, namespace);
    remove_from(&api, id.to_string(), &id.name, uid, DeleteParams::orphan()).await?;
    tracing::info!(event = "letGo", object = %id, "its pods stay until speakers have their sessions");
    Ok(())
}

/// Deletes a pod, which gets all the time to end that it asks for.
pub async fn delete_pod(client: Client, namespace: &str, name: &str, uid: &str) -> Result<(), Failure> {
    let api: Api<Pod> = Api::namespaced(client, namespace);
    remove_from(&api, format!("Pod {name}"), name, uid, DeleteParams::default()).await
}

/// Deletes the webhook that upstream's frr-k8s in `namespace` answered, if there is one.
pub async fn delete_frr_webhook(client: Client, namespace: &str) -> Result<(), Failure> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client);
    let what = format!("ValidatingWebhookConfiguration {FRR_WEBHOOK}");
    let found = request(format!("read {what}"), api.get_opt(FRR_WEBHOOK)).await?;
    let Some(found) = found.filter(|found| is_answered_in(found, namespace)) else { return Ok(()) };
    let uid = found.metadata.uid.unwrap_or_default();
    remove_from(&api, what.clone(), FRR_WEBHOOK, &uid, DeleteParams::default()).await?;
    tracing::info!(event = "deleted", object = %what, "nobody answers it any more");
    Ok(())
}

async fn remove<K: Installed>(
    client: Client,
    namespace: &str,
    id: &ObjectId,
    uid: &str,
) -> Result<(), Failure> {
    let api = K::Scope::api::<K>(client, namespace);
    remove_from(&api, id.to_string(), &id.name, uid, DeleteParams::background()).await
}

async fn remove_from<K>(
    api: &Api<K>,
    what: String,
    name: &str,
    uid: &str,
    params: DeleteParams,
) -> Result<(), Failure>
where
    K: Clone + DeserializeOwned + Debug,
{
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..params };
    match request(format!("delete {what}"), api.delete(name, &params)).await {
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
