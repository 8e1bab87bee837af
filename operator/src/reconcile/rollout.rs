//! How far a workload is, by its own status.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};

/// How far a workload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The status is about the present spec. Before that its numbers mean nothing.
    pub observed: bool,
    /// Pods there should be.
    pub desired: i32,
    /// Pods there are, old and new.
    pub total: i32,
    /// Pods as the present spec says.
    pub updated: i32,
    /// Pods that are ready, old and new.
    pub ready: i32,
    /// What keeps pods from being made.
    pub trouble: Option<String>,
}

impl Rollout {
    /// Is one pod there as the present spec says, and ready? Unless none is wanted.
    pub fn has_one(&self) -> bool {
        self.observed && (self.desired == 0 || self.updated.min(self.ready) > 0)
    }

    /// Of the speakers.
    pub fn of_daemon_set(set: &DaemonSet) -> Self {
        let Some(status) = &set.status else { return Self::default() };
        Self {
            observed: is_observed(set.metadata.generation, status.observed_generation),
            desired: status.desired_number_scheduled,
            total: status.current_number_scheduled,
            updated: status.updated_number_scheduled.unwrap_or_default(),
            ready: status.number_ready,
            trouble: None,
        }
    }

    /// Of the controller.
    pub fn of_deployment(deployment: &Deployment) -> Self {
        let desired = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let Some(status) = &deployment.status else { return Self { desired, ..Self::default() } };
        let failure = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
        Self {
            observed: is_observed(deployment.metadata.generation, status.observed_generation),
            desired,
            total: status.replicas.unwrap_or_default(),
            updated: status.updated_replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            trouble: failure.and_then(|condition| condition.message.clone()),
        }
    }

    /// Are all pods there should be new and ready, and the old ones gone? True of no pods at all, too.
    pub fn is_complete(&self) -> bool {
        let Self { observed, desired, total, updated, ready, trouble: _ } = self;
        *observed && [total, updated, ready].into_iter().all(|count| count == desired)
    }

    /// Is it certain that there should be no pods?
    pub fn is_nothing(&self) -> bool {
        self.observed && self.desired == 0
    }

    /// In words.
    pub fn sentence(&self) -> String {
        let Self { observed, desired, total, updated, ready, trouble } = self;
        if !observed {
            return "the change has not been picked up yet".to_owned();
        }
        let updated = if updated == desired { String::new() } else { format!(", {updated} updated") };
        let old = if total > desired { format!(", {} to go", total - desired) } else { String::new() };
        let trouble = trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        format!("{ready} of {desired} pods ready{updated}{old}{trouble}")
    }
}

fn is_observed(generation: Option<i64>, observed: Option<i64>) -> bool {
    observed.is_some_and(|observed| Some(observed) == generation)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn daemon_set(changes: &Value) -> Rollout {
        let mut status = json!({
            "observedGeneration": 4, "desiredNumberScheduled": 3, "currentNumberScheduled": 3,
            "updatedNumberScheduled": 3, "numberReady": 3, "numberMisscheduled": 0,
        });
        merge(&mut status, changes);
        let set = json!({ "metadata": { "generation": 4 }, "status": status });
        Rollout::of_daemon_set(&serde_json::from_value(set).unwrap())
    }

    fn deployment(replicas: Option<i32>, changes: &Value) -> Rollout {
        let mut status =
            json!({ "observedGeneration": 4, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1 });
        merge(&mut status, changes);
        let spec = json!({ "replicas": replicas, "selector": {}, "template": {} });
        let deployment = json!({ "metadata": { "generation": 4 }, "spec": spec, "status": status });
        Rollout::of_deployment(&serde_json::from_value(deployment).unwrap())
    }

    fn merge(status: &mut Value, changes: &Value) {
        for (key, value) in changes.as_object().unwrap() {
            status[key] = value.clone();
        }
    }

    #[test]
    fn speakers_are_rolled_out_when_every_number_is_the_desired_one() {
        assert!(daemon_set(&json!({})).is_complete());
        for changes in [
            json!({ "observedGeneration": 3 }),
            json!({ "currentNumberScheduled": 2 }),
            json!({ "numberReady": 2 }),
            json!({ "updatedNumberScheduled": 2 }),
            json!({ "updatedNumberScheduled": null }),
            json!({ "desiredNumberScheduled": 4 }),
        ] {
            assert!(!daemon_set(&changes).is_complete(), "{changes}");
        }
    }

    #[test]
    fn a_controller_is_rolled_out_when_the_new_pods_are_ready_and_the_old_ones_gone() {
        assert!(deployment(Some(1), &json!({})).is_complete());
        assert!(deployment(None, &json!({})).is_complete(), "one replica is the default");
        for changes in [
            json!({ "observedGeneration": 3 }),
            json!({ "readyReplicas": 0 }),
            json!({ "updatedReplicas": 0 }),
            json!({ "replicas": 2 }), // the ready one is the old one
        ] {
            assert!(!deployment(Some(1), &changes).is_complete(), "{changes}");
        }
        assert!(!deployment(Some(2), &json!({})).is_complete());
    }

    #[test]
    fn a_workload_without_status_is_not_rolled_out() {
        let empty = |kind: &str| json!({ "kind": kind, "metadata": { "generation": 1 } });
        let set = Rollout::of_daemon_set(&serde_json::from_value(empty("DaemonSet")).unwrap());
        let deployment = Rollout::of_deployment(&serde_json::from_value(empty("Deployment")).unwrap());
        for rollout in [set, deployment] {
            assert!(!rollout.is_complete() && !rollout.is_nothing());
            assert_eq!(rollout.sentence(), "the change has not been picked up yet");
        }
    }

    #[test]
    fn no_desired_pods_is_something_else_than_not_knowing() {
        let none = json!({
            "desiredNumberScheduled": 0, "currentNumberScheduled": 0, "updatedNumberScheduled": 0, "numberReady": 0,
        });
        assert!(daemon_set(&none).is_nothing());
        assert!(!daemon_set(&json!({})).is_nothing());
    }

    #[test]
    fn the_sentence_says_what_is_missing() {
        let sentence = |changes| daemon_set(&changes).sentence();
        assert_eq!(sentence(json!({})), "3 of 3 pods ready");
        assert_eq!(sentence(json!({ "numberReady": 2 })), "2 of 3 pods ready");
        assert_eq!(
            sentence(json!({ "numberReady": 2, "updatedNumberScheduled": 1 })),
            "2 of 3 pods ready, 1 updated"
        );
        let forbidden = json!({
            "replicas": 0, "updatedReplicas": 0, "readyReplicas": 0,
            "conditions": [{ "type": "ReplicaFailure", "status": "True", "message": "quota exceeded" }],
        });
        assert_eq!(
            deployment(Some(1), &forbidden).sentence(),
            "0 of 1 pods ready, 0 updated (quota exceeded)"
        );
        assert_eq!(deployment(Some(1), &json!({ "replicas": 2 })).sentence(), "1 of 1 pods ready, 1 to go");
    }
}
