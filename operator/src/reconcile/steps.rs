//! From what is rendered and what is installed to what is to be done. Pure.
//!
//! Two lists, as they are done at different times: what is to be applied goes out at once; what is superfluous goes when
//! its [replacement](is_replaced) is up, for old pods may still need it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::gather::Live;
use super::rollout::Rollout;
use crate::render::{Object, ObjectId};

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// To be applied, in this order.
    pub apply: Vec<Object>,
    /// Of these, what was there as it should be, and is missing or another now.
    pub spoiled: BTreeSet<ObjectId>,
    /// Not asked for any more.
    pub superfluous: Vec<Superfluous>,
}

/// An object that is not asked for any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superfluous {
    /// Which one.
    pub id: ObjectId,
    /// Its uid: another by that name stays.
    pub uid: String,
}

/// An object as it was last sent, and what the API server made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// As it was sent.
    pub sent: Value,
    /// As it was then.
    pub became: Value,
}

/// What is to be done so that everything in `rendered` is there as rendered, and nothing else that the `MetalLB` with
/// the uid `owner` controls.
///
/// An object is left alone when it was sent as it is rendered now, and still is as it was after that: whoever changed
/// it since, the way back is to apply it again.
pub fn steps<'w>(
    rendered: &[Object],
    installed: impl Iterator<Item = (ObjectId, &'w Live)>,
    settled: &BTreeMap<ObjectId, Settled>,
    owner: &str,
) -> serde_json::Result<Steps> {
    let mut installed: BTreeMap<ObjectId, &Live> = installed.collect();
    let mut steps = Steps::default();
    for object in rendered {
        let id = object.id();
        let live = installed.remove(&id);
        let sent_before = match settled.get(&id) {
            Some(Settled { sent, became }) if *sent == object.to_value()? => Some(became),
            Some(_) | None => None,
        };
        if sent_before.is_some() && sent_before == live.map(|live| &live.object) {
            continue;
        }
        if sent_before.is_some() {
            steps.spoiled.insert(id);
        }
        steps.apply.push(object.clone());
    }
    let ours =
        installed.into_iter().filter(|(_, live)| live.owner.as_deref() == Some(owner) && !live.is_deleting());
    steps.superfluous = ours.map(|(id, live)| Superfluous { id, uid: live.uid.clone() }).collect();
    Ok(steps)
}

/// Is everything up that takes the place of what is superfluous? Old pods run with the configuration, the monitors and
/// the helpers of old, so these go after the last of the old pods. Where there are to be no pods at all, nothing has
/// taken anything's place.
pub fn is_replaced(workloads: &[&Rollout]) -> bool {
    workloads.iter().all(|rollout| rollout.is_complete() && !rollout.is_nothing())
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::render::Kind;

    /// What is to be applied, and what goes.
    type Outline = (Vec<Object>, Vec<(ObjectId, String)>);

    const ME: &str = "uid of the MetalLB";

    fn object(name: &str, text: &str) -> Object {
        Object::ConfigMap(Box::new(ConfigMap {
            metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
            data: Some([("text".to_owned(), text.to_owned())].into()),
            ..ConfigMap::default()
        }))
    }

    fn id(name: &str) -> ObjectId {
        ObjectId::new(Kind::ConfigMap, name)
    }

    fn live(text: &str, owner: &str) -> Live {
        let object = json!({ "data": { "text": text }, "metadata": { "defaulted": true } });
        let (owner, rollout) = (Some(owner.to_owned()), None);
        Live { uid: format!("uid of {text}"), owner, is_anothers: false, object, rollout }
    }

    fn settled(object: &Object, live: &Live) -> BTreeMap<ObjectId, Settled> {
        [(object.id(), Settled { sent: object.to_value().unwrap(), became: live.object.clone() })].into()
    }

    fn diff(
        rendered: &[Object],
        installed: &[(&str, &Live)],
        settled: &BTreeMap<ObjectId, Settled>,
    ) -> Outline {
        let installed = installed.iter().map(|(name, live)| (id(name), *live));
        let Steps { apply, spoiled: _, superfluous } = steps(rendered, installed, settled, ME).unwrap();
        (apply, superfluous.into_iter().map(|Superfluous { id, uid }| (id, uid)).collect())
    }

    fn applied(objects: &[&Object]) -> Outline {
        (objects.iter().map(|object| (*object).clone()).collect(), Vec::new())
    }

    #[test]
    fn what_is_as_it_was_left_is_left_alone() {
        let (object, live) = (object("a", "1"), live("1", ME));
        let settled = settled(&object, &live);
        assert_eq!(diff(from_ref(&object), &[("a", &live)], &settled), applied(&[]));
    }

    #[test]
    fn what_is_new_missing_or_of_an_unknown_past_is_applied() {
        let (object, live) = (object("a", "1"), live("1", ME));
        let apply = applied(&[&object]);
        assert_eq!(diff(from_ref(&object), &[], &BTreeMap::new()), apply, "new");
        assert_eq!(diff(from_ref(&object), &[], &settled(&object, &live)), apply, "missing");
        assert_eq!(diff(from_ref(&object), &[("a", &live)], &BTreeMap::new()), apply, "of an unknown past");
    }

    #[test]
    fn what_is_wanted_otherwise_or_was_edited_is_applied() {
        let (before, after) = (object("a", "1"), object("a", "2"));
        let (left, edited) = (live("1", ME), live("edited", ME));
        let settled = settled(&before, &left);
        assert_eq!(diff(from_ref(&after), &[("a", &left)], &settled), applied(&[&after]));
        assert_eq!(diff(from_ref(&before), &[("a", &edited)], &settled), applied(&[&before]));
    }

    #[test]
    fn only_what_was_there_as_it_should_be_can_be_spoiled() {
        let (before, after) = (object("a", "1"), object("a", "2"));
        let (left, edited) = (live("1", ME), live("edited", ME));
        let settled = settled(&before, &left);
        let spoiled = |rendered: &Object, live: Option<&Live>, settled: &BTreeMap<ObjectId, Settled>| {
            let installed = live.map(|live| (id("a"), live)).into_iter();
            !steps(from_ref(rendered), installed, settled, ME).unwrap().spoiled.is_empty()
        };
        assert!(spoiled(&before, Some(&edited), &settled) && spoiled(&before, None, &settled));
        assert!(!spoiled(&before, Some(&left), &settled), "as it was left");
        assert!(!spoiled(&after, Some(&left), &settled), "wanted otherwise");
        assert!(!spoiled(&before, Some(&edited), &BTreeMap::new()), "of an unknown past");
    }

    #[test]
    fn what_is_ours_and_no_longer_rendered_is_superfluous() {
        let (new, old, anothers) = (object("z", "1"), live("old", ME), live("x", "uid of another MetalLB"));
        assert_eq!(
            diff(from_ref(&new), &[("a", &old), ("b", &anothers)], &BTreeMap::new()),
            (vec![new], vec![(id("a"), "uid of old".into())])
        );
    }

    #[test]
    fn what_is_being_deleted_need_not_be_deleted_again() {
        let mut old = live("old", ME);
        old.object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(diff(&[], &[("a", &old)], &BTreeMap::new()), applied(&[]));
    }

    #[test]
    fn old_things_are_replaced_when_all_new_pods_are_up_and_there_are_some() {
        let complete = |pods| Rollout {
            observed: true,
            desired: pods,
            total: pods,
            updated: pods,
            ready: pods,
            trouble: None,
        };
        let stuck = Rollout { ready: 2, ..complete(3) };
        let unknown = Rollout::default();
        assert!(is_replaced(&[&complete(1), &complete(3)]));
        for other in [&stuck, &unknown, &complete(0)] {
            assert!(
                !is_replaced(&[&complete(1), other]) && !is_replaced(&[other, &complete(3)]),
                "{other:?}"
            );
        }
    }
}
