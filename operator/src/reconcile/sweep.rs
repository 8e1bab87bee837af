//! What Kubernetes does not collect when a `MetalLB` goes: what is in no namespace can have no owner in one. Pure.
//!
//! Looked for in every pass, so also by an operator that was not there when the `MetalLB` went. It is the cluster's, not
//! a namespace's: it goes with the last `MetalLB`, so two operators never delete what the other needs.

use super::METALLB;
use super::gather::World;
use super::steps::Superfluous;
use crate::render::{Kind, ObjectId, SPEAKER_CONSTRAINTS};

/// What is in no namespace.
const SWEPT: [(Kind, &str); 1] = [(Kind::SecurityContextConstraints, SPEAKER_CONSTRAINTS)];

/// What of ours is left, and serves no `MetalLB` any more.
pub fn remnants(world: &World) -> Vec<Superfluous> {
    let is_needed = world.metallbs().iter().any(|((_, name), row)| name == METALLB && !row.is_deleting);
    if is_needed {
        return Vec::new();
    }
    let ids = SWEPT.into_iter().map(|(kind, name)| ObjectId::new(kind, name));
    ids.filter_map(|id| {
        let live = world.installed(&id)?;
        // Unmarked it is upstream's, whose pods may still run by it.
        let is_ours = live.owner.is_some() && !live.is_deleting();
        is_ours.then(|| Superfluous { id, uid: live.uid.clone() })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metallb_core::table::Event;
    use metallb_crds::MetalLB;
    use serde_json::json;

    use super::super::gather::{Input, Live, Row};
    use super::*;
    use crate::render::SecurityContextConstraints;

    fn constraints(labels: &serde_json::Value) -> Live {
        let object = json!({
            "apiVersion": "security.openshift.io/v1", "kind": "SecurityContextConstraints",
            "metadata": { "name": SPEAKER_CONSTRAINTS, "uid": "1", "labels": labels },
        });
        Live::of(serde_json::from_value::<SecurityContextConstraints>(object).unwrap()).unwrap()
    }

    fn row(is_deleting: bool) -> Row {
        let metallb: MetalLB = metallb_crds::read(&json!({ "metadata": {}, "spec": {} })).unwrap();
        Row { is_deleting, ..Row::of(Ok(metallb)) }
    }

    /// How many are left, beside those `MetalLB`s.
    fn left(live: Live, metallbs: &[(&str, &str, bool)]) -> usize {
        let mut world = World::default();
        world.apply(Input::Installed(
            Kind::SecurityContextConstraints,
            Event::Applied(SPEAKER_CONSTRAINTS.into(), live),
        ));
        let rows = metallbs.iter().map(|(namespace, name, is_deleting)| {
            (((*namespace).to_owned(), (*name).to_owned()), row(*is_deleting))
        });
        world.apply(Input::MetalLB(Event::Listed(rows.collect::<BTreeMap<_, _>>())));
        remnants(&world).len()
    }

    fn ours() -> Live {
        constraints(&json!({ "metallb.io/swept-by": "metallb-operator" }))
    }

    #[test]
    fn it_goes_with_the_last_metallb_of_the_cluster() {
        assert_eq!(left(ours(), &[]), 1);
        assert_eq!(left(ours(), &[("metallb-system", "metallb", true)]), 1, "that one is about to go");
        assert_eq!(left(ours(), &[("metallb-system", "metallb", false)]), 0);
        assert_eq!(left(ours(), &[("elsewhere", "metallb", false)]), 0, "another operator may need it");
        assert_eq!(left(ours(), &[("metallb-system", "misnamed", false)]), 1, "nobody acts on that");
    }

    #[test]
    fn what_is_not_marked_is_left_to_whoever_made_it() {
        assert_eq!(left(constraints(&json!({ "app": "metallb" })), &[]), 0);
        assert_eq!(left(constraints(&json!({ "metallb.io/swept-by": "somebody" })), &[]), 0);
    }

    #[test]
    fn what_is_being_deleted_is_not_deleted_again() {
        let mut live = ours();
        live.object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(left(live, &[]), 0);
    }
}
