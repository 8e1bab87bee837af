//! FRRConfiguration: what an frr-k8s that somebody else runs is to announce for MetalLB from this node.
//!
//! | room | holds |
//! |---|---|
//! | `api` | the part of that API which is written |
//! | `wanted` | peers and routes as the brain decides them, and the box in which they arrive |
//! | `build` | from these to the object: pure |
//! | `answer` | what the API server made of it: took, dropped, refused |
//! | `keep` | the one who writes; start here |
//!
//! Not here: which routes to announce (`metallb_core::plan`), and FRR.

mod answer;
mod api;
mod build;
mod keep;
mod wanted;

#[cfg(test)]
mod tests;

pub use api::FRRConfiguration;
pub use keep::{Target, keep};
pub use wanted::{Inbox, Neighbour, Neighbours};
