//! Services that have addresses, and whether the pools would leave them these.

use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use metallb_core::config::Pools;
use metallb_core::labels::Labels;
use metallb_core::names::NamespaceName;

use crate::cluster::service::{ingress_addresses, is_load_balancer};

/// A service that has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningService {
    namespace: NamespaceName,
    name: String,
    labels: Labels,
    namespace_labels: Option<Labels>,
    addresses: Vec<IpAddr>,
}

impl RunningService {
    /// Reads a Service; `None` when it has no address of a load balancer. `namespace_labels` are those of its
    /// namespace, if known.
    pub fn read(service: &Service, namespace_labels: Option<&Labels>) -> Option<Self> {
        if !is_load_balancer(service) {
            return None;
        }
        // What the controller cannot read either is nobody's address.
        let addresses = ingress_addresses(service).unwrap_or_default();
        (!addresses.is_empty()).then(|| Self {
            namespace: service.metadata.namespace.as_deref().unwrap_or_default().into(),
            name: service.metadata.name.clone().unwrap_or_default(),
            labels: service.metadata.labels.clone().unwrap_or_default(),
            namespace_labels: namespace_labels.cloned(),
            addresses,
        })
    }

    /// Does one of `pools` own all its addresses, and serve it?
    pub(super) fn is_held_by(&self, pools: &Pools) -> bool {
        pools.iter().any(|pool| {
            self.addresses.iter().all(|address| pool.owns(*address))
                && pool.admits(&self.labels, &self.namespace, self.namespace_labels.as_ref())
        })
    }
}

impl fmt::Display for RunningService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{}/{} ({})", self.namespace, self.name, addresses.join(", "))
    }
}
