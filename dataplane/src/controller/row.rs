//! A Service as the controller keeps it: what it claims, and what writing about it takes.

use k8s_openapi::api::core::v1::{ObjectReference, Service};
use metallb_core::ipam::Claim;
use metallb_core::names::PoolName;
use metallb_crds::cluster::service::{LoadBalancerClass, recorded_pool, reference};
use metallb_crds::cluster::{annotations, claim};

/// A Service as the brain keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it claims.
    pub claim: Claim,
    /// The pool that its annotation says its address came from.
    pub recorded_pool: Option<PoolName>,
    /// Annotations with the deprecated prefix.
    pub deprecated: Vec<String>,
    /// `metadata.resourceVersion`: a write is based on it.
    pub resource_version: String,
    /// For events.
    pub reference: ObjectReference,
}

impl Row {
    /// What matters of `service`; `None` when it is none of our business.
    pub fn of(service: &Service, class: &LoadBalancerClass) -> Option<Self> {
        Some(Self {
            claim: claim::of(service, class)?,
            recorded_pool: recorded_pool(service),
            deprecated: annotations::deprecated(service.metadata.annotations.as_ref()),
            resource_version: service.metadata.resource_version.clone().unwrap_or_default(),
            reference: reference(service),
        })
    }
}
