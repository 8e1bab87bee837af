//! What is wrong with an IPAddressPool.

use std::net::IpAddr;

use super::{Effect, codes};
use crate::address::{AddressRange, BadRange};
use crate::names::{NamespaceName, NodeName, PoolName};
use crate::refusal::Refusal;

/// What is wrong with an IPAddressPool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolRefusal {
    /// `spec.addresses` is empty.
    NoAddresses,
    /// An entry of `spec.addresses` is neither CIDR nor range.
    BadAddresses {
        /// The entry as written.
        entry: String,
        /// What is wrong with it.
        cause: BadRange,
    },
    /// An entry of `spec.addresses` that no network carries.
    UnusableRange {
        /// The range.
        range: AddressRange,
        /// Why nobody could reach it.
        why: &'static str,
    },
    /// Two entries of one pool share addresses.
    RangesOverlap {
        /// One.
        range: AddressRange,
        /// The other, which stands before it.
        other: AddressRange,
    },
    /// Two pools share addresses. The older one stays in force.
    PoolsOverlap {
        /// This pool's range.
        range: AddressRange,
        /// The older pool.
        other: PoolName,
        /// The older pool's range.
        theirs: AddressRange,
    },
    /// A namespace stands twice in `spec.serviceAllocation.namespaces`.
    DuplicateNamespace {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// An address of the pool is that of a node.
    HoldsNodeAddress {
        /// The address.
        address: IpAddr,
        /// The node.
        node: NodeName,
    },
    /// No advertisement selects the pool.
    NotAdvertised,
}

codes!(PoolRefusal {
    NoAddresses => "pool-empty",
    BadAddresses => "pool-bad-addresses",
    UnusableRange => "pool-unusable-range",
    RangesOverlap => "pool-ranges-overlap",
    PoolsOverlap => "pools-overlap",
    DuplicateNamespace => "duplicate-namespace",
    HoldsNodeAddress => "pool-holds-node-address",
    NotAdvertised => "pool-not-advertised",
});

impl PoolRefusal {
    pub(super) const fn effect(&self) -> Effect {
        match self {
            Self::HoldsNodeAddress { .. } | Self::NotAdvertised => Effect::Warning,
            Self::NoAddresses
            | Self::BadAddresses { .. }
            | Self::UnusableRange { .. }
            | Self::RangesOverlap { .. }
            | Self::PoolsOverlap { .. }
            | Self::DuplicateNamespace { .. } => Effect::SetsAside,
        }
    }
}

impl Refusal for PoolRefusal {
    fn code(&self) -> &'static str {
        self.own_code()
    }

    fn sentence(&self) -> String {
        match self {
            Self::NoAddresses => "spec.addresses is empty".to_owned(),
            Self::BadAddresses { entry, cause } => {
                format!("invalid CIDR or range {entry:?} in spec.addresses: {cause}")
            }
            Self::UnusableRange { range, why } => {
                format!("the range {range} in spec.addresses cannot be used: {why}")
            }
            Self::RangesOverlap { range, other } => {
                format!(
                    "the range {range} in spec.addresses overlaps with already defined CIDR {other} of the same pool"
                )
            }
            Self::PoolsOverlap { range, other, theirs } => {
                format!(
                    "the range {range} in spec.addresses overlaps with already defined CIDR {theirs} of pool {other}"
                )
            }
            Self::DuplicateNamespace { namespace } => {
                format!("namespace {namespace} stands twice in spec.serviceAllocation.namespaces")
            }
            Self::HoldsNodeAddress { address, node } => {
                format!("spec.addresses holds {address}, which is the address of node {node}")
            }
            Self::NotAdvertised => {
                "no L2Advertisement and no BGPAdvertisement selects the pool: nobody can reach its addresses"
                    .to_owned()
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoAddresses => {
                "add a CIDR such as 192.0.2.0/28, or a range such as 192.0.2.10-192.0.2.20".to_owned()
            }
            Self::BadAddresses { entry, cause } => match cause {
                BadRange::BareAddress => {
                    let length = if entry.contains(':') { 128 } else { 32 };
                    format!("write {}/{length} for this one address", entry.trim())
                }
                BadRange::PrefixTooLong { family, .. } => {
                    format!("write a prefix length of at most {}", family.bits())
                }
                BadRange::Reversed(first, last) => format!("write {last}-{first}"),
                BadRange::MixedFamilies(..) => "write one range for each family".to_owned(),
                BadRange::Syntax => "write address/length, or first-last".to_owned(),
            },
            Self::UnusableRange { .. } => {
                "choose addresses that your network routes to these nodes".to_owned()
            }
            Self::RangesOverlap { .. } | Self::DuplicateNamespace { .. } => {
                "remove one of the two".to_owned()
            }
            Self::PoolsOverlap { other, .. } => {
                format!("give each address to one pool only; {other} is older and stays in force")
            }
            Self::HoldsNodeAddress { .. } => {
                "leave the addresses of nodes out of the pool, or a service may take one over".to_owned()
            }
            Self::NotAdvertised => {
                "create an L2Advertisement or a BGPAdvertisement that selects it".to_owned()
            }
        }
    }
}
