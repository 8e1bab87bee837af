//! L2Advertisements: which pools are announced on layer 2, from where, and on which interfaces.

use std::collections::BTreeSet;

use super::PoolSelection;
use crate::labels::{Labels, Selector, any_matches};
use crate::names::InterfaceName;

/// An L2Advertisement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L2Advertisement {
    /// Which pools it announces.
    pub pools: PoolSelection,
    /// `spec.nodeSelectors`: eligible nodes; empty means all.
    pub node_selectors: Vec<Selector>,
    /// `spec.serviceSelectors`: services by label; empty means all.
    pub service_selectors: Vec<Selector>,
    /// `spec.interfaces`: where it is announced.
    pub interfaces: Interfaces,
    /// `spec.preferredNodeSelectors`: weight (1..100) and the nodes that get it.
    pub preferred_nodes: Vec<(u32, Selector)>,
}

impl L2Advertisement {
    /// Does it cover a node with these labels?
    pub fn covers_node(&self, node: &Labels) -> bool {
        self.node_selectors.is_empty() || any_matches(&self.node_selectors, node)
    }

    /// Does it cover a service with these labels?
    pub fn covers_service(&self, service: &Labels) -> bool {
        self.service_selectors.is_empty() || any_matches(&self.service_selectors, service)
    }

    /// How much it prefers a node with these labels: the weights that match, summed.
    pub fn preference(&self, node: &Labels) -> u32 {
        self.preferred_nodes
            .iter()
            .filter(|(_, selector)| selector.matches(node))
            .map(|(weight, _)| weight)
            .sum()
    }
}

/// A set of interfaces of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Interfaces {
    /// Every interface that is fit for it.
    #[default]
    All,
    /// These only.
    Only(BTreeSet<InterfaceName>),
}

impl Interfaces {
    /// Is `interface` in it?
    pub fn contains(&self, interface: &InterfaceName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(interface),
        }
    }

    /// Interfaces that are in either.
    #[must_use]
    pub fn union(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(mut ours), Self::Only(theirs)) => {
                ours.extend(theirs.iter().cloned());
                Self::Only(ours)
            }
            (Self::All, Self::All | Self::Only(_)) | (Self::Only(_), Self::All) => Self::All,
        }
    }
}
