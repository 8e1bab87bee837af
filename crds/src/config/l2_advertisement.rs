//! L2Advertisements, and what they have in common with the others.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use metallb_core::config::{Interfaces, L2Advertisement, PoolSelection};
use metallb_core::labels::Selector;
use metallb_core::names::PoolName;
use metallb_core::refusal::{AdvertisementRefusal, AnyRefusal, ConfigRefusal, Kind};

use super::faults::{Faults, read};
use super::{Objects, Parsed, selector};
use crate::{L2AdvertisementSpec, PreferredNodeSelector};

pub(super) fn parse_all(objects: &Objects, parsed: &mut Parsed) {
    for (name, stored) in &objects.l2_advertisements {
        match read(stored, one) {
            Ok(advertisement) => {
                for refusal in unknown_pools(&advertisement.pools, objects) {
                    parsed.refuse(Kind::L2Advertisement, name, refusal);
                }
                parsed.config.l2_advertisements.insert(name.as_str().into(), advertisement);
            }
            Err(refusals) => parsed.refuse_all(Kind::L2Advertisement, name, refusals),
        }
    }
}

fn one(object: &crate::L2Advertisement) -> Result<L2Advertisement, Vec<ConfigRefusal>> {
    let L2AdvertisementSpec {
        ip_address_pools,
        ip_address_pool_selectors,
        node_selectors,
        interfaces,
        service_selectors,
        preferred_node_selectors,
    } = &object.spec;
    let mut faults = Faults::default();
    let interfaces = match interfaces.as_slice() {
        [] => Interfaces::All,
        names => Interfaces::Only(names.iter().map(|name| name.as_str().into()).collect()),
    };
    let advertisement = L2Advertisement {
        pools: pool_selection(ip_address_pools, ip_address_pool_selectors, &mut faults),
        node_selectors: faults.take(selector::list("spec.nodeSelectors", node_selectors)).unwrap_or_default(),
        service_selectors: faults
            .take(selector::list("spec.serviceSelectors", service_selectors))
            .unwrap_or_default(),
        interfaces,
        preferred_nodes: faults.take_all(preferred_node_selectors.iter().map(preferred)),
    };
    faults.unless(Some(advertisement))
}

/// `spec.ipAddressPools` and `spec.ipAddressPoolSelectors`.
pub(super) fn pool_selection(
    pools: &[String],
    selectors: &[LabelSelector],
    faults: &mut Faults,
) -> PoolSelection {
    let mut names = BTreeSet::new();
    for pool in pools {
        let pool = PoolName::from(pool.as_str());
        if !names.insert(pool.clone()) {
            faults.add(AdvertisementRefusal::DuplicatePool { pool });
        }
    }
    let selectors = faults.take(selector::list("spec.ipAddressPoolSelectors", selectors)).unwrap_or_default();
    PoolSelection { names, selectors }
}

/// Pools that are named and not there. One that is there and set aside is its own problem.
pub(super) fn unknown_pools<'o>(
    selection: &'o PoolSelection,
    objects: &'o Objects,
) -> impl Iterator<Item = AdvertisementRefusal> + 'o {
    let unknown = selection.names.iter().filter(|pool| !objects.pools.contains_key(pool.as_str()));
    unknown.map(|pool| AdvertisementRefusal::UnknownPool { pool: pool.clone() })
}

fn preferred(item: &PreferredNodeSelector) -> Result<(u32, Selector), ConfigRefusal> {
    let PreferredNodeSelector { weight, preference } = item;
    let Ok(weight @ 1..=100) = u32::try_from(*weight) else {
        return Err(AdvertisementRefusal::Weight { weight: i64::from(*weight) }.into());
    };
    let preference = selector::one(preference)
        .map_err(|cause| AnyRefusal::Selector { field: "spec.preferredNodeSelectors", cause })?;
    Ok((weight, preference))
}
