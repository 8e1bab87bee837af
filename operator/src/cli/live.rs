//! The inventory of a cluster: one list of each kind.

use std::path::Path;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use metallb_core::refusal::Kind;
use metallb_crds::admission::Object;
use metallb_crds::{
    BFDProfile, BGPAdvertisement, BGPNodeStatus, BGPPeer, Community, IPAddressPool, L2Advertisement,
    ServiceL2Status,
};
use metallb_process::cluster;
use serde::de::DeserializeOwned;

use super::inventory::{Inventory, bgp_node_status};
use super::speakers::Speakers;

/// Looks at everything that matters to services, as the user of the kubeconfig.
pub(super) async fn inventory(kubeconfig: Option<&Path>, namespace: &str) -> anyhow::Result<Inventory> {
    let client = cluster::client(kubeconfig).await?;
    let mut inventory = without_reports(&client, namespace).await?;
    let statuses: Api<ServiceL2Status> = Api::namespaced(client, namespace);
    inventory.l2_statuses =
        statuses.list(&ListParams::default()).await.context("cannot list servicel2statuses")?.items;
    Ok(inventory)
}

/// The same without what speakers report: not every version has the kind.
pub(super) async fn without_reports(client: &Client, namespace: &str) -> anyhow::Result<Inventory> {
    let mut inventory = configuration(client, namespace).await?;
    inventory.services = everywhere(client, "Services").await?;
    inventory.slices = everywhere(client, "EndpointSlices").await?;
    inventory.namespaces = everywhere(client, "Namespaces").await?;
    inventory.services.sort_by_key(|service| {
        (service.metadata.creation_timestamp.clone(), service.namespace(), service.name_any())
    });
    Ok(inventory)
}

/// Looks at everything that matters to BGP sessions.
pub(super) async fn sessions(kubeconfig: Option<&Path>, namespace: &str) -> anyhow::Result<Inventory> {
    let client = cluster::client(kubeconfig).await?;
    let mut inventory = configuration(&client, namespace).await?;
    let resource = ApiResource::erase::<BGPNodeStatus>(&());
    let statuses: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let found = match statuses.list(&ListParams::default()).await {
        Err(kube::Error::Api(error)) if error.code == 404 => {
            bail!(
                "the cluster does not have the kind BGPNodeStatus: apply the manifest of this version of MetalLB"
            )
        }
        found => found.context("cannot list bgpnodestatuses")?,
    };
    for object in found {
        let (node, status) = bgp_node_status(&serde_json::to_value(object)?);
        inventory.bgp_statuses.insert(node, status);
    }
    Ok(inventory)
}

/// The configuration, the nodes, and their speakers.
async fn configuration(client: &Client, namespace: &str) -> anyhow::Result<Inventory> {
    let nodes = everywhere(client, "Nodes").await?;
    let Speakers { running, pods, switches } = Speakers::of(&speaker_pods(client, namespace).await?, &nodes);
    let mut inventory =
        Inventory { nodes, speakers: Some(running), speaker_pods: pods, switches, ..Inventory::default() };
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
    // Few may read Secrets; whoever may not is told nothing about them.
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    inventory.objects.secrets = secrets.list(&ListParams::default()).await.ok().map(|secrets| {
        secrets
            .iter()
            .map(|secret| (secret.name_any(), metallb_crds::cluster::secret::read(secret)))
            .collect()
    });
    Ok(inventory)
}

pub(super) async fn everywhere<K>(client: &Client, what: &str) -> anyhow::Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let found = Api::all(client.clone()).list(&ListParams::default()).await;
    Ok(found.with_context(|| format!("cannot list {what}"))?.items)
}

async fn speaker_pods(client: &Client, namespace: &str) -> anyhow::Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let speakers = ListParams::default().labels("app=metallb,component=speaker");
    Ok(pods.list(&speakers).await.context("cannot list the speakers' pods")?.items)
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
