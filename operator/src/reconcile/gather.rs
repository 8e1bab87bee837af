//! The world: every `MetalLB` of the cluster, and what is installed in the operator's namespace, as the watches
//! report it.
//!
//! Rows keep what matters and nothing else, so what changes without a consequence (resource versions, the bookkeeping
//! of field managers) touches nothing.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Client, Resource};
use metallb_core::table::{Event, Table};
use metallb_crds::{GROUP, MetalLB, MetalLBSpec};
use metallb_process::watch::{self, ObjectKey, Read};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::rollout::Rollout;
use crate::environment::Monitors;
use crate::render::{Kind, ObjectId, ServiceMonitor, ServiceMonitors};

/// How long until the API server is asked again whether it knows ServiceMonitors.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// The same after it did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// A `MetalLB`, as far as it matters.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.generation`
    pub generation: i64,
    /// Its deletion has been asked for.
    pub is_deleting: bool,
    /// What it asks for, or why that cannot be read.
    pub spec: Result<Box<MetalLBSpec>, String>,
    /// Its status.
    pub conditions: Vec<Condition>,
}

impl Row {
    /// What matters of what was read.
    pub fn of(read: Read<MetalLB>) -> Self {
        let (metadata, spec, conditions) = match read {
            Ok(MetalLB { metadata, spec, status }) => {
                (metadata, Ok(Box::new(spec)), status.unwrap_or_default().conditions)
            }
            Err(invalid) => (invalid.metadata, Err(invalid.error), Vec::new()),
        };
        Self {
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            is_deleting: metadata.deletion_timestamp.is_some(),
            spec,
            conditions,
        }
    }

    /// The reference by which objects belong to it. It is their controller, and deleting it in the foreground waits
    /// for them.
    pub fn owner_reference(&self, name: &str) -> OwnerReference {
        OwnerReference {
            api_version: MetalLB::api_version(&()).into_owned(),
            kind: MetalLB::kind(&()).into_owned(),
            name: name.to_owned(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// What events about it refer to.
    pub fn reference(&self, (namespace, name): &ObjectKey) -> ObjectReference {
        ObjectReference {
            api_version: Some(MetalLB::api_version(&()).into_owned()),
            kind: Some(MetalLB::kind(&()).into_owned()),
            namespace: Some(namespace.clone()),
            name: Some(name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}

/// An object that a `MetalLB` controls, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// `metadata.uid`
    pub uid: String,
    /// The uid of the `MetalLB`.
    pub owner: String,
    /// All of it but its status and what every write changes.
    pub object: Value,
    /// How far it is, of a workload.
    pub rollout: Option<Rollout>,
}

impl Live {
    /// What matters of `object`, if it belongs to a `MetalLB`.
    pub fn of<K: Installed>(mut object: K) -> Option<Self> {
        let owner =
            object.meta().owner_references.iter().flatten().find(|owner| is_metallb(owner))?.uid.clone();
        let rollout = object.rollout();
        let metadata: &mut ObjectMeta = object.meta_mut();
        metadata.managed_fields = None;
        metadata.resource_version = None;
        let uid = metadata.uid.clone().unwrap_or_default();
        let mut object = serde_json::to_value(&object).ok()?;
        object.as_object_mut()?.remove("status");
        Some(Self { uid, owner, object, rollout })
    }
}

fn is_metallb(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split_once('/').map(|(group, _)| group);
    owner.controller == Some(true) && owner.kind == MetalLB::kind(&()) && group == Some(GROUP)
}

/// A kind that is installed.
pub trait Installed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + 'static
{
    /// Which one.
    const KIND: Kind;

    /// How far it is, of a workload.
    fn rollout(&self) -> Option<Rollout> {
        None
    }
}

impl Installed for NetworkPolicy {
    const KIND: Kind = Kind::NetworkPolicy;
}

impl Installed for ConfigMap {
    const KIND: Kind = Kind::ConfigMap;
}

impl Installed for Service {
    const KIND: Kind = Kind::Service;
}

impl Installed for DaemonSet {
    const KIND: Kind = Kind::DaemonSet;

    fn rollout(&self) -> Option<Rollout> {
        Some(Rollout::of_daemon_set(self))
    }
}

impl Installed for Deployment {
    const KIND: Kind = Kind::Deployment;

    fn rollout(&self) -> Option<Rollout> {
        Some(Rollout::of_deployment(self))
    }
}

impl Installed for ServiceMonitor {
    const KIND: Kind = Kind::ServiceMonitor;
}

/// A change of the world.
#[derive(Clone, Debug)]
pub enum Input {
    /// Of a `MetalLB`.
    MetalLB(Event<ObjectKey, Row>),
    /// Of something installed.
    Installed(Kind, Event<String, Live>),
    /// The API server said whether it knows ServiceMonitors.
    ServiceMonitors(ServiceMonitors),
}

/// Everything that is watched.
#[derive(Debug)]
pub struct World {
    metallbs: Table<ObjectKey, Row>,
    installed: BTreeMap<Kind, Table<String, Live>>,
    service_monitors: ServiceMonitors,
}

/// Kinds that every cluster has.
const COMMON: [Kind; 5] =
    [Kind::NetworkPolicy, Kind::ConfigMap, Kind::Service, Kind::DaemonSet, Kind::Deployment];

impl Default for World {
    fn default() -> Self {
        Self {
            metallbs: Table::default(),
            installed: BTreeMap::new(),
            service_monitors: ServiceMonitors::Unknown,
        }
    }
}

impl World {
    /// Takes in a change. True when something is now different.
    pub fn apply(&mut self, input: Input) -> bool {
        match input {
            Input::MetalLB(event) => {
                let is_first = !self.metallbs.is_listed();
                !self.metallbs.reduce(event).is_empty() || is_first
            }
            Input::Installed(kind, event) => {
                let table = self.installed.entry(kind).or_default();
                let is_first = !table.is_listed();
                !table.reduce(event).is_empty() || is_first
            }
            Input::ServiceMonitors(answer) => {
                let before = std::mem::replace(&mut self.service_monitors, answer);
                before != answer
            }
        }
    }

    /// Is everything known that a decision needs? ServiceMonitors are not waited for: who may not look at those shall
    /// have the rest.
    pub fn is_listed(&self) -> bool {
        let is_listed = |kind| self.installed.get(kind).is_some_and(Table::is_listed);
        self.metallbs.is_listed() && COMMON.iter().all(is_listed)
    }

    /// All `MetalLB`s.
    pub fn metallbs(&self) -> &BTreeMap<ObjectKey, Row> {
        self.metallbs.rows()
    }

    /// Something installed.
    pub fn installed(&self, id: &ObjectId) -> Option<&Live> {
        self.installed.get(&id.kind)?.get(&id.name)
    }

    /// Everything installed.
    pub fn all_installed(&self) -> impl Iterator<Item = (ObjectId, &Live)> {
        self.installed.iter().flat_map(|(kind, table)| {
            table.rows().iter().map(|(name, live)| (ObjectId::new(*kind, name), live))
        })
    }

    /// Does the API server know ServiceMonitors?
    pub fn service_monitors(&self) -> ServiceMonitors {
        self.service_monitors
    }
}

/// Starts the watches; what they report arrives through `sender`.
pub fn start_watches(
    client: &Client,
    namespace: &str,
    monitors: Monitors,
    sender: &mpsc::Sender<Input>,
    watches: &mut JoinSet<()>,
) {
    watches.spawn(watch::watch(
        watch::Source::<MetalLB>::everywhere(client.clone()),
        watcher::Config::default(),
        sender.clone(),
        |read| Some(Row::of(read)),
        Input::MetalLB,
    ));
    let (client, namespace) = (client.clone(), namespace.to_owned());
    watches.spawn(watch_installed::<NetworkPolicy>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<ConfigMap>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<Service>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<DaemonSet>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<Deployment>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_service_monitors(client, namespace, monitors, sender.clone()));
}

async fn watch_installed<K: Installed>(client: Client, namespace: String, sender: mpsc::Sender<Input>) {
    let api = watch::Source::<K>::within(client, &namespace);
    let read = |read: Read<K>| Live::of(read.ok()?);
    let wrap = |event: Event<ObjectKey, Live>| Input::Installed(K::KIND, event.map_keys(|(_, name)| name));
    watch::watch(api, watcher::Config::default(), sender, read, wrap).await;
}

/// The Prometheus operator may be installed later than we are. When no monitors are wanted one look is enough: there
/// may be some from before that are to go.
async fn watch_service_monitors(
    client: Client,
    namespace: String,
    monitors: Monitors,
    sender: mpsc::Sender<Input>,
) {
    loop {
        let (answer, pause) = match knows_service_monitors(&client).await {
            Ok(true) => break,
            Ok(false) => (Some(ServiceMonitors::Unknown), ASK_AGAIN),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(event = "discoveryFailed", error, "will retry");
                (None, RETRY)
            }
        };
        if answer.is_some() && monitors != Monitors::Service {
            return;
        }
        tokio::time::sleep(pause).await;
    }
    if sender.send(Input::ServiceMonitors(ServiceMonitors::Served)).await.is_ok() {
        watch_installed::<ServiceMonitor>(client, namespace, sender).await;
    }
}

async fn knows_service_monitors(client: &Client) -> kube::Result<bool> {
    let version = ServiceMonitor::api_version(&());
    match client.list_api_group_resources(&version).await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.kind == ServiceMonitor::kind(&()))),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}
