//! Names that thousands of objects say, each kept once.
//!
//! Not here: whose names they are.

use std::collections::BTreeSet;

use metallb_core::names::{NamespaceName, ServiceKey};

/// Names that were said.
#[derive(Debug)]
pub(super) struct Once<Name>(BTreeSet<Name>);

impl<Name> Default for Once<Name> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<Name: Ord + Clone> Once<Name> {
    /// The name, as it was said first: a copy of that needs no memory.
    pub(super) fn of(&mut self, name: Name) -> Name {
        if let Some(known) = self.0.get(&name) {
            return known.clone();
        }
        self.0.insert(name.clone());
        name
    }

    /// Keeps none of them longer than those who say them.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Once<NamespaceName> {
    /// The service, in a namespace that is kept once.
    pub(super) fn of_service(&mut self, service: &ServiceKey) -> ServiceKey {
        ServiceKey::new(self.of(service.namespace.clone()), service.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(one: &NamespaceName, other: &NamespaceName) -> bool {
        std::ptr::eq(one.as_str(), other.as_str())
    }

    #[test]
    fn services_of_a_namespace_share_its_name() {
        let mut names = Once::default();
        let [web, dns] = ["web", "dns"].map(|name| names.of_service(&ServiceKey::new("default", name)));
        assert_eq!((&web, &dns), (&ServiceKey::new("default", "web"), &ServiceKey::new("default", "dns")));
        assert!(is_same(&web.namespace, &dns.namespace));
        let other = names.of_service(&ServiceKey::new("other", "web"));
        assert_eq!(other.namespace.as_str(), "other");
        names.forget();
        assert!(!is_same(&web.namespace, &names.of("default".into())));
    }
}
