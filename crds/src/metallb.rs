//! `MetalLB`: asks the operator to install MetalLB, and says how.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::configuration_state::ConfigurationResult;

/// How MetalLB is to be run. Every field may be left out.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "MetalLB",
    plural = "metallbs",
    singular = "metallb",
    namespaced,
    status = "MetalLBStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "An installation of MetalLB. The operator acts on the one object named metallb in its own namespace.",
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Available')].status",
        description = "Whether controller and speakers are up and ready."
    ),
    printcolumn(
        name = "Degraded",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Degraded')].status",
        description = "Whether something keeps MetalLB from running as asked."
    ),
    printcolumn(
        name = "Progressing",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Progressing')].status",
        description = "Whether a change is being rolled out."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct MetalLBSpec {
    /// Deprecated and without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Labels of the nodes that run a speaker. Without labels, all nodes do. Only nodes with a speaker can announce
    /// services.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that speakers tolerate, in addition to those of control plane nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speaker_tolerations: Vec<Toleration>,

    /// How much controller and speakers log. The default is `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LogLevel")]
    // an optional enum would be described by the enum's words, not by these
    pub log_level: Option<LogLevel>,

    /// Handle only services whose `spec.loadBalancerClass` is this. By default, only services that have no class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = r"^([a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?/)?[a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?$"
    ))]
    pub load_balancer_class: Option<String>,

    /// Labels of the nodes that may run the controller. Without labels, all nodes may.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub controller_node_selector: BTreeMap<String, String>,

    /// Taints that the controller tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controller_tolerations: Vec<Toleration>,

    /// Scheduling, resources and annotations of the controller's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller_config: Option<ComponentConfig>,

    /// Scheduling, resources and annotations of the speakers' pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker_config: Option<ComponentConfig>,

    /// Who speaks BGP: `native`, `frr` and `frr-k8s` are the speaker itself, each with the defaults of the
    /// implementation of that name; `frr-k8s-external` leaves it to an frr-k8s that is run by someone else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bgp_backend: Option<String>,

    /// Settings for the `frr-k8s` and `frr-k8s-external` backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frrk8s_config: Option<FRRK8sConfig>,

    /// How routes go before a node does. A node leaves when its Node is deleted or shuts down, when it is excluded from
    /// external load balancers by its label, or by the signs named here; a cordon or a restarting speaker is no leaving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_leaving: Option<NodeLeaving>,

    /// How addresses are answered for and moved between nodes by layer 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer2: Option<Layer2>,

    /// Whether nodes announce that are excluded from external load balancers by their label. By default they do not.
    #[serde(default, rename = "ignoreExcludeLB", skip_serializing_if = "Option::is_none")]
    pub ignore_exclude_lb: Option<bool>,

    /// The port on which speakers let routers connect by themselves. By default, and with 0, only speakers connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub bgp_listen_port: Option<i32>,

    /// Secrets, in the operator's namespace, by which nodes may pull the images of controller and speakers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<ImagePullSecret>,

    /// How speakers are replaced when they change. By default one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker_update_strategy: Option<SpeakerUpdateStrategy>,

    /// How many controllers there are: one works, the others take over when it is gone. By default one; who scales the
    /// Deployment by hand is let be as long as this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub controller_replicas: Option<i32>,

    /// What the NetworkPolicy of the controller lets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicyConfig>,
}

spec_may_be_absent!(MetalLBSpec);

/// How much is logged: each level includes those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything there is.
    All,
    /// Details for whoever looks for a fault.
    Debug,
    /// What changed and why.
    #[default]
    Info,
    /// What looks wrong and may need attention.
    Warn,
    /// What went wrong.
    Error,
    /// Nothing.
    None,
}

/// A Secret by which nodes may pull images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImagePullSecret {
    /// The name of the Secret.
    pub name: String,
}

/// How speakers are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerUpdateStrategy {
    /// `RollingUpdate`, the default, replaces them by itself; with `OnDelete` a speaker is replaced when somebody deletes
    /// its pod.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SpeakerUpdateType")]
    // an optional enum would be described by the enum's words, not by these
    pub type_: Option<SpeakerUpdateType>,

    /// Settings of `RollingUpdate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<SpeakerRollingUpdate>,
}

/// Who replaces speakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SpeakerUpdateType {
    /// The DaemonSet.
    #[default]
    RollingUpdate,
    /// Whoever deletes the old ones.
    OnDelete,
}

/// How the DaemonSet replaces speakers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerRollingUpdate {
    /// So many nodes at a time. The default is 1; each waits until it announces all that it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_unavailable: Option<i32>,
}

/// What the NetworkPolicy of the controller lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyConfig {
    /// TCP ports on which the API server listens, behind the Service `kubernetes`. By default 6443 and 443.
    #[serde(default, rename = "apiServerPorts", skip_serializing_if = "Vec::is_empty")]
    pub api_server_ports: Vec<i32>,
}

/// The pods of one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentConfig {
    /// The `PriorityClass` of the pods, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,

    /// The `RuntimeClass` of the pods, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,

    /// Rules for choosing nodes, in place of any that the pods would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// Annotations added to the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// CPU and memory of the main container, in place of any that it would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,

    /// Environment variables for the main container, besides those that the operator sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,

    /// Arguments for the main container, `--flag` or `--flag=value`, of those that the operator does not set: for the speaker
    /// `--ml-wan-config`, `--bgp-debounce-timeout` and `--host`, for both `--pprof-bind-address`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
}

/// Settings for the backends of the frr-k8s family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FRRK8sConfig {
    /// Prefixes, in CIDR notation, that are never accepted from a router, whatever other configuration says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub always_block: Vec<String>,

    /// The namespace of an frr-k8s that is run by someone else. Only used by the `frr-k8s-external` backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,

    /// Whether references to Secrets with BGP passwords are handed on instead of the passwords. The Secrets must then
    /// lie in the namespace of that frr-k8s. Only used by the `frr-k8s-external` backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_passthrough: Option<bool>,
}

/// How routes go before a node does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeLeaving {
    /// For so many seconds routes are announced as about to go (RFC 8326), so that routers take other ways first.
    /// The default is 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600))]
    pub announce_seconds: Option<i32>,

    /// For so many seconds after they were withdrawn, BGP sessions and the speaker stay, for flows that are under way.
    /// The default is 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600))]
    pub flow_seconds: Option<i32>,

    /// A node with a taint of this key leaves. By default no taint stands for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<String>,

    /// A node with an annotation of this key leaves. By default no annotation stands for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<String>,
}

/// How addresses are answered for and moved between nodes by layer 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer2 {
    /// A speaker that falls silent while its node lives has so many seconds to come back, in which another node answers for its
    /// addresses in its name: no connection is broken by a crash or a restart. The default is 3; with 0 addresses move at
    /// once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600))]
    pub restart_grace_seconds: Option<i32>,

    /// Neighbours are told of an address again after so many seconds at most, so that switches do not forget where it is.
    /// The default is 240; with 0 they are told only when it moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub refresh_seconds: Option<i32>,

    /// What is done about stations outside the cluster that have the same address. `Announce`, the default: an address is announced
    /// at once, and a conflict is told by an event and in the ServiceL2Status. `ProbeFirst`: an address that no node of the
    /// cluster had before is announced only after nobody answered for it, which takes three seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict_policy: Option<ConflictPolicy>,

    /// Interfaces that never announce, by regular expressions, in place of the list that holds by default: bridges, tunnels
    /// and pods' ends of container networks. An empty list excludes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded_interfaces: Option<Vec<String>>,

    /// Which node has an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
}

/// Which node has an address, among those that are preferred alike. `Hash`, the default: the one that a hash elects of those that
/// live, so that an address returns with its node, which breaks the connections it has by then. `Sticky`: the one that has it, as
/// long as it can; a node that has far more addresses than another one hands some over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ownership {
    /// The one that a hash elects.
    #[default]
    Hash,
    /// The one that has it.
    Sticky,
}

/// What is done before an address is announced that no node of the cluster had before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// Nothing: it is announced at once.
    #[default]
    Announce,
    /// It is asked whether another station has it.
    ProbeFirst,
}

/// How the installation is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetalLBStatus {
    /// `Available`, `Upgradeable`, `Progressing` and `Degraded`, each with its reason. Apart from `Upgradeable`, which
    /// goes with `Available`, exactly one of them is true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// The generation of the object that all of this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The version of the operator that looked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_version: Option<String>,

    /// The backend in force: that of the spec, else the default; of the last good spec while the present one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bgp_backend: Option<String>,

    /// How far each workload is, by what the API server says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub components: Vec<ComponentStatus>,

    /// What controller and speakers make of pools, peers and advertisements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationSummary>,
}

/// How far a workload is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// The workload's name: `controller` or `speaker`.
    pub name: String,

    /// The workload's kind.
    pub kind: String,

    /// The image that its new pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Pods there should be.
    pub desired: i32,

    /// Pods that are as the workload says now. Zero until the last change of it has been picked up.
    pub updated: i32,

    /// Pods that do what they are for, old and new.
    pub ready: i32,

    /// In words, and what keeps pods from being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What controller and speakers make of pools, peers and advertisements, in short. All of it is in their
/// ConfigurationStates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationSummary {
    /// `Valid` when all of them can use all of it, `Invalid` when one cannot, `Unknown` before each has looked.
    pub result: ConfigurationResult,

    /// What is wrong, and who says so; not more than ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,

    /// How many problems are not among those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<i32>,
}
