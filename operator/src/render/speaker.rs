//! DaemonSet `speaker`: announces addresses, from every node it is on.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, EnvVar, PodSecurityContext, PodSpec, SecretVolumeSource, Toleration,
    Volume,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::pod::{
    Access, bgp_type, confined, field, first_args, label_selector, liveness, metrics_certificate, mount,
    port, pull_secrets, readiness, seccomp, template, tls_args, variable,
};
use super::scene::{Scene, map, selector};
use super::{MEMBERLIST_SECRET, SPEAKER, SPEAKER_CONSTRAINTS, Served, SpeakerUpdate, excluded_interfaces};
use crate::environment::Environment;
use crate::wanted::{BgpBackend, Leaving, Moving, UpdateStrategy, Wanted};
use metallb_crds::{ConflictPolicy, Ownership};

/// Where the Secret that speakers share is mounted.
const SECRET_PATH: &str = "/etc/ml_secret_key";
const LOOPBACK: &str = "127.0.0.1";

pub(super) fn daemon_set(scene: &Scene<'_>, wanted: &Wanted, update: SpeakerUpdate) -> DaemonSet {
    let environment = scene.environment;
    let ports = environment.ports;
    let mut container_ports = vec![
        port("metricshttps", ports.metrics, "TCP"),
        port("memberlist-tcp", ports.memberlist, "TCP"),
        port("memberlist-udp", ports.memberlist, "UDP"),
    ];
    if wanted.bgp_listen_port > 0 {
        container_ports.push(port("bgp", wanted.bgp_listen_port, "TCP"));
    }
    let (mut args, mut volumes) = (args(wanted, environment), volumes());
    let mut mounts = vec![
        mount("memberlist-config", "/etc/metallb/memberlist", Access::ReadOnly),
        mount("memberlist", SECRET_PATH, Access::Default),
        mount(excluded_interfaces::NAME, "/etc/metallb", Access::Default),
    ];
    if let Some((volume, mount, flag)) = metrics_certificate(SPEAKER, scene) {
        volumes.push(volume);
        mounts.push(mount);
        args.push(flag);
    }
    let container = Container {
        name: SPEAKER.to_owned(),
        image: Some(environment.speaker_image.clone()),
        command: Some(vec!["/speaker".to_owned()]),
        args: Some(args),
        env: Some(env(wanted, environment)),
        ports: Some(container_ports),
        liveness_probe: Some(liveness(environment, Some(LOOPBACK))),
        readiness_probe: Some(readiness("/announced", environment, Some(LOOPBACK))),
        volume_mounts: Some(mounts),
        security_context: Some(confined(capabilities(wanted.bgp_listen_port))),
        ..Container::default()
    };
    let pod = PodSpec {
        image_pull_secrets: pull_secrets(wanted),
        host_network: Some(true),
        termination_grace_period_seconds: Some(wanted.node_leaving.grace_seconds()),
        volumes: Some(volumes),
        security_context: Some(PodSecurityContext {
            // Raw sockets are for root with NET_RAW, whatever user the image names.
            run_as_user: Some(0),
            seccomp_profile: Some(seccomp()),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    };
    let strategy = match (update, wanted.speaker_update) {
        (SpeakerUpdate::Rolling, UpdateStrategy::Rolling { max_unavailable }) => DaemonSetUpdateStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: max_unavailable.map(|pods| RollingUpdateDaemonSet {
                max_unavailable: Some(IntOrString::Int(pods)),
                max_surge: None,
            }),
        },
        (SpeakerUpdate::OnDelete, _) | (_, UpdateStrategy::OnDelete) => {
            DaemonSetUpdateStrategy { type_: Some("OnDelete".to_owned()), rolling_update: None }
        }
    };
    let mut pods = wanted.speaker.clone();
    // Speakers read the list when they start, so another list means other pods.
    pods.annotations.extend(
        wanted
            .excluded_interfaces
            .as_ref()
            .map(|own| ("metallb.io/excluded-interfaces".to_owned(), serde_json::json!(own).to_string())),
    );
    DaemonSet {
        metadata: scene.metadata(SPEAKER, &[("component", SPEAKER)]),
        spec: Some(DaemonSetSpec {
            update_strategy: Some(strategy),
            selector: label_selector(selector(SPEAKER)),
            template: template(
                SPEAKER,
                &pods,
                control_plane_tolerations(),
                required_constraints(scene),
                container,
                pod,
            ),
            ..DaemonSetSpec::default()
        }),
        status: None,
    }
}

/// Names the rules by which OpenShift is to judge a pod.
const REQUIRED_CONSTRAINTS: &str = "openshift.io/required-scc";

/// Does the DaemonSet, as it was rendered once, name such rules?
pub fn names_constraints(daemon_set: &Value) -> bool {
    daemon_set
        .pointer("/spec/template/metadata/annotations")
        .is_some_and(|annotations| annotations.get(REQUIRED_CONSTRAINTS).is_some())
}

/// By which rules OpenShift is to judge the pods: it may know others that let them in and change them.
fn required_constraints(scene: &Scene<'_>) -> BTreeMap<String, String> {
    match scene.platform.security_context_constraints {
        Served::Yes => map([(REQUIRED_CONSTRAINTS, SPEAKER_CONSTRAINTS)]),
        Served::No => BTreeMap::new(),
    }
}

/// All that speakers may ever ask for: a port of those that not everybody may listen on, and raw sockets.
pub(super) const CAPABILITIES: &[&str] = &["NET_BIND_SERVICE", "NET_RAW"];

/// Those that they ask for.
fn capabilities(listen_port: u16) -> &'static [&'static str] {
    match listen_port {
        1..1024 => CAPABILITIES,
        0 | 1024.. => &["NET_RAW"],
    }
}

fn args(wanted: &Wanted, environment: &Environment) -> Vec<String> {
    let mut args = first_args(wanted, environment);
    args.extend(wanted.ignore_exclude_lb.then(|| "--ignore-exclude-lb".to_owned()));
    if wanted.bgp_listen_port > 0 {
        args.push(format!("--bgp-listen-port={}", wanted.bgp_listen_port));
    }
    match &wanted.bgp {
        BgpBackend::Native | BgpBackend::Frr | BgpBackend::FrrK8s => {}
        BgpBackend::FrrK8sExternal { namespace, secret_passthrough } => {
            args.push(format!("--frrk8s-namespace={namespace}"));
            args.extend(secret_passthrough.then(|| "--frrk8s-secret-passthrough".to_owned()));
        }
    }
    args.extend(tls_args(environment));
    args
}

fn env(wanted: &Wanted, environment: &Environment) -> Vec<EnvVar> {
    let labels = selector(SPEAKER).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let mut env = vec![
        field("METALLB_NODE_NAME", "spec.nodeName"),
        field("METALLB_HOST", "status.hostIP"),
        field("METALLB_ML_BIND_ADDR", "status.podIP"),
        variable("METALLB_ML_LABELS", labels.join(",")),
        variable("METALLB_ML_BIND_PORT", environment.ports.memberlist.to_string()),
        variable("METALLB_ML_SECRET_KEY_PATH", SECRET_PATH),
    ];
    env.extend(bgp_type(&wanted.bgp));
    let Leaving { announce_seconds, flow_seconds, taint, annotation } = &wanted.node_leaving;
    env.push(variable("METALLB_LEAVE_ANNOUNCE_SECONDS", announce_seconds.to_string()));
    env.push(variable("METALLB_LEAVE_FLOW_SECONDS", flow_seconds.to_string()));
    env.extend(taint.clone().map(|key| variable("METALLB_LEAVE_TAINT", key)));
    env.extend(annotation.clone().map(|key| variable("METALLB_LEAVE_ANNOTATION", key)));
    let Moving { restart_grace_seconds, refresh_seconds, conflict_policy, ownership } = wanted.moving;
    env.push(variable("METALLB_RESTART_GRACE_SECONDS", restart_grace_seconds.to_string()));
    env.push(variable("METALLB_REFRESH_SECONDS", refresh_seconds.to_string()));
    let conflict_policy = match conflict_policy {
        ConflictPolicy::Announce => "announce",
        ConflictPolicy::ProbeFirst => "probe-first",
    };
    env.push(variable("METALLB_CONFLICT_POLICY", conflict_policy));
    let ownership = match ownership {
        Ownership::Hash => "hash",
        Ownership::Sticky => "sticky",
    };
    env.push(variable("METALLB_OWNERSHIP", ownership));
    env.push(field("METALLB_POD_NAME", "metadata.name"));
    env
}

fn volumes() -> Vec<Volume> {
    let config_map = |name: &str, default_mode, optional| ConfigMapVolumeSource {
        name: name.to_owned(),
        default_mode,
        optional,
        items: None,
    };
    vec![
        Volume {
            name: "memberlist".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(MEMBERLIST_SECRET.to_owned()),
                default_mode: Some(0o644),
                // Not optional: a speaker that reads no key would not hear the others once there is one.
                optional: None,
                items: None,
            }),
            ..Volume::default()
        },
        Volume {
            name: excluded_interfaces::NAME.to_owned(),
            config_map: Some(config_map(excluded_interfaces::NAME, Some(0o400), None)),
            ..Volume::default()
        },
        Volume {
            name: "memberlist-config".to_owned(),
            config_map: Some(config_map("metallb-memberlist-config", None, Some(true))),
            ..Volume::default()
        },
    ]
}

fn control_plane_tolerations() -> Vec<Toleration> {
    ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"]
        .map(|key| Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some("NoSchedule".to_owned()),
            ..Toleration::default()
        })
        .into()
}
