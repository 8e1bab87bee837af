//! Who may do what: exactly what the three processes do.
//!
//! The operator creates no roles and no pods, so it needs no right that it could pass on. What it installs runs under
//! the accounts here, which only this manifest gives rights to. Rights to kinds of OpenShift are worth nothing elsewhere.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use metallb_crds::cluster::bgp_extras;
use serde_json::{Value, json};

use super::file::{NAMESPACE, named, value};
use crate::generate::yaml;
use crate::reconcile::takeover::leftovers;
use crate::render;
use crate::webhooks::paths;

/// The operator's ServiceAccount.
pub(super) const OPERATOR: &str = "manager-account";
/// The controller's.
pub(super) const CONTROLLER: &str = render::CONTROLLER;
/// The speakers'.
pub(super) const SPEAKER: &str = render::SPEAKER;

const READ: [&str; 3] = ["get", "list", "watch"];
const KEEP: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
/// The kinds that users configure MetalLB with.
const CONFIGURATION: [&str; 6] =
    ["bfdprofiles", "bgpadvertisements", "bgppeers", "communities", "ipaddresspools", "l2advertisements"];
/// The kinds by which speakers tell what they do.
const REPORTS: [&str; 3] = ["bgpnodestatuses", "servicebgpstatuses", "servicel2statuses"];
const REPORTS_STATUS: [&str; 3] =
    ["bgpnodestatuses/status", "servicebgpstatuses/status", "servicel2statuses/status"];
/// What it takes to keep one field of an object right.
const PUBLISH: [&str; 3] = ["list", "watch", "patch"];
/// The Secret of the webhooks' certificate, upstream's.
const CERTIFICATE: &str = "metallb-webhook-cert";
const METALLB: &str = "metallb.io";
const FRR_K8S: &str = "frrk8s.metallb.io";
const CORE: &str = "";
const OPENSHIFT_SECURITY: &str = "security.openshift.io";
const CONSTRAINTS: &str = "securitycontextconstraints";

/// What one account may do.
struct Grant {
    account: &'static str,
    /// The ClusterRole and its binding.
    cluster_names: [&'static str; 2],
    in_cluster: Vec<PolicyRule>,
    /// The Role and its binding.
    names: [&'static str; 2],
    in_namespace: Vec<PolicyRule>,
}

/// Who provides the certificate of the webhooks, and tells the API server of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generate) enum Certificates {
    /// The operator.
    Operator,
    /// Whoever installs it.
    Installer,
}

impl Certificates {
    fn in_cluster(self) -> Vec<PolicyRule> {
        match self {
            Self::Installer => Vec::new(),
            Self::Operator => vec![
                named_rules(
                    "admissionregistration.k8s.io",
                    "validatingwebhookconfigurations",
                    &[paths::CONFIGURATION, paths::OPERATOR_CONFIGURATION, paths::DELETION_CONFIGURATION],
                    &PUBLISH,
                ),
                named_rule("apiextensions.k8s.io", "customresourcedefinitions", paths::CONVERTED, &PUBLISH),
            ],
        }
    }

    fn in_namespace(self) -> Vec<PolicyRule> {
        match self {
            Self::Installer => Vec::new(),
            Self::Operator => vec![
                // Creating cannot be limited to a name.
                rule(CORE, &["secrets"], &["create"]),
                named_rule(CORE, "secrets", CERTIFICATE, &["list", "watch", "update"]),
            ],
        }
    }
}

fn operators(certificates: Certificates) -> Grant {
    Grant {
        account: OPERATOR,
        cluster_names: ["metallb-manager-role", "metallb-manager-rolebinding"],
        in_cluster: [
            vec![
                // In all namespaces: who creates a MetalLB in the wrong one is told.
                rule(METALLB, &["metallbs"], &READ),
                rule(METALLB, &["metallbs/status"], &["patch"]),
                rule(CORE, &["events"], &["create", "patch"]),
                // FRRConfigurations that nobody reads, and who may be there to read them.
                rule(FRR_K8S, &["frrconfigurations"], &["list", "watch"]),
                rule("apps", &["daemonsets"], &["list", "watch"]),
                // What upstream's frr-k8s leaves behind, and refuses every FRRConfiguration from then on.
                named_rule(
                    "admissionregistration.k8s.io",
                    "validatingwebhookconfigurations",
                    leftovers::FRR_WEBHOOK,
                    &["get", "delete"],
                ),
                // What the speakers' pods may do on OpenShift, and what that asks of everybody's TLS.
                named_rule(OPENSHIFT_SECURITY, CONSTRAINTS, render::SPEAKER_CONSTRAINTS, &KEEP),
                named_rule("config.openshift.io", "apiservers", "cluster", &["list", "watch"]),
                // What webhooks judge an edit beside, and whom they warn of.
                rule(CORE, &["namespaces", "nodes", "services"], &["list"]),
            ],
            certificates.in_cluster(),
        ]
        .concat(),
        names: ["metallb-manager-role", "metallb-manager-rolebinding"],
        in_namespace: [
            vec![
                rule(CORE, &["configmaps", "services"], &KEEP),
                rule("apps", &["daemonsets", "deployments"], &KEEP),
                rule("networking.k8s.io", &["networkpolicies"], &KEEP),
                rule("monitoring.coreos.com", &["prometheusrules", "servicemonitors"], &KEEP),
                rule(METALLB, &CONFIGURATION, &["list"]),
                // What controller and speakers make of it, for the status.
                rule(METALLB, &["configurationstates"], &["list", "watch"]),
                // Speakers of old and pods of frr-k8s, which are replaced node by node.
                rule(CORE, &["pods"], &["list", "watch", "delete"]),
                // To own things in a way that their owner's deletion waits for them, where the admission plugin
                // OwnerReferencesPermissionEnforcement is on.
                rule(METALLB, &["metallbs/finalizers"], &["update"]),
            ],
            lease("metallb.io.metallboperator"),
            certificates.in_namespace(),
        ]
        .concat(),
    }
}

fn grants(certificates: Certificates) -> [Grant; 3] {
    [
        operators(certificates),
        Grant {
            account: CONTROLLER,
            cluster_names: ["metallb-system:controller", "metallb-system:controller"],
            in_cluster: [
                vec![
                    rule(CORE, &["namespaces", "services"], &READ),
                    rule(CORE, &["services/status"], &["patch"]),
                    rule(CORE, &["events"], &["create", "patch"]),
                ],
                metrics_access(),
            ]
            .concat(),
            names: [CONTROLLER, CONTROLLER],
            in_namespace: [
                vec![
                    rule(METALLB, &CONFIGURATION, &READ),
                    rule(METALLB, &["ipaddresspools/status"], &["patch"]),
                    // What pools keep back for services that were deleted. Creating cannot be limited to a name.
                    rule(CORE, &["configmaps"], &["create"]),
                    named_rule(CORE, "configmaps", "metallb-reservations", &["get", "patch"]),
                    // The Secret that speakers share. Creating cannot be limited to a name.
                    rule(CORE, &["secrets"], &["create"]),
                    named_rule(CORE, "secrets", render::MEMBERLIST_SECRET, &["get"]),
                    named_rule("apps", "deployments", CONTROLLER, &["get"]),
                    // Its own, which owns what it reports.
                    rule(CORE, &["pods"], &["get"]),
                ],
                configuration_state(),
                lease("metallb-controller"),
            ]
            .concat(),
        },
        Grant {
            account: SPEAKER,
            cluster_names: ["metallb-system:speaker", "metallb-system:speaker"],
            in_cluster: [
                vec![
                    rule(CORE, &["nodes", "services"], &READ),
                    rule("discovery.k8s.io", &["endpointslices"], &READ),
                    rule(CORE, &["events"], &["create", "patch"]),
                    // Its own, in the namespace of an frr-k8s that somebody else runs, wherever that is.
                    rule(
                        FRR_K8S,
                        &["frrconfigurations"],
                        &["get", "list", "watch", "create", "update", "delete"],
                    ),
                ],
                metrics_access(),
            ]
            .concat(),
            names: [SPEAKER, SPEAKER],
            in_namespace: [
                vec![
                    rule(METALLB, &CONFIGURATION, &READ),
                    // What it announces, and how its sessions stand.
                    rule(METALLB, &REPORTS, &KEEP),
                    rule(METALLB, &REPORTS_STATUS, &["patch"]),
                    // The same for tools that know frr-k8s, where the cluster has its kinds.
                    rule(FRR_K8S, &["bgpsessionstates"], &KEEP),
                    rule(FRR_K8S, &["bgpsessionstates/status"], &["patch"]),
                    // Passwords of BGP sessions are among the Secrets.
                    rule(CORE, &["pods", "secrets"], &READ),
                    // On OpenShift: what their pods may do.
                    named_rule(OPENSHIFT_SECURITY, CONSTRAINTS, render::SPEAKER_CONSTRAINTS, &["use"]),
                    // Raw configuration for an FRR, to say that it has no effect.
                    named_rule(CORE, "configmaps", bgp_extras::NAME, &READ),
                ],
                configuration_state(),
            ]
            .concat(),
        },
    ]
}

/// To ask whether somebody may read metrics.
fn metrics_access() -> Vec<PolicyRule> {
    vec![
        rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
        rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
    ]
}

/// To report what is wrong with the configuration. Server-side apply of an object that is not there creates it.
fn configuration_state() -> Vec<PolicyRule> {
    vec![
        rule(METALLB, &["configurationstates"], &["get", "list", "watch", "create", "patch"]),
        rule(METALLB, &["configurationstates/status"], &["patch"]),
    ]
}

fn lease(name: &str) -> Vec<PolicyRule> {
    const GROUP: &str = "coordination.k8s.io";
    vec![rule(GROUP, &["leases"], &["create"]), named_rule(GROUP, "leases", name, &["get", "update"])]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(texts(&[group])),
        resources: Some(texts(resources)),
        verbs: texts(verbs),
        ..PolicyRule::default()
    }
}

fn named_rule(group: &str, resource: &str, name: &str, verbs: &[&str]) -> PolicyRule {
    named_rules(group, resource, &[name], verbs)
}

fn named_rules(group: &str, resource: &str, names: &[&str], verbs: &[&str]) -> PolicyRule {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    PolicyRule { resource_names: Some(names), ..rule(group, &[resource], verbs) }
}

/// The rules per account, as a ClusterServiceVersion lists them. Its reader makes the accounts and bindings.
pub(in crate::generate) struct Accounts {
    /// In the whole cluster.
    pub(in crate::generate) cluster_permissions: Vec<Value>,
    /// In the namespace of the operator.
    pub(in crate::generate) permissions: Vec<Value>,
}

pub(in crate::generate) fn accounts(certificates: Certificates) -> Accounts {
    let mut accounts = Accounts { cluster_permissions: Vec::new(), permissions: Vec::new() };
    for Grant { account, in_cluster, in_namespace, .. } in grants(certificates) {
        accounts.cluster_permissions.push(json!({ "serviceAccountName": account, "rules": in_cluster }));
        accounts.permissions.push(json!({ "serviceAccountName": account, "rules": in_namespace }));
    }
    accounts
}

pub(super) fn objects() -> Result<Vec<Value>, yaml::Error> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let mut objects = Vec::new();
    for Grant { account, cluster_names, in_cluster, names, in_namespace } in grants(Certificates::Operator) {
        let cluster_wide = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let subjects = Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: account.to_owned(),
            namespace: Some(NAMESPACE.to_owned()),
            api_group: None,
        }]);
        let role_ref = |kind: &str, name: &str| RoleRef {
            api_group: GROUP.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        let [role, binding] = cluster_names;
        objects.push(value(&ClusterRole {
            metadata: cluster_wide(role),
            rules: Some(in_cluster),
            aggregation_rule: None,
        })?);
        objects.push(value(&ClusterRoleBinding {
            metadata: cluster_wide(binding),
            role_ref: role_ref("ClusterRole", role),
            subjects: subjects.clone(),
        })?);
        let [role, binding] = names;
        objects.push(value(&Role { metadata: named(role), rules: Some(in_namespace) })?);
        objects.push(value(&RoleBinding {
            metadata: named(binding),
            role_ref: role_ref("Role", role),
            subjects,
        })?);
    }
    Ok(objects)
}
