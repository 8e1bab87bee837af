//! What MetalLB reads of Kubernetes' own kinds: Services, EndpointSlices and Nodes into the words of `metallb-core`.
//!
//! Controller, speaker and the offline tools all read them here, so that they cannot understand a Service differently.
//! Not here: decisions. What an object means for an address is decided from what these modules read.

pub mod annotations;
pub mod bgp_extras;
pub mod claim;
pub mod endpoints;
pub mod node;
pub mod pod;
pub mod secret;
pub mod service;
