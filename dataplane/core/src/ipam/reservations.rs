//! Addresses kept back after their service let go of them: for that service to come back to, or to cool down.
//!
//! Two things a pool may ask for, both off by default:
//! * a *reservation*: the address of a deleted service is for the service of the same name, and nobody else;
//! * a *quarantine*: an address that was given up is not chosen for another service for a while. Who asks for that very
//!   address gets it: that is a decision, not a coincidence.
//!
//! Moments are seconds since 1970 and come in from outside: a reservation outlives the process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::names::{PoolName, ServiceKey};

/// How long a pool keeps addresses back, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The address of a deleted service, for a service of the same name.
    pub reserve_for: i64,
    /// Any address that was given up, from being chosen for another service.
    pub quarantine: i64,
}

/// Until when an address is kept back, seconds since 1970. A moment that has passed counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The pool it came from, whose [`Retention`] applies.
    pub pool: PoolName,
    /// For nobody else.
    pub reserved_until: i64,
    /// Not chosen for anybody else.
    pub quarantined_until: i64,
}

impl Reservation {
    /// From `now` on, as `retention` has it. `None` when that is not at all.
    pub(super) fn new(pool: &PoolName, now: i64, reserve_for: i64, quarantine: i64) -> Option<Self> {
        let until = |seconds: i64| if seconds > 0 { now.saturating_add(seconds) } else { 0 };
        let (reserved_until, quarantined_until) = (until(reserve_for), until(quarantine));
        let reservation = Self { pool: pool.clone(), reserved_until, quarantined_until };
        (reservation.until() > now).then_some(reservation)
    }

    /// When the last of it ends.
    pub fn until(&self) -> i64 {
        self.reserved_until.max(self.quarantined_until)
    }

    /// The next moment after `now` at which less of it is left.
    fn next_end(&self, now: i64) -> Option<i64> {
        [self.reserved_until, self.quarantined_until].into_iter().filter(|until| *until > now).min()
    }

    /// The same, but no longer than `retention` would have it from `now` on.
    fn cut(&mut self, now: i64, retention: Retention) {
        let cut = |until: &mut i64, seconds: i64| {
            *until = if seconds > 0 { (*until).min(now.saturating_add(seconds)) } else { 0 };
        };
        cut(&mut self.reserved_until, retention.reserve_for);
        cut(&mut self.quarantined_until, retention.quarantine);
    }
}

/// What is kept back, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservations {
    by_address: BTreeMap<IpAddr, BTreeMap<ServiceKey, Reservation>>,
    by_service: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
}

impl Reservations {
    /// Every reservation: the address, who may come back to it, and for how long.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &ServiceKey, &Reservation)> {
        self.by_address.iter().flat_map(|(address, services)| {
            services.iter().map(|(service, reservation)| (*address, service, reservation))
        })
    }

    /// The addresses that are kept back.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_address.keys().copied()
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// The addresses kept back for `service`.
    pub(super) fn of(&self, service: &ServiceKey) -> impl Iterator<Item = IpAddr> {
        self.by_service.get(service).into_iter().flatten().copied()
    }

    /// For whom `address` is reserved at `now`, unless it is for `service` too.
    pub(super) fn reserved_for_another(
        &self,
        address: IpAddr,
        service: &ServiceKey,
        now: i64,
    ) -> Option<&ServiceKey> {
        let services = self.by_address.get(&address)?;
        let mut reserved = services.iter().filter(|(_, it)| it.reserved_until > now).map(|(key, _)| key);
        let first = reserved.next()?;
        (first != service && reserved.all(|key| key != service)).then_some(first)
    }

    pub(super) fn insert(&mut self, address: IpAddr, service: &ServiceKey, reservation: Reservation) {
        self.by_address.entry(address).or_default().insert(service.clone(), reservation);
        self.by_service.entry(service.clone()).or_default().insert(address);
    }

    /// `service` has found a home: nothing is reserved for it any more. Where it was before cools down all the same.
    /// The addresses that are not kept back any more.
    pub(super) fn settled(&mut self, service: &ServiceKey, home: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
        let Some(addresses) = self.by_service.remove(service) else { return Vec::new() };
        let (mut freed, mut kept) = (Vec::new(), BTreeSet::new());
        for address in addresses {
            let Some(services) = self.by_address.get_mut(&address) else { continue };
            let Some(reservation) = services.get_mut(service) else { continue };
            reservation.reserved_until = 0;
            if !home(address) && reservation.quarantined_until > 0 {
                kept.insert(address);
                continue;
            }
            services.remove(service);
            if services.is_empty() {
                self.by_address.remove(&address);
                freed.push(address);
            }
        }
        if !kept.is_empty() {
            self.by_service.insert(service.clone(), kept);
        }
        freed
    }

    /// Drops what has passed at `now`. The addresses of which less is kept back now.
    pub(super) fn expire(&mut self, before: i64, now: i64) -> Vec<IpAddr> {
        if self.next_end(before).is_none_or(|end| end > now) {
            return Vec::new();
        }
        let ended = |it: &Reservation| it.next_end(before).is_some_and(|end| end <= now);
        let mut changed: Vec<_> =
            self.iter().filter(|(.., it)| ended(it)).map(|(address, ..)| address).collect();
        self.retain(|_, _, reservation| reservation.until() > now);
        changed.dedup();
        changed
    }

    /// Holds every reservation to what its pool asks for now. The addresses of which less may be kept back.
    pub(super) fn cut(&mut self, now: i64, retentions: &BTreeMap<PoolName, Retention>) -> Vec<IpAddr> {
        let mut changed = Vec::new();
        self.retain(|address, _, reservation| {
            let before = reservation.clone();
            reservation.cut(now, retentions.get(&reservation.pool).copied().unwrap_or_default());
            if *reservation != before {
                changed.push(address);
            }
            reservation.until() > now
        });
        changed.dedup();
        changed
    }

    /// The next moment after `now` at which less is kept back.
    pub(super) fn next_end(&self, now: i64) -> Option<i64> {
        self.iter().filter_map(|(.., reservation)| reservation.next_end(now)).min()
    }

    /// Keeps what `keep` says. The addresses that are not kept back any more.
    fn retain(&mut self, mut keep: impl FnMut(IpAddr, &ServiceKey, &mut Reservation) -> bool) -> Vec<IpAddr> {
        let mut freed = Vec::new();
        let by_service = &mut self.by_service;
        self.by_address.retain(|address, services| {
            services.retain(|service, reservation| {
                let kept = keep(*address, service, reservation);
                if !kept && let Some(addresses) = by_service.get_mut(service) {
                    addresses.remove(address);
                    if addresses.is_empty() {
                        by_service.remove(service);
                    }
                }
                kept
            });
            if services.is_empty() {
                freed.push(*address);
            }
            !services.is_empty()
        });
        freed
    }
}
