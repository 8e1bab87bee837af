//! The record of who holds which address, and the one rule about sharing an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::intervals::Intervals;
use super::reservations::{Reservation, Reservations, Retention};
use super::{Claim, Port, SharingTerms, Vips};
use crate::address::{Family, from_number, to_number};
use crate::config::Pool;
use crate::names::{PoolName, ServiceKey};
use crate::refusal::{AllocationRefusal, CannotShare};

/// What a service holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its addresses.
    pub vips: Vips,
    /// The pool that owns them. `None` while they are only held: the pool that may own them is invalid.
    pub pool: Option<PoolName>,
    pub(super) created: i64,
    pub(super) terms: SharingTerms,
    pub(super) ports: BTreeSet<Port>,
}

/// The services on one address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tenancy {
    terms: SharingTerms,
    tenants: BTreeMap<ServiceKey, BTreeSet<Port>>,
}

impl Tenancy {
    /// What a tenant with `ports` has against another one that comes with `claim`.
    fn objection(&self, ports: &BTreeSet<Port>, claim: &Claim) -> Option<CannotShare> {
        if claim.sharing.key.is_empty() || claim.sharing.key != self.terms.key {
            return Some(CannotShare::Keys);
        }
        if claim.sharing.backend != self.terms.backend {
            return Some(CannotShare::Backends);
        }
        ports.intersection(&claim.ports).next().map(|port| CannotShare::Port(port.to_string()))
    }
}

/// Who holds which address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    assignments: BTreeMap<ServiceKey, Assignment>,
    tenancies: BTreeMap<IpAddr, Tenancy>,
    /// What somebody holds.
    occupied: Occupied,
    /// What is not chosen for just anybody: what somebody holds, and what is kept back.
    spoken_for: Occupied,
    reservations: Reservations,
    retentions: BTreeMap<PoolName, Retention>,
    /// Seconds since 1970, as last told.
    now: i64,
    /// The addresses that are shared under each (non-empty) key.
    shared: BTreeMap<SharingTerms, BTreeSet<IpAddr>>,
}

/// A set of addresses, by family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Occupied {
    v4: Intervals,
    v6: Intervals,
}

impl Occupied {
    const fn of(&self, family: Family) -> &Intervals {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    const fn of_mut(&mut self, family: Family) -> &mut Intervals {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// How much of a pool is in use. Numbers are distinct addresses, not services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Addresses of the pool that it can give out, IPv4 and IPv6.
    pub capacity: (u128, u128),
    /// Of these, in use, IPv4 and IPv6.
    pub in_use: (u128, u128),
    /// Of these, kept back while nobody uses them, IPv4 and IPv6.
    pub kept_back: (u128, u128),
}

impl Usage {
    /// What could be given out now, IPv4 and IPv6.
    pub fn available(&self) -> (u128, u128) {
        let left =
            |capacity: u128, in_use, kept_back| capacity.saturating_sub(in_use).saturating_sub(kept_back);
        (
            left(self.capacity.0, self.in_use.0, self.kept_back.0),
            left(self.capacity.1, self.in_use.1, self.kept_back.1),
        )
    }
}

impl Books {
    /// What `service` holds.
    pub fn assignment(&self, service: &ServiceKey) -> Option<&Assignment> {
        self.assignments.get(service)
    }

    /// All assignments, by service.
    pub fn assignments(&self) -> &BTreeMap<ServiceKey, Assignment> {
        &self.assignments
    }

    /// How much of `pool` is in use.
    pub fn usage(&self, pool: &Pool) -> Usage {
        let in_use = |family| {
            let occupied = self.occupied.of(family);
            pool.ranges_of(family).fold(0_u128, |sum, range| {
                let (first, last) = (to_number(range.first()), to_number(range.last()));
                sum.saturating_add(occupied.count_within(first, last))
            })
        };
        let kept_back = |family| {
            let unused =
                self.reservations.addresses().filter(|address| !self.tenancies.contains_key(address));
            unused.filter(|address| Family::of(*address) == family && pool.owns(*address)).count() as u128
        };
        Usage {
            capacity: (pool.capacity(Family::V4), pool.capacity(Family::V6)),
            in_use: (in_use(Family::V4), in_use(Family::V6)),
            kept_back: (kept_back(Family::V4), kept_back(Family::V6)),
        }
    }

    /// What is kept back after it was given up.
    pub fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// The terms on which `address` is held; `None` while nobody holds it.
    pub(super) fn terms_of(&self, address: IpAddr) -> Option<&SharingTerms> {
        self.tenancies.get(&address).map(|tenancy| &tenancy.terms)
    }

    /// May `service` use `address`? It may if nobody else does, or if the terms agree and no port is used twice.
    pub(super) fn check(
        &self,
        address: IpAddr,
        service: &ServiceKey,
        claim: &Claim,
    ) -> Result<(), AllocationRefusal> {
        if let Some((holder, why)) = self.conflicts(address, service, claim).next() {
            return Err(AllocationRefusal::AddressTaken { address, holder: holder.clone(), why });
        }
        let reserved = self.reservations.reserved_for_another(address, service, self.now);
        match reserved.filter(|_| !self.tenancies.contains_key(&address)) {
            Some(other) => Err(AllocationRefusal::AddressReserved { address, service: other.clone() }),
            None => Ok(()),
        }
    }

    /// The services that keep `service` from using `address`, each with why.
    pub(super) fn conflicts(
        &self,
        address: IpAddr,
        service: &ServiceKey,
        claim: &Claim,
    ) -> impl Iterator<Item = (&ServiceKey, CannotShare)> {
        self.tenancies.get(&address).into_iter().flat_map(move |tenancy| {
            let others = tenancy.tenants.iter().filter(move |(holder, _)| *holder != service);
            others.filter_map(|(holder, ports)| Some((holder, tenancy.objection(ports, claim)?)))
        })
    }

    /// Records that `service` holds `vips`, instead of what it held before. Refused, with nothing changed, when one of
    /// the addresses may not be used.
    pub(super) fn record(
        &mut self,
        service: &ServiceKey,
        claim: &Claim,
        vips: Vips,
        pool: Option<&PoolName>,
    ) -> Result<(), AllocationRefusal> {
        for address in vips.iter() {
            self.check(address, service, claim)?;
        }
        self.release(service);
        for address in vips.iter() {
            self.move_in(address, service, claim);
        }
        let assignment = Assignment {
            vips,
            pool: pool.cloned(),
            created: claim.created,
            terms: claim.sharing.clone(),
            ports: claim.ports.clone(),
        };
        self.assignments.insert(service.clone(), assignment);
        let freed = self.reservations.settled(service, |address| vips.contains(address));
        self.let_go(freed);
        Ok(())
    }

    fn move_in(&mut self, address: IpAddr, service: &ServiceKey, claim: &Claim) {
        let terms = claim.sharing.clone();
        let tenancy = self
            .tenancies
            .entry(address)
            .or_insert_with(|| Tenancy { terms: terms.clone(), tenants: BTreeMap::new() });
        tenancy.terms = terms.clone(); // alone, it sets the terms; in company they are equal
        tenancy.tenants.insert(service.clone(), claim.ports.clone());
        self.occupied.of_mut(Family::of(address)).insert(to_number(address));
        self.spoken_for.of_mut(Family::of(address)).insert(to_number(address));
        if !terms.key.is_empty() {
            self.shared.entry(terms).or_default().insert(address);
        }
    }

    /// Strikes out what `service` holds, and keeps nothing back.
    pub(super) fn release(&mut self, service: &ServiceKey) -> Option<Assignment> {
        let assignment = self.assignments.remove(service)?;
        for address in assignment.vips.iter() {
            self.move_out(address, service);
        }
        Some(assignment)
    }

    fn move_out(&mut self, address: IpAddr, service: &ServiceKey) {
        let Some(tenancy) = self.tenancies.get_mut(&address) else { return };
        tenancy.tenants.remove(service);
        if !tenancy.tenants.is_empty() {
            return;
        }
        if let Some(addresses) = self.shared.get_mut(&tenancy.terms) {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.shared.remove(&tenancy.terms);
            }
        }
        self.tenancies.remove(&address);
        self.occupied.of_mut(Family::of(address)).remove(to_number(address));
        self.let_go([address]);
    }

    /// Of `addresses`, what nobody holds and nothing keeps back is free for all.
    fn let_go(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            if !self.tenancies.contains_key(&address) && !self.reservations.contains(address) {
                self.spoken_for.of_mut(Family::of(address)).remove(to_number(address));
            }
        }
    }

    /// `service` is deleted: strikes out what it holds, and keeps it back where its pool asks for that. The addresses
    /// that others may be able to use now.
    pub fn delete(&mut self, service: &ServiceKey) -> BTreeSet<IpAddr> {
        let Some(assignment) = self.release(service) else { return BTreeSet::new() };
        let retention = self.retention_of(&assignment);
        self.keep_back(service, &assignment, assignment.vips.iter(), retention.reserve_for);
        assignment.vips.iter().collect()
    }

    /// `service` gave up `addresses` of what it held `before`: they cool down where the pool asks for that.
    pub(super) fn cool_down(
        &mut self,
        service: &ServiceKey,
        before: &Assignment,
        addresses: impl Iterator<Item = IpAddr>,
    ) {
        self.keep_back(service, before, addresses, 0);
    }

    fn retention_of(&self, assignment: &Assignment) -> Retention {
        let pool = assignment.pool.as_ref();
        pool.and_then(|pool| self.retentions.get(pool)).copied().unwrap_or_default()
    }

    fn keep_back(
        &mut self,
        service: &ServiceKey,
        before: &Assignment,
        addresses: impl Iterator<Item = IpAddr>,
        reserve_for: i64,
    ) {
        let quarantine = self.retention_of(before).quarantine;
        let Some(pool) = &before.pool else { return };
        let Some(reservation) = Reservation::new(pool, self.now, reserve_for, quarantine) else { return };
        for address in addresses {
            self.reserve(address, service, reservation.clone());
        }
    }

    /// Keeps `address` back for `service`: what a process before this one noted.
    pub fn reserve(&mut self, address: IpAddr, service: &ServiceKey, reservation: Reservation) {
        if reservation.until() > self.now {
            self.reservations.insert(address, service, reservation);
            self.spoken_for.of_mut(Family::of(address)).insert(to_number(address));
        }
    }

    /// It is `now`, seconds since 1970. The addresses that others may be able to use from now on.
    pub fn tell_time(&mut self, now: i64) -> BTreeSet<IpAddr> {
        let before = std::mem::replace(&mut self.now, now);
        if before == now {
            return BTreeSet::new(); // told many times a second, and all reservations are looked through
        }
        let ended = self.reservations.expire(before, now);
        self.let_go(ended.iter().copied());
        ended.into_iter().collect()
    }

    /// The next moment at which less is kept back.
    pub fn next_end(&self) -> Option<i64> {
        self.reservations.next_end(self.now)
    }

    /// How long each pool keeps back what is given up from now on; what is kept back already is held to it too. The
    /// addresses that others may be able to use from now on.
    pub fn set_retentions(&mut self, retentions: BTreeMap<PoolName, Retention>) -> BTreeSet<IpAddr> {
        self.retentions = retentions;
        let cut = self.reservations.cut(self.now, &self.retentions);
        self.let_go(cut.iter().copied());
        cut.into_iter().collect()
    }

    /// Is some address of `pool` kept back for `service`?
    pub(super) fn expects(&self, service: &ServiceKey, pool: &Pool) -> bool {
        self.reservations.of(service).any(|address| pool.owns(address))
    }

    /// The first address of `family` in `pool` that `service` may use: what was kept back for it, else ranges in the
    /// order of the spec, each from its lowest address up.
    pub(super) fn first_acceptable(
        &self,
        pool: &Pool,
        family: Family,
        service: &ServiceKey,
        claim: &Claim,
    ) -> Option<IpAddr> {
        let mut kept_back = self.reservations.of(service);
        let is_usable = |address: &IpAddr| {
            Family::of(*address) == family
                && pool.owns(*address)
                && self.check(*address, service, claim).is_ok()
        };
        if let Some(address) = kept_back.find(is_usable) {
            return Some(address);
        }
        let shared = self.shared.get(&claim.sharing);
        pool.ranges_of(family).find_map(|range| {
            let shareable = shared.and_then(|addresses| {
                let mut within = addresses.range(range.first()..=range.last());
                within
                    .find(|address| !pool.avoids(**address) && self.check(**address, service, claim).is_ok())
                    .copied()
            });
            let free = self.first_free(pool, range.first(), range.last());
            match (shareable, free) {
                (Some(shareable), Some(free)) => Some(shareable.min(free)),
                (one, other) => one.or(other),
            }
        })
    }

    fn first_free(&self, pool: &Pool, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        let family = Family::of(first);
        let (mut from, last) = (to_number(first), to_number(last));
        loop {
            let candidate = self.spoken_for.of(family).first_gap(from, last)?;
            let address = from_number(family, candidate);
            if !pool.avoids(address) {
                return Some(address);
            }
            from = candidate + 1; // only IPv4 avoids, so this cannot overflow
        }
    }
}
