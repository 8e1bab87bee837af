//! The workloads that are there: can they be taken over, and does anybody work against that?

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::cluster::{Cluster, belongs_to, containers, label, name, place, variable};
use super::installation::{Installation, Installer, speakers};
use super::{Level, Remark};
use crate::render::{CONTROLLER, SPEAKER};

/// The oldest version whose objects are known here.
const OLDEST: (u32, u32) = (0, 14);
/// Upstream's operator, and ours.
const OPERATOR: &str = "metallb-operator-controller-manager";
const WEBHOOK_SERVER: &str = "metallb-operator-webhook-server";
/// What belongs to such is brought back by OLM.
const CSV: &str = "ClusterServiceVersion";

pub(super) fn remarks(cluster: &Cluster, installation: Option<&Installation>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    remarks.extend(installation.and_then(too_old));
    remarks.extend(places(cluster));
    remarks.extend(installation.and_then(helm));
    remarks.extend(selectors(cluster));
    remarks.extend(operator(cluster));
    remarks.extend(webhook_server(cluster));
    remarks
}

fn too_old(installation: &Installation) -> Option<Remark> {
    let numbers = installation.numbers()?;
    let theirs = installation.by != Installer::Ourselves;
    (theirs && numbers < OLDEST).then(|| {
        Remark::new(
            Level::NoGo,
            "version-too-old",
            format!("DaemonSet in {}", installation.namespace),
            format!("MetalLB {} runs, and 0.14 is the oldest that can be taken over", version(installation)),
            "update it to 0.14 or newer first, as upstream describes",
        )
    })
}

fn version(installation: &Installation) -> &str {
    installation.version.as_deref().unwrap_or("of an unknown version")
}

/// Speakers of ours and of theirs would answer for the same addresses.
fn places(cluster: &Cluster) -> Vec<Remark> {
    let elsewhere =
        speakers(cluster).filter(|set| set.metadata.namespace.as_deref() != Some(cluster.namespace.as_str()));
    let remark = |set| {
        let place = place(set);
        let namespace = &cluster.namespace;
        Remark::new(
            Level::NoGo,
            "another-namespace",
            format!("DaemonSet {place}"),
            format!(
                "speakers run outside of namespace {namespace}, where nothing is taken over: both would announce"
            ),
            "name that namespace with -n if the operator is to be installed there, or remove them",
        )
    };
    elsewhere.map(|set| remark(&set.metadata)).collect()
}

fn helm(installation: &Installation) -> Option<Remark> {
    let Installer::Helm { release } = &installation.by else { return None };
    Some(Remark::new(
        Level::Step,
        "helm-release",
        format!("release {release}"),
        "the chart's workloads have names and selectors of their own, so none is taken over, and `helm uninstall` \
         deletes the CustomResourceDefinitions with all pools, peers and advertisements",
        "do not uninstall: make Helm forget the release and delete its workloads, step 2 of docs/migration.md; from \
         then on nobody announces until ours does",
    ))
}

fn selectors(cluster: &Cluster) -> Vec<Remark> {
    let deployments = cluster.own_deployments().filter(|it| name(&it.metadata) == CONTROLLER);
    let deployments =
        deployments.filter_map(|it| Some(("Deployment", CONTROLLER, &it.spec.as_ref()?.selector)));
    let sets = cluster.own_daemon_sets().filter(|set| name(&set.metadata) == SPEAKER);
    let sets = sets.filter_map(|it| Some(("DaemonSet", SPEAKER, &it.spec.as_ref()?.selector)));
    let differ =
        deployments.chain(sets).filter(|(_, component, selector)| !is_upstreams(selector, component));
    let remark = |(kind, component, selector): (&str, &str, &LabelSelector)| {
        let theirs = serde_json::to_string(&selector.match_labels).unwrap_or_default();
        Remark::new(
            Level::NoGo,
            "selector-differs",
            format!("{kind} {component}"),
            format!(
                "it selects {theirs}, not app=metallb and component={component}, and a selector cannot be changed"
            ),
            "delete it with its pods when you are ready for the gap, or rename it if it is not MetalLB's",
        )
    };
    differ.map(remark).collect()
}

fn is_upstreams(selector: &LabelSelector, component: &str) -> bool {
    let labels = selector.match_labels.iter().flatten();
    let labels: Vec<(&str, &str)> = labels.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    expressions.is_empty() && labels == [("app", "metallb"), ("component", component)]
}

fn named<'c>(cluster: &'c Cluster, wanted: &str) -> Option<&'c Deployment> {
    cluster.own_deployments().find(|it| name(&it.metadata) == wanted)
}

/// Upstream's operator would undo what ours does. It is told by the image of FRR, without which it does not start.
fn operator(cluster: &Cluster) -> Option<Remark> {
    let deployment = named(cluster, OPERATOR)?;
    let pods = containers(deployment.spec.as_ref().map(|spec| &spec.template));
    pods.iter().find(|container| variable(container, "FRR_IMAGE").is_some())?;
    Some(Remark::new(
        Level::Step,
        "upstream-operator",
        format!("Deployment {OPERATOR}"),
        "metallb-operator runs, and would undo what this operator does",
        stop(deployment),
    ))
}

fn stop(deployment: &Deployment) -> String {
    if belongs_to(&deployment.metadata, CSV) {
        "delete its Subscription and ClusterServiceVersion first, or OLM brings it back: step 1 of docs/migration.md"
            .to_owned()
    } else {
        "delete that Deployment first: step 1 of docs/migration.md".to_owned()
    }
}

fn webhook_server(cluster: &Cluster) -> Option<Remark> {
    let deployment = named(cluster, WEBHOOK_SERVER).filter(|it| {
        label(&it.metadata, "component").is_none_or(|component| component == "webhook-server")
    })?;
    let (level, fix) = if belongs_to(&deployment.metadata, CSV) {
        (Level::Step, stop(deployment))
    } else {
        (Level::Note, "nothing: the operator deletes it when it starts".to_owned())
    };
    Some(Remark::new(
        level,
        "webhook-server",
        format!("Deployment {WEBHOOK_SERVER}"),
        "upstream's webhook server renews the certificate in Secret metallb-webhook-cert and in the webhooks, which are \
         the operator's from then on",
        fix,
    ))
}
