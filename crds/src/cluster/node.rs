//! What is read of a Node.

use k8s_openapi::api::core::v1::{Node, NodeAddress};
use metallb_core::address::parse_address;
use metallb_core::plan;

use crate::config;

/// Labels, addresses, and whether the network is unavailable. Readiness, taints and cordons do not matter, as upstream.
pub fn read(node: &Node) -> plan::Node {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut network = conditions.filter(|condition| condition.type_ == "NetworkUnavailable");
    plan::Node {
        labels: node.metadata.labels.clone().unwrap_or_default(),
        network_unavailable: network.any(|condition| condition.status == "True"),
        addresses: addresses(node)
            .filter(|address| address.type_ == "InternalIP")
            .filter_map(|address| parse_address(&address.address))
            .collect(),
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
            let node = read(&serde_json::from_value(node).unwrap());
            assert_eq!(node.network_unavailable, unavailable, "{condition}={status}");
        }
    }
}
