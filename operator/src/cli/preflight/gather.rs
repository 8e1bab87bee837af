//! Reading the cluster. Nothing is written.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};
use metallb_crds::GROUP;
use metallb_crds::cluster::bgp_extras;
use metallb_process::cluster::client;
use metallb_process::watch::ObjectKey;

use super::cluster::{Cluster, Kubernetes};
use super::surroundings::{REQUIRED, serves};
use crate::cli::args::Common;
use crate::cli::live::{everywhere, without_reports};

/// kube-proxy's settings, where kubeadm and kind put them.
const KUBE_PROXY: (&str, &str) = ("kube-system", "kube-proxy");

/// Looks at the cluster, as the user of the kubeconfig.
pub(in crate::cli) async fn cluster(common: &Common) -> anyhow::Result<Cluster> {
    let client = client(common.kubeconfig.as_deref()).await?;
    let namespace = &common.namespace;
    let definitions: Vec<CustomResourceDefinition> = everywhere(&client, "CustomResourceDefinitions").await?;
    let mut cluster = Cluster {
        namespace: namespace.clone(),
        kubernetes: kubernetes(&client).await?,
        deployments: everywhere(&client, "Deployments").await?,
        daemon_sets: everywhere(&client, "DaemonSets").await?,
        policies: policies(&client, namespace).await?,
        bgp_extras: config_map(&client, (namespace, bgp_extras::NAME)).await?,
        services: services(&client).await?,
        kube_proxy: config_map(&client, KUBE_PROXY).await?,
        secrets: secrets(&client, namespace).await,
        webhooks: everywhere(&client, "ValidatingWebhookConfigurations").await?,
        definitions: definitions.into_iter().map(|it| (it.name_any(), it)).collect(),
        ..Cluster::default()
    };
    cluster.frr_configurations =
        keys(&objects(&client, &cluster, "frrconfigurations.frrk8s.metallb.io").await?);
    cluster.address_pools = keys(&objects(&client, &cluster, &format!("addresspools.{GROUP}")).await?);
    let metallbs = objects(&client, &cluster, &format!("metallbs.{GROUP}")).await?;
    cluster.metallbs = metallbs.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    if REQUIRED.iter().all(|(kind, version)| serves(&cluster, kind, version)) {
        cluster.inventory = Some(without_reports(&client, namespace).await?);
    }
    Ok(cluster)
}

async fn kubernetes(client: &Client) -> anyhow::Result<Kubernetes> {
    let info = client.apiserver_version().await.context("cannot ask the API server for its version")?;
    // Some add a sign to the minor number.
    let number = |text: &str| text.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().ok();
    let version = number(&info.major).zip(number(&info.minor));
    Ok(Kubernetes { text: info.git_version, version })
}

async fn policies(client: &Client, namespace: &str) -> anyhow::Result<Vec<NetworkPolicy>> {
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await.context("cannot list NetworkPolicies")?.items)
}

async fn config_map(client: &Client, (namespace, name): (&str, &str)) -> anyhow::Result<Option<ConfigMap>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.with_context(|| format!("cannot read ConfigMap {namespace}/{name}"))
}

async fn services(client: &Client) -> anyhow::Result<Vec<ObjectKey>> {
    let found = Api::<Service>::all(client.clone()).list_metadata(&ListParams::default()).await;
    Ok(keys(&found.context("cannot list Services")?.items))
}

/// Their names; what is in them never leaves the API server. Few may look at Secrets.
async fn secrets(client: &Client, namespace: &str) -> Option<Vec<String>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = api.list_metadata(&ListParams::default()).await.ok()?;
    Some(found.items.iter().map(ResourceExt::name_any).collect())
}

/// All objects of a kind, if the cluster has it.
async fn objects(client: &Client, cluster: &Cluster, definition: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let Some(definition) = cluster.definitions.get(definition) else { return Ok(Vec::new()) };
    let Some(version) = definition.spec.versions.iter().find(|version| version.served) else {
        return Ok(Vec::new());
    };
    let names = &definition.spec.names;
    let resource = ApiResource {
        group: definition.spec.group.clone(),
        version: version.name.clone(),
        api_version: format!("{}/{}", definition.spec.group, version.name),
        kind: names.kind.clone(),
        plural: names.plural.clone(),
    };
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let found = api.list(&ListParams::default()).await;
    Ok(found.with_context(|| format!("cannot list {}", resource.plural))?.items)
}

fn keys(objects: &[impl ResourceExt]) -> Vec<ObjectKey> {
    objects.iter().map(|it| (it.namespace().unwrap_or_default(), it.name_any())).collect()
}
