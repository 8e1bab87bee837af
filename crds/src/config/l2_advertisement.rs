//! L2Advertisements.

use std::collections::{BTreeMap, BTreeSet};

use metallb_core::config::{Interfaces, L2Advertisement, PoolSelection};
use metallb_core::labels::Selector;
use metallb_core::names::PoolName;
use metallb_core::refusal::{ConfigRefusal, Kind};

use super::{Parsed, Stored, selector};
use crate::{L2AdvertisementSpec, PreferredNodeSelector};

pub(super) fn parse_all(objects: &BTreeMap<String, Stored<crate::L2Advertisement>>, parsed: &mut Parsed) {
    for (name, stored) in objects {
        let advertisement = match stored {
            Stored::Readable(object) => one(&object.spec),
            Stored::Unreadable { error, .. } => Err(ConfigRefusal::Unreadable { error: error.clone() }),
        };
        match advertisement {
            Ok(advertisement) => {
                parsed.config.l2_advertisements.insert(name.as_str().into(), advertisement);
            }
            Err(refusal) => parsed.refuse(Kind::L2Advertisement, name, refusal),
        }
    }
}

fn one(spec: &L2AdvertisementSpec) -> Result<L2Advertisement, ConfigRefusal> {
    let L2AdvertisementSpec {
        ip_address_pools,
        ip_address_pool_selectors,
        node_selectors,
        interfaces,
        service_selectors,
        preferred_node_selectors,
    } = spec;
    let mut names = BTreeSet::new();
    for pool in ip_address_pools {
        let pool = PoolName::from(pool.as_str());
        if !names.insert(pool.clone()) {
            return Err(ConfigRefusal::DuplicatePool { pool });
        }
    }
    let interfaces = match interfaces.as_slice() {
        [] => Interfaces::All,
        names => Interfaces::Only(names.iter().map(|name| name.as_str().into()).collect()),
    };
    Ok(L2Advertisement {
        pools: PoolSelection {
            names,
            selectors: selector::list("spec.ipAddressPoolSelectors", ip_address_pool_selectors)?,
        },
        node_selectors: selector::list("spec.nodeSelectors", node_selectors)?,
        service_selectors: selector::list("spec.serviceSelectors", service_selectors)?,
        interfaces,
        preferred_nodes: preferred_node_selectors.iter().map(preferred).collect::<Result<_, _>>()?,
    })
}

fn preferred(item: &PreferredNodeSelector) -> Result<(u32, Selector), ConfigRefusal> {
    let PreferredNodeSelector { weight, preference } = item;
    let refused = |cause| ConfigRefusal::Selector { field: "spec.preferredNodeSelectors", cause };
    let Ok(weight @ 1..=100) = u32::try_from(*weight) else {
        return Err(ConfigRefusal::Weight { weight: i64::from(*weight) });
    };
    Ok((weight, selector::one(preference).map_err(refused)?))
}
