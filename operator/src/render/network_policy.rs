//! NetworkPolicy `controller`: it talks to the API server, and is asked for metrics. Speakers are on the hosts'
//! networks, where no policy holds.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::CONTROLLER;
use super::pod::label_selector;
use super::scene::{Scene, selector};
use crate::wanted::Wanted;

/// Where API servers listen: kubeadm's choice, and that of most who offer managed clusters. Policies see the port
/// behind the Service `kubernetes`.
const API_SERVER_PORTS: [i32; 2] = [6443, 443];

pub(super) fn network_policy(scene: &Scene<'_>, wanted: &Wanted) -> NetworkPolicy {
    let ports: Vec<i32> = wanted.api_server_ports.iter().map(|port| i32::from(*port)).collect();
    let ports = if ports.is_empty() { API_SERVER_PORTS.into() } else { ports };
    let tcp = |port| NetworkPolicyPort {
        port: Some(port),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    NetworkPolicy {
        metadata: scene.metadata(CONTROLLER, &[]),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(selector(CONTROLLER))),
            policy_types: Some(vec!["Egress".to_owned(), "Ingress".to_owned()]),
            egress: Some(vec![NetworkPolicyEgressRule {
                ports: Some(ports.into_iter().map(|port| tcp(IntOrString::Int(port))).collect()),
                to: None,
            }]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(vec![tcp(IntOrString::String("metricshttps".to_owned()))]),
                from: None,
            }]),
        }),
    }
}
