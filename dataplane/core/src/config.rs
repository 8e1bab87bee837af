//! The checked configuration: pools and advertisements past which an invalid one cannot be represented.
//!
//! `metallb-crds` turns the objects of the API server into these types; the constructors here hold what must be true
//! of them. One file a kind. Not here: YAML, defaults, and how the user is told.

mod l2_advertisement;
mod pool;
mod selection;

use std::collections::BTreeMap;

use crate::names::AdvertisementName;

pub use l2_advertisement::{Interfaces, L2Advertisement};
pub use pool::{Pool, Pools, ServiceAllocation};
pub use selection::PoolSelection;

/// Everything users configure, as far as it is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The pools, disjoint.
    pub pools: Pools,
    /// The layer 2 advertisements.
    pub l2_advertisements: BTreeMap<AdvertisementName, L2Advertisement>,
}
