//! What the pods of the speakers tell: on which nodes one runs, and the switches by which all of them go.
//!
//! Not here: what speakers report of addresses ([`super::reports`]).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use kube::ResourceExt;
use metallb_core::names::NodeName;
use metallb_crds::MetalLB;
use metallb_crds::cluster::node::LeavingSigns;
use serde_json::Value;

use super::preflight::cluster::{flag, is_on, variable};
use crate::generate::EXTERNAL_FRRK8S_NAMESPACE;
use crate::render::SPEAKER;
use crate::wanted::Wanted;

/// What is known of the speakers of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Speakers {
    /// The nodes whose speaker runs.
    pub running: BTreeSet<NodeName>,
    /// The nodes that have a speaker's pod, whatever becomes of it.
    pub pods: BTreeSet<NodeName>,
    /// By which switches they go.
    pub switches: Switches,
}

/// What speakers are told by flags and variables, as far as it decides who announces an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    /// Nodes announce that are excluded from external load balancers.
    pub ignore_exclude_lb: bool,
    /// What stands for "this node leaves".
    pub signs: LeavingSigns,
}

impl Speakers {
    /// One that is not ready may wait for a router, and announces all else meanwhile. But the pod of a node that lost its power
    /// says for ever that its container runs: nobody is left to say otherwise, and only its condition is set from outside.
    pub(super) fn of(pods: &[Pod], nodes: &[Node]) -> Self {
        let silent = nodes.iter().filter(|node| is_silent(node)).map(|node| node.name_any().as_str().into());
        let silent: BTreeSet<NodeName> = silent.collect();
        let is_gone = |pod: &Pod| is_unready(pod) && node_of(pod).is_some_and(|node| silent.contains(&node));
        let (running, others): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| runs(pod) && !is_gone(pod));
        let mut containers =
            running.iter().chain(&others).flat_map(|pod| &pod.spec).flat_map(|it| &it.containers);
        Self {
            switches: containers
                .find(|it| it.name == SPEAKER)
                .map(Switches::of_container)
                .unwrap_or_default(),
            running: running.into_iter().filter_map(node_of).collect(),
            pods: pods.iter().filter_map(node_of).collect(),
        }
    }
}

impl Switches {
    /// As the speaker reads them: a flag counts more than the variable of the same meaning.
    fn of_container(container: &Container) -> Self {
        let given = |name, or| flag(container, name).or_else(|| variable(container, or));
        let key = |name, or| given(name, or).filter(|key| !key.is_empty()).map(str::to_owned);
        Self {
            ignore_exclude_lb: is_on(container, "ignore-exclude-lb"),
            signs: LeavingSigns {
                taint: key("leave-taint", "METALLB_LEAVE_TAINT"),
                annotation: key("leave-annotation", "METALLB_LEAVE_ANNOTATION"),
            },
        }
    }

    /// As the operator gives them to speakers; `None` of an object on which it does not act.
    pub(super) fn of_metallb(object: &Value) -> Option<Self> {
        let object: MetalLB = metallb_crds::read(object).ok()?;
        let wanted = Wanted::check(&object.spec, Some(EXTERNAL_FRRK8S_NAMESPACE)).ok()?;
        let signs = wanted.node_leaving;
        Some(Self {
            ignore_exclude_lb: wanted.ignore_exclude_lb,
            signs: LeavingSigns { taint: signs.taint, annotation: signs.annotation },
        })
    }
}

fn node_of(pod: &Pod) -> Option<NodeName> {
    Some(pod.spec.as_ref()?.node_name.as_deref()?.into())
}

fn runs(pod: &Pod) -> bool {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.flat_map(|container| &container.state).any(|state| state.running.is_some())
}

fn is_unready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.type_ == "Ready").any(|condition| condition.status != "True")
}

/// Does its kubelet no longer answer? One that says itself that the node is not ready does.
fn is_silent(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.type_ == "Ready").any(|condition| condition.status == "Unknown")
}

#[cfg(test)]
mod tests;
