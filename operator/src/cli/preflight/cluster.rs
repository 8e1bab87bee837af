//! What is looked at. Pure data, as the API server gives it.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodTemplateSpec};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use metallb_process::flags::parse_bool;
use metallb_process::watch::ObjectKey;
use serde_json::Value;

use crate::cli::inventory::Inventory;

/// A cluster, as far as it matters.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Cluster {
    /// MetalLB's namespace.
    pub namespace: String,
    /// The API server.
    pub kubernetes: Kubernetes,
    /// Of all namespaces.
    pub deployments: Vec<Deployment>,
    /// Of all namespaces.
    pub daemon_sets: Vec<DaemonSet>,
    /// Of MetalLB's namespace.
    pub policies: Vec<NetworkPolicy>,
    /// Raw configuration for FRR, in MetalLB's namespace.
    pub bgp_extras: Option<ConfigMap>,
    /// kube-proxy's settings, where a ConfigMap of the usual name holds them.
    pub kube_proxy: Option<ConfigMap>,
    /// Names of the Secrets in MetalLB's namespace; what is in them is not looked at. `None`: may not be looked at.
    pub secrets: Option<Vec<String>>,
    /// Services, by namespace and name.
    pub services: Vec<ObjectKey>,
    /// All of them.
    pub webhooks: Vec<ValidatingWebhookConfiguration>,
    /// All of them, by name.
    pub definitions: BTreeMap<String, CustomResourceDefinition>,
    /// Of all namespaces.
    pub frr_configurations: Vec<ObjectKey>,
    /// Objects of the kind `AddressPool`, which MetalLB 0.14 was the last to read.
    pub address_pools: Vec<ObjectKey>,
    /// `MetalLB` objects of all namespaces.
    pub metallbs: Vec<Value>,
    /// Configuration, services and nodes. `None`: the cluster does not have the kinds.
    pub inventory: Option<Inventory>,
}

/// The version of an API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Kubernetes {
    /// As it says itself.
    pub text: String,
    /// Of that, the two numbers that count.
    pub version: Option<(u32, u32)>,
}

impl Cluster {
    /// Is there a Service of that name?
    pub(super) fn has_service(&self, namespace: &str, name: &str) -> bool {
        self.services.iter().any(|(its, named)| its == namespace && named == name)
    }

    /// Deployments in MetalLB's namespace.
    pub(super) fn own_deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.iter().filter(|it| it.metadata.namespace.as_deref() == Some(&self.namespace))
    }

    /// DaemonSets in MetalLB's namespace.
    pub(super) fn own_daemon_sets(&self) -> impl Iterator<Item = &DaemonSet> {
        self.daemon_sets.iter().filter(|it| it.metadata.namespace.as_deref() == Some(&self.namespace))
    }
}

/// The namespace and name, for people.
pub(super) fn place(metadata: &ObjectMeta) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!("{}/{}", text(&metadata.namespace), text(&metadata.name))
}

pub(super) fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// The value of a label.
pub(super) fn label<'m>(metadata: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// Is it controlled by, or does it belong to, an object of that kind?
pub(super) fn belongs_to(metadata: &ObjectMeta, kind: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.kind == kind)
}

/// The containers of a template.
pub(super) fn containers(template: Option<&PodTemplateSpec>) -> &[Container] {
    template.and_then(|template| template.spec.as_ref()).map_or(&[], |pod| &pod.containers)
}

/// The value of a variable.
pub(in crate::cli) fn variable<'c>(container: &'c Container, name: &str) -> Option<&'c str> {
    container.env.iter().flatten().find(|variable| variable.name == name)?.value.as_deref()
}

/// The value of a flag, as Go reads it.
pub(in crate::cli) fn flag<'c>(container: &'c Container, name: &str) -> Option<&'c str> {
    let arguments = || container.args.iter().flatten().map(|argument| argument.trim_start_matches('-'));
    let joined = || arguments().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
    let apart = || arguments().skip_while(|argument| *argument != name).nth(1);
    joined().or_else(apart)
}

/// Is a flag that is on or off on? A value stands behind `=`.
pub(in crate::cli) fn is_on(container: &Container, name: &str) -> bool {
    let arguments = container.args.iter().flatten().map(|argument| argument.trim_start_matches('-'));
    let mut given = arguments.filter_map(|argument| match argument.strip_prefix(name)? {
        "" => Some(true),
        value => parse_bool(value.strip_prefix('=')?).ok(),
    });
    given.next().unwrap_or_default()
}
