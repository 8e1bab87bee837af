//! Who installed what is there: told by the speakers' DaemonSet, by its labels and owners.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use metallb_crds::cluster::pod::is_ours;
use serde::Serialize;

use super::cluster::{Cluster, belongs_to, containers, flag, label, variable};
use crate::render::SPEAKER;

/// What runs already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Installation {
    /// Who put it there.
    pub by: Installer,
    /// Its namespace.
    pub namespace: String,
    /// The speakers' image.
    pub image: String,
    /// The version that the image's tag names.
    pub version: Option<String>,
    /// How it speaks BGP, in the words of `spec.bgpBackend`.
    pub bgp_backend: &'static str,
    /// The `--lb-class` of the speakers.
    pub load_balancer_class: Option<String>,
}

/// Who put it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(in crate::cli) enum Installer {
    /// This operator.
    Ourselves,
    /// metallb-operator.
    Operator,
    /// Helm.
    Helm {
        /// The release.
        release: String,
    },
    /// Manifests.
    Manifests,
}

impl Installation {
    /// That of MetalLB's namespace, or else the first that is found elsewhere.
    pub(super) fn of(cluster: &Cluster) -> Option<Self> {
        let mut own = speakers(cluster)
            .filter(|set| set.metadata.namespace.as_deref() == Some(cluster.namespace.as_str()));
        Self::of_set(own.next().or_else(|| speakers(cluster).next())?)
    }

    fn of_set(set: &DaemonSet) -> Option<Self> {
        let template = set.spec.as_ref().map(|spec| &spec.template);
        let container = speaker_of(template)?;
        let image = container.image.clone().unwrap_or_default();
        Some(Self {
            by: installer(set),
            namespace: set.metadata.namespace.clone().unwrap_or_default(),
            version: tag(&image).map(str::to_owned),
            image,
            bgp_backend: backend(container, template),
            load_balancer_class: flag(container, "lb-class")
                .filter(|class| !class.is_empty())
                .map(str::to_owned),
        })
    }

    /// In words.
    pub(super) fn sentence(&self) -> String {
        let by = match &self.by {
            Installer::Ourselves => "this operator".to_owned(),
            Installer::Operator => "metallb-operator".to_owned(),
            Installer::Helm { release } => format!("Helm (release {release})"),
            Installer::Manifests => "manifests".to_owned(),
        };
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        let Self { namespace, bgp_backend, .. } = self;
        format!("MetalLB {version} in namespace {namespace}, installed by {by}, backend {bgp_backend}")
    }

    /// The version's numbers, if they are numbers.
    pub(super) fn numbers(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.as_deref()?.trim_start_matches('v').split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// The DaemonSets of speakers, wherever they are.
pub(super) fn speakers(cluster: &Cluster) -> impl Iterator<Item = &DaemonSet> {
    cluster.daemon_sets.iter().filter(|set| {
        let metadata = &set.metadata;
        let is_metallbs = label(metadata, "app") == Some("metallb")
            || label(metadata, "app.kubernetes.io/name") == Some("metallb");
        is_metallbs && speaker_of(set.spec.as_ref().map(|spec| &spec.template)).is_some()
    })
}

fn speaker_of(template: Option<&PodTemplateSpec>) -> Option<&Container> {
    containers(template).iter().find(|container| container.name == SPEAKER)
}

fn installer(set: &DaemonSet) -> Installer {
    let metadata = &set.metadata;
    let pods = set.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    if is_ours(pods.and_then(|pods| pods.annotations.as_ref())) {
        return Installer::Ourselves;
    }
    if belongs_to(metadata, "MetalLB") {
        return Installer::Operator;
    }
    let annotated =
        metadata.annotations.iter().flatten().find(|(key, _)| *key == "meta.helm.sh/release-name");
    let release = annotated
        .map(|(_, release)| release.as_str())
        .or_else(|| label(metadata, "app.kubernetes.io/instance"));
    match release {
        Some(release) => Installer::Helm { release: release.to_owned() },
        None => Installer::Manifests,
    }
}

/// What follows the last colon, unless that is the port of a registry; a digest says no version.
fn tag(image: &str) -> Option<&str> {
    let named = image.split('@').next()?;
    let (_, tag) = named.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

fn backend(container: &Container, template: Option<&PodTemplateSpec>) -> &'static str {
    let has_frr = containers(template).iter().any(|container| container.name == "frr");
    match variable(container, "METALLB_BGP_TYPE") {
        Some("frr-k8s-external") => "frr-k8s-external",
        Some("frr-k8s") => "frr-k8s",
        Some("frr") => "frr",
        None if has_frr => "frr",
        Some(_) | None => "native",
    }
}
