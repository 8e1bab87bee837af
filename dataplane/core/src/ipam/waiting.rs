//! Who waits for what, so that a change wakes those whom it may serve, and nobody else.
//!
//! A service that was refused waits for an address, for any address of some pools, or for something that only a new
//! configuration or a change of the service itself can bring; both of those settle it anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use super::{Books, SharingTerms};
use crate::address::Family;
use crate::config::Pools;
use crate::names::{PoolName, ServiceKey};
use crate::refusal::AllocationRefusal;

/// What has to become free before a refused service can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// This address, or terms on which it can be shared.
    Address(IpAddr),
    /// An address of one of these pools and families.
    Pools(Vec<PoolName>, Vec<Family>),
    /// Nothing that another service could give up.
    Itself,
}

impl Obstacle {
    fn of(refusal: &AllocationRefusal) -> Self {
        use AllocationRefusal as Refused;
        match refusal {
            Refused::AddressTaken { address, .. } | Refused::AddressReserved { address, .. } => {
                Self::Address(*address)
            }
            Refused::PoolsFull { pools, families } => Self::Pools(pools.clone(), families.clone()),
            Refused::NoSecondFamily { pool, family } => Self::Pools(vec![pool.clone()], vec![*family]),
            Refused::NoPools
            | Refused::NoPoolForService
            | Refused::OutsidePools { .. }
            | Refused::PoolInvalid { .. }
            | Refused::UnknownPool { .. }
            | Refused::NotAdmitted { .. }
            | Refused::RequestContradicts { .. }
            | Refused::BadRequest { .. }
            | Refused::RequestFamilies { .. }
            | Refused::HeldFamilies { .. }
            | Refused::RequestChanged { .. }
            | Refused::BadStatus { .. }
            | Refused::NoClusterIp
            | Refused::BadClusterIps { .. }
            | Refused::NotDualStack => Self::Itself,
        }
    }
}

/// A place in the queue: the older goes first.
type Place = (i64, ServiceKey);

/// A service that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiter {
    created: i64,
    terms: SharingTerms,
    obstacle: Obstacle,
    refusal: AllocationRefusal,
}

/// The services that did not get all they asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    waiters: BTreeMap<ServiceKey, Waiter>,
    by_address: BTreeMap<IpAddr, BTreeSet<Place>>,
    by_pool: BTreeMap<(PoolName, Family), BTreeSet<Place>>,
}

/// Addresses that others may use by now, each with the place in the queue that was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings(BTreeMap<IpAddr, Option<Place>>);

impl Openings {
    /// Nothing is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<IpAddr> for Openings {
    /// Whoever waits is asked again, from the oldest on.
    fn extend<I: IntoIterator<Item = IpAddr>>(&mut self, addresses: I) {
        self.0.extend(addresses.into_iter().map(|address| (address, None)));
    }
}

impl Waiting {
    /// Notes that `service`, created then and with these terms, was refused, or was not.
    pub fn note(
        &mut self,
        service: &ServiceKey,
        created: i64,
        terms: &SharingTerms,
        refusal: Option<&AllocationRefusal>,
    ) {
        let waiter = refusal.map(|refusal| Waiter {
            created,
            terms: terms.clone(),
            obstacle: Obstacle::of(refusal),
            refusal: refusal.clone(),
        });
        if self.waiters.get(service) == waiter.as_ref() {
            return;
        }
        self.forget(service);
        let Some(waiter) = waiter else { return };
        let place = (created, service.clone());
        match &waiter.obstacle {
            Obstacle::Address(address) => {
                self.by_address.entry(*address).or_default().insert(place);
            }
            Obstacle::Pools(pools, families) => {
                for queue in queues(pools, families) {
                    self.by_pool.entry(queue).or_default().insert(place.clone());
                }
            }
            Obstacle::Itself => {}
        }
        self.waiters.insert(service.clone(), waiter);
    }

    /// `service` waits no more.
    pub fn forget(&mut self, service: &ServiceKey) {
        let Some(waiter) = self.waiters.remove(service) else { return };
        let place = (waiter.created, service.clone());
        match &waiter.obstacle {
            Obstacle::Address(address) => leave(&mut self.by_address, address, &place),
            Obstacle::Pools(pools, families) => {
                for queue in queues(pools, families) {
                    leave(&mut self.by_pool, &queue, &place);
                }
            }
            Obstacle::Itself => {}
        }
    }

    /// The services that wait, and why.
    pub fn refusals(&self) -> impl Iterator<Item = (&ServiceKey, &AllocationRefusal)> {
        self.waiters.iter().map(|(service, waiter)| (service, &waiter.refusal))
    }

    /// Why `service` waits; `None` when it does not.
    pub fn refusal(&self, service: &ServiceKey) -> Option<&AllocationRefusal> {
        self.waiters.get(service).map(|waiter| &waiter.refusal)
    }

    /// The next service that may find a place in what is open: of those that wait for the same, the oldest. Settle it
    /// before asking again. Openings that have been taken, or that nobody can use, are closed.
    pub fn next(&self, openings: &mut Openings, books: &Books, pools: &Pools) -> Option<ServiceKey> {
        while let Some((address, asked)) = openings.0.iter().next() {
            let (address, asked) = (*address, asked.as_ref());
            if let Some(place) = self.first_for(address, asked, books, pools) {
                let service = place.1.clone();
                openings.0.insert(address, Some(place));
                return Some(service);
            }
            openings.0.remove(&address);
        }
        None
    }

    fn first_for(
        &self,
        address: IpAddr,
        asked: Option<&Place>,
        books: &Books,
        pools: &Pools,
    ) -> Option<Place> {
        let terms = books.terms_of(address);
        if terms.is_some_and(|terms| terms.key.is_empty()) {
            return None; // held by somebody who shares with nobody
        }
        let fits = |place: &&Place| {
            let waiter = self.waiters.get(&place.1);
            terms.is_none_or(|terms| waiter.is_some_and(|waiter| waiter.terms == *terms))
        };
        let after = (asked.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let first = |queue: Option<&BTreeSet<Place>>| queue?.range::<Place, _>(after).find(fits).cloned();
        let for_it = first(self.by_address.get(&address));
        // What is kept back is chosen for nobody: it does not help those who would take any address.
        let is_free_for_all = terms.is_some() || !books.reservations().contains(address);
        let pool = pools.owner_of(address).filter(|_| is_free_for_all);
        let for_any =
            pool.and_then(|pool| first(self.by_pool.get(&(pool.name.clone(), Family::of(address)))));
        match (for_it, for_any) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

fn queues<'a>(
    pools: &'a [PoolName],
    families: &'a [Family],
) -> impl Iterator<Item = (PoolName, Family)> + use<'a> {
    pools.iter().flat_map(|pool| families.iter().map(|family| (pool.clone(), *family)))
}

fn leave<K: Ord>(queues: &mut BTreeMap<K, BTreeSet<Place>>, key: &K, place: &Place) {
    if let Some(queue) = queues.get_mut(key) {
        queue.remove(place);
        if queue.is_empty() {
            queues.remove(key);
        }
    }
}
