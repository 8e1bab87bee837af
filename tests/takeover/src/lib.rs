//! A cluster on which upstream's MetalLB runs becomes one of ours while clients go on asking, and is handed back.
//!
//! Here is upstream's MetalLB, built from its Go modules, what is installed and asked for on every such cluster, and what a router
//! sees meanwhile; `make test-takeover` runs what is in `tests/`. It is no part of `make test`, as the build takes minutes and
//! needs upstream's modules.

pub mod scenario;
pub mod sessions;
pub mod there_and_back;
pub mod upstream;
