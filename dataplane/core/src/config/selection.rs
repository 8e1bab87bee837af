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
}
