//! What advertisements select.

use std::collections::BTreeSet;

use crate::labels::{Labels, Selector, any_matches};
use crate::names::PoolName;

/// `spec.ipAddressPools` and `spec.ipAddressPoolSelectors` of an advertisement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSelection {
    /// Pools by name.
    pub names: BTreeSet<PoolName>,
    /// Pools by label.
    pub selectors: Vec<Selector>,
}

impl PoolSelection {
    /// Is the pool `name` with these labels selected? Everything is when neither names nor selectors are given.
    pub fn selects(&self, name: &PoolName, labels: &Labels) -> bool {
        (self.names.is_empty() && self.selectors.is_empty())
            || self.names.contains(name)
            || any_matches(&self.selectors, labels)
    }
}

/// Is there a node that both lists of selectors select? An empty list selects every node.
///
/// Without knowing the nodes (`None`), there may be one unless no labels at all could fit both.
pub fn share_a_node<'n, N>(ours: &[Selector], theirs: &[Selector], nodes: Option<N>) -> bool
where
    N: IntoIterator<Item = &'n Labels>,
{
    let covers = |selectors: &[Selector], node| selectors.is_empty() || any_matches(selectors, node);
    match nodes {
        Some(nodes) => nodes.into_iter().any(|node| covers(ours, node) && covers(theirs, node)),
        None => may_share_a_node(ours, theirs),
    }
}

/// The same while no nodes are known: may there be one that both select?
pub fn may_share_a_node(ours: &[Selector], theirs: &[Selector]) -> bool {
    let together = |one: &Selector| theirs.iter().any(|other| one.could_match_with(other));
    ours.is_empty() || theirs.is_empty() || ours.iter().any(together)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Requirement;

    #[test]
    fn an_advertisement_without_pools_selects_all_and_one_whose_selector_fits_none_selects_none() {
        let all = PoolSelection::default();
        let none = PoolSelection {
            selectors: vec![Selector::from_iter([Requirement::Exists("no-such-label".into())])],
            ..PoolSelection::default()
        };
        assert!(all.selects(&"lab".into(), &Labels::new()));
        assert!(!none.selects(&"lab".into(), &Labels::new()));
    }

    fn named(name: &str) -> Vec<Selector> {
        vec![Selector::from_iter([Requirement::In("name".into(), [name.to_owned()].into())])]
    }

    #[test]
    fn without_knowing_the_nodes_only_selectors_that_exclude_each_other_share_none() {
        let unknown = None::<[&Labels; 0]>;
        assert!(share_a_node(&[], &named("a"), unknown));
        assert!(share_a_node(&named("a"), &named("a"), unknown));
        assert!(!share_a_node(&named("a"), &named("b"), unknown));
        assert!(share_a_node(&[named("a"), named("b")].concat(), &named("b"), unknown));
    }

    #[test]
    fn of_known_nodes_one_must_be_selected_by_both() {
        let (a, b) =
            (Labels::from([("name".into(), "a".into())]), Labels::from([("name".into(), "b".into())]));
        assert!(share_a_node(&named("a"), &[], Some([&a, &b])));
        assert!(!share_a_node(&named("a"), &named("b"), Some([&a, &b])));
        assert!(!share_a_node(&named("c"), &[], Some([&a, &b])));
        assert!(!share_a_node(&[], &[], Some([])), "where there is no node there is none to share");
    }
}
