//! A namespace for frr-k8s, a Node, and a writer with a brain's end of its inbox.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use metallb_core::config::{Asn, Endpoint, Peer, RemoteAs};
use metallb_core::names::PeerName;
use metallb_core::plan::{PeerChanges, RouteAttributes};
use metallb_core::refusal::Refusal as _;
use metallb_dataplane::kube::caveats::{All, Caveats, Source};
use metallb_dataplane::kube::frr_configuration::{Inbox, Neighbour, Neighbours, Target, keep};
use metallb_lab::{User, eventually};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What an API server knows with frr-k8s installed.
pub const FRRCONFIGURATIONS: &str = include_str!("frrconfigurations.yaml");
/// Long beside what is waited for: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(30);

/// FRRConfigurations as anybody sees them.
pub fn objects(user: &User) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("frrk8s.metallb.io", "v1beta1", "FRRConfiguration");
    Api::namespaced_with(
        user.client(),
        user.namespace(),
        &ApiResource::from_gvk_with_plural(&kind, "frrconfigurations"),
    )
}

/// Installs the kind, with `change` made to what is known of neighbours, and waits until it is served.
pub async fn install(user: &User, change: impl FnOnce(&mut Value)) {
    let mut definition: Value = serde_saphyr::from_str(FRRCONFIGURATIONS).unwrap();
    let neighbour = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/bgp/properties/routers/items\
                     /properties/neighbors/items";
    change(definition.pointer_mut(neighbour).unwrap());
    user.apply_yaml(&definition.to_string()).await.unwrap();
    eventually(SOON, "the kind is served", async || objects(user).list(&<_>::default()).await).await;
}

/// A peer in another system at that address.
pub fn peer(address: &str) -> Peer {
    Peer::new(
        Asn::new(64_512).unwrap(),
        RemoteAs::Number(Asn::new(64_513).unwrap()),
        Endpoint::Address(address.parse().unwrap()),
    )
}

/// A writer at work.
pub struct Writer {
    pub inbox: Inbox,
    told: watch::Receiver<All>,
    task: JoinHandle<()>,
    pub object: String,
    api: Api<DynamicObject>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Writer {
    /// For a Node of its own, which is named as the namespace of `user` is.
    pub async fn start(user: &User) -> Self {
        Self::start_paced(user, Duration::from_millis(100)).await
    }

    pub async fn start_paced(user: &User, pace: Duration) -> Self {
        let node = user.namespace().to_owned();
        let object = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node } });
        user.apply_yaml(&object.to_string()).await.unwrap();
        Self::begin(user, pace)
    }

    /// Another one for the same node, as after a restart.
    pub fn again(user: &User) -> Self {
        Self::begin(user, Duration::from_millis(100))
    }

    fn begin(user: &User, pace: Duration) -> Self {
        let node = user.namespace().to_owned();
        let target = Target {
            node: node.as_str().into(),
            namespace: user.namespace().to_owned(),
            names_secrets: true,
            pace,
        };
        let (inbox, (caveats, told)) = (Inbox::default(), Caveats::new());
        let task = tokio::spawn(keep(user.client(), target, inbox.clone(), caveats));
        Self { inbox, told, task, object: format!("metallb-{node}"), api: objects(user) }
    }

    /// These peers and no others.
    pub fn set_peers(&self, peers: &[(&str, Peer)]) {
        let neighbour = |peer: &Peer| Neighbour { peer: peer.clone(), password: None };
        let peers = peers.iter().map(|(name, peer)| (PeerName::from(*name), neighbour(peer))).collect();
        self.inbox.set_neighbours(Neighbours { hostname: Some("host".to_owned()), peers });
    }

    /// All that `peer` is to hear.
    pub fn set_routes(&self, peer: &str, prefixes: &[&str], attributes: &RouteAttributes) {
        let attributes = Arc::new(attributes.clone());
        let routes = prefixes.iter().map(|prefix| (prefix.parse().unwrap(), Some(attributes.clone())));
        let changes = PeerChanges { complete: true, routes: routes.collect() };
        self.inbox.set_routes(BTreeMap::from([(peer.into(), changes)]));
    }

    /// A peer that hears of `prefixes`, decided completely.
    pub fn announce(&self, prefixes: &[&str]) {
        self.set_peers(&[("spine", peer("192.0.2.1"))]);
        self.set_routes("spine", prefixes, &RouteAttributes::default());
        self.inbox.set_complete();
    }

    pub async fn get(&self) -> Option<DynamicObject> {
        self.api.get_opt(&self.object).await.unwrap()
    }

    pub async fn delete(&self) {
        self.api.delete(&self.object, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until what `pointer` points to in the spec is `expected`.
    pub async fn until(&self, pointer: &str, expected: Value) -> DynamicObject {
        eventually(SOON, "the object says what is wanted", async || {
            let told = || format!("there is no object; told is {:?}", *self.told.borrow());
            let object = self.get().await.ok_or_else(told)?;
            let found = object.data["spec"].pointer(pointer).unwrap_or(&Value::Null);
            if *found == expected { Ok(object) } else { Err(format!("{found} is not {expected}")) }
        })
        .await
    }

    /// Waits until the prefixes of the only router are these.
    pub async fn until_announced(&self, prefixes: &[&str]) -> DynamicObject {
        self.until("/bgp/routers/0/prefixes", json!(prefixes)).await
    }

    /// Waits until exactly this is told, by code and whom it names.
    pub async fn until_told(&self, expected: &[(&str, &str)]) {
        eventually(SOON, "what is wrong is told", async || {
            let told = self.told.borrow().get(&Source::FrrConfiguration).cloned().unwrap_or_default();
            let fits = told.len() == expected.len()
                && told.iter().zip(expected).all(|(refusal, (code, text))| {
                    refusal.code() == *code && refusal.sentence().contains(text)
                });
            if fits { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
    }
}

/// The version of an object, to see whether it was written.
pub fn version(object: &DynamicObject) -> String {
    object.resource_version().unwrap()
}
