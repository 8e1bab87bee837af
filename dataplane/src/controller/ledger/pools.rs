//! What the ledger knows about pools beside their configuration: their status, and what they keep back.

use metallb_core::ipam::Usage;
use metallb_core::names::PoolName;
use metallb_core::table::Event;
use metallb_crds::IPAddressPoolStatus;
use metallb_process::events::Happening;

use super::Ledger;
use crate::controller::notes;
use crate::controller::pool_row::{PoolRow, status};
use crate::controller::reservations::{self, Kept, Lines};

impl Ledger {
    /// It is `now`, seconds since 1970.
    pub fn tell_time(&mut self, now: i64) {
        let opened = self.books.tell_time(now);
        self.openings.extend(opened);
    }

    /// Takes in what a process before this one kept back. Before that nothing is decided.
    pub(super) fn restore(&mut self, kept: Vec<Kept>) {
        for (address, service, reservation) in kept {
            self.books.reserve(address, &service, reservation);
        }
        self.is_restored = true;
        self.hold_to_retentions();
    }

    pub(super) fn apply_pool(&mut self, event: Event<PoolName, PoolRow>) {
        if !self.pool_rows.reduce(event).is_empty() {
            self.hold_to_retentions();
        }
    }

    /// Only once both are known: what is kept back, and for how long its pools want it kept.
    fn hold_to_retentions(&mut self) {
        if self.is_restored && self.pool_rows.is_listed() {
            let rows = self.pool_rows.rows().iter();
            let retentions = rows.map(|(name, row)| (name.clone(), row.retention)).collect();
            let opened = self.books.set_retentions(retentions);
            self.openings.extend(opened);
        }
    }

    /// How much of each pool is in use.
    pub fn usages(&self) -> impl Iterator<Item = (&PoolName, Usage)> {
        self.pools().iter().map(|pool| (&pool.name, self.books.usage(pool)))
    }

    /// The pools whose status does not say what is, and what it should say. What a pool that is set aside has in use is
    /// not known: its status stays as it was.
    pub fn wrong_statuses(&self) -> Vec<(PoolName, IPAddressPoolStatus)> {
        if !self.adopted {
            return Vec::new();
        }
        let all = self.usages().filter_map(|(name, usage)| {
            let row = self.pool_rows.get(name)?;
            let says = status(&usage);
            (row.status.as_ref() != Some(&says)).then(|| (name.clone(), says))
        });
        all.collect()
    }

    /// What is kept back, as the ConfigMap should have it.
    pub fn kept_back(&self) -> Lines {
        reservations::write(self.books.reservations())
    }

    /// Annotations of pools that have no effect; each is told once.
    pub(super) fn tell_problems(&mut self) -> Vec<Happening> {
        let mut happenings = Vec::new();
        let mut now = std::collections::BTreeMap::new();
        for (name, row) in self.pool_rows.rows().iter().filter(|(_, row)| !row.problems.is_empty()) {
            let told = self.told_problems.get(name);
            for problem in
                row.problems.iter().filter(|problem| told.is_none_or(|told| !told.contains(problem)))
            {
                tracing::warn!(event = "badAnnotation", pool = %name, problem, "no effect");
                happenings.push(notes::bad_annotation(row.reference.clone(), problem));
            }
            now.insert(name.clone(), row.problems.clone());
        }
        self.told_problems = now;
        happenings
    }
}
