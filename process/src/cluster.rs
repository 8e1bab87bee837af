//! Reaching the API server: the client, MetalLB's namespace, and the own Pod.

mod connection;
mod kubeconfig;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Config, Resource};

/// A write that was not answered by then counts as failed, with its outcome unknown.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which nothing was heard for so long is dead: an API server sends a bookmark about once a minute on
/// every watch. Without this, the loss of its power would go unnoticed for five minutes.
const SILENCE: Duration = Duration::from_secs(100);

const SERVICE_ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// A client for the cluster: `kubeconfig` if given, else `$KUBECONFIG` and the like, else the Pod's service account.
///
/// Installs the process's TLS provider, so call it before anything else that uses TLS.
pub async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    install_tls_provider();
    let mut config = match kubeconfig {
        Some(path) => of(kubeconfig::read(path)?).await?,
        None => infer().await?,
    };
    config.connect_timeout = Some(REQUEST_TIMEOUT);
    config.read_timeout = Some(SILENCE);
    Ok(connection::open(config)?)
}

async fn of(kubeconfig: Kubeconfig) -> anyhow::Result<Config> {
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// By the user's kubeconfig, else by the Pod's service account.
async fn infer() -> anyhow::Result<Config> {
    let of_user = async { of(kubeconfig::of_user()?).await };
    let mut config = match of_user.await {
        Ok(config) => config,
        Err(why_no_kubeconfig) => Config::incluster().with_context(|| {
            format!(
                "neither a kubeconfig ({why_no_kubeconfig:#}) nor a service account to reach the API server with"
            )
        })?,
    };
    config.apply_debug_overrides();
    Ok(config)
}

/// Makes ring the TLS provider of the process. Harmless when called again.
pub fn install_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // Err: there is one already
}

/// MetalLB's namespace: the flag, else the namespace of the service account.
pub fn namespace(flag: &str) -> anyhow::Result<String> {
    if !flag.is_empty() {
        return Ok(flag.to_owned());
    }
    match std::fs::read_to_string(SERVICE_ACCOUNT_NAMESPACE) {
        Ok(namespace) => Ok(namespace.trim().to_owned()),
        Err(error) => {
            bail!("which namespace? Set --namespace; {SERVICE_ACCOUNT_NAMESPACE} cannot be read: {error}")
        }
    }
}

/// The reference by which objects belong to `owner`: plain, so that deleting `owner` deletes them, and nothing waits.
///
/// Fails for an object that did not come from the API server, which has no uid.
pub fn owned_by<K: Resource<DynamicType = ()>>(owner: &K) -> anyhow::Result<OwnerReference> {
    owner.owner_ref(&()).context("the owner has no name or no uid: it did not come from the API server")
}

/// The metadata of the Pod this process runs in, for owner references.
pub async fn own_pod(client: Client, namespace: &str, name: &str) -> anyhow::Result<PartialObjectMeta<Pod>> {
    if name.is_empty() {
        bail!("which pod is this? Set --pod-name or METALLB_POD_NAME");
    }
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(client, namespace);
    pods.get(name).await.with_context(|| format!("cannot read the own pod {namespace}/{name}"))
}
