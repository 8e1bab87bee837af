//! The objects that an edit is judged beside, read live: the edit before this one may be a moment old.
//!
//! All kinds at once, and in bounded time, as somebody waits for the answer. Nodes, services and namespaces may come
//! from the API server's cache: nobody edits them in one go with the configuration.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use kube::api::{Api, ListParams};
use kube::core::DeserializeGuard as Guarded;
use kube::{Client, Resource, ResourceExt as _};
use metallb_core::refusal::Kind;
use metallb_crds::admission::RunningService;
use metallb_crds::cluster::node;
use metallb_crds::config::{self, Objects, Stored};
use serde::de::DeserializeOwned;

/// The API server waits 10 s for our answer, and its author for both.
const CONFIGURATION: Duration = Duration::from_secs(6);
/// Only a warning depends on them.
const SERVICES: Duration = Duration::from_secs(3);

/// For a moment after a definition was changed (by whoever keeps its caBundle, say), the API server has no answer
/// about its objects. That is no reason to deny an edit.
const AGAIN: Duration = Duration::from_millis(200);

/// Why an edit cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CannotGather {
    /// The API server refused.
    #[error("cannot list {what}")]
    List {
        /// Which objects.
        what: String,
        /// What the client says.
        #[source]
        source: kube::Error,
    },
    /// It took too long.
    #[error("listing the objects that the edit is judged beside took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
}

/// The configuration in `namespace`, as far as an edit of that kind is judged beside it.
pub async fn configuration(client: &Client, namespace: &str, kind: Kind) -> Result<Objects, CannotGather> {
    let lists = async {
        let (pools, l2_advertisements, bgp_advertisements, bgp_peers, bfd_profiles, communities, nodes) = tokio::try_join!(
            stored(client, namespace),
            stored(client, namespace),
            stored(client, namespace),
            stored(client, namespace),
            stored(client, namespace),
            stored(client, namespace),
            nodes(client, kind),
        )?;
        Ok(Objects {
            pools,
            l2_advertisements,
            bgp_advertisements,
            bgp_peers,
            bfd_profiles,
            communities,
            nodes,
            // Only this process could read them all; that is no reason to.
            secrets: None,
        })
    };
    in_time(CONFIGURATION, Box::pin(lists)).await
}

/// Every service that has an address from a load balancer.
pub async fn running_services(client: &Client) -> Result<Vec<RunningService>, CannotGather> {
    let lists = async {
        let balanced = cached().fields("spec.type=LoadBalancer");
        let everything = cached();
        let (services, namespaces) = tokio::try_join!(
            list::<Service>(Api::all(client.clone()), &balanced),
            list::<Namespace>(Api::all(client.clone()), &everything),
        )?;
        let labels: BTreeMap<_, _> =
            namespaces.iter().map(|namespace| (namespace.name_any(), namespace.labels())).collect();
        let read = |service: &Service| {
            RunningService::read(service, labels.get(&service.namespace().unwrap_or_default()).copied())
        };
        Ok(services.iter().filter_map(read).collect())
    };
    in_time(SERVICES, lists).await
}

async fn in_time<T>(
    limit: Duration,
    lists: impl Future<Output = Result<T, CannotGather>>,
) -> Result<T, CannotGather> {
    tokio::time::timeout(limit, lists).await.unwrap_or(Err(CannotGather::TooSlow(limit)))
}

async fn stored<K>(client: &Client, namespace: &str) -> Result<BTreeMap<String, Stored<K>>, CannotGather>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<Guarded<K>> = Api::namespaced(client.clone(), namespace);
    let objects = list(api, &ListParams::default()).await?;
    Ok(objects.into_iter().map(|object| (object.name_any(), object.0.into())).collect())
}

/// Where they are is asked by the rules about peers, their routes, and pools that a node's address is in.
async fn nodes(client: &Client, kind: Kind) -> Result<Option<BTreeMap<String, config::Node>>, CannotGather> {
    match kind {
        Kind::L2Advertisement | Kind::BfdProfile | Kind::Community => return Ok(None),
        Kind::IpAddressPool | Kind::BgpAdvertisement | Kind::BgpPeer => {}
    }
    let nodes = list::<Node>(Api::all(client.clone()), &cached()).await?;
    Ok(Some(nodes.iter().map(|node| (node.name_any(), node::configured(node))).collect()))
}

/// From the API server's cache.
fn cached() -> ListParams {
    ListParams::default().match_any()
}

async fn list<K>(api: Api<K>, params: &ListParams) -> Result<Vec<K>, CannotGather>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    loop {
        match api.list(params).await {
            Ok(list) => return Ok(list.items),
            Err(kube::Error::Api(status)) if matches!(status.code, 429 | 503) => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(source) => return Err(CannotGather::List { what: K::plural(&()).into_owned(), source }),
        }
    }
}
