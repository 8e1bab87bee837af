//! The EndpointSlices, by the service they belong to: a service has several, and a slice can change hands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metallb_core::few::FewSet;
use metallb_core::names::{NamespaceName, ServiceKey};
use metallb_core::pack::Pack;
use metallb_core::plan::Endpoints;
use metallb_core::table::{Event, Table};
use metallb_process::watch::ObjectKey;

use super::once::Once;
use metallb_crds::cluster::endpoints::{Slice, merge};

/// A slice: its namespace and its name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SliceName {
    namespace: NamespaceName,
    name: Box<str>,
}

/// Shared by all that is known of a slice: there may be more of them than services.
type SliceKey = Arc<SliceName>;

/// All slices, indexed by service.
#[derive(Debug, Default)]
pub struct Slices {
    all: Table<SliceKey, Slice>,
    of: BTreeMap<ServiceKey, FewSet<SliceKey>>,
    namespaces: Once<NamespaceName>,
}

impl Slices {
    /// Takes in a change. The services whose endpoints may now be different.
    pub fn reduce(&mut self, event: Event<ObjectKey, Slice>) -> BTreeSet<ServiceKey> {
        let is_kept = !matches!(event, Event::Deleted(_));
        let event = event.map_keys(|(namespace, name)| {
            let namespace = namespace.into();
            let namespace = if is_kept { self.namespaces.of(namespace) } else { namespace };
            Arc::new(SliceName { namespace, name: name.into() })
        });
        let mut owners = self.owners(&event);
        let mut services = BTreeSet::new();
        for key in self.all.reduce(event) {
            if let Some(service) = owners.remove(&key) {
                if let Some(slices) = self.of.get_mut(&service) {
                    slices.remove(&key);
                    if slices.is_empty() {
                        self.of.remove(&service);
                    }
                }
                services.insert(service);
            }
            if let Some(slice) = self.all.get(&key) {
                self.of.entry(slice.service.clone()).or_default().insert(key);
                services.insert(slice.service.clone());
            }
        }
        services
    }

    /// Whose the slices are that a change may concern, before it is taken in.
    fn owners(&self, event: &Event<SliceKey, Slice>) -> BTreeMap<SliceKey, ServiceKey> {
        let owner = |(key, slice): (&SliceKey, &Slice)| (key.clone(), slice.service.clone());
        match event {
            Event::Listed(_) => self.all.rows().iter().map(owner).collect(),
            Event::Applied(key, _) | Event::Deleted(key) => {
                self.all.rows().get_key_value(key).map(owner).into_iter().collect()
            }
        }
    }

    /// That service, where it has slices, by the key that these have: the same is kept once.
    pub fn familiar(&self, service: &ServiceKey) -> Option<ServiceKey> {
        self.of.get_key_value(service).map(|(known, _)| known.clone())
    }

    /// What the slices of `service` amount to.
    pub fn endpoints(&self, service: &ServiceKey) -> Endpoints {
        let keys = self.of.get(service).into_iter().flatten();
        merge(keys.filter_map(|key| self.all.get(key)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.rows().len()
    }

    /// Has a complete list been seen?
    pub fn is_listed(&self) -> bool {
        self.all.is_listed()
    }
}

impl Pack for Slices {
    fn pack(&mut self) {
        let Self { all, of, namespaces } = self;
        all.pack();
        of.pack();
        namespaces.forget();
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
