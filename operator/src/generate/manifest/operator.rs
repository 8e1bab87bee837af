//! Deployment `metallb-operator-controller-manager`: the operator itself, within the Pod Security Standard
//! `restricted`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::file::named;
use super::{Images, rbac};

const NAME: &str = "metallb-operator-controller-manager";
const NOBODY: i64 = 65534;

pub(in crate::generate) fn deployment(images: &Images) -> Deployment {
    let labels = BTreeMap::from([("control-plane".to_owned(), "controller-manager".to_owned())]);
    let metadata = ObjectMeta { labels: Some(labels.clone()), ..named(NAME) };
    Deployment {
        metadata: metadata.clone(),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector { match_labels: Some(labels.clone()), match_expressions: None },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod(images)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn pod(images: &Images) -> PodSpec {
    PodSpec {
        service_account_name: Some(rbac::OPERATOR.to_owned()),
        node_selector: Some([("kubernetes.io/os".to_owned(), "linux".to_owned())].into()),
        termination_grace_period_seconds: Some(10),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(NOBODY),
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
        args: Some(vec!["--enable-leader-election".to_owned()]),
        env: Some(vec![
            field("OPERATOR_NAMESPACE", "metadata.namespace"),
            field("POD_NAME", "metadata.name"),
            variable("CONTROLLER_IMAGE", &images.dataplane),
            variable("SPEAKER_IMAGE", &images.dataplane),
            variable("FRRK8S_EXTERNAL_NAMESPACE", "frr-k8s-system"),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some("probes".to_owned()),
            container_port: 8080,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/readyz".to_owned()),
                port: IntOrString::Int(8080),
                ..HTTPGetAction::default()
            }),
            initial_delay_seconds: Some(1),
            period_seconds: Some(5),
            ..Probe::default()
        }),
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

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

fn field(name: &str, path: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
    let value_from = EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(value_from) }
}
