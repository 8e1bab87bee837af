//! Deployment `metallb-operator-controller-manager`: the operator itself, within the Pod Security Standard
//! `restricted`, and always there for the API server, which asks it before every edit.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec,
    Probe, ResourceRequirements, SeccompProfile, SecurityContext, WeightedPodAffinityTerm,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::file::named;
use super::{Images, rbac, webhooks};
use crate::render::OPERATOR_PODS;

const NAME: &str = "metallb-operator-controller-manager";
/// Where an frr-k8s is that somebody else runs, as its own manifests install it.
pub const EXTERNAL_FRRK8S_NAMESPACE: &str = "frr-k8s-system";
/// Where the operator's own metrics are.
pub(in crate::generate) const METRICS: u16 = 8081;
/// One of them installs, all of them serve webhooks.
const REPLICAS: i32 = 2;

/// The labels of its pods, upstream's.
pub(super) fn labels() -> BTreeMap<String, String> {
    let (key, value) = OPERATOR_PODS;
    [(key.to_owned(), value.to_owned())].into()
}

fn selector() -> LabelSelector {
    LabelSelector { match_labels: Some(labels()), match_expressions: None }
}

pub(in crate::generate) fn deployment(images: &Images) -> Deployment {
    let metadata = ObjectMeta { labels: Some(labels()), ..named(NAME) };
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(REPLICAS),
            selector: selector(),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels()), ..ObjectMeta::default() }),
                spec: Some(pod(images)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// When nodes are emptied, one pod at a time.
pub(in crate::generate) fn disruption_budget() -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: named(NAME),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

/// Rather on different nodes; a cluster of one node has both on that.
fn apart() -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(selector()),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn pod(images: &Images) -> PodSpec {
    PodSpec {
        affinity: Some(apart()),
        service_account_name: Some(rbac::OPERATOR.to_owned()),
        node_selector: Some([("kubernetes.io/os".to_owned(), "linux".to_owned())].into()),
        // Webhooks are served on for a while after SIGTERM.
        termination_grace_period_seconds: Some(30),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            // The image names a user. One named here would be refused on OpenShift, where every namespace has its own.
            run_as_user: None,
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(images)],
        ..PodSpec::default()
    }
}

fn container(images: &Images) -> Container {
    let quantities = [("cpu", "50m"), ("memory", "20Mi")];
    let quantities = quantities.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())));
    Container {
        name: "manager".to_owned(),
        image: Some(images.operator.clone()),
        command: Some(vec!["/manager".to_owned()]),
        args: Some(vec!["--enable-leader-election".to_owned(), format!("--metrics-addr=:{METRICS}")]),
        env: Some(vec![
            field("OPERATOR_NAMESPACE", "metadata.namespace"),
            field("POD_NAME", "metadata.name"),
            variable("CONTROLLER_IMAGE", &images.dataplane),
            variable("SPEAKER_IMAGE", &images.dataplane),
            variable("FRRK8S_EXTERNAL_NAMESPACE", EXTERNAL_FRRK8S_NAMESPACE),
        ]),
        ports: Some(vec![
            port("probes", 8080),
            port("metrics", i32::from(METRICS)),
            port("webhook-server", webhooks::PORT),
        ]),
        readiness_probe: Some(Probe {
            initial_delay_seconds: Some(1),
            period_seconds: Some(5),
            ..probe("/readyz")
        }),
        liveness_probe: Some(Probe { period_seconds: Some(20), ..probe("/healthz") }),
        resources: Some(ResourceRequirements {
            requests: Some(quantities.into()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(8080),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

fn field(name: &str, path: &str) -> EnvVar {
    // The API server's default, said out loud: unsaid, it would be nobody's, and the next who applies this file on the
    // server's side would meet a conflict.
    let field_ref = ObjectFieldSelector { field_path: path.to_owned(), api_version: Some("v1".to_owned()) };
    let value_from = EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(value_from) }
}
