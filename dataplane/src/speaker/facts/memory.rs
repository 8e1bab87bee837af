//! What is known, in little memory: names that many say are kept once, and maps are as small as what is in them.

use std::sync::Arc;

use metallb_core::names::{PoolName, ServiceKey};
use metallb_core::pack::Pack as _;
use metallb_core::plan::Endpoints;
use metallb_core::table::Event;

use super::once::Once;
use super::{Facts, Row};
use metallb_crds::cluster::endpoints::Slice;

/// When one part of so many has changed, what is known takes much more memory than it needs.
const LOOSE: usize = 8;
/// Fewer are not worth the work.
const FEW: usize = 100;

impl Row {
    /// With the name of its pool from among those.
    fn sharing(mut self, pools: &mut Once<PoolName>) -> Self {
        if let Some(service) = Arc::get_mut(&mut self.service) {
            service.allocated_from = service.allocated_from.take().map(|pool| pools.of(pool));
        }
        self
    }
}

impl Facts {
    /// The change, with names that are known already. What is gone is not kept, and its name need not be.
    pub(super) fn sharing_names(&mut self, event: Event<ServiceKey, Row>) -> Event<ServiceKey, Row> {
        if matches!(event, Event::Deleted(_)) {
            return event;
        }
        let known = |service: &ServiceKey| self.slices.familiar(service);
        let event =
            event.map_keys(|service| known(&service).unwrap_or_else(|| self.namespaces.of_service(&service)));
        event.map_values(|row| row.sharing(&mut self.pools))
    }

    /// The slice, with names that are known already: there may be ten thousand that say the same.
    pub(super) fn sharing(&mut self, slice: Slice) -> Slice {
        let Slice { service, usable: Endpoints { anywhere, nodes } } = slice;
        let nodes = nodes.into_iter().map(|node| self.nodes.familiar(node)).collect();
        let known = self.services.rows().get_key_value(&service).map(|(known, _)| known.clone());
        let service = known.unwrap_or_else(|| self.namespaces.of_service(&service));
        Slice { service, usable: Endpoints { anywhere, nodes } }
    }

    /// Has so much changed since it was packed that it is worth to do it again?
    pub fn is_loose(&self) -> bool {
        let all = self.services.rows().len() + self.slices.len();
        self.changed >= FEW.max(all / LOOSE)
    }

    /// What is known keeps no more memory than it needs.
    pub fn pack(&mut self) {
        self.changed = 0;
        self.namespaces.forget();
        self.pools.forget();
        self.services.pack();
        self.world.pack();
        self.slices.pack();
        self.planner.pack();
        self.succession.pack();
        self.told.pack();
        self.routing.pack();
    }
}
