//! Pods, as far as somebody waits for them.

use serde::Deserialize;

/// One of `status.conditions` of a Pod.
#[derive(Debug, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// Does the API server say that the Pod is ready?
pub fn is_ready(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
