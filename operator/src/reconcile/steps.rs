//! From what is rendered and what is installed to what is to be done. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::gather::Live;
use crate::render::{Object, ObjectId};

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Apply this.
    Apply(Object),
    /// Delete this, if it still has this uid.
    Delete(ObjectId, String),
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
/// it since, the way back is to apply it again. Deletions come last, so that what replaces an object is there before
/// it goes.
pub fn steps<'w>(
    rendered: &[Object],
    installed: impl Iterator<Item = (ObjectId, &'w Live)>,
    settled: &BTreeMap<ObjectId, Settled>,
    owner: &str,
) -> serde_json::Result<Vec<Step>> {
    let mut installed: BTreeMap<ObjectId, &Live> = installed.collect();
    let mut steps = Vec::new();
    for object in rendered {
        let id = object.id();
        let live = installed.remove(&id);
        let is_settled = match (settled.get(&id), live) {
            (Some(Settled { sent, became }), Some(live)) => {
                *became == live.object && *sent == object.to_value()?
            }
            (None, _) | (_, None) => false,
        };
        if !is_settled {
            steps.push(Step::Apply(object.clone()));
        }
    }
    let superfluous = installed.into_iter().filter(|(_, live)| live.owner == owner);
    steps.extend(superfluous.map(|(id, live)| Step::Delete(id, live.uid.clone())));
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::render::Kind;

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
        Live { uid: format!("uid of {text}"), owner: owner.into(), object, rollout: None }
    }

    fn settled(object: &Object, live: &Live) -> BTreeMap<ObjectId, Settled> {
        [(object.id(), Settled { sent: object.to_value().unwrap(), became: live.object.clone() })].into()
    }

    fn diff(
        rendered: &[Object],
        installed: &[(&str, &Live)],
        settled: &BTreeMap<ObjectId, Settled>,
    ) -> Vec<Step> {
        let installed = installed.iter().map(|(name, live)| (id(name), *live));
        steps(rendered, installed, settled, ME).unwrap()
    }

    #[test]
    fn what_is_as_it_was_left_is_left_alone() {
        let (object, live) = (object("a", "1"), live("1", ME));
        let settled = settled(&object, &live);
        assert_eq!(diff(from_ref(&object), &[("a", &live)], &settled), []);
    }

    #[test]
    fn what_is_new_missing_or_of_an_unknown_past_is_applied() {
        let (object, live) = (object("a", "1"), live("1", ME));
        let apply = [Step::Apply(object.clone())];
        assert_eq!(diff(from_ref(&object), &[], &BTreeMap::new()), apply, "new");
        assert_eq!(diff(from_ref(&object), &[], &settled(&object, &live)), apply, "missing");
        assert_eq!(diff(from_ref(&object), &[("a", &live)], &BTreeMap::new()), apply, "of an unknown past");
    }

    #[test]
    fn what_is_wanted_otherwise_or_was_edited_is_applied() {
        let (before, after) = (object("a", "1"), object("a", "2"));
        let (left, edited) = (live("1", ME), live("edited", ME));
        let settled = settled(&before, &left);
        assert_eq!(diff(from_ref(&after), &[("a", &left)], &settled), [Step::Apply(after)]);
        assert_eq!(diff(from_ref(&before), &[("a", &edited)], &settled), [Step::Apply(before)]);
    }

    #[test]
    fn what_is_ours_and_no_longer_rendered_is_deleted_after_everything_else() {
        let (new, old, anothers) = (object("z", "1"), live("old", ME), live("x", "uid of another MetalLB"));
        assert_eq!(
            diff(from_ref(&new), &[("a", &old), ("b", &anothers)], &BTreeMap::new()),
            [Step::Apply(new), Step::Delete(id("a"), "uid of old".into())]
        );
    }
}
