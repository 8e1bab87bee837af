//! The controller's world and what follows from it: changes in, writes and happenings out. No I/O, no clock.
//!
//! A service may be read, settled, written and read again in any interleaving. Four rules keep that sound:
//! * what is about to be written counts as held: the next decision builds on it;
//! * an object older than what we wrote is not news: a list that was answered late must not take an address back;
//! * after a conflict nothing is decided until the version that won has been seen;
//! * an address is written to its next holder only once it is out of the status of the one before.
//!
//! Start at [`Ledger::plan`].

mod pools;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use metallb_core::config::Pools;
use metallb_core::ipam::{Books, Note, Openings, Settlement, Vips, Waiting};
use metallb_core::labels::Labels;
use metallb_core::names::{NamespaceName, PoolName, ServiceKey};
use metallb_core::refusal::{ObjectRefusal, Refusal};
use metallb_core::table::{Event, Table};
use metallb_process::events::Happening;

use super::notes;
use super::pool_row::PoolRow;
use super::reservations::Kept;
use super::row::Row;
use super::writing::{Ingress, Write};
use crate::kube::configuration::{Change, Configuration};
use metallb_crds::cluster::service::{LoadBalancerClass, key, reference};

/// A change that a watch reports.
#[derive(Debug)]
pub enum Input {
    /// Of a Service.
    Service(Event<ServiceKey, Row>),
    /// Of the configuration.
    Configuration(Change),
    /// Of a Namespace: its labels.
    Namespace(Event<NamespaceName, Labels>),
    /// Of an IPAddressPool, beside what is configuration.
    Pool(Event<PoolName, PoolRow>),
    /// What a process before this one kept back.
    Restored(Vec<Kept>),
}

/// The controller's world.
#[derive(Debug, Default)]
pub struct Ledger {
    class: LoadBalancerClass,
    services: Table<ServiceKey, Row>,
    /// In whose status an address stands, by what was last seen.
    in_status: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    namespaces: Table<NamespaceName, Labels>,
    configuration: Configuration,
    pool_rows: Table<PoolName, PoolRow>,
    is_restored: bool,
    books: Books,
    adopted: bool,
    touched: BTreeSet<ServiceKey>,
    /// Services that did not get all they asked for, and what for.
    waiting: Waiting,
    /// What they may find free by now.
    openings: Openings,
    /// Services settled so far: how much work the changes made.
    settled: u64,
    /// What is to be written, and not yet under way.
    wanted: BTreeMap<ServiceKey, Wanted>,
    /// What is being written.
    in_flight: BTreeMap<ServiceKey, UnderWay>,
    /// The version after our last write: older ones are not news.
    floors: BTreeMap<ServiceKey, u64>,
    /// A conflict says that there is a newer version, which has not been seen yet.
    unseen: BTreeSet<ServiceKey>,
    /// Services whose write the API server refuses.
    refused: BTreeSet<ServiceKey>,
    /// The bad news that a service's events show already.
    told: BTreeMap<ServiceKey, Vec<Note>>,
    told_refusals: Vec<ObjectRefusal>,
    told_problems: BTreeMap<PoolName, Vec<String>>,
}

/// A write whose outcome is not known yet. It may be made at any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnderWay {
    /// The object that it is about. Another one of the same name is another service.
    uid: Option<String>,
    write: Write,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    vips: Option<Vips>,
    pool: Option<PoolName>,
    /// Good news, told once it is true.
    news: Vec<Note>,
}

impl Ledger {
    /// An empty world, for services of `class`.
    pub fn new(class: LoadBalancerClass) -> Self {
        Self { class, ..Self::default() }
    }

    /// Takes in what a watch reports.
    pub fn apply(&mut self, input: Input) {
        match input {
            Input::Service(event) => {
                let event = self.without_old_news(event);
                if let Event::Applied(key, _) | Event::Deleted(key) = &event {
                    self.unseen.remove(key);
                }
                if let Event::Listed(_) = &event {
                    self.touched.append(&mut self.unseen);
                }
                self.reduce(event);
            }
            Input::Namespace(event) => {
                let changed = self.namespaces.reduce(event);
                let services = self.services.rows().keys();
                self.touched.extend(services.filter(|key| changed.contains(&key.namespace)).cloned());
            }
            Input::Pool(event) => self.apply_pool(event),
            Input::Restored(kept) => self.restore(kept),
            Input::Configuration(change) => {
                if self.configuration.apply(change) {
                    self.touch_all();
                }
            }
        }
    }

    /// Takes in a change of services, and keeps `in_status` in step.
    fn reduce(&mut self, event: Event<ServiceKey, Row>) {
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

    /// Does `address` stand in the status of a service that has to give it up, or may it come to stand there yet?
    fn is_leaving_another(&self, key: &ServiceKey, address: IpAddr) -> bool {
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

    fn touch_all(&mut self) {
        self.touched.extend(self.services.rows().keys().cloned());
    }

    /// Replaces rows that are older than what we wrote by what we know.
    fn without_old_news(&self, event: Event<ServiceKey, Row>) -> Event<ServiceKey, Row> {
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

    /// Have all watches delivered their list, and is it known what was kept back? Before that, nothing is decided: absence means nothing yet.
    pub fn is_ready(&self) -> bool {
        let are_listed =
            self.services.is_listed() && self.namespaces.is_listed() && self.pool_rows.is_listed();
        are_listed && self.configuration.is_listed() && self.is_restored
    }

    /// Settles every service that something touched, and those that waited for what that freed. Returns what happened;
    /// what is to be written waits in [`Ledger::take_write`].
    ///
    /// The first time, every status is taken into the books before anything is given out.
    pub fn plan(&mut self) -> Vec<Happening> {
        if !self.is_ready() {
            return Vec::new();
        }
        if !self.adopted {
            self.adopted = true;
            for (key, row) in self.services.rows() {
                self.books.adopt(key, &row.claim, &self.configuration.config().pools);
            }
            self.touch_all();
        }
        let mut happenings = self.tell_refusals();
        happenings.extend(self.tell_problems());
        let mut queue: BTreeSet<_> =
            std::mem::take(&mut self.touched).into_iter().map(|key| self.turn(key)).collect();
        loop {
            while let Some((_, _, key)) = queue.pop_first() {
                if self.unseen.contains(&key) {
                    continue; // its event touches it again
                }
                let evicted = self.settle(&key, &mut happenings);
                queue.extend(evicted.into_iter().map(|key| self.turn(key)));
            }
            let pools = &self.configuration.config().pools;
            let Some(key) = self.waiting.next(&mut self.openings, &self.books, pools) else {
                return happenings;
            };
            queue.insert(self.turn(key));
        }
    }

    /// In which order services take their turn: first those that give up, then those that hold, then those that wait;
    /// the older before the younger.
    fn turn(&self, key: ServiceKey) -> (u8, i64, ServiceKey) {
        match self.services.get(&key) {
            None => (0, 0, key),
            Some(row) if !row.claim.is_load_balancer => (0, row.claim.created, key),
            Some(row) if row.claim.held.as_ref().is_ok_and(|held| !held.is_empty()) => {
                (1, row.claim.created, key)
            }
            Some(row) => (2, row.claim.created, key),
        }
    }

    /// Settles one service, and says whom it evicted.
    fn settle(&mut self, key: &ServiceKey, happenings: &mut Vec<Happening>) -> BTreeSet<ServiceKey> {
        self.settled += 1;
        let Some(row) = self.services.get(key) else {
            self.forget(key);
            let opened = self.books.delete(key);
            if !opened.is_empty() {
                tracing::info!(event = "serviceDeleted", service = %key, "address released");
            }
            self.openings.extend(opened);
            return BTreeSet::new();
        };
        let mut claim = row.claim.clone();
        if let Some(expected) = self.expected(key) {
            claim.held = Ok(expected.vips.map(Vips::to_vec).unwrap_or_default());
        }
        let pools = &self.configuration.config().pools;
        let settlement = self.books.settle(key, &claim, pools, self.namespaces.rows());
        let Settlement { vips, pool, refusal, notes, evicted, opened } = settlement;
        self.openings.extend(opened);
        self.waiting.note(key, claim.created, &claim.sharing, refusal.as_ref());

        let (news, bad): (Vec<_>, Vec<_>) =
            notes.into_iter().partition(|note| matches!(note, Note::Allocated(_)));
        if self.told.get(key).map_or(&[][..], Vec::as_slice) != bad {
            for note in &bad {
                let why = note.refusal();
                let (code, text) = (why.map(Refusal::code), why.map(Refusal::explain));
                tracing::info!(event = "allocation", service = %key, code, text, "not as asked for");
                happenings.push(notes::happening(&row.reference, note));
            }
            self.told.insert(key.clone(), bad);
        }
        self.want(key, Wanted { vips, pool, news });
        evicted
    }

    /// What the status will say once what is wanted or under way has been written.
    fn expected(&self, key: &ServiceKey) -> Option<&Wanted> {
        self.wanted.get(key).or_else(|| self.under_way(key).map(|under_way| &under_way.wanted))
    }

    /// The write that is under way for the object that goes by this name now.
    fn under_way(&self, key: &ServiceKey) -> Option<&UnderWay> {
        let uid = &self.services.get(key)?.reference.uid;
        self.in_flight.get(key).filter(|under_way| under_way.uid == *uid)
    }

    fn want(&mut self, key: &ServiceKey, mut wanted: Wanted) {
        // News of what was wanted before and is wanted still.
        if let Some(before) = self.wanted.remove(key).filter(|before| before.vips == wanted.vips) {
            wanted.news.splice(0..0, before.news);
        }
        let under_way = self.under_way(key).map(|it| (it.wanted.vips, it.wanted.pool.clone()));
        let there = under_way.or_else(|| status_of(self.services.get(key)?));
        if there != Some((wanted.vips, wanted.pool.clone())) {
            self.wanted.insert(key.clone(), wanted);
        }
    }

    /// The next write to make, if any. The ledger counts it as under way until [`Ledger::written`] or
    /// [`Ledger::conflicted`].
    pub fn take_write(&mut self) -> Option<Write> {
        let may_go = |(key, wanted): &(&ServiceKey, &Wanted)| {
            let mut addresses = wanted.vips.iter().flat_map(|vips| vips.iter());
            !self.in_flight.contains_key(*key)
                && !self.unseen.contains(*key)
                && !addresses.any(|address| self.is_leaving_another(key, address))
        };
        let Some(key) = self.wanted.iter().find(may_go).map(|(key, _)| key.clone()) else {
            return self.take_vacating_write();
        };
        let wanted = self.wanted.remove(&key)?;
        self.send(key, wanted)
    }

    /// Services that swap addresses wait for each other. When nothing else is left to do, one of those that wait gives
    /// up what it has to give up anyway, and the others can go on.
    fn take_vacating_write(&mut self) -> Option<Write> {
        if !self.in_flight.is_empty() {
            return None;
        }
        let vacates = |(key, wanted): &(&ServiceKey, &Wanted)| {
            let held = self.services.get(*key).into_iter().flat_map(|row| row.claim.held.iter().flatten());
            let leaves = |address: &IpAddr| !wanted.vips.is_some_and(|vips| vips.contains(*address));
            !self.unseen.contains(*key) && held.into_iter().any(leaves)
        };
        let key = self.wanted.iter().find(vacates)?.0.clone();
        self.send(key, Wanted { vips: None, pool: None, news: Vec::new() })
    }

    fn send(&mut self, key: ServiceKey, wanted: Wanted) -> Option<Write> {
        let row = self.services.get(&key)?;
        let there = status_of(row).map(|(vips, _)| vips);
        let write = Write {
            service: key.clone(),
            resource_version: row.resource_version.clone(),
            ingress: match wanted.vips {
                same if there == Some(same) => Ingress::Keep,
                Some(vips) => Ingress::Set(vips),
                None => Ingress::Clear,
            },
            pool: wanted.pool.clone(),
        };
        let uid = row.reference.uid.clone();
        self.in_flight.insert(key, UnderWay { uid, write: write.clone(), wanted });
        Some(write)
    }

    /// A write was made, and `service` is the object now. The news that it made true.
    pub fn written(&mut self, service: &Service) -> Vec<Happening> {
        let key = key(service);
        let Some(UnderWay { write, wanted, .. }) = self.in_flight.remove(&key) else { return Vec::new() };
        let deprecated = self.services.get(&key).map(|row| row.deprecated.clone()).unwrap_or_default();
        let reference = reference(service);
        let deprecated =
            deprecated.iter().map(|annotation| notes::deprecated_annotation(&reference, annotation));
        let happenings =
            deprecated.chain(wanted.news.iter().map(|note| notes::happening(&reference, note))).collect();
        // The watch may have been faster than this answer, and seen more since, up to the end of the object.
        let written = service.metadata.resource_version.as_deref().and_then(version);
        let known = self.services.get(&key).and_then(|known| version(&known.resource_version));
        if known.is_some() && known <= written {
            self.floors.extend(written.map(|version| (key.clone(), version)));
            self.reduce(match Row::of(service, &self.class) {
                Some(row) => Event::Applied(key.clone(), row),
                None => Event::Deleted(key.clone()),
            });
        }
        self.touched.insert(key.clone());
        if write.ingress != Ingress::Keep {
            let ips = wanted.vips.map(|vips| vips.to_string()).unwrap_or_default();
            let pool = wanted.pool.as_ref().map(PoolName::as_str).unwrap_or_default();
            tracing::info!(event = "statusWritten", service = %key, ips, pool, "the status says so now");
        }
        happenings
    }

    /// A write was not made: the object is newer than the version it was decided on, or gone.
    pub fn conflicted(&mut self, key: &ServiceKey) {
        let Some(UnderWay { write, .. }) = self.in_flight.remove(key) else { return };
        self.wanted.remove(key);
        self.touched.insert(key.clone());
        if self.services.get(key).is_some_and(|row| row.resource_version == write.resource_version) {
            self.unseen.insert(key.clone());
        }
    }

    /// A write was refused, for want of a permission perhaps. The address stays in the books; a change of the object, or
    /// [`Ledger::retry_refused`], tries again.
    pub fn refused(&mut self, key: &ServiceKey) {
        self.in_flight.remove(key);
        self.refused.insert(key.clone());
    }

    /// What was refused may be allowed by now.
    pub fn retry_refused(&mut self) {
        self.touched.append(&mut self.refused);
    }

    fn forget(&mut self, key: &ServiceKey) {
        self.waiting.forget(key);
        self.wanted.remove(key);
        self.told.remove(key);
        self.floors.remove(key);
        self.unseen.remove(key);
        self.refused.remove(key);
    }

    fn tell_refusals(&mut self) -> Vec<Happening> {
        let now: Vec<_> = self.configuration.refusals().collect();
        let new = now.iter().filter(|(refusal, _)| !self.told_refusals.contains(refusal));
        let happenings = new
            .map(|(refusal, object)| {
                tracing::warn!(
                    event = "setAside",
                    code = refusal.code(),
                    text = refusal.explain(),
                    "invalid object"
                );
                notes::set_aside(object.clone(), refusal)
            })
            .collect();
        self.told_refusals = now.into_iter().map(|(refusal, _)| refusal.clone()).collect();
        happenings
    }

    /// The pools in force.
    pub fn pools(&self) -> &Pools {
        &self.configuration.config().pools
    }

    /// Is some object of the configuration set aside?
    pub fn any_set_aside(&self) -> bool {
        self.configuration.refusals().next().is_some()
    }
}

/// What the status and the annotation of a service say; `None` when the status holds no usable set of addresses.
fn status_of(row: &Row) -> Option<(Option<Vips>, Option<PoolName>)> {
    let vips = match row.claim.held.as_ref().ok()?.as_slice() {
        [] => None,
        addresses => Some(Vips::try_from(addresses).ok()?),
    };
    Some((vips, row.recorded_pool.clone()))
}

/// Resource versions of one object are numbers that rise, in every API server there is.
fn version(text: &str) -> Option<u64> {
    text.parse().ok()
}
