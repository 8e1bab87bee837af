//! Services as the watch reports them: what is news, who has ended, and in whose status an address stands.

use std::net::IpAddr;

use metallb_core::names::ServiceKey;
use metallb_core::table::Event;

use super::{Ledger, UnderWay, version};
use crate::controller::row::Row;

impl Ledger {
    /// Takes in a change of services, and keeps `in_status` in step.
    pub(super) fn reduce(&mut self, event: Event<ServiceKey, Row>) {
        self.note_ends(&event);
        if let Event::Listed(_) = &event {
            self.touched.extend(self.services.reduce(event));
            self.in_status.clear();
            for (key, row) in self.services.rows() {
                for address in row.claim.held.iter().flatten() {
                    self.in_status.entry(*address).or_default().insert(key.clone());
                }
            }
            return;
        }
        if let Event::Applied(key, _) | Event::Deleted(key) = &event {
            for address in self.services.get(key).iter().flat_map(|row| row.claim.held.iter().flatten()) {
                if let Some(keys) = self.in_status.get_mut(address) {
                    keys.remove(key);
                    if keys.is_empty() {
                        self.in_status.remove(address);
                    }
                }
            }
        }
        if let Event::Applied(key, row) = &event {
            for address in row.claim.held.iter().flatten() {
                self.in_status.entry(*address).or_default().insert(key.clone());
            }
        }
        self.touched.extend(self.services.reduce(event));
    }

    /// A service that is gone, or goes by another uid, has ended, even where the next of its name is there before
    /// anything was decided.
    fn note_ends(&mut self, event: &Event<ServiceKey, Row>) {
        let known = |key: &ServiceKey| self.services.get(key).map(|row| &row.reference.uid);
        let replaced = |key: &ServiceKey, row: &Row| known(key).is_some_and(|uid| *uid != row.reference.uid);
        let ended: Vec<_> = match event {
            Event::Applied(key, row) => replaced(key, row).then(|| key.clone()).into_iter().collect(),
            Event::Deleted(key) => known(key).is_some().then(|| key.clone()).into_iter().collect(),
            Event::Listed(rows) => {
                let keys = self.services.rows().keys();
                keys.filter(|key| rows.get(*key).is_none_or(|row| replaced(key, row))).cloned().collect()
            }
        };
        self.ended.extend(ended);
    }

    /// Does `address` stand in the status of a service that has to give it up, or may it come to stand there yet?
    pub(super) fn is_leaving_another(&self, key: &ServiceKey, address: IpAddr) -> bool {
        let names_it =
            |under_way: &UnderWay| under_way.wanted.vips.is_some_and(|vips| vips.contains(address));
        let under_way =
            self.in_flight.iter().filter(|(_, under_way)| names_it(under_way)).map(|(holder, _)| holder);
        let mut holders = self.in_status.get(&address).into_iter().flatten().chain(under_way);
        holders.any(|holder| {
            let keeps_it =
                self.books.assignment(holder).is_some_and(|assignment| assignment.vips.contains(address));
            holder != key && !keeps_it
        })
    }

    /// Replaces rows that are older than what we wrote by what we know.
    pub(super) fn without_old_news(&self, event: Event<ServiceKey, Row>) -> Event<ServiceKey, Row> {
        let current = |key: ServiceKey, row: Row| {
            let floor = self.floors.get(&key).copied().unwrap_or_default();
            let is_old = version(&row.resource_version).is_some_and(|version| version < floor);
            match self.services.get(&key) {
                Some(known) if is_old => (key, known.clone()),
                Some(_) | None => (key, row),
            }
        };
        match event {
            Event::Applied(key, row) => {
                let (key, row) = current(key, row);
                Event::Applied(key, row)
            }
            Event::Listed(rows) => {
                Event::Listed(rows.into_iter().map(|(key, row)| current(key, row)).collect())
            }
            Event::Deleted(key) => Event::Deleted(key),
        }
    }
}
