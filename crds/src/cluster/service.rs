//! What controller and speaker both read from a Service.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ObjectReference, Service};
use kube::{Resource, ResourceExt};
use metallb_core::address::parse_address;
use metallb_core::names::{PoolName, ServiceKey};
use metallb_core::plan;

use super::annotations::Annotation;

/// Which services are ours: the flag `--lb-class`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancerClass(Option<String>);

impl LoadBalancerClass {
    /// The flag's value; empty means services without a class.
    pub fn from_flag(class: &str) -> Self {
        Self((!class.is_empty()).then(|| class.to_owned()))
    }

    /// Is `service` a load balancer of ours: of type LoadBalancer, and of this class?
    pub fn owns(&self, service: &Service) -> bool {
        let spec = service.spec.as_ref();
        let class = spec.and_then(|spec| spec.load_balancer_class.as_ref()).filter(|class| !class.is_empty());
        is_load_balancer(service) && class == self.0.as_ref()
    }
}

/// Is it of type LoadBalancer, of whatever class?
pub fn is_load_balancer(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer")
}

/// The name it goes by.
pub fn key(service: &Service) -> ServiceKey {
    ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any())
}

/// The addresses in `status.loadBalancer.ingress`, in order. Entries that only have a host name are another
/// controller's and count for nothing; a text that is no address is an error.
pub fn ingress_addresses(service: &Service) -> Result<Vec<IpAddr>, String> {
    let load_balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = load_balancer.and_then(|load_balancer| load_balancer.ingress.as_ref());
    let texts =
        ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_deref()).filter(|ip| !ip.is_empty());
    let address = |text| parse_address(text).ok_or_else(|| format!("{text:?} is not an IP address"));
    let mut addresses: Vec<IpAddr> = texts.map(address).collect::<Result<_, _>>()?;
    addresses.shrink_to_fit(); // mostly it is one, and there are thousands of services
    Ok(addresses)
}

/// The pool that its annotation says its address came from.
pub fn recorded_pool(service: &Service) -> Option<PoolName> {
    let pool = Annotation::IpAllocatedFromPool.of(service.metadata.annotations.as_ref())?;
    (!pool.is_empty()).then(|| pool.into())
}

/// What decides where it is announced; `None` when it is no load balancer of ours, and what is wrong with its status
/// when that is no list of addresses.
pub fn announced(service: &Service, class: &LoadBalancerClass) -> Option<Result<plan::Service, String>> {
    if !class.owns(service) {
        return None;
    }
    let spec = service.spec.as_ref();
    let local = spec.and_then(|spec| spec.external_traffic_policy.as_deref()) == Some("Local");
    Some(ingress_addresses(service).map(|addresses| plan::Service {
        addresses,
        labels: service.metadata.labels.clone().unwrap_or_default(),
        traffic_policy: if local { plan::TrafficPolicy::Local } else { plan::TrafficPolicy::Cluster },
        shares: Annotation::AllowSharedIp.of(service.metadata.annotations.as_ref()).is_some(),
        allocated_from: recorded_pool(service),
    }))
}

/// For events about the service of that name, as far as the name goes.
pub fn reference_to(service: &ServiceKey) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: Some(service.namespace.to_string()),
        name: Some(service.name.to_string()),
        ..ObjectReference::default()
    }
}

/// For events about it.
pub fn reference(service: &Service) -> ObjectReference {
    service.object_ref(&())
}
