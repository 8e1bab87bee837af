//! FRR, in the speakers' pods or in those of frr-k8s: what of it has no counterpart here.

use metallb_core::refusal::Refusal as _;
use metallb_crds::cluster::bgp_extras;
use metallb_process::watch::ObjectKey;

use super::cluster::{Cluster, belongs_to, name};
use super::installation::{Installation, Installer};
use super::{Level, Remark};
use crate::reconcile::takeover::frr_k8s::is_written_by_speakers;
use crate::reconcile::takeover::leftovers::FRR_WEBHOOK;

/// FRRConfigurations that are named; the others are counted.
const NAMED: usize = 3;

pub(super) fn remarks(cluster: &Cluster, installation: Option<&Installation>) -> Vec<Remark> {
    let theirs = installation.filter(|it| it.by != Installer::Ourselves);
    let backend = theirs.map(|it| it.bgp_backend);
    let mut remarks = Vec::new();
    remarks.extend(raw_configuration(cluster, backend));
    remarks.extend(frr_k8s(cluster));
    remarks.extend(webhook_without_service(cluster));
    remarks
}

fn raw_configuration(cluster: &Cluster, backend: Option<&str>) -> Option<Remark> {
    let refusal = bgp_extras::refusal(cluster.bgp_extras.as_ref()?)?;
    // The native implementation never looked at it.
    let level = if backend == Some("native") { Level::Note } else { Level::NoGo };
    let object = format!("ConfigMap {}", bgp_extras::NAME);
    Some(Remark::new(level, refusal.code(), object, refusal.sentence(), refusal.fix()))
}

/// The DaemonSet in our namespace: who is it for?
fn frr_k8s(cluster: &Cluster) -> Vec<Remark> {
    let mut own = cluster.own_daemon_sets().filter(|set| name(&set.metadata).contains("frr-k8s"));
    let others: Vec<&ObjectKey> =
        cluster.frr_configurations.iter().filter(|(_, name)| !is_written_by_speakers(name)).collect();
    let Some(set) = own.next() else {
        return unserved(cluster, &others).into_iter().collect();
    };
    let object = format!("DaemonSet {}", name(&set.metadata));
    let namespace = &cluster.namespace;
    if is_external(cluster) {
        let sentence = "it stays, as the MetalLB resource names it";
        return vec![Remark::new(Level::Note, "frr-k8s-kept", object, sentence, "nothing")];
    }
    let others: Vec<&ObjectKey> = others.into_iter().filter(|(its, _)| its == namespace).collect();
    if !others.is_empty() {
        return vec![Remark::new(
            Level::NoGo,
            "frr-k8s-serves-others",
            object,
            format!(
                "it serves {}, which no speaker wrote, and no router keeps two sessions with one node",
                list(&others)
            ),
            format!(
                "go on with it: set spec.bgpBackend to frr-k8s-external and spec.frrk8sConfig.namespace to {namespace} in \
                 the MetalLB resource before the operator starts; or delete what is not needed"
            ),
        )];
    }
    let owner = if belongs_to(&set.metadata, "MetalLB") { "metallb-operator's" } else { "of manifests" };
    vec![Remark::new(
        Level::Note,
        "frr-k8s-sessions",
        object,
        format!("its pods ({owner}) hold the BGP sessions, which speakers take over node by node"),
        "nothing; to keep it, set spec.bgpBackend to frr-k8s-external before the operator starts",
    )]
}

/// Does a `MetalLB` keep the frr-k8s of our namespace?
fn is_external(cluster: &Cluster) -> bool {
    cluster.metallbs.iter().any(|metallb| {
        metallb["spec"]["bgpBackend"] == "frr-k8s-external"
            && metallb["spec"]["frrk8sConfig"]["namespace"] == cluster.namespace.as_str()
    })
}

fn unserved(cluster: &Cluster, others: &[&ObjectKey]) -> Option<Remark> {
    let runs_elsewhere = cluster.daemon_sets.iter().any(|set| name(&set.metadata).contains("frr-k8s"));
    (!others.is_empty() && !runs_elsewhere).then(|| {
        Remark::new(
            Level::NoGo,
            "frr-configurations-unserved",
            list(others),
            "no speaker wrote it, and no frr-k8s runs that would read it: the MetalLB resource would be Degraded",
            "delete it, or install frr-k8s and choose bgpBackend frr-k8s-external",
        )
    })
}

fn list(keys: &[&ObjectKey]) -> String {
    let named: Vec<String> = keys
        .iter()
        .take(NAMED)
        .map(|(namespace, name)| format!("FRRConfiguration {namespace}/{name}"))
        .collect();
    let more = keys.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    named.join(", ") + &more
}

/// It outlives its Service, and refuses every FRRConfiguration of the cluster from then on.
fn webhook_without_service(cluster: &Cluster) -> Option<Remark> {
    let configuration = cluster.webhooks.iter().find(|it| name(&it.metadata) == FRR_WEBHOOK)?;
    let services =
        configuration.webhooks.iter().flatten().filter_map(|webhook| webhook.client_config.service.as_ref());
    let missing = services.into_iter().find(|it| !cluster.has_service(&it.namespace, &it.name))?;
    let (level, fix) = if missing.namespace == cluster.namespace {
        (Level::Note, "nothing: the operator deletes it once no frr-k8s is left".to_owned())
    } else {
        (Level::Step, format!("kubectl delete validatingwebhookconfiguration {FRR_WEBHOOK}"))
    };
    Some(Remark::new(
        level,
        "frr-k8s-webhook-without-service",
        format!("ValidatingWebhookConfiguration {FRR_WEBHOOK}"),
        format!(
            "its Service {}/{} is not there, so every FRRConfiguration is refused",
            missing.namespace, missing.name
        ),
        fix,
    ))
}
