//! Labels and the selectors that match them (`metav1.LabelSelector`).
//!
//! Not here: what is selected. A list of selectors is OR, see [`any_matches`]; inside one selector everything must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A label selector that parsed: operators are known, and values are where they belong.
///
/// The empty selector matches everything. Values are sets, so two selectors that mean the same are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector(BTreeSet<Requirement>);

/// One condition of a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// The label is there and its value is one of these (`matchLabels`, or `In`).
    In(String, BTreeSet<String>),
    /// The label is missing, or its value is none of these.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label is missing.
    DoesNotExist(String),
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

impl Requirement {
    fn key(&self) -> &str {
        match self {
            Self::In(key, _) | Self::NotIn(key, _) | Self::Exists(key) | Self::DoesNotExist(key) => key,
        }
    }

    /// Are there labels for which both hold?
    fn could_hold_with(&self, other: &Self) -> bool {
        if self.key() != other.key() {
            return true;
        }
        match (self, other) {
            (Self::In(_, ours), Self::In(_, theirs)) => !ours.is_disjoint(theirs),
            (Self::In(_, wanted), Self::NotIn(_, not)) | (Self::NotIn(_, not), Self::In(_, wanted)) => {
                !wanted.is_subset(not)
            }
            (Self::In(..) | Self::Exists(_), Self::DoesNotExist(_))
            | (Self::DoesNotExist(_), Self::In(..) | Self::Exists(_)) => false,
            (Self::In(..), Self::Exists(_))
            | (Self::Exists(_), Self::In(..) | Self::Exists(_) | Self::NotIn(..))
            | (Self::NotIn(..), Self::NotIn(..) | Self::Exists(_) | Self::DoesNotExist(_))
            | (Self::DoesNotExist(_), Self::NotIn(..) | Self::DoesNotExist(_)) => true,
        }
    }
}

impl Selector {
    /// May there be labels that both match? False only where it is certain that there are none.
    pub fn could_match_with(&self, other: &Self) -> bool {
        self.0.iter().all(|ours| other.0.iter().all(|theirs| ours.could_hold_with(theirs)))
    }

    /// Does every requirement hold for `labels`?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl FromIterator<Requirement> for Selector {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        Self(requirements.into_iter().collect())
    }
}

/// Does at least one of `selectors` match? False for an empty list: what "no selector" means is the caller's rule.
pub fn any_matches<'s>(selectors: impl IntoIterator<Item = &'s Selector>, labels: &Labels) -> bool {
    selectors.into_iter().any(|selector| selector.matches(labels))
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
        match self {
            Self::In(key, values) => write!(f, "{key} in ({})", list(values)),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", list(values)),
            Self::Exists(key) => write!(f, "{key}"),
            Self::DoesNotExist(key) => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn each_operator_matches_what_kubernetes_says_it_matches() {
        let present = labels(&[("zone", "a")]);
        let absent = labels(&[]);
        let cases = [
            (Requirement::In("zone".into(), set(&["a", "b"])), true, false),
            (Requirement::In("zone".into(), set(&["b"])), false, false),
            (Requirement::NotIn("zone".into(), set(&["a"])), false, true),
            (Requirement::NotIn("zone".into(), set(&["b"])), true, true),
            (Requirement::Exists("zone".into()), true, false),
            (Requirement::DoesNotExist("zone".into()), false, true),
        ];
        for (requirement, when_present, when_absent) in cases {
            let selector = Selector::from_iter([requirement.clone()]);
            assert_eq!(selector.matches(&present), when_present, "{requirement} with the label");
            assert_eq!(selector.matches(&absent), when_absent, "{requirement} without the label");
        }
    }

    #[test]
    fn the_empty_selector_matches_everything_and_an_empty_list_nothing() {
        assert!(Selector::default().matches(&labels(&[])));
        assert!(!any_matches([], &labels(&[("zone", "a")])));
    }

    #[test]
    fn all_requirements_of_one_selector_must_hold_but_one_selector_of_a_list_is_enough() {
        let both = Selector::from_iter([
            Requirement::Exists("zone".into()),
            Requirement::In("rack".into(), set(&["1"])),
        ]);
        let other = Selector::from_iter([Requirement::Exists("other".into())]);
        let only_zone = labels(&[("zone", "a")]);
        let complete = labels(&[("zone", "a"), ("rack", "1")]);
        assert!(!any_matches([&both, &other], &only_zone));
        assert!(any_matches([&both, &other], &complete));
    }

    #[test]
    fn selectors_that_no_labels_fit_together_are_found() {
        let one = |requirement: Requirement| Selector::from_iter([requirement]);
        let is_in = |values: &[&str]| one(Requirement::In("zone".into(), set(values)));
        let not_in = |values: &[&str]| one(Requirement::NotIn("zone".into(), set(values)));
        let exists = || one(Requirement::Exists("zone".into()));
        let absent = || one(Requirement::DoesNotExist("zone".into()));
        for (ours, theirs, together) in [
            (is_in(&["a"]), is_in(&["b"]), false),
            (is_in(&["a", "b"]), is_in(&["b"]), true),
            (is_in(&["a"]), not_in(&["a", "b"]), false),
            (is_in(&["a", "c"]), not_in(&["a", "b"]), true),
            (is_in(&["a"]), absent(), false),
            (exists(), absent(), false),
            (exists(), is_in(&["a"]), true),
            (not_in(&["a"]), absent(), true),
            (not_in(&["a"]), not_in(&["b"]), true),
            (is_in(&["a"]), one(Requirement::DoesNotExist("rack".into())), true),
            (Selector::default(), absent(), true),
        ] {
            assert_eq!(ours.could_match_with(&theirs), together, "{ours:?} and {theirs:?}");
            assert_eq!(theirs.could_match_with(&ours), together, "{theirs:?} and {ours:?}");
        }
    }
}
