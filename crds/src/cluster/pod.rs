//! Pods, as far as somebody waits for them or has to know whose they are.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The annotation that tells pods of ours from upstream's, which have the same labels, names and containers: whoever has it
/// allocates by the lease, sends our heartbeats, and speaks BGP without FRR.
pub const OURS: (&str, &str) = ("metallb.io/implementation", "rust");

/// One of `status.conditions` of a Pod.
#[derive(Debug, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// Is a pod with these annotations one of ours?
pub fn is_ours(annotations: Option<&BTreeMap<String, String>>) -> bool {
    let (key, value) = OURS;
    annotations.and_then(|all| all.get(key)).is_some_and(|mark| mark == value)
}

/// Does the API server say that the Pod is ready?
pub fn is_ready(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
