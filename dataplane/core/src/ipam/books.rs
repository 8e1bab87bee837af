//! The record of who holds which address, and the one rule about sharing an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::intervals::Intervals;
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
    occupied: Occupied,
    /// The addresses that are shared under each (non-empty) key.
    shared: BTreeMap<SharingTerms, BTreeSet<IpAddr>>,
}

/// Every address that somebody holds, by family.
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
        Usage {
            capacity: (pool.capacity(Family::V4), pool.capacity(Family::V6)),
            in_use: (in_use(Family::V4), in_use(Family::V6)),
        }
    }

    /// May `service` use `address`? It may if nobody else does, or if the terms agree and no port is used twice.
    pub(super) fn check(
        &self,
        address: IpAddr,
        service: &ServiceKey,
        claim: &Claim,
    ) -> Result<(), AllocationRefusal> {
        match self.conflicts(address, service, claim).next() {
            None => Ok(()),
            Some((holder, why)) => {
                Err(AllocationRefusal::AddressTaken { address, holder: holder.clone(), why })
            }
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
        if !terms.key.is_empty() {
            self.shared.entry(terms).or_default().insert(address);
        }
    }

    /// Strikes out what `service` holds.
    pub fn release(&mut self, service: &ServiceKey) -> Option<Assignment> {
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
    }

    /// The first address of `family` in `pool` that `service` may use: ranges in the order of the spec, each from its
    /// lowest address up.
    pub(super) fn first_acceptable(
        &self,
        pool: &Pool,
        family: Family,
        service: &ServiceKey,
        claim: &Claim,
    ) -> Option<IpAddr> {
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
            let candidate = self.occupied.of(family).first_gap(from, last)?;
            let address = from_number(family, candidate);
            if !pool.avoids(address) {
                return Some(address);
            }
            from = candidate + 1; // only IPv4 avoids, so this cannot overflow
        }
    }
}
