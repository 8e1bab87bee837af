//! Services and ServiceMonitors, by which Prometheus finds the metrics of controller and speakers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pod::label_selector;
use super::scene::{Scene, map, selector};
use super::{CONTROLLER, Kind, OPERATOR, OPERATOR_PODS, ObjectId, SPEAKER, ServiceCa};
use crate::environment::Environment;

/// By which a Service asks OpenShift for a certificate, in the Secret of that name.
const CERTIFICATE_WANTED: &str = "service.beta.openshift.io/serving-cert-secret-name";
/// What OpenShift notes on such a Service when the certificate is made.
const CERTIFICATE_MADE: &str = "/metadata/annotations/service.beta.openshift.io~1serving-cert-signed-by";
/// Where OpenShift's Prometheus has its certificates.
const SERVICE_CA: &str = "/etc/prometheus/configmaps/serving-certs-ca-bundle/service-ca.crt";
const CLIENT_CERTIFICATE: &str = "/etc/prometheus/secrets/metrics-client-certs/tls.crt";
const CLIENT_KEY: &str = "/etc/prometheus/secrets/metrics-client-certs/tls.key";
const PROMETHEUS_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The parts of a ServiceMonitor that are set here.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "ServiceMonitor",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Label of the Service that names the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_label: Option<String>,
    /// Where the Services are.
    #[serde(default)]
    pub namespace_selector: NamespaceSelector,
    /// Which they are.
    pub selector: LabelSelector,
    /// What to ask them.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// Where the Services are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// In these namespaces.
    #[serde(default)]
    pub match_names: Vec<String>,
}

/// Something to scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The port of the Service, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// http or https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Whether labels of the metrics win over those of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honor_labels: Option<bool>,
    /// The file in Prometheus's pod that holds its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Whom to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// Everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// Whoever one of these authorities vouches for: a file in Prometheus's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// As whom Prometheus comes: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// The key of that: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// The name that the certificate has to be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Whose metrics there are.
pub(super) struct Target {
    component: &'static str,
    /// The labels of its pods.
    pods: BTreeMap<String, String>,
    port: u16,
    access: Access,
}

/// How the metrics are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// By HTTPS, with the token that Prometheus has.
    Token,
    /// By plain HTTP.
    Open,
}

/// Controller and speakers, and the operator itself where it serves its metrics.
pub(super) fn targets(environment: &Environment) -> Vec<Target> {
    let workload = |component| Target {
        component,
        pods: selector(component),
        port: environment.ports.metrics,
        access: Access::Token,
    };
    let operator = environment.own_metrics.map(|port| Target {
        component: OPERATOR,
        pods: map([OPERATOR_PODS]),
        port,
        access: Access::Open,
    });
    [CONTROLLER, SPEAKER].map(workload).into_iter().chain(operator).collect()
}

/// The Service, and by that the job, under which Prometheus knows a component.
pub(super) fn service_name(component: &str) -> String {
    format!("{component}-monitor-service")
}

/// The Secret that OpenShift is to put the certificate of a component in.
pub(super) fn certificate_name(component: &str) -> String {
    format!("{component}-certs-secret")
}

/// The Services whose metrics have a certificate that OpenShift makes.
pub fn certified_services() -> [ObjectId; 2] {
    [CONTROLLER, SPEAKER].map(|component| ObjectId::new(Kind::Service, service_name(component)))
}

/// Has OpenShift made the certificate of that Service?
pub fn is_certified(service: &Value) -> bool {
    service.pointer(CERTIFICATE_MADE).is_some()
}

pub(super) fn service(scene: &Scene<'_>, target: &Target) -> Service {
    let Target { component, pods, port, access } = target;
    let name = service_name(component);
    let port = i32::from(*port);
    let mut metadata = scene.metadata(&name, &[("name", &name)]);
    let mut annotations = map([("prometheus.io/scrape", "true"), ("prometheus.io/scheme", access.scheme())]);
    match (scene.platform.service_ca, access) {
        (ServiceCa::Awaited | ServiceCa::Signed, Access::Token) => {
            annotations.insert(CERTIFICATE_WANTED.to_owned(), certificate_name(component));
        }
        (ServiceCa::Absent, Access::Token) | (_, Access::Open) => {}
    }
    metadata.annotations = Some(annotations);
    Service {
        metadata,
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(pods.clone()),
            ports: Some(vec![ServicePort {
                name: Some(access.port().to_owned()),
                port,
                target_port: Some(IntOrString::Int(port)),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

pub(super) fn service_monitor(scene: &Scene<'_>, target: &Target) -> ServiceMonitor {
    let Target { component, pods: _, port: _, access } = target;
    let by_token = *access == Access::Token;
    let trusted = match scene.platform.service_ca {
        ServiceCa::Signed => TlsConfig {
            insecure_skip_verify: Some(false),
            ca_file: Some(SERVICE_CA.to_owned()),
            cert_file: Some(CLIENT_CERTIFICATE.to_owned()),
            key_file: Some(CLIENT_KEY.to_owned()),
            server_name: Some(format!("{}.{}.svc", service_name(component), scene.environment.namespace)),
        },
        // Controller and speakers sign their certificates themselves.
        ServiceCa::Absent | ServiceCa::Awaited => {
            TlsConfig { insecure_skip_verify: Some(true), ..TlsConfig::default() }
        }
    };
    let endpoint = Endpoint {
        port: Some(access.port().to_owned()),
        scheme: Some(access.scheme().to_owned()),
        honor_labels: Some(true),
        bearer_token_file: by_token.then(|| PROMETHEUS_TOKEN.to_owned()),
        tls_config: by_token.then_some(trusted),
    };
    ServiceMonitor {
        metadata: scene.metadata(&format!("{component}-monitor"), &[]),
        spec: ServiceMonitorSpec {
            job_label: Some("app.kubernetes.io/name".to_owned()),
            namespace_selector: NamespaceSelector { match_names: vec![scene.environment.namespace.clone()] },
            selector: label_selector(map([("name", service_name(component).as_str())])),
            endpoints: vec![endpoint],
        },
    }
}

impl Access {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Token => "https",
            Self::Open => "http",
        }
    }

    /// The name of the port with the metrics.
    const fn port(self) -> &'static str {
        match self {
            Self::Token => "metricshttps",
            Self::Open => "metrics",
        }
    }
}
