//! IPAddressPools.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use metallb_core::address::AddressRange;
use metallb_core::config::{Pool, ServiceAllocation};
use metallb_core::labels::Labels;
use metallb_core::names::NamespaceName;
use metallb_core::refusal::{ConfigRefusal, Kind};

use super::{Parsed, Stored, selector};
use crate::{IPAddressPool, IPAddressPoolSpec};

/// Older pools first: of two that overlap the older one stays, whatever their names.
pub(super) fn parse_all(pools: &BTreeMap<String, Stored<IPAddressPool>>, parsed: &mut Parsed) {
    let mut by_age: Vec<_> = pools.iter().collect();
    by_age.sort_by_key(|(name, stored)| (metadata(stored).creation_timestamp.clone(), *name));
    for (name, stored) in by_age {
        let pool = match stored {
            Stored::Readable(object) => one(name, object),
            Stored::Unreadable { error, .. } => Err(ConfigRefusal::Unreadable { error: error.clone() }),
        };
        if let Err(refusal) = pool.and_then(|pool| parsed.config.pools.insert(pool)) {
            parsed.config.pools.set_aside(name.as_str().into(), labels(metadata(stored)));
            parsed.refuse(Kind::IpAddressPool, name, refusal);
        }
    }
}

fn metadata(stored: &Stored<IPAddressPool>) -> &ObjectMeta {
    match stored {
        Stored::Readable(object) => &object.metadata,
        Stored::Unreadable { metadata, .. } => metadata,
    }
}

fn labels(metadata: &ObjectMeta) -> Labels {
    metadata.labels.clone().unwrap_or_default()
}

fn one(name: &str, object: &IPAddressPool) -> Result<Pool, ConfigRefusal> {
    let IPAddressPoolSpec { addresses, auto_assign, avoid_buggy_ips, service_allocation } = &object.spec;
    let range = |entry: &String| {
        AddressRange::parse(entry)
            .map_err(|cause| ConfigRefusal::BadAddresses { entry: entry.clone(), cause })
    };
    let ranges = addresses.iter().map(range).collect::<Result<Vec<_>, _>>()?;
    let mut pool = Pool::new(name.into(), ranges)?;
    pool.labels = labels(&object.metadata);
    pool.auto_assign = *auto_assign;
    pool.avoid_buggy_ips = *avoid_buggy_ips;
    pool.allocation = service_allocation.as_ref().map(allocation).transpose()?;
    Ok(pool)
}

fn allocation(allocation: &crate::ServiceAllocation) -> Result<ServiceAllocation, ConfigRefusal> {
    let crate::ServiceAllocation { priority, namespaces, namespace_selectors, service_selectors } =
        allocation;
    let mut names = BTreeSet::new();
    for namespace in namespaces {
        let namespace = NamespaceName::from(namespace.as_str());
        if !names.insert(namespace.clone()) {
            return Err(ConfigRefusal::DuplicateNamespace { namespace });
        }
    }
    Ok(ServiceAllocation {
        priority: priority.unwrap_or_default(),
        namespaces: names,
        namespace_selectors: selector::list(
            "spec.serviceAllocation.namespaceSelectors",
            namespace_selectors,
        )?,
        service_selectors: selector::list("spec.serviceAllocation.serviceSelectors", service_selectors)?,
    })
}
