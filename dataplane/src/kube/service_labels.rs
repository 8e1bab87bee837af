//! The labels by which the statuses of a service say whose they are. They are upstream's.

use metallb_core::names::ServiceKey;

/// The node that speaks.
pub(super) const NODE: &str = "metallb.io/node";
const SERVICE_NAME: &str = "metallb.io/service-name";
const SERVICE_NAMESPACE: &str = "metallb.io/service-namespace";

/// Those that name `service`.
pub(super) fn of(service: &ServiceKey) -> Vec<(&'static str, String)> {
    vec![(SERVICE_NAME, service.name.to_string()), (SERVICE_NAMESPACE, service.namespace.to_string())]
}

/// The service that they name.
pub(super) fn read(label: impl Fn(&str) -> Option<String>) -> Option<ServiceKey> {
    Some(ServiceKey::new(label(SERVICE_NAMESPACE)?, label(SERVICE_NAME)?))
}
