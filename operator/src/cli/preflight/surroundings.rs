//! What is around: the API server, its kinds, network policies, webhooks, kube-proxy.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use metallb_crds::GROUP;

use super::cluster::{Cluster, label, name};
use super::installation::speakers;
use super::{Level, Remark};
use crate::render::MEMBERLIST_SECRET;
use crate::webhooks::paths;

/// The oldest API server that holds rules of a schema only against values that change.
const OLDEST: (u32, u32) = (1, 33);
/// What upstream's manifests call the Secret that speakers share.
const MEMBERLIST: &str = "memberlist";

pub(super) fn remarks(cluster: &Cluster) -> Vec<Remark> {
    let mut remarks = Vec::new();
    remarks.extend(kubernetes(cluster));
    remarks.extend(kinds(cluster));
    remarks.extend(address_pools(cluster));
    remarks.extend(policies(cluster));
    remarks.extend(webhooks(cluster));
    remarks.extend(kube_proxy(cluster));
    remarks.extend(memberlist(cluster));
    remarks
}

fn kubernetes(cluster: &Cluster) -> Option<Remark> {
    let found = cluster.kubernetes.version?;
    (found < OLDEST).then(|| {
        Remark::new(
            Level::NoGo,
            "kubernetes-too-old",
            "API server",
            format!(
                "it is {}: before 1.33 it may hold the rules of the schema against objects that were there before them, \
                 and refuse writes of their status",
                cluster.kubernetes.text
            ),
            "update Kubernetes to 1.33 or newer",
        )
    })
}

/// Kinds that every version has which can be taken over.
fn kinds(cluster: &Cluster) -> Option<Remark> {
    speakers(cluster).next()?;
    let missing: Vec<&str> = REQUIRED
        .iter()
        .filter(|(kind, version)| !serves(cluster, kind, version))
        .map(|(kind, _)| *kind)
        .collect();
    (!missing.is_empty()).then(|| {
        Remark::new(
            Level::NoGo,
            "kinds-missing",
            "CustomResourceDefinitions",
            format!("the cluster lacks {} in the versions of MetalLB 0.14", missing.join(", ")),
            "update MetalLB with its CustomResourceDefinitions to 0.14 or newer first (Helm does not update them)",
        )
    })
}

/// The configuration's kinds, and the version in which each is read.
pub(super) const REQUIRED: [(&str, &str); 6] = [
    ("bfdprofiles", "v1beta1"),
    ("bgpadvertisements", "v1beta1"),
    ("bgppeers", "v1beta2"),
    ("communities", "v1beta1"),
    ("ipaddresspools", "v1beta1"),
    ("l2advertisements", "v1beta1"),
];

/// Does the API server know that kind in that version?
pub(super) fn serves(cluster: &Cluster, plural: &str, version: &str) -> bool {
    let definition = cluster.definitions.get(&format!("{plural}.{GROUP}"));
    definition.is_some_and(|it| it.spec.versions.iter().any(|its| its.name == version && its.served))
}

fn address_pools(cluster: &Cluster) -> Option<Remark> {
    let (namespace, name) = cluster.address_pools.first()?;
    let count = cluster.address_pools.len();
    Some(Remark::new(
        Level::NoGo,
        "address-pools",
        format!("AddressPool {namespace}/{name}"),
        format!("there are {count} objects of the kind AddressPool, which nobody reads any more"),
        "write IPAddressPools and advertisements in their place, then delete them",
    ))
}

/// A policy that cuts off every pod of the namespace. Upstream's comes with exceptions, and goes with them.
fn policies(cluster: &Cluster) -> Vec<Remark> {
    let exceptions = ["operator", "webhook-service"];
    let is_upstreams = cluster.policies.iter().any(|policy| exceptions.contains(&name(&policy.metadata)));
    let denials = cluster.policies.iter().filter(|policy| cuts_off_everybody(policy));
    let remark = |policy: &NetworkPolicy| {
        let named = name(&policy.metadata);
        let (level, fix) = if is_upstreams && named == "default-deny" {
            (Level::Note, "nothing: the operator deletes it with its exceptions once all is up")
        } else {
            (
                Level::Step,
                "allow the operator's pods (control-plane=controller-manager) port 9443 from, and everything to, the \
                 API server; the controller brings a policy of its own",
            )
        };
        let sentence = "it cuts off every pod of the namespace, the operator too";
        Remark::new(level, "default-deny", format!("NetworkPolicy {named}"), sentence, fix)
    };
    denials.map(remark).collect()
}

fn cuts_off_everybody(policy: &NetworkPolicy) -> bool {
    let Some(spec) = &policy.spec else { return false };
    let pods = spec.pod_selector.as_ref();
    let is_everybody = pods.is_none_or(|pods| {
        pods.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
            && pods.match_expressions.as_ref().is_none_or(Vec::is_empty)
    });
    let is_closed =
        spec.ingress.as_ref().is_none_or(Vec::is_empty) && spec.egress.as_ref().is_none_or(Vec::is_empty);
    is_everybody && is_closed
}

/// What OLM puts on webhooks that it made, and deletes with what they are for.
const OLM: &str = "olm.owner";

/// Others that are asked about our kinds: whoever answers them may be gone after a take-over.
fn webhooks(cluster: &Cluster) -> Vec<Remark> {
    let ours = [paths::CONFIGURATION, paths::OPERATOR_CONFIGURATION, paths::DELETION_CONFIGURATION];
    let is_about_us = |groups: &Option<Vec<String>>| groups.iter().flatten().any(|group| group == GROUP);
    let others = cluster.webhooks.iter().filter(|configuration| {
        let mut rules = configuration.webhooks.iter().flatten().flat_map(|it| it.rules.iter().flatten());
        let is_ours = ours.contains(&name(&configuration.metadata));
        !is_ours
            && label(&configuration.metadata, OLM).is_none()
            && rules.any(|rule| is_about_us(&rule.api_groups))
    });
    let remark = |named: &str| {
        Remark::new(
            Level::Step,
            "webhook-of-others",
            format!("ValidatingWebhookConfiguration {named}"),
            "it is asked about objects of metallb.io too, and when nobody answers it any more every edit is refused",
            format!("kubectl delete validatingwebhookconfiguration {named}, with the workloads of old"),
        )
    };
    others.map(|configuration| remark(name(&configuration.metadata))).collect()
}

/// With IPVS every node has every address of a service on an interface of its own, and answers ARP for it.
fn kube_proxy(cluster: &Cluster) -> Option<Remark> {
    let settings = cluster.kube_proxy.as_ref()?.data.as_ref()?.get("config.conf")?;
    let settings: serde_json::Value = serde_saphyr::from_str(settings).ok()?;
    let is_loose = settings["mode"] == "ipvs" && settings["ipvs"]["strictARP"] != true;
    is_loose.then(|| {
        Remark::new(
            Level::Step,
            "kube-proxy-answers-arp",
            "ConfigMap kube-system/kube-proxy",
            "kube-proxy runs in IPVS mode without strictARP: every node answers ARP for every address, whoever announces \
             it",
            "set ipvs.strictARP to true, and restart kube-proxy",
        )
    })
}

fn memberlist(cluster: &Cluster) -> Option<Remark> {
    let secrets = cluster.secrets.as_ref()?;
    speakers(cluster).next()?;
    let has = |name: &str| secrets.iter().any(|secret| secret == name);
    let (object, sentence) = if has(MEMBERLIST_SECRET) {
        (MEMBERLIST_SECRET, "speakers go on with the key that is in it")
    } else if has(MEMBERLIST) {
        (MEMBERLIST, "speakers of ours do not use it: the controller makes one named metallb-memberlist")
    } else {
        (MEMBERLIST_SECRET, "it is not there: the controller makes it")
    };
    Some(Remark::new(Level::Note, "memberlist-secret", format!("Secret {object}"), sentence, "nothing"))
}
