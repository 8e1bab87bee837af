//! Objects of Kubernetes, read into the words of `metallb-core`, and statuses written back.
//!
//! Not here: decisions. What an object means for an address is decided from what these modules read.

pub mod bgp_extras;
pub mod bgp_node_status;
pub mod bgp_session_state;
pub mod caveats;
pub mod configuration;
pub mod configuration_state;
pub mod frr_configuration;
pub mod reports;
mod rounds;
pub mod service_bgp_status;
pub mod service_l2_status;
mod service_labels;
