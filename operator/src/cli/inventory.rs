//! Objects by kind: the world that the commands ask about.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use metallb_core::ipam::Namespaces;
use metallb_core::names::{NodeName, ServiceKey};
use metallb_core::refusal::Kind;
use metallb_crds::admission::Object;
use metallb_crds::cluster::bgp_extras;
use metallb_crds::config::{Objects, Stored};
use metallb_crds::conversion::{self, Version};
use metallb_crds::{BGPNodeStatus, ServiceL2Status};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::documents::Document;
use super::speakers::Switches;

/// Objects, by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    /// Those of metallb.io in MetalLB's namespace.
    pub objects: Objects,
    /// `MetalLB` objects, as written.
    pub metallbs: Vec<Value>,
    /// Services, oldest first as far as that is known, else in the order they stand.
    pub services: Vec<Service>,
    /// Their endpoints.
    pub slices: Vec<EndpointSlice>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Namespaces.
    pub namespaces: Vec<Namespace>,
    /// The nodes whose speaker runs; `None` when this is no cluster's inventory.
    pub speakers: Option<BTreeSet<NodeName>>,
    /// The nodes that have a speaker's pod, whatever becomes of it.
    pub speaker_pods: BTreeSet<NodeName>,
    /// By which switches the speakers go that are there.
    pub switches: Switches,
    /// What speakers report of services on layer 2.
    pub l2_statuses: Vec<ServiceL2Status>,
    /// What speakers report of BGP sessions, by node.
    pub bgp_statuses: BTreeMap<NodeName, Stored<BGPNodeStatus>>,
}

/// What a document is to MetalLB.
pub(super) enum Read {
    /// An object of its configuration, and whether it stands in MetalLB's namespace.
    Configuration(Box<Object>),
    /// A `MetalLB`.
    MetalLB(Value),
    /// How the sessions of a node stand.
    BgpNodeStatus(NodeName, Box<Stored<BGPNodeStatus>>),
    /// Of Kubernetes' own kinds, one that matters.
    Surroundings(Box<Surrounding>),
    /// It matters to others.
    Other,
}

/// Of Kubernetes' own kinds, one that matters.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, in a box")]
pub(super) enum Surrounding {
    Service(Service),
    Slice(EndpointSlice),
    Node(Node),
    Namespace(Namespace),
    Secret(Secret),
    ConfigMap(ConfigMap),
}

/// Reads a document. An object of the configuration that cannot be read is a fact about it; any other is an error.
pub(super) fn read(document: &Document, namespace: &str) -> anyhow::Result<Read> {
    let mut object = document.object.clone();
    let version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let surrounding = match (version.as_str(), kind.as_str()) {
        ("v1", "Service") => Surrounding::Service(typed(document)?),
        ("discovery.k8s.io/v1", "EndpointSlice") => Surrounding::Slice(typed(document)?),
        ("v1", "Node") => Surrounding::Node(typed(document)?),
        ("v1", "Namespace") => Surrounding::Namespace(typed(document)?),
        // Others are none of our business, and may be wrong.
        ("v1", "ConfigMap") if object["metadata"]["name"] == bgp_extras::NAME => {
            Surrounding::ConfigMap(typed(document)?)
        }
        ("v1", "Secret") => Surrounding::Secret(typed(document)?),
        (version, kind) if version.starts_with("metallb.io/") => {
            if !object["metadata"].is_object() {
                bail!("{}: {kind} has no metadata; give it a metadata.name", document.source);
            }
            // As kubectl: what names no namespace goes where the others are.
            if object["metadata"]["namespace"].is_null() {
                object["metadata"]["namespace"] = namespace.into();
            }
            if kind == "MetalLB" {
                return Ok(Read::MetalLB(object));
            }
            if kind == "BGPNodeStatus" && object["metadata"]["namespace"] == namespace {
                let (node, status) = bgp_node_status(&object);
                return Ok(Read::BgpNodeStatus(node, Box::new(status)));
            }
            let Some(kind) = Kind::ALL.into_iter().find(|known| known.to_string() == kind) else {
                return Ok(Read::Other);
            };
            if kind == Kind::BgpPeer {
                object =
                    conversion::convert(object, Version::V1Beta2).with_context(|| document.source.clone())?;
            }
            return Ok(Read::Configuration(Box::new(Object::read(kind, &object))));
        }
        _ => return Ok(Read::Other),
    };
    Ok(Read::Surroundings(Box::new(surrounding)))
}

/// How the sessions of a node stand, and of which. One that cannot be read is a fact about that node.
pub(super) fn bgp_node_status(object: &Value) -> (NodeName, Stored<BGPNodeStatus>) {
    let node = object["metadata"]["name"].as_str().unwrap_or_default().into();
    let status = match metallb_crds::read(object) {
        Ok(status) => Stored::Readable(status),
        Err(malformed) => Stored::Unreadable { metadata: Box::default(), error: malformed.to_string() },
    };
    (node, status)
}

fn typed<K: DeserializeOwned>(document: &Document) -> anyhow::Result<K> {
    metallb_crds::read(&document.object).with_context(|| document.source.clone())
}

impl Inventory {
    /// The inventory of some documents.
    pub(super) fn of(documents: &[Document], namespace: &str) -> anyhow::Result<Self> {
        let mut inventory = Self::default();
        inventory.apply(documents, namespace)?;
        Ok(inventory)
    }

    /// Puts `documents` in place of, or beside, what is here, as `kubectl apply` would.
    pub(super) fn apply(&mut self, documents: &[Document], namespace: &str) -> anyhow::Result<()> {
        for document in documents {
            match read(document, namespace)? {
                Read::Configuration(object) => {
                    if object.metadata().namespace.as_deref() == Some(namespace) {
                        self.objects.put(*object);
                    }
                }
                Read::MetalLB(object) => self.metallbs.push(object),
                Read::BgpNodeStatus(node, status) => drop(self.bgp_statuses.insert(node, *status)),
                Read::Surroundings(surrounding) => self.put(*surrounding, namespace),
                Read::Other => {}
            }
        }
        Ok(())
    }

    fn put(&mut self, surrounding: Surrounding, namespace: &str) {
        match surrounding {
            Surrounding::Service(mut service) => {
                let metadata = &mut service.metadata;
                metadata.namespace.get_or_insert_with(|| "default".to_owned());
                let known = self.services.iter_mut().find(|known| {
                    known.metadata.name == service.metadata.name
                        && known.metadata.namespace == service.metadata.namespace
                });
                match known {
                    Some(known) => replace_service(known, service),
                    None => self.services.push(service),
                }
            }
            Surrounding::ConfigMap(_) => {} // of no consequence for any address
            Surrounding::Slice(slice) => put(&mut self.slices, slice),
            Surrounding::Node(node) => {
                let known = self.objects.nodes.get_or_insert_default();
                known.insert(node.name_any(), metallb_crds::cluster::node::configured(&node));
                put(&mut self.nodes, node);
            }
            Surrounding::Namespace(namespace) => put(&mut self.namespaces, namespace),
            Surrounding::Secret(secret) => {
                if secret.metadata.namespace.as_deref().is_none_or(|it| it == namespace) {
                    let known = self.objects.secrets.get_or_insert_default();
                    known.insert(secret.name_any(), metallb_crds::cluster::secret::read(&secret));
                }
            }
        }
    }

    /// Is it that of a cluster?
    pub(super) fn is_live(&self) -> bool {
        self.speakers.is_some()
    }

    /// By which switches speakers go: those that a `MetalLB` asks for, else those of the ones that are there.
    pub(super) fn switches(&self) -> Switches {
        let asked = self.metallbs.iter().rev().find_map(Switches::of_metallb);
        asked.unwrap_or_else(|| self.switches.clone())
    }

    /// The nodes that report to announce `service` on layer 2.
    pub(super) fn announcers_of(&self, service: &ServiceKey) -> Vec<String> {
        let statuses = self.l2_statuses.iter().filter_map(|object| object.status.as_ref());
        let its = statuses.filter(|status| {
            status.service_name.as_deref() == Some(&*service.name)
                && status.service_namespace.as_deref() == Some(service.namespace.as_str())
        });
        its.filter_map(|status| status.node.clone()).collect()
    }

    /// The labels of the namespaces.
    pub(super) fn namespace_labels(&self) -> Namespaces {
        let labels = |namespace: &Namespace| namespace.metadata.labels.clone().unwrap_or_default();
        self.namespaces.iter().map(|it| (it.name_any().as_str().into(), labels(it))).collect()
    }
}

fn put<K: ResourceExt>(all: &mut Vec<K>, object: K) {
    let same =
        |known: &&mut K| known.name_any() == object.name_any() && known.namespace() == object.namespace();
    match all.iter_mut().find(same) {
        Some(known) => *known = object,
        None => all.push(object),
    }
}

/// A manifest has no status, no cluster IPs and no creation time: those of the object it is applied to stay.
fn replace_service(known: &mut Service, mut new: Service) {
    if new.status.is_none() {
        new.status = known.status.take();
    }
    if new.metadata.creation_timestamp.is_none() {
        new.metadata.creation_timestamp = known.metadata.creation_timestamp.take();
    }
    if let (Some(spec), Some(old)) = (&mut new.spec, known.spec.take()) {
        spec.cluster_ip = spec.cluster_ip.take().or(old.cluster_ip);
        spec.cluster_ips = spec.cluster_ips.take().or(old.cluster_ips);
        spec.ip_families = spec.ip_families.take().or(old.ip_families);
        spec.ip_family_policy = spec.ip_family_policy.take().or(old.ip_family_policy);
    }
    if let Some(pool) = metallb_crds::cluster::service::recorded_pool(known) {
        let key = metallb_crds::cluster::annotations::Annotation::IpAllocatedFromPool.key();
        new.metadata.annotations.get_or_insert_default().entry(key).or_insert_with(|| pool.to_string());
    }
    *known = new;
}
