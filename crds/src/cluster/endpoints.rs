//! Which endpoints of a service can serve, and on which nodes.

use metallb_core::few::FewSet;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use metallb_core::names::{NodeName, ServiceKey};
use metallb_core::plan::Endpoints;

/// The label by which a slice says whose it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An EndpointSlice, as far as announcing goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The service it belongs to.
    pub service: ServiceKey,
    /// Its endpoints that can serve.
    pub usable: Endpoints,
}

/// Reads a slice; `None` for one that belongs to no service.
///
/// An endpoint can serve when it is ready (or says nothing about it), or serving: a draining pod still does.
pub fn read(slice: &EndpointSlice) -> Option<Slice> {
    let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    let usable: Vec<_> = slice
        .endpoints
        .iter()
        .filter(|endpoint| {
            endpoint.conditions.as_ref().is_none_or(|conditions| {
                conditions.ready.unwrap_or(true) || conditions.serving.unwrap_or(false)
            })
        })
        .collect();
    let nodes: FewSet<NodeName> =
        usable.iter().filter_map(|endpoint| Some(endpoint.node_name.as_deref()?.into())).collect();
    Some(Slice {
        service: ServiceKey::new(namespace, service.as_str()),
        usable: Endpoints { anywhere: !usable.is_empty(), nodes },
    })
}

/// What several slices of one service amount to: any usable copy of an endpoint suffices.
pub fn merge<'s>(slices: impl IntoIterator<Item = &'s Slice>) -> Endpoints {
    let mut anywhere = false;
    let nodes = slices.into_iter().flat_map(|slice| {
        anywhere |= slice.usable.anywhere;
        slice.usable.nodes.iter().cloned()
    });
    let nodes = nodes.collect();
    Endpoints { anywhere, nodes }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(endpoints: &Value) -> Slice {
        let slice = json!({
            "metadata": { "name": "web-1", "namespace": "default", "labels": { "kubernetes.io/service-name": "web" } },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [],
        });
        read(&serde_json::from_value(slice).unwrap()).unwrap()
    }

    #[test]
    fn an_endpoint_can_serve_when_ready_or_unknown_or_still_serving() {
        for (conditions, usable) in [
            (json!({}), true),
            (json!({ "ready": true }), true),
            (json!({ "ready": true, "serving": false }), true),
            (json!({ "ready": false }), false),
            (json!({ "ready": false, "serving": true, "terminating": true }), true),
            (json!({ "ready": false, "serving": false, "terminating": true }), false),
        ] {
            let endpoint =
                json!([{ "addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": conditions }]);
            assert_eq!(slice(&endpoint).usable.anywhere, usable, "{conditions}");
        }
    }

    #[test]
    fn an_endpoint_without_a_node_serves_but_is_local_nowhere() {
        let merged = merge(&[
            slice(&json!([{ "addresses": ["192.0.2.1"] }])),
            slice(
                &json!([{ "addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": { "ready": false } }]),
            ),
        ]);
        assert_eq!(merged, Endpoints { anywhere: true, nodes: [].into() });
    }

    #[test]
    fn slices_of_one_service_add_up() {
        let on = |node: &str| slice(&json!([{ "addresses": ["10.244.1.2"], "nodeName": node }]));
        let merged = merge(&[on("n1"), on("n2"), on("n1")]);
        assert_eq!(merged.nodes, ["n1".into(), "n2".into()].into());
    }
}
