//! Where the other speakers are, by their Pods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use metallb_core::address::parse_address;
use metallb_core::names::NodeName;
use metallb_crds::cluster::pod::{Condition, is_ours, is_ready};
use serde::Deserialize;

/// Where a speaker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeName,
    /// Its address, which is the Pod's too.
    pub address: IpAddr,
    /// The API server says that it is ready.
    pub ready: bool,
    /// It sends our heartbeats. If not, it is upstream's, which is about to be replaced.
    pub is_ours: bool,
}

impl Peer {
    /// Reads a speaker's Pod; `None` while it has no node or no address, and once it has ended.
    pub fn of(pod: &SpeakerPod) -> Option<Self> {
        let SpeakerPod {
            metadata: PodMetadata { annotations, deletion_timestamp },
            spec: PodSpec { node_name },
            status: PodStatus { phase, pod_ip, conditions },
        } = pod;
        let ended = matches!(phase.as_deref(), Some("Succeeded" | "Failed"));
        let address = pod_ip.as_deref().and_then(parse_address).filter(|_| !ended)?;
        // Who is told to end stops to announce before it ends to be ready.
        let ready = deletion_timestamp.is_none() && is_ready(conditions.as_deref().unwrap_or_default());
        Some(Self {
            node: node_name.as_deref()?.into(),
            address,
            ready,
            is_ours: is_ours(annotations.as_ref()),
        })
    }
}

/// A speaker's Pod, as far as it matters where it runs.
#[derive(Debug, Deserialize)]
pub struct SpeakerPod {
    #[serde(default)]
    metadata: PodMetadata,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    annotations: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct PodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    conditions: Option<Vec<Condition>>,
}
