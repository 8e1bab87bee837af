//! The operator: installs MetalLB as a `MetalLB` object asks for it, and serves the webhooks of all kinds.
//!
//! [`generate`] makes those files of the repository that follow from the Rust types.

pub mod generate;
