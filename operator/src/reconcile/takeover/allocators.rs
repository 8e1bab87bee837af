//! Never two controllers that give out addresses without knowing of each other.
//!
//! Ours work by a lease, so of any number one allocates, and an update of the Deployment starts the new pod before the
//! old one ends. Upstream's know nothing of that lease: while one runs, none of ours may. So for the take-over, and until
//! it is complete, the Deployment's strategy is `Recreate`: Kubernetes makes no new pod before the last of the old ones
//! has ended. Meanwhile new services wait for their address; existing ones keep theirs.

use crate::reconcile::gather::Live;
use crate::reconcile::rollout::Rollout;
use crate::render::{ControllerUpdate, is_ours};

/// How the pods of `live`, the Deployment `controller`, are to be replaced.
pub fn update(live: Option<&Live>) -> ControllerUpdate {
    let Some(live) = live else { return ControllerUpdate::Rolling };
    let is_complete = live.rollout.as_ref().is_some_and(Rollout::is_complete);
    let is_recreating = live.text("/spec/strategy/type") == Some("Recreate");
    // The template may be ours while pods of the one before still end.
    if is_ours(&live.object) && (is_complete || !is_recreating) {
        ControllerUpdate::Rolling
    } else {
        ControllerUpdate::Recreate
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::OURS;

    fn live(is_ours: bool, strategy: &str, ready: i32) -> Live {
        let (key, value) = OURS;
        let annotations = if is_ours { json!({ key: value }) } else { json!({}) };
        let spec = json!({
            "strategy": { "type": strategy }, "template": { "metadata": { "annotations": annotations } },
        });
        let rollout = Rollout { observed: true, desired: 1, total: 1, updated: 1, ready, trouble: None };
        Live {
            uid: String::new(),
            owner: None,
            is_anothers: false,
            object: json!({ "spec": spec }),
            rollout: Some(rollout),
        }
    }

    #[test]
    fn upstreams_controller_ends_before_ours_starts_until_ours_is_ready() {
        assert_eq!(update(Some(&live(false, "RollingUpdate", 1))), ControllerUpdate::Recreate);
        assert_eq!(update(Some(&live(false, "Recreate", 1))), ControllerUpdate::Recreate);
        assert_eq!(update(Some(&live(true, "Recreate", 0))), ControllerUpdate::Recreate, "under way");
        assert_eq!(update(Some(&live(true, "Recreate", 1))), ControllerUpdate::Rolling, "done");
    }

    #[test]
    fn ours_know_of_each_other() {
        assert_eq!(update(None), ControllerUpdate::Rolling);
        assert_eq!(update(Some(&live(true, "RollingUpdate", 1))), ControllerUpdate::Rolling);
        assert_eq!(update(Some(&live(true, "RollingUpdate", 0))), ControllerUpdate::Rolling);
    }
}
