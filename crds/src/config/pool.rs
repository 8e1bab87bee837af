//! IPAddressPools.

use std::collections::BTreeSet;

use metallb_core::address::AddressRange;
use metallb_core::config::{Pool, ServiceAllocation};
use metallb_core::labels::Labels;
use metallb_core::names::NamespaceName;
use metallb_core::refusal::{ConfigRefusal, Kind, PoolRefusal};

use super::faults::{Faults, read};
use super::objects::by_age;
use super::{Objects, Parsed, selector};
use crate::{IPAddressPool, IPAddressPoolSpec};

/// Older pools first: of two that overlap the older one stays, whatever their names.
pub(super) fn parse_all(objects: &Objects, parsed: &mut Parsed) {
    for (name, stored) in by_age(&objects.pools) {
        let pool = read(stored, |object| one(name, object)).and_then(|pool| {
            let overlaps: Vec<_> = parsed.config.pools.overlaps(&pool).map(ConfigRefusal::from).collect();
            if !overlaps.is_empty() {
                return Err(overlaps);
            }
            parsed.config.pools.insert(pool).map_err(|refusal| vec![refusal.into()])
        });
        if let Err(refusals) = pool {
            let labels = stored.metadata().labels.clone().unwrap_or_default();
            parsed.config.pools.set_aside(name.into(), labels);
            parsed.refuse_all(Kind::IpAddressPool, name, refusals);
        }
    }
}

/// What is allowed, and probably not meant. To be called when everything else is parsed.
pub(super) fn warn_all(objects: &Objects, parsed: &mut Parsed) {
    let mut warnings = Vec::new();
    for pool in parsed.config.pools.iter() {
        let nodes = objects.nodes.iter().flatten();
        let mut addresses =
            nodes.flat_map(|(name, node)| node.addresses.iter().map(move |address| (name, *address)));
        if let Some((node, address)) = addresses.find(|(_, address)| pool.owns(*address)) {
            let node = node.as_str().into();
            warnings.push((pool.name.clone(), PoolRefusal::HoldsNodeAddress { address, node }));
        }
        if !may_be_advertised(pool, objects, parsed) {
            warnings.push((pool.name.clone(), PoolRefusal::NotAdvertised));
        }
    }
    for (pool, warning) in warnings {
        parsed.refuse(Kind::IpAddressPool, pool.as_str(), warning);
    }
}

/// Does an advertisement select the pool? One that is set aside may be meant to.
fn may_be_advertised(pool: &Pool, objects: &Objects, parsed: &Parsed) -> bool {
    let on_layer_2 = &parsed.config.l2_advertisements;
    let over_bgp = &parsed.config.bgp_advertisements;
    on_layer_2.len() < objects.l2_advertisements.len()
        || over_bgp.len() < objects.bgp_advertisements.len()
        || on_layer_2.values().any(|advertisement| advertisement.pools.selects(&pool.name, &pool.labels))
        || over_bgp.values().any(|advertisement| advertisement.pools.selects(&pool.name, &pool.labels))
}

fn one(name: &str, object: &IPAddressPool) -> Result<Pool, Vec<ConfigRefusal>> {
    let IPAddressPoolSpec { addresses, auto_assign, avoid_buggy_ips, service_allocation } = &object.spec;
    let mut faults = Faults::default();
    let range = |entry: &String| {
        AddressRange::parse(entry).map_err(|cause| PoolRefusal::BadAddresses { entry: entry.clone(), cause })
    };
    let ranges = faults.take_all(addresses.iter().map(range));
    if !ranges.is_empty() || addresses.is_empty() {
        for fault in Pool::faults(&ranges) {
            faults.add(fault);
        }
    }
    let allocation = service_allocation.as_ref().map(|it| allocation(it, &mut faults));
    let pool = Pool::new(name.into(), ranges).ok().map(|mut pool| {
        pool.labels = labels(object);
        pool.auto_assign = *auto_assign;
        pool.avoid_buggy_ips = *avoid_buggy_ips;
        pool.allocation = allocation;
        pool
    });
    faults.unless(pool)
}

fn labels(object: &IPAddressPool) -> Labels {
    object.metadata.labels.clone().unwrap_or_default()
}

fn allocation(allocation: &crate::ServiceAllocation, faults: &mut Faults) -> ServiceAllocation {
    let crate::ServiceAllocation { priority, namespaces, namespace_selectors, service_selectors } =
        allocation;
    let mut names = BTreeSet::new();
    for namespace in namespaces {
        let namespace = NamespaceName::from(namespace.as_str());
        if !names.insert(namespace.clone()) {
            faults.add(PoolRefusal::DuplicateNamespace { namespace });
        }
    }
    let mut selectors = |field, selectors| faults.take(selector::list(field, selectors)).unwrap_or_default();
    ServiceAllocation {
        priority: priority.unwrap_or_default(),
        namespaces: names,
        namespace_selectors: selectors("spec.serviceAllocation.namespaceSelectors", namespace_selectors),
        service_selectors: selectors("spec.serviceAllocation.serviceSelectors", service_selectors),
    }
}
