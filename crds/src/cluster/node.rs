//! What is read of a Node.

use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition};
use metallb_core::address::parse_address;
use metallb_core::plan::{self, Leaving};

use crate::config;

/// What stands for "this node leaves", where the user chose something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeavingSigns {
    /// The key of a taint.
    pub taint: Option<String>,
    /// The key of an annotation.
    pub annotation: Option<String>,
}

/// How a kubelet words, in the condition Ready, that it shuts its node down.
const SHUTTING_DOWN: &str = "node is shutting down";

/// Labels, addresses, whether the network is unavailable, and signs that it leaves. Other taints, readiness for other
/// reasons and cordons do not matter, as upstream.
pub fn read(node: &Node, signs: &LeavingSigns) -> plan::Node {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut network = conditions.filter(|condition| condition.type_ == "NetworkUnavailable");
    plan::Node {
        labels: node.metadata.labels.clone().unwrap_or_default(),
        network_unavailable: network.any(|condition| condition.status == "True"),
        addresses: addresses(node)
            .filter(|address| address.type_ == "InternalIP")
            .filter_map(|address| parse_address(&address.address))
            .collect(),
        leaving: leaving(node, signs),
    }
}

fn leaving(node: &Node, signs: &LeavingSigns) -> Option<Leaving> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "False");
    let shutting_down = |condition: &NodeCondition| {
        condition.message.as_deref().is_some_and(|message| message.contains(SHUTTING_DOWN))
    };
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let annotated = |key: &String| node.metadata.annotations.iter().any(|all| all.contains_key(key));
    if node.metadata.deletion_timestamp.is_some() {
        Some(Leaving::Deleted)
    } else if ready.any(shutting_down) {
        Some(Leaving::ShuttingDown)
    } else if signs.taint.as_ref().is_some_and(|key| taints.any(|taint| taint.key == *key)) {
        Some(Leaving::Tainted)
    } else {
        signs.annotation.as_ref().filter(|key| annotated(key)).map(|_| Leaving::Annotated)
    }
}

/// What the rules of the configuration ask of it.
pub fn configured(node: &Node) -> config::Node {
    config::Node {
        labels: node.metadata.labels.clone().unwrap_or_default(),
        addresses: addresses(node).filter_map(|address| parse_address(&address.address)).collect(),
    }
}

fn addresses(node: &Node) -> impl Iterator<Item = &NodeAddress> {
    node.status.iter().flat_map(|status| status.addresses.iter().flatten())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_condition_network_unavailable_with_status_true_matters() {
        for (condition, status, unavailable) in [
            ("NetworkUnavailable", "True", true),
            ("NetworkUnavailable", "False", false),
            ("NetworkUnavailable", "Unknown", false),
            ("Ready", "False", false),
            ("MemoryPressure", "True", false),
        ] {
            let node = json!({
                "metadata": { "name": "n1" },
                "spec": { "unschedulable": true },
                "status": { "conditions": [{ "type": condition, "status": status }] },
            });
            let node = read(&serde_json::from_value(node).unwrap(), &LeavingSigns::default());
            assert_eq!(node.network_unavailable, unavailable, "{condition}={status}");
        }
    }

    #[test]
    fn a_node_leaves_by_signs_that_last_and_not_by_a_cordon() {
        let signs =
            LeavingSigns { taint: Some("out".to_owned()), annotation: Some("example.org/out".to_owned()) };
        let ready = |status: &str, message: &str| json!({ "conditions": [{ "type": "Ready", "status": status, "message": message }] });
        let taint = |key: &str| json!({ "taints": [{ "key": key, "effect": "NoSchedule" }] });
        for (metadata, spec, status, leaving) in [
            (json!({}), json!({ "unschedulable": true }), json!({}), None),
            (json!({}), taint("node.kubernetes.io/unschedulable"), json!({}), None),
            (json!({}), taint("out"), json!({}), Some(Leaving::Tainted)),
            (
                json!({ "annotations": { "example.org/out": "" } }),
                json!({}),
                json!({}),
                Some(Leaving::Annotated),
            ),
            (json!({}), json!({}), ready("False", "PLEG is not healthy"), None),
            (json!({}), json!({}), ready("True", "node is shutting down"), None),
            (json!({}), json!({}), ready("False", "node is shutting down"), Some(Leaving::ShuttingDown)),
            (
                json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }),
                json!({}),
                json!({}),
                Some(Leaving::Deleted),
            ),
        ] {
            let node = json!({ "metadata": metadata, "spec": spec, "status": status });
            let node = read(&serde_json::from_value(node.clone()).unwrap(), &signs);
            assert_eq!(node.leaving, leaving, "{metadata} {spec} {status}");
        }
    }
}
