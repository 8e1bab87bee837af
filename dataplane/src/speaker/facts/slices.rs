//! The EndpointSlices, by the service they belong to: a service has several, and a slice can change hands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metallb_core::few::FewSet;
use metallb_core::names::ServiceKey;
use metallb_core::plan::Endpoints;
use metallb_core::table::{Event, Table};
use metallb_process::watch::ObjectKey;

use metallb_crds::cluster::endpoints::{Slice, merge};

/// Shared by all that is known of a slice: there may be more of them than services.
type SliceKey = Arc<ObjectKey>;

/// All slices, indexed by service.
#[derive(Debug, Default)]
pub struct Slices {
    all: Table<SliceKey, Slice>,
    owner: BTreeMap<SliceKey, ServiceKey>,
    of: BTreeMap<ServiceKey, FewSet<SliceKey>>,
}

impl Slices {
    /// Takes in a change. The services whose endpoints may now be different.
    pub fn reduce(&mut self, event: Event<ObjectKey, Slice>) -> BTreeSet<ServiceKey> {
        let mut services = BTreeSet::new();
        for key in self.all.reduce(event.map_keys(Arc::new)) {
            if let Some(service) = self.owner.remove(&key) {
                if let Some(slices) = self.of.get_mut(&service) {
                    slices.remove(&key);
                    if slices.is_empty() {
                        self.of.remove(&service);
                    }
                }
                services.insert(service);
            }
            if let Some(slice) = self.all.get(&key) {
                self.of.entry(slice.service.clone()).or_default().insert(key.clone());
                self.owner.insert(key, slice.service.clone());
                services.insert(slice.service.clone());
            }
        }
        services
    }

    /// What the slices of `service` amount to.
    pub fn endpoints(&self, service: &ServiceKey) -> Endpoints {
        let keys = self.of.get(service).into_iter().flatten();
        merge(keys.filter_map(|key| self.all.get(key)))
    }

    /// Has a complete list been seen?
    pub fn is_listed(&self) -> bool {
        self.all.is_listed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(service: &str, node: &str) -> Slice {
        let usable = Endpoints { anywhere: true, nodes: [node.into()].into() };
        Slice { service: ServiceKey::new("default", service), usable }
    }

    fn applied(name: &str, slice: Slice) -> Event<ObjectKey, Slice> {
        Event::Applied(("default".into(), name.into()), slice)
    }

    #[test]
    fn a_slice_that_changes_hands_touches_both_services() {
        let (web, dns) = (ServiceKey::new("default", "web"), ServiceKey::new("default", "dns"));
        let mut slices = Slices::default();
        assert_eq!(slices.reduce(applied("a", slice("web", "n1"))), [web.clone()].into());
        assert_eq!(slices.reduce(applied("b", slice("web", "n2"))), [web.clone()].into());
        assert_eq!(slices.endpoints(&web).nodes, ["n1".into(), "n2".into()].into());
        assert_eq!(slices.reduce(applied("a", slice("dns", "n1"))), [web.clone(), dns.clone()].into());
        assert_eq!(slices.endpoints(&web).nodes, ["n2".into()].into());
        assert_eq!(slices.endpoints(&dns).nodes, ["n1".into()].into());
        assert_eq!(slices.reduce(Event::Listed(BTreeMap::new())), [web.clone(), dns].into());
        assert_eq!(slices.endpoints(&web), Endpoints::default());
    }
}
