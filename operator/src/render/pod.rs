//! Pieces that pods of controller and speaker are made of.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, LocalObjectReference,
    ObjectFieldSelector, PodSpec, PodTemplateSpec, Probe, SeccompProfile, SecretVolumeSource,
    SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use metallb_crds::LogLevel;
pub use metallb_crds::cluster::pod::OURS;
use metallb_process::serve::tls::TlsFlags;
use serde_json::Value;

use super::scene::{Scene, map, selector};
use super::{ServiceCa, monitors};
use crate::environment::{Environment, Monitors};
use crate::wanted::{BgpBackend, Pods, Wanted};

/// Is the template of that workload one of ours?
pub fn is_ours(workload: &Value) -> bool {
    let (key, value) = OURS;
    let annotations = workload.pointer("/spec/template/metadata/annotations");
    annotations.and_then(|all| all.get(key)).and_then(Value::as_str) == Some(value)
}

/// A pod of `component` as `pods` asks for, with `container` in it. `spec` holds the rest.
pub(super) fn template(
    component: &str,
    pods: &Pods,
    own_tolerations: Vec<Toleration>,
    own_annotations: BTreeMap<String, String>,
    container: Container,
    spec: PodSpec,
) -> PodTemplateSpec {
    let Pods {
        node_selector,
        tolerations,
        priority_class_name,
        runtime_class_name,
        affinity,
        annotations,
        resources,
        env,
        extra_args,
    } = pods.clone();
    let args = container.args.iter().flatten().cloned().chain(extra_args).collect();
    let env = env.into_iter().map(|(name, value)| variable(&name, value));
    let env = container.env.iter().flatten().cloned().chain(env).collect();
    let mut node_labels = map([("kubernetes.io/os", "linux")]);
    node_labels.extend(node_selector);
    let tolerations: Vec<_> = own_tolerations.into_iter().chain(tolerations).collect();
    let spec = PodSpec {
        containers: vec![Container { resources, args: Some(args), env: Some(env), ..container }],
        service_account_name: Some(component.to_owned()),
        node_selector: Some(node_labels),
        tolerations: (!tolerations.is_empty()).then_some(tolerations),
        priority_class_name,
        runtime_class_name,
        affinity,
        ..spec
    };
    let mut annotations = annotations;
    annotations.extend(map([OURS]));
    annotations.extend(own_annotations);
    let metadata = ObjectMeta {
        labels: Some(selector(component)),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

/// The arguments that controller and speaker begin with.
pub(super) fn first_args(wanted: &Wanted, environment: &Environment) -> Vec<String> {
    let mut args = vec![
        format!("--port={}", environment.ports.metrics),
        format!("--health-probe-port={}", environment.ports.probes),
        format!("--log-level={}", word(wanted.log_level)),
    ];
    args.extend(wanted.load_balancer_class.as_ref().map(|class| format!("--lb-class={class}")));
    args
}

/// The arguments that both end with.
pub(super) fn tls_args(environment: &Environment) -> impl Iterator<Item = String> {
    let tls = &environment.tls;
    [
        ("--tls-cipher-suites", &tls.tls_cipher_suites),
        ("--tls-curve-preferences", &tls.tls_curve_preferences),
        ("--tls-min-version", &tls.tls_min_version),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(flag, value)| format!("{flag}={value}"))
}

/// What the template of that workload, one of ours, says in [these](tls_args). Nothing if somebody has made of it what no
/// server of ours could start with.
pub fn tls_in_force(workload: &Value) -> Option<TlsFlags> {
    let args = workload.pointer("/spec/template/spec/containers/0/args")?.as_array()?;
    let value = |flag: &str| {
        let mut values = args.iter().filter_map(|arg| arg.as_str()?.strip_prefix(flag)?.strip_prefix('='));
        values.next().unwrap_or_default().to_owned()
    };
    let flags = is_ours(workload).then(|| TlsFlags {
        tls_min_version: value("--tls-min-version"),
        tls_cipher_suites: value("--tls-cipher-suites"),
        tls_curve_preferences: value("--tls-curve-preferences"),
    });
    flags.filter(|flags| flags.options().is_ok())
}

/// Where the certificate of the metrics is mounted, once OpenShift has made it. Both programs start without, and take it
/// when it comes.
const METRICS_CERTIFICATE: (&str, &str) = ("metrics-certs", "/etc/metrics");

/// The volume with the certificate for the metrics of `component`, its mount, and the flag that names that.
pub(super) fn metrics_certificate(
    component: &str,
    scene: &Scene<'_>,
) -> Option<(Volume, VolumeMount, String)> {
    let is_made = match (scene.platform.service_ca, scene.environment.monitors) {
        (ServiceCa::Awaited | ServiceCa::Signed, Monitors::Service) => true,
        // It is made for the Services, and these are for the monitors.
        (ServiceCa::Awaited | ServiceCa::Signed, Monitors::None | Monitors::Pod) | (ServiceCa::Absent, _) => {
            false
        }
    };
    let (name, path) = METRICS_CERTIFICATE;
    let volume = || Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(monitors::certificate_name(component)),
            // Pods do not wait for it: metrics must not keep addresses from being announced.
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    is_made.then(|| (volume(), mount(name, path, Access::ReadOnly), format!("--metrics-cert-dir={path}")))
}

/// `METALLB_BGP_TYPE`: whose defaults hold, and whether somebody else's FRR does the work. Absent for MetalLB's own.
///
/// Upstream says `frr-k8s` with an external one too, as its speaker never speaks BGP with either. Ours does.
pub(super) fn bgp_type(backend: &BgpBackend) -> Option<EnvVar> {
    match backend {
        BgpBackend::Native => None,
        BgpBackend::Frr => Some(variable("METALLB_BGP_TYPE", "frr")),
        BgpBackend::FrrK8s => Some(variable("METALLB_BGP_TYPE", "frr-k8s")),
        BgpBackend::FrrK8sExternal { .. } => Some(variable("METALLB_BGP_TYPE", "frr-k8s-external")),
    }
}

pub(super) fn variable(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A variable that holds a field of the pod.
pub(super) fn field(name: &str, path: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
    let value_from = EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(value_from) }
}

pub(super) fn port(name: &str, port: u16, protocol: &str) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    }
}

pub(super) fn mount(name: &str, path: &str, access: Access) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: match access {
            Access::ReadOnly => Some(true),
            Access::Default => None,
        },
        ..VolumeMount::default()
    }
}

/// How a volume is mounted.
#[derive(Clone, Copy)]
pub(super) enum Access {
    ReadOnly,
    Default,
}

/// Is the process alive? `host` is for pods on the host's network that listen on loopback only.
pub(super) fn liveness(environment: &Environment, host: Option<&str>) -> Probe {
    Probe {
        initial_delay_seconds: Some(10),
        period_seconds: Some(10),
        ..probe("/healthz", environment, host)
    }
}

/// May a roll-out go on to the next pod? Asked at once and often: every second of doubt is one that a roll-out, and the
/// condition Available, wait for nothing.
pub(super) fn readiness(path: &str, environment: &Environment, host: Option<&str>) -> Probe {
    Probe { period_seconds: Some(2), ..probe(path, environment, host) }
}

fn probe(path: &str, environment: &Environment, host: Option<&str>) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(environment.ports.probes)),
            host: host.map(ToOwned::to_owned),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(1),
        success_threshold: Some(1),
        failure_threshold: Some(3),
        ..Probe::default()
    }
}

/// A container that can do nothing but what its capabilities say.
pub(super) fn confined(capabilities: &[&str]) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            add: (!capabilities.is_empty())
                .then(|| capabilities.iter().map(|name| (*name).to_owned()).collect()),
            drop: Some(vec!["ALL".to_owned()]),
        }),
        ..SecurityContext::default()
    }
}

pub(super) fn seccomp() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::All => "all",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::None => "none",
    }
}

/// By which nodes may pull the images.
pub(super) fn pull_secrets(wanted: &Wanted) -> Option<Vec<LocalObjectReference>> {
    let names = wanted.image_pull_secrets.iter();
    let secrets: Vec<_> = names.map(|name| LocalObjectReference { name: name.clone() }).collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// The selector of a workload.
pub(super) fn label_selector(
    labels: BTreeMap<String, String>,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    }
}
