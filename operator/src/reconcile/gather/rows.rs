//! The `MetalLB` objects and what is installed for them, as far as it matters.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use metallb_crds::{GROUP, MetalLB, MetalLBSpec, MetalLBStatus};
use metallb_process::watch::{ObjectKey, Read, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::reconcile::rollout::Rollout;
use crate::render::{
    Kind, PrometheusRule, SPEAKER_CONSTRAINTS, SWEPT, SecurityContextConstraints, ServiceMonitor,
};

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
    /// How it is said to be doing.
    pub status: MetalLBStatus,
}

impl Row {
    /// What matters of what was read.
    pub fn of(read: Read<MetalLB>) -> Self {
        let (metadata, spec, status) = match read {
            Ok(MetalLB { metadata, spec, status }) => {
                (metadata, Ok(Box::new(spec)), status.unwrap_or_default())
            }
            Err(invalid) => (invalid.metadata, Err(invalid.error), MetalLBStatus::default()),
        };
        Self {
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            is_deleting: metadata.deletion_timestamp.is_some(),
            spec,
            status,
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

/// An installed object, as it is: what a `MetalLB` controls, and of [some kinds](Installed::STRANGERS) what nobody does.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// `metadata.uid`
    pub uid: String,
    /// The uid of the `MetalLB` that controls it. Nothing that is in no namespace can have such an owner: what is
    /// [marked](SWEPT) there belongs to the operators of the cluster.
    pub owner: Option<String>,
    /// Somebody else controls it.
    pub is_anothers: bool,
    /// All of it but its status and what every write changes.
    pub object: Value,
    /// How far it is, of a workload.
    pub rollout: Option<Rollout>,
}

impl Live {
    /// What matters of `object`, if it does.
    pub fn of<K: Installed>(mut object: K) -> Option<Self> {
        let mut owners = object.meta().owner_references.iter().flatten();
        let controller = owners.find(|owner| owner.controller == Some(true));
        let owner = controller.filter(|owner| is_metallb(owner)).map(|owner| owner.uid.clone());
        let is_anothers = controller.is_some() && owner.is_none();
        let owner = owner.or_else(|| K::Scope::mark(object.meta()));
        if owner.is_none() && !K::STRANGERS {
            return None;
        }
        let rollout = object.rollout();
        let metadata: &mut ObjectMeta = object.meta_mut();
        metadata.managed_fields = None;
        metadata.resource_version = None;
        let uid = metadata.uid.clone().unwrap_or_default();
        let mut object = serde_json::to_value(&object).ok()?;
        object.as_object_mut()?.remove("status");
        Some(Self { uid, owner, is_anothers, object, rollout })
    }

    /// Its deletion has been asked for.
    pub fn is_deleting(&self) -> bool {
        self.object.pointer("/metadata/deletionTimestamp").is_some()
    }

    /// Something that is a text, where `pointer` says.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer)?.as_str()
    }
}

fn is_metallb(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split_once('/').map(|(group, _)| group);
    owner.kind == MetalLB::kind(&()) && group == Some(GROUP)
}

/// A kind that is installed.
pub trait Installed:
    Resource<DynamicType = (), Scope: Reach> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static
{
    /// Which one.
    const KIND: Kind;
    /// Are those that no `MetalLB` controls looked at too? Upstream's manifests leave such.
    const STRANGERS: bool;
    /// The only one that is looked at, where we may see no other.
    const ONLY: Option<&str> = None;

    /// How far it is, of a workload.
    fn rollout(&self) -> Option<Rollout> {
        None
    }
}

/// Where objects of a kind are.
pub trait Reach: Sized {
    /// To read and write them.
    fn api<K: Resource<DynamicType = (), Scope = Self>>(client: Client, namespace: &str) -> Api<K>;
    /// To watch them.
    fn source<K: Resource<DynamicType = (), Scope = Self>>(client: Client, namespace: &str) -> Source<K>;
    /// Whose it is, if that is said by a label.
    fn mark(metadata: &ObjectMeta) -> Option<String>;
}

impl Reach for NamespaceResourceScope {
    fn api<K: Resource<DynamicType = (), Scope = Self>>(client: Client, namespace: &str) -> Api<K> {
        Api::namespaced(client, namespace)
    }

    fn source<K: Resource<DynamicType = (), Scope = Self>>(client: Client, namespace: &str) -> Source<K> {
        Source::within(client, namespace)
    }

    fn mark(_: &ObjectMeta) -> Option<String> {
        None
    }
}

impl Reach for ClusterResourceScope {
    fn api<K: Resource<DynamicType = (), Scope = Self>>(client: Client, _: &str) -> Api<K> {
        Api::all(client)
    }

    fn source<K: Resource<DynamicType = (), Scope = Self>>(client: Client, _: &str) -> Source<K> {
        Source::everywhere(client)
    }

    fn mark(metadata: &ObjectMeta) -> Option<String> {
        let (label, ours) = SWEPT;
        metadata.labels.as_ref()?.get(label).filter(|value| *value == ours).cloned()
    }
}

impl Installed for SecurityContextConstraints {
    const KIND: Kind = Kind::SecurityContextConstraints;
    const STRANGERS: bool = true;
    const ONLY: Option<&str> = Some(SPEAKER_CONSTRAINTS);
}

impl Installed for NetworkPolicy {
    const KIND: Kind = Kind::NetworkPolicy;
    const STRANGERS: bool = true;
}

impl Installed for ConfigMap {
    const KIND: Kind = Kind::ConfigMap;
    const STRANGERS: bool = false;
}

impl Installed for Service {
    const KIND: Kind = Kind::Service;
    const STRANGERS: bool = true;
}

impl Installed for DaemonSet {
    const KIND: Kind = Kind::DaemonSet;
    const STRANGERS: bool = true;

    fn rollout(&self) -> Option<Rollout> {
        Some(Rollout::of_daemon_set(self))
    }
}

impl Installed for Deployment {
    const KIND: Kind = Kind::Deployment;
    const STRANGERS: bool = true;

    fn rollout(&self) -> Option<Rollout> {
        Some(Rollout::of_deployment(self))
    }
}

impl Installed for ServiceMonitor {
    const KIND: Kind = Kind::ServiceMonitor;
    const STRANGERS: bool = false;
}

impl Installed for PrometheusRule {
    const KIND: Kind = Kind::PrometheusRule;
    const STRANGERS: bool = false;
}
