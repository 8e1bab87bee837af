//! The rules, and what a spec that keeps them amounts to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration};
use metallb_crds::{
    ComponentConfig, ConflictPolicy, FRRK8sConfig, Layer2, LogLevel, MetalLBSpec, NodeLeaving, Ownership,
    SpeakerUpdateStrategy, SpeakerUpdateType,
};
use regex_lite::Regex;

use super::SpecRefusal;
use super::arguments::{self, Program};

/// A checked [`MetalLBSpec`].
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// How much controller and speakers log.
    pub log_level: LogLevel,
    /// The services to handle; `None`: those without a class.
    pub load_balancer_class: Option<String>,
    /// Who speaks BGP.
    pub bgp: BgpBackend,
    /// How routes go before a node does.
    pub node_leaving: Leaving,
    /// How addresses move by layer 2.
    pub moving: Moving,
    /// The pods of the controller.
    pub controller: Pods,
    /// The pods of the speakers.
    pub speaker: Pods,
    /// How they are replaced.
    pub speaker_update: UpdateStrategy,
    /// Nodes announce that are excluded from external load balancers.
    pub ignore_exclude_lb: bool,
    /// Where routers may connect by themselves; 0: nowhere.
    pub bgp_listen_port: u16,
    /// Interfaces that never announce; `None`: those of the default.
    pub excluded_interfaces: Option<Vec<String>>,
    /// Secrets by which nodes may pull images.
    pub image_pull_secrets: Vec<String>,
    /// How many controllers there are; `None`: whoever scales says.
    pub controller_replicas: Option<i32>,
    /// Where the API server listens; empty: as most do.
    pub api_server_ports: Vec<u16>,
}

/// How speakers are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateStrategy {
    /// By the DaemonSet.
    Rolling {
        /// So many at a time; `None`: one.
        max_unavailable: Option<i32>,
    },
    /// By whoever deletes them.
    OnDelete,
}

/// Who speaks BGP, and with whose defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BgpBackend {
    /// The speaker, with the defaults of MetalLB's own implementation.
    Native,
    /// The speaker, with the defaults of FRR.
    Frr,
    /// The speaker, with the defaults of frr-k8s.
    FrrK8s,
    /// An frr-k8s that is run by someone else.
    FrrK8sExternal {
        /// Its namespace.
        namespace: String,
        /// References to Secrets with passwords are handed on instead of the passwords.
        secret_passthrough: bool,
    },
}

impl BgpBackend {
    /// As `bgpBackend` names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Frr => "frr",
            Self::FrrK8s => "frr-k8s",
            Self::FrrK8sExternal { .. } => "frr-k8s-external",
        }
    }
}

/// How addresses are answered for and moved by layer 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving {
    /// Seconds that a silent speaker has to come back while its node lives.
    pub restart_grace_seconds: u16,
    /// Seconds after which neighbours are told again at the latest; 0: never.
    pub refresh_seconds: u16,
    /// What is done before an address is announced that no node had before.
    pub conflict_policy: ConflictPolicy,
    /// Which node has an address.
    pub ownership: Ownership,
}

/// How routes go before a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Seconds for which they are announced as about to go.
    pub announce_seconds: u16,
    /// Seconds that flows get after that.
    pub flow_seconds: u16,
    /// The taint that stands for leaving.
    pub taint: Option<String>,
    /// The annotation that does.
    pub annotation: Option<String>,
}

impl Leaving {
    /// Seconds that a speaker needs to end in order, with some to spare.
    pub fn grace_seconds(&self) -> i64 {
        i64::from(self.announce_seconds) + i64::from(self.flow_seconds) + 5
    }
}

/// The pods of one component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pods {
    /// Labels of the nodes they may run on, besides `kubernetes.io/os`.
    pub node_selector: BTreeMap<String, String>,
    /// Taints they tolerate, besides those they always do.
    pub tolerations: Vec<Toleration>,
    /// Their PriorityClass.
    pub priority_class_name: Option<String>,
    /// Their RuntimeClass.
    pub runtime_class_name: Option<String>,
    /// Their affinity.
    pub affinity: Option<Affinity>,
    /// Their annotations.
    pub annotations: BTreeMap<String, String>,
    /// CPU and memory of their main container.
    pub resources: Option<ResourceRequirements>,
    /// Variables of their main container, besides those it always has.
    pub env: BTreeMap<String, String>,
    /// Arguments of their main container, after those it always has.
    pub extra_args: Vec<String>,
}

/// Backend of a `MetalLB` that names none.
const DEFAULT_BACKEND: &str = "frr";
/// Of containers, as the operator sets them.
pub const OWN_VARIABLES: [&str; 19] = [
    "METALLB_BGP_TYPE",
    "METALLB_CONFLICT_POLICY",
    "METALLB_DEPLOYMENT",
    "METALLB_HOST",
    "METALLB_LEAVE_ANNOTATION",
    "METALLB_LEAVE_ANNOUNCE_SECONDS",
    "METALLB_LEAVE_FLOW_SECONDS",
    "METALLB_LEAVE_TAINT",
    "METALLB_ML_BIND_ADDR",
    "METALLB_ML_BIND_PORT",
    "METALLB_ML_LABELS",
    "METALLB_ML_SECRET_KEY_PATH",
    "METALLB_ML_SECRET_NAME",
    "METALLB_NAMESPACE",
    "METALLB_NODE_NAME",
    "METALLB_OWNERSHIP",
    "METALLB_POD_NAME",
    "METALLB_REFRESH_SECONDS",
    "METALLB_RESTART_GRACE_SECONDS",
];
const REPLICAS: RangeInclusive<i32> = 1..=10;
const WEIGHTS: RangeInclusive<i32> = 1..=100;
const ANNOUNCE_SECONDS: u16 = 5;
const FLOW_SECONDS: u16 = 10;
const MOST_SECONDS: u16 = 600;
const RESTART_GRACE_SECONDS: u16 = 3;
const REFRESH_SECONDS: u16 = 240;
const MOST_REFRESH_SECONDS: u16 = 3600;

impl Wanted {
    /// Checks `spec`, or says everything that is wrong with it. `external_frrk8s_namespace` is the operator's default
    /// for `frrk8sConfig.namespace`.
    pub fn check(
        spec: &MetalLBSpec,
        external_frrk8s_namespace: Option<&str>,
    ) -> Result<Self, Vec<SpecRefusal>> {
        let MetalLBSpec {
            image: _,
            node_selector,
            speaker_tolerations,
            log_level,
            load_balancer_class,
            controller_node_selector,
            controller_tolerations,
            controller_config,
            speaker_config,
            bgp_backend,
            frrk8s_config,
            node_leaving,
            layer2,
            ignore_exclude_lb,
            bgp_listen_port,
            image_pull_secrets,
            speaker_update_strategy,
            controller_replicas,
            network_policy,
        } = spec;
        let mut refusals = Vec::new();
        check_tolerations("controllerTolerations", controller_tolerations, &mut refusals);
        check_tolerations("speakerTolerations", speaker_tolerations, &mut refusals);
        check_affinity("speakerConfig", speaker_config.as_ref(), &mut refusals);
        check_affinity("controllerConfig", controller_config.as_ref(), &mut refusals);
        let default = external_frrk8s_namespace.unwrap_or_default();
        let bgp = backend(bgp_backend.as_deref(), frrk8s_config.as_ref(), default);
        check_always_block(frrk8s_config.as_ref(), &mut refusals);
        let node_leaving = leaving(node_leaving.as_ref(), &mut refusals);
        let moving = moving(layer2.as_ref(), &mut refusals);
        arguments::check(Program::Controller, "controllerConfig", controller_config.as_ref(), &mut refusals);
        arguments::check(Program::Speaker, "speakerConfig", speaker_config.as_ref(), &mut refusals);
        check_env("controllerConfig", controller_config.as_ref(), &mut refusals);
        check_env("speakerConfig", speaker_config.as_ref(), &mut refusals);
        let excluded_interfaces = layer2.as_ref().and_then(|layer2| layer2.excluded_interfaces.clone());
        check_patterns(excluded_interfaces.as_deref().unwrap_or_default(), &mut refusals);
        let listen = bgp_listen_port.map(|value| port("spec.bgpListenPort", value, 0, &mut refusals));
        let api_server_ports = network_policy.iter().flat_map(|policy| &policy.api_server_ports).enumerate();
        let api_server_ports = api_server_ports.map(|(index, value)| {
            port(&format!("spec.networkPolicy.apiServerPorts[{index}]"), *value, 1, &mut refusals)
        });
        let api_server_ports = api_server_ports.collect();
        let controller_replicas = (*controller_replicas).inspect(|value| {
            if !REPLICAS.contains(value) {
                refusals.push(SpecRefusal::Replicas { value: *value });
            }
        });
        let speaker_update = update_strategy(speaker_update_strategy.as_ref(), &mut refusals);
        match bgp {
            Ok(bgp) if refusals.is_empty() => Ok(Self {
                node_leaving,
                moving,
                log_level: log_level.unwrap_or_default(),
                load_balancer_class: load_balancer_class.clone(),
                bgp,
                controller: pods(
                    controller_node_selector,
                    controller_tolerations,
                    controller_config.as_ref(),
                ),
                speaker: pods(node_selector, speaker_tolerations, speaker_config.as_ref()),
                speaker_update,
                ignore_exclude_lb: ignore_exclude_lb.unwrap_or_default(),
                bgp_listen_port: listen.unwrap_or_default(),
                excluded_interfaces,
                image_pull_secrets: image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
                controller_replicas,
                api_server_ports,
            }),
            Ok(_) => Err(refusals),
            Err(refusal) => {
                refusals.push(refusal);
                Err(refusals)
            }
        }
    }
}

fn pods(
    node_selector: &BTreeMap<String, String>,
    tolerations: &[Toleration],
    config: Option<&ComponentConfig>,
) -> Pods {
    let ComponentConfig {
        priority_class_name,
        runtime_class_name,
        affinity,
        annotations,
        resources,
        env,
        extra_args,
    } = config.cloned().unwrap_or_default();
    Pods {
        node_selector: node_selector.clone(),
        tolerations: tolerations.to_vec(),
        priority_class_name: priority_class_name.filter(|name| !name.is_empty()),
        runtime_class_name: runtime_class_name.filter(|name| !name.is_empty()),
        affinity,
        annotations,
        resources,
        env,
        extra_args,
    }
}

fn update_strategy(
    wanted: Option<&SpeakerUpdateStrategy>,
    refusals: &mut Vec<SpecRefusal>,
) -> UpdateStrategy {
    let SpeakerUpdateStrategy { type_, rolling_update } = wanted.cloned().unwrap_or_default();
    let max_unavailable = rolling_update.and_then(|rolling| rolling.max_unavailable);
    if let Some(value) = max_unavailable.filter(|value| *value < 1) {
        refusals.push(SpecRefusal::MaxUnavailable { value });
    }
    match type_.unwrap_or_default() {
        SpeakerUpdateType::RollingUpdate => UpdateStrategy::Rolling { max_unavailable },
        SpeakerUpdateType::OnDelete => UpdateStrategy::OnDelete,
    }
}

fn port(field: &str, value: i32, least: u16, refusals: &mut Vec<SpecRefusal>) -> u16 {
    let fits = u16::try_from(value).ok().filter(|port| *port >= least);
    fits.unwrap_or_else(|| {
        refusals.push(SpecRefusal::Port { field: field.to_owned(), value, least });
        0
    })
}

/// The operator's own would be there twice, and the API server would refuse that.
fn check_env(field: &str, config: Option<&ComponentConfig>, refusals: &mut Vec<SpecRefusal>) {
    for name in config.iter().flat_map(|config| config.env.keys()) {
        if OWN_VARIABLES.contains(&name.as_str()) {
            refusals
                .push(SpecRefusal::OwnVariable { field: format!("spec.{field}.env"), name: name.clone() });
        }
    }
}

/// A speaker that cannot read one does not start.
fn check_patterns(patterns: &[String], refusals: &mut Vec<SpecRefusal>) {
    for (index, pattern) in patterns.iter().enumerate() {
        if Regex::new(pattern).is_err() {
            refusals.push(SpecRefusal::NotAPattern {
                field: format!("spec.layer2.excludedInterfaces[{index}]"),
                value: pattern.clone(),
            });
        }
    }
}

fn leaving(wanted: Option<&NodeLeaving>, refusals: &mut Vec<SpecRefusal>) -> Leaving {
    let NodeLeaving { announce_seconds, flow_seconds, taint, annotation } =
        wanted.cloned().unwrap_or_default();
    let mut seconds = |field: &str, value, default| {
        seconds(&format!("spec.nodeLeaving.{field}"), value, default, MOST_SECONDS, refusals)
    };
    Leaving {
        announce_seconds: seconds("announceSeconds", announce_seconds, ANNOUNCE_SECONDS),
        flow_seconds: seconds("flowSeconds", flow_seconds, FLOW_SECONDS),
        taint: taint.filter(|key| !key.is_empty()),
        annotation: annotation.filter(|key| !key.is_empty()),
    }
}

fn moving(wanted: Option<&Layer2>, refusals: &mut Vec<SpecRefusal>) -> Moving {
    let Layer2 {
        restart_grace_seconds: grace,
        refresh_seconds: refresh,
        conflict_policy,
        ownership,
        excluded_interfaces: _,
    } = wanted.cloned().unwrap_or_default();
    let (grace_field, refresh_field) = ("spec.layer2.restartGraceSeconds", "spec.layer2.refreshSeconds");
    Moving {
        restart_grace_seconds: seconds(grace_field, grace, RESTART_GRACE_SECONDS, MOST_SECONDS, refusals),
        refresh_seconds: seconds(refresh_field, refresh, REFRESH_SECONDS, MOST_REFRESH_SECONDS, refusals),
        conflict_policy: conflict_policy.unwrap_or_default(),
        ownership: ownership.unwrap_or_default(),
    }
}

fn seconds(field: &str, value: Option<i32>, default: u16, most: u16, refusals: &mut Vec<SpecRefusal>) -> u16 {
    let Some(value) = value else { return default };
    let fits = u16::try_from(value).ok().filter(|seconds| *seconds <= most);
    fits.unwrap_or_else(|| {
        refusals.push(SpecRefusal::Seconds { field: field.to_owned(), value, most });
        default
    })
}

fn backend(
    name: Option<&str>,
    config: Option<&FRRK8sConfig>,
    default_namespace: &str,
) -> Result<BgpBackend, SpecRefusal> {
    let name = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_BACKEND);
    match name {
        "native" => Ok(BgpBackend::Native),
        "frr" => Ok(BgpBackend::Frr),
        "frr-k8s" => Ok(BgpBackend::FrrK8s),
        "frr-k8s-external" => {
            let own = config.and_then(|config| config.namespace.as_deref()).filter(|name| !name.is_empty());
            let namespace = own.unwrap_or(default_namespace).to_owned();
            let secret_passthrough = config.and_then(|config| config.secret_passthrough).unwrap_or_default();
            if namespace.is_empty() {
                return Err(SpecRefusal::NoExternalNamespace);
            }
            Ok(BgpBackend::FrrK8sExternal { namespace, secret_passthrough })
        }
        other => Err(SpecRefusal::UnknownBackend { value: other.to_owned() }),
    }
}

/// The API server would refuse the pods; better to name the field of the `MetalLB`.
fn check_tolerations(field: &str, tolerations: &[Toleration], refusals: &mut Vec<SpecRefusal>) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let effect = toleration.effect.as_deref().unwrap_or_default();
        if let Some(seconds) = toleration.toleration_seconds.filter(|_| effect != "NoExecute") {
            refusals.push(SpecRefusal::TolerationSeconds {
                field: format!("spec.{field}[{index}].tolerationSeconds"),
                seconds,
                effect: effect.to_owned(),
            });
        }
    }
}

fn check_affinity(field: &str, config: Option<&ComponentConfig>, refusals: &mut Vec<SpecRefusal>) {
    let Some(affinity) = config.and_then(|config| config.affinity.as_ref()) else { return };
    let Affinity { node_affinity, pod_affinity, pod_anti_affinity } = affinity;
    let nodes = node_affinity
        .iter()
        .flat_map(|it| it.preferred_during_scheduling_ignored_during_execution.iter().flatten())
        .map(|term| term.weight);
    check_weights(field, "nodeAffinity", nodes, refusals);
    let pods = pod_affinity
        .iter()
        .flat_map(|it| it.preferred_during_scheduling_ignored_during_execution.iter().flatten())
        .map(|term| term.weight);
    check_weights(field, "podAffinity", pods, refusals);
    let others = pod_anti_affinity
        .iter()
        .flat_map(|it| it.preferred_during_scheduling_ignored_during_execution.iter().flatten())
        .map(|term| term.weight);
    check_weights(field, "podAntiAffinity", others, refusals);
}

fn check_weights(
    field: &str,
    kind: &str,
    weights: impl Iterator<Item = i32>,
    refusals: &mut Vec<SpecRefusal>,
) {
    for (index, weight) in weights.enumerate().filter(|(_, weight)| !WEIGHTS.contains(weight)) {
        refusals.push(SpecRefusal::Weight {
            field: format!(
                "spec.{field}.affinity.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}].weight"
            ),
            weight,
        });
    }
}

fn check_always_block(config: Option<&FRRK8sConfig>, refusals: &mut Vec<SpecRefusal>) {
    for (index, prefix) in config.iter().flat_map(|config| &config.always_block).enumerate() {
        if prefix.trim().parse::<IpNet>().is_err() {
            refusals.push(SpecRefusal::NotAPrefix {
                field: format!("spec.frrk8sConfig.alwaysBlock[{index}]"),
                value: prefix.clone(),
            });
        }
    }
}
