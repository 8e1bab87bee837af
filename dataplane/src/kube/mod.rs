//! Objects of Kubernetes, read into the words of `metallb-core`, and statuses written back.
//!
//! Not here: decisions. What an object means for an address is decided from what these modules read.

pub mod configuration;
pub mod service_l2_status;
