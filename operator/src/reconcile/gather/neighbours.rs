//! What is not installed by the operator and matters to it: pods that speak to routers, frr-k8s, and what controller and
//! speakers say of the configuration.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResource;
use metallb_crds::cluster::pod::{Condition, is_ours, is_ready};
use metallb_crds::{ConfigurationResult, ConfigurationState};
use serde::{Deserialize, Serialize};

/// A pod that speaks to routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRow {
    /// `metadata.uid`
    pub uid: String,
    /// Where it runs; empty before that is decided.
    pub node: String,
    /// What it is.
    pub role: Role,
    /// It does what it is for.
    pub is_ready: bool,
    /// Its deletion has been asked for.
    pub is_deleting: bool,
}

/// What such a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A speaker, upstream's or ours, with the generation of its template.
    Speaker {
        /// As the DaemonSet's controller labels pods.
        generation: Option<String>,
        /// One of ours.
        is_ours: bool,
    },
    /// Of frr-k8s.
    FrrK8s,
}

/// As much of a Pod as is read.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default)]
    node_name: String,
}

#[derive(Debug, Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

/// The pods of interest. Both upstream's labels and ours.
pub(super) const POD_LABELS: &str = "app in (metallb, frr-k8s)";
const GENERATION_LABEL: &str = "pod-template-generation";

impl PodRow {
    pub(super) fn of(pod: Pod) -> Option<Self> {
        let Pod { metadata, spec, status } = pod;
        let labels = metadata.labels.clone().unwrap_or_default();
        let label = |key: &str| labels.get(key).map(String::as_str);
        let role = match (label("app"), label("component")) {
            (Some("frr-k8s"), _) => Role::FrrK8s,
            (Some("metallb"), Some("speaker")) => {
                let is_ours = is_ours(metadata.annotations.as_ref());
                Role::Speaker { generation: labels.get(GENERATION_LABEL).cloned(), is_ours }
            }
            (Some(_) | None, _) => return None,
        };
        Some(Self {
            uid: metadata.uid.unwrap_or_default(),
            node: spec.node_name,
            role,
            is_ready: is_ready(&status.conditions),
            is_deleting: metadata.deletion_timestamp.is_some(),
        })
    }
}

/// A DaemonSet of an frr-k8s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// There are nodes for it.
    pub runs: bool,
}

/// As much of a DaemonSet as is read.
#[derive(Debug, Deserialize)]
pub(super) struct DaemonSet {
    metadata: ObjectMeta,
    #[serde(default)]
    status: DaemonSetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DaemonSetStatus {
    #[serde(default)]
    desired_number_scheduled: i32,
    #[serde(default)]
    observed_generation: i64,
}

impl Daemon {
    /// Of one that is called so: manifests, chart and network operators give it names that hold this.
    pub(super) fn of(set: DaemonSet) -> Option<Self> {
        let DaemonSet { metadata, status } = set;
        let name = metadata.name.unwrap_or_default();
        // One that nobody has looked at yet will have pods.
        let runs = status.observed_generation == 0 || status.desired_number_scheduled > 0;
        (name.contains("frr-k8s") && metadata.deletion_timestamp.is_none()).then_some(Self { runs })
    }
}

/// The kind that configures frr-k8s. What it says is of no interest here.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "frrk8s.metallb.io",
    version = "v1beta1",
    kind = "FRRConfiguration",
    namespaced,
    schema = "disabled"
)]
pub struct FRRConfigurationSpec {}

/// As much of an object as says which it is.
#[derive(Debug, Deserialize)]
pub(super) struct Named {}

/// What a controller or a speaker says of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub result: ConfigurationResult,
    /// What is wrong: every cause.
    pub causes: Vec<String>,
}

impl Judgement {
    pub(super) fn of(state: ConfigurationState) -> Self {
        let status = state.status.unwrap_or_default();
        let of_condition = status.conditions.iter().flat_map(|condition| {
            let is_bad = condition.status != "True";
            condition.message.lines().filter(move |line| is_bad && !line.trim().is_empty())
        });
        let mut causes: Vec<String> = of_condition.map(|line| without_prefix(line).to_owned()).collect();
        if causes.is_empty() {
            let summary = status.error_summary.filter(|text| !text.trim().is_empty());
            causes.extend(summary.map(|text| without_prefix(&text).to_owned()));
        }
        Self { result: status.result.unwrap_or_default(), causes }
    }
}

/// What upstream's tools expect in front of every cause tells nobody anything here.
fn without_prefix(cause: &str) -> &str {
    cause.trim().trim_start_matches("configuration error: ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(labels: &Value, ready: &str) -> Option<PodRow> {
        let pod = json!({
            "metadata": { "uid": "1", "labels": labels }, "spec": { "nodeName": "n1" },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        });
        PodRow::of(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn speakers_and_frr_k8s_are_told_apart_by_upstreams_labels() {
        let speaker = json!({ "app": "metallb", "component": "speaker", "pod-template-generation": "3" });
        let row = pod(&speaker, "True").unwrap();
        assert_eq!(row.role, Role::Speaker { generation: Some("3".into()), is_ours: false });
        assert!(row.is_ready && row.node == "n1" && !row.is_deleting);
        let frr = json!({ "app": "frr-k8s", "app.kubernetes.io/component": "frr-k8s" });
        assert_eq!(pod(&frr, "False").unwrap().role, Role::FrrK8s);
        assert!(!pod(&frr, "False").unwrap().is_ready);
        assert_eq!(pod(&json!({ "app": "metallb", "component": "controller" }), "True"), None);
    }

    #[test]
    fn an_frr_k8s_is_known_by_its_name_and_runs_where_there_are_nodes_for_it() {
        let daemon = |name: &str, desired: i32| {
            let status = json!({ "desiredNumberScheduled": desired, "observedGeneration": 1 });
            Daemon::of(
                serde_json::from_value(json!({ "metadata": { "name": name }, "status": status })).unwrap(),
            )
        };
        assert_eq!(daemon("frr-k8s", 2), Some(Daemon { runs: true }));
        assert_eq!(daemon("release-frr-k8s", 0), Some(Daemon { runs: false }));
        assert_eq!(daemon("speaker", 2), None);
    }

    #[test]
    fn every_cause_is_told_and_once() {
        let condition = |status: &str, message: &str| {
            json!({
                "type": "poolReconcilerValid", "status": status, "reason": "X", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let judge = |status: Value| {
            Judgement::of(serde_json::from_value(json!({ "metadata": {}, "status": status })).unwrap())
        };
        let two = "configuration error: pool a is empty\nconfiguration error: pool b is";
        let invalid = judge(json!({
            "result": "Invalid", "errorSummary": "configuration error: pool a is empty",
            "conditions": [condition("False", two)],
        }));
        assert_eq!(invalid.causes, ["pool a is empty", "pool b is"]);
        let upstreams = judge(json!({ "result": "Invalid", "errorSummary": "configuration error: x" }));
        assert_eq!(upstreams.causes, ["x"]);
        let valid = judge(json!({ "result": "Valid", "conditions": [condition("True", "all is well")] }));
        assert_eq!(valid, Judgement { result: ConfigurationResult::Valid, causes: Vec::new() });
    }
}
