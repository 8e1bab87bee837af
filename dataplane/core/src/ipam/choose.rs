//! Which pools may serve a service without being asked for, in which order, and what each has to offer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Books, Claim, FamilyDemand, Vips};
use crate::address::Family;
use crate::config::{Pool, Pools};
use crate::labels::Labels;
use crate::names::{NamespaceName, ServiceKey};
use crate::refusal::AllocationRefusal;

/// The labels of all namespaces, by which pools may be pinned.
pub type Namespaces = BTreeMap<NamespaceName, Labels>;

pub(super) fn admits(pool: &Pool, service: &ServiceKey, claim: &Claim, namespaces: &Namespaces) -> bool {
    pool.admits(&claim.labels, &service.namespace, namespaces.get(&service.namespace))
}

/// An address for `service` from whatever pool may serve it.
///
/// Pools pinned to it go first, by priority; then, only when none of those can, the pools open to all. Among equals
/// the order is by name. (Upstream's is random.) Before all of them goes a pool that keeps an address back for it.
pub(super) fn from_any_pool<'p>(
    books: &Books,
    pools: &'p Pools,
    service: &ServiceKey,
    claim: &Claim,
    demand: FamilyDemand,
    namespaces: &Namespaces,
) -> Result<(Vips, &'p Pool), AllocationRefusal> {
    let automatic = || pools.iter().filter(|pool| pool.auto_assign);
    let mut pinned: Vec<_> = automatic()
        .filter_map(|pool| Some((pool.allocation.as_ref()?.rank(), pool)))
        .filter(|(_, pool)| admits(pool, service, claim, namespaces))
        .collect();
    pinned.sort_by_key(|(rank, _)| *rank); // stable: by name within a rank
    let pinned: Vec<_> = pinned.into_iter().map(|(_, pool)| pool).collect();
    let open: Vec<_> = automatic().filter(|pool| pool.allocation.is_none()).collect();

    let expected: Vec<_> =
        pinned.iter().chain(&open).copied().filter(|pool| books.expects(service, pool)).collect();

    best_of(books, &expected, service, claim, demand)
        .or_else(|| best_of(books, &pinned, service, claim, demand))
        .or_else(|| best_of(books, &open, service, claim, demand))
        .ok_or_else(|| {
            let tried: Vec<_> = pinned.iter().chain(&open).map(|pool| pool.name.clone()).collect();
            if tried.is_empty() {
                AllocationRefusal::NoPoolForService
            } else {
                AllocationRefusal::PoolsFull { pools: tried, families: demand.families() }
            }
        })
}

/// The first of `pools` that meets `demand`, and what it offers.
pub(super) fn best_of<'p>(
    books: &Books,
    pools: &[&'p Pool],
    service: &ServiceKey,
    claim: &Claim,
    demand: FamilyDemand,
) -> Option<(Vips, &'p Pool)> {
    let offer = |pool, family| books.first_acceptable(pool, family, service, claim);
    let one_of = |family| pools.iter().find_map(|pool| Some((Vips::One(offer(pool, family)?), *pool)));
    let both = || {
        pools.iter().find_map(|pool| match (offer(pool, Family::V4), offer(pool, Family::V6)) {
            (Some(IpAddr::V4(v4)), Some(IpAddr::V6(v6))) => Some((Vips::Both(v4, v6), *pool)),
            _ => None,
        })
    };
    match demand {
        FamilyDemand::Only(family) => one_of(family),
        FamilyDemand::Both => both(),
        FamilyDemand::Prefer(family) => both().or_else(|| one_of(family)).or_else(|| one_of(family.other())),
    }
}
