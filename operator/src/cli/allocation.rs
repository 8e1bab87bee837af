//! Who holds which address, once every service is settled.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use metallb_core::address::Family;
use metallb_core::config::Pools;
use metallb_core::ipam::{Books, Claim, FamilyDemand, Note, Settlement, Vips};
use metallb_core::names::{PoolName, ServiceKey};
use metallb_core::refusal::AllocationRefusal;
use metallb_crds::cluster::claim;
use metallb_crds::cluster::service::{LoadBalancerClass, key};

use super::inventory::Inventory;

/// What comes of one service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Allocation {
    /// The service.
    pub service: ServiceKey,
    /// The addresses its status shows now.
    pub before: Vec<IpAddr>,
    /// The addresses it will have.
    pub after: Vec<IpAddr>,
    /// The pool they come from.
    pub pool: Option<PoolName>,
    /// Why it has not all that it asks for, or lost what it had.
    pub refusal: Option<AllocationRefusal>,
}

/// Often enough for every chain of services that make room for each other, and an end to one that is endless.
const ROUNDS: usize = 32;

/// Settles every service as the controller does: what a status shows is taken into the books first, then services are
/// settled in their order, and again as long as one makes room for another.
pub(super) fn settle_all(inventory: &Inventory, class: &LoadBalancerClass, pools: &Pools) -> Vec<Allocation> {
    let namespaces = inventory.namespace_labels();
    let mut claims: Vec<(ServiceKey, Claim)> = Vec::new();
    for service in &inventory.services {
        if let Some(claim) = claim_of(service, class) {
            claims.push((key(service), claim));
        }
    }
    let before: BTreeMap<ServiceKey, Vec<IpAddr>> = claims
        .iter()
        .map(|(service, claim)| (service.clone(), claim.held.clone().unwrap_or_default()))
        .collect();
    let mut books = Books::default();
    for (service, claim) in &claims {
        books.adopt(service, claim, pools);
    }
    let mut settlements: BTreeMap<ServiceKey, Settlement> = BTreeMap::new();
    let mut lost: BTreeMap<ServiceKey, AllocationRefusal> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut moved = false;
        // Holders first: nobody is given what somebody else still shows.
        let (holders, waiting): (Vec<_>, Vec<_>) = claims
            .iter_mut()
            .partition(|(_, claim)| claim.held.as_ref().is_ok_and(|addresses| !addresses.is_empty()));
        for (service, claim) in holders.into_iter().chain(waiting) {
            let settlement = books.settle(service, claim, pools, &namespaces);
            let held = settlement.vips.map(Vips::to_vec).unwrap_or_default();
            moved |= !settlement.opened.is_empty()
                || !settlement.evicted.is_empty()
                || claim.held.as_ref() != Ok(&held);
            claim.held = Ok(held);
            // Why it lost what it had is told once, in the round in which that happens.
            let why = settlement.notes.iter().find_map(|note| match note {
                Note::Cleared(refusal) | Note::BadStatus(refusal) => Some(refusal.clone()),
                _ => None,
            });
            if let Some(why) = why {
                lost.entry(service.clone()).or_insert(why);
            }
            settlements.insert(service.clone(), settlement);
        }
        if !moved {
            break;
        }
    }
    let mut allocations = Vec::new();
    for (service, claim) in claims {
        let settlement = settlements.remove(&service).unwrap_or_default();
        let before = before.get(&service).cloned().unwrap_or_default();
        if claim.is_load_balancer || !before.is_empty() {
            let after = settlement.vips.map(Vips::to_vec).unwrap_or_default();
            let Settlement { pool, refusal, .. } = settlement;
            let refusal = refusal.or_else(|| lost.remove(&service));
            allocations.push(Allocation { service, before, after, pool, refusal });
        }
    }
    allocations
}

/// What it claims. A manifest that no API server has seen has no cluster IPs, so their families are the ones that the
/// API server would choose on a cluster that has both.
fn claim_of(service: &Service, class: &LoadBalancerClass) -> Option<Claim> {
    let mut claim = claim::of(service, class)?;
    let spec = service.spec.as_ref();
    let headless = spec.and_then(|spec| spec.cluster_ip.as_deref()) == Some("None");
    if claim.families == Err(AllocationRefusal::NoClusterIp) && service.metadata.uid.is_none() && !headless {
        claim.families = Ok(families(spec.unwrap_or(&ServiceSpec::default())));
    }
    Some(claim)
}

fn families(spec: &ServiceSpec) -> FamilyDemand {
    let primary = match spec.ip_families.as_ref().and_then(|families| families.first()).map(String::as_str) {
        Some("IPv6") => Family::V6,
        Some(_) | None => Family::V4,
    };
    match spec.ip_family_policy.as_deref() {
        Some("RequireDualStack") => FamilyDemand::Both,
        Some("PreferDualStack") => FamilyDemand::Prefer(primary),
        Some(_) | None => FamilyDemand::Only(primary),
    }
}
