//! SecurityContextConstraints `metallb-speaker`: what OpenShift lets the pods of the speakers do, and nothing else.
//!
//! The one object that is in no namespace. It can belong to nothing that is in one, so it has no owner and a
//! [label](SWEPT) instead, by which the operator finds it when the last `MetalLB` is gone. Which accounts may use it is
//! said by the Role `speaker`, which is installed with the operator.
//!
//! There is one for all operators of a cluster, and each puts right what differs from its own, at once. So it depends
//! neither on a `MetalLB` nor on the version of the operator: two would change it back and forth for ever. Pods have no
//! more for it than they ask for.

use std::borrow::Cow;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::scene::{map, metadata_in_no_namespace};
use super::speaker;

/// Its name, upstream's.
pub const SPEAKER_CONSTRAINTS: &str = "metallb-speaker";
/// The label of what no owner takes with it.
pub const SWEPT: (&str, &str) = ("metallb.io/swept-by", "metallb-operator");

/// The parts of SecurityContextConstraints that are set here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "fields of OpenShift")]
pub struct SecurityContextConstraints {
    /// Version and kind.
    #[serde(flatten)]
    pub types: Option<TypeMeta>,
    /// Name and labels.
    pub metadata: ObjectMeta,
    /// The network of the host.
    #[serde(default)]
    pub allow_host_network: bool,
    /// Ports of the host.
    #[serde(default)]
    pub allow_host_ports: bool,
    /// Directories of the host.
    #[serde(default)]
    pub allow_host_dir_volume_plugin: bool,
    /// Its inter-process communication.
    #[serde(default, rename = "allowHostIPC")]
    pub allow_host_ipc: bool,
    /// Its processes.
    #[serde(default, rename = "allowHostPID")]
    pub allow_host_pid: bool,
    /// Everything.
    #[serde(default)]
    pub allow_privileged_container: bool,
    /// More rights than the process had that started another. Unsaid, this is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_privilege_escalation: Option<bool>,
    /// Capabilities that containers may ask for.
    #[serde(default)]
    pub allowed_capabilities: Option<Vec<String>>,
    /// Those that they are given unasked.
    #[serde(default)]
    pub default_add_capabilities: Option<Vec<String>>,
    /// Those that they may not keep.
    #[serde(default)]
    pub required_drop_capabilities: Option<Vec<String>>,
    /// Kinds of volumes.
    #[serde(default)]
    pub volumes: Option<Vec<String>>,
    /// Filters of system calls that pods may name. Empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp_profiles: Option<Vec<String>>,
    /// Must the root file system be read-only?
    #[serde(default)]
    pub read_only_root_filesystem: bool,
    /// Which user containers run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<Strategy>,
    /// With which `SELinux` labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub se_linux_context: Option<Strategy>,
    /// As which group volumes are theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<Strategy>,
    /// In which groups they are besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplemental_groups: Option<Strategy>,
    /// Who may use it, besides those whom a role lets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<String>>,
    /// The same, by group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Which of several is tried first.
    #[serde(default)]
    pub priority: Option<i32>,
}

/// How a value is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    /// `RunAsAny`: as the pod asks.
    #[serde(rename = "type")]
    pub type_: String,
}

impl Resource for SecurityContextConstraints {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "SecurityContextConstraints".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "security.openshift.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "securitycontextconstraints".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// For pods of speakers as they are [rendered](speaker::daemon_set), whatever the `MetalLB` says.
pub(super) fn security_context_constraints() -> SecurityContextConstraints {
    let as_the_pod_asks = || Some(Strategy { type_: "RunAsAny".to_owned() });
    let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
    let mut metadata = metadata_in_no_namespace(SPEAKER_CONSTRAINTS, &[SWEPT]);
    metadata.annotations = Some(map([(
        "kubernetes.io/description",
        "What MetalLB's speakers need: the network of their node, and raw sockets on it.",
    )]));
    SecurityContextConstraints {
        types: Some(TypeMeta::resource::<SecurityContextConstraints>()),
        metadata,
        allow_host_network: true,
        // Every port of a container on the host's network is one of the host.
        allow_host_ports: true,
        allow_host_dir_volume_plugin: false,
        allow_host_ipc: false,
        allow_host_pid: false,
        allow_privileged_container: false,
        allow_privilege_escalation: Some(false),
        // One more than upstream's, for those that listen on a low port.
        allowed_capabilities: list(speaker::CAPABILITIES),
        default_add_capabilities: list(&[]),
        required_drop_capabilities: list(&["ALL"]),
        volumes: list(&["configMap", "downwardAPI", "emptyDir", "projected", "secret"]),
        // The pods name it, and may name none unless it is listed.
        seccomp_profiles: list(&["runtime/default"]),
        read_only_root_filesystem: false,
        run_as_user: as_the_pod_asks(),
        se_linux_context: as_the_pod_asks(),
        fs_group: as_the_pod_asks(),
        supplemental_groups: as_the_pod_asks(),
        users: list(&[]),
        groups: list(&[]),
        // What no value means too. The field has to be there, and server-side apply sends no null.
        priority: Some(0),
    }
}
