//! The inventory of a cluster: one list of each kind.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use metallb_core::names::NodeName;
use metallb_core::refusal::Kind;
use metallb_crds::admission::Object;
use metallb_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement, ServiceL2Status,
};
use metallb_process::cluster;
use serde::de::DeserializeOwned;

use super::inventory::Inventory;

/// Looks at everything that matters, as the user of the kubeconfig.
pub(super) async fn inventory(kubeconfig: Option<&Path>, namespace: &str) -> anyhow::Result<Inventory> {
    let client = cluster::client(kubeconfig).await?;
    let mut inventory = Inventory {
        services: everywhere(&client, "Services").await?,
        slices: everywhere(&client, "EndpointSlices").await?,
        nodes: everywhere(&client, "Nodes").await?,
        namespaces: everywhere(&client, "Namespaces").await?,
        speakers: Some(speakers(&client, namespace).await?),
        ..Inventory::default()
    };
    inventory.services.sort_by_key(|service| {
        (service.metadata.creation_timestamp.clone(), service.namespace(), service.name_any())
    });
    let nodes = inventory.nodes.iter();
    inventory.objects.nodes =
        Some(nodes.map(|node| (node.name_any(), metallb_crds::cluster::node::configured(node))).collect());
    for kind in Kind::ALL {
        let resource = resource(kind);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let found = api.list(&ListParams::default()).await;
        for object in found.with_context(|| format!("cannot list {}", resource.plural))? {
            inventory.objects.put(Object::read(kind, &serde_json::to_value(object)?));
        }
    }
    let statuses: Api<ServiceL2Status> = Api::namespaced(client.clone(), namespace);
    inventory.l2_statuses =
        statuses.list(&ListParams::default()).await.context("cannot list servicel2statuses")?.items;
    // Few may read Secrets; whoever may not is told nothing about them.
    let secrets: Api<Secret> = Api::namespaced(client, namespace);
    inventory.objects.secrets = secrets.list(&ListParams::default()).await.ok().map(|secrets| {
        secrets
            .iter()
            .map(|secret| (secret.name_any(), metallb_crds::cluster::secret::read(secret)))
            .collect()
    });
    Ok(inventory)
}

async fn everywhere<K>(client: &Client, what: &str) -> anyhow::Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let found = Api::all(client.clone()).list(&ListParams::default()).await;
    Ok(found.with_context(|| format!("cannot list {what}"))?.items)
}

/// The nodes whose speaker is ready.
async fn speakers(client: &Client, namespace: &str) -> anyhow::Result<BTreeSet<NodeName>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let speakers = ListParams::default().labels("app=metallb,component=speaker");
    let pods = pods.list(&speakers).await.context("cannot list the speakers' pods")?;
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    Ok(pods
        .iter()
        .filter(|pod| is_ready(pod))
        .filter_map(|pod| Some(pod.spec.as_ref()?.node_name.as_deref()?.into()))
        .collect())
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::IpAddressPool => ApiResource::erase::<IPAddressPool>(&()),
        Kind::L2Advertisement => ApiResource::erase::<L2Advertisement>(&()),
        Kind::BgpAdvertisement => ApiResource::erase::<BGPAdvertisement>(&()),
        Kind::BgpPeer => ApiResource::erase::<BGPPeer>(&()),
        Kind::BfdProfile => ApiResource::erase::<BFDProfile>(&()),
        Kind::Community => ApiResource::erase::<Community>(&()),
    }
}
