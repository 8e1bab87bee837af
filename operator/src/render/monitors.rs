//! Services and ServiceMonitors, by which Prometheus finds the metrics of controller and speakers.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::pod::label_selector;
use super::scene::{Scene, map, selector};

/// The port with the metrics, by name.
const PORT: &str = "metricshttps";
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
}

fn service_name(component: &str) -> String {
    format!("{component}-monitor-service")
}

pub(super) fn service(scene: &Scene<'_>, component: &str) -> Service {
    let name = service_name(component);
    let port = i32::from(scene.environment.ports.metrics);
    let mut metadata = scene.metadata(&name, &[("name", &name)]);
    metadata.annotations = Some(map([("prometheus.io/scrape", "true"), ("prometheus.io/scheme", "https")]));
    Service {
        metadata,
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(selector(component)),
            ports: Some(vec![ServicePort {
                name: Some(PORT.to_owned()),
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

pub(super) fn service_monitor(scene: &Scene<'_>, component: &str) -> ServiceMonitor {
    let endpoint = Endpoint {
        port: Some(PORT.to_owned()),
        scheme: Some("https".to_owned()),
        honor_labels: Some(true),
        bearer_token_file: Some(PROMETHEUS_TOKEN.to_owned()),
        // Controller and speakers sign their certificates themselves.
        tls_config: Some(TlsConfig { insecure_skip_verify: Some(true) }),
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
