//! Why an object of the configuration was set aside.

use std::fmt;

use super::Refusal;
use crate::address::{AddressRange, BadRange};
use crate::names::{NamespaceName, PoolName};

/// The kinds of object that make up the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// IPAddressPool.
    IpAddressPool,
    /// L2Advertisement.
    L2Advertisement,
    /// BGPAdvertisement.
    BgpAdvertisement,
    /// BGPPeer.
    BgpPeer,
    /// BFDProfile.
    BfdProfile,
    /// Community.
    Community,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::IpAddressPool,
        Self::L2Advertisement,
        Self::BgpAdvertisement,
        Self::BgpPeer,
        Self::BfdProfile,
        Self::Community,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IpAddressPool => "IPAddressPool",
            Self::L2Advertisement => "L2Advertisement",
            Self::BgpAdvertisement => "BGPAdvertisement",
            Self::BgpPeer => "BGPPeer",
            Self::BfdProfile => "BFDProfile",
            Self::Community => "Community",
        })
    }
}

/// An object of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its `metadata.name`; the namespace is MetalLB's.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// An object that was set aside, and why. The rest of the configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRefusal {
    /// The object.
    pub object: ObjectRef,
    /// Why.
    pub refusal: ConfigRefusal,
}

impl ObjectRefusal {
    /// Does it keep the object out of the configuration?
    pub const fn denies(&self) -> bool {
        true
    }
}

impl Refusal for ObjectRefusal {
    fn code(&self) -> &'static str {
        self.refusal.code()
    }

    fn sentence(&self) -> String {
        format!("{}: {}", self.object, self.refusal.sentence())
    }

    fn fix(&self) -> String {
        self.refusal.fix()
    }
}

/// Why a label selector is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSelector {
    /// The operator is not one of In, NotIn, Exists, DoesNotExist.
    UnknownOperator(String),
    /// In and NotIn want values.
    NeedsValues(String),
    /// Exists and DoesNotExist take none.
    TakesNoValues(String),
    /// The same value twice in one expression.
    RepeatedValue(String),
    /// The same expression twice in one selector.
    RepeatedExpression(String),
    /// The same selector twice in the list.
    RepeatedSelector,
}

impl fmt::Display for BadSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOperator(operator) => {
                write!(f, "{operator:?} is not a valid label selector operator")
            }
            Self::NeedsValues(key) => write!(f, "the expression on {key:?} needs at least one value"),
            Self::TakesNoValues(key) => write!(f, "the expression on {key:?} takes no values"),
            Self::RepeatedValue(value) => write!(f, "the value {value:?} stands twice in one expression"),
            Self::RepeatedExpression(key) => write!(f, "the same expression on {key:?} stands twice"),
            Self::RepeatedSelector => {
                f.write_str("duplicate label selector: the same one stands twice in the list")
            }
        }
    }
}

/// Why an object of the configuration was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // callers print refusals; only this file matches on them
pub enum ConfigRefusal {
    /// The object does not have the shape of its kind (a field of the wrong type, say).
    Unreadable {
        /// What the decoder says.
        error: String,
    },
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
    /// A pool stands twice in `spec.ipAddressPools`.
    DuplicatePool {
        /// The pool.
        pool: PoolName,
    },
    /// A label selector that cannot be used.
    Selector {
        /// The field, from `spec` on.
        field: &'static str,
        /// What is wrong with it.
        cause: BadSelector,
    },
    /// A weight outside 1..100.
    Weight {
        /// The weight.
        weight: i64,
    },
}

impl Refusal for ConfigRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::NoAddresses => "pool-empty",
            Self::BadAddresses { .. } => "pool-bad-addresses",
            Self::UnusableRange { .. } => "pool-unusable-range",
            Self::RangesOverlap { .. } => "pool-ranges-overlap",
            Self::PoolsOverlap { .. } => "pools-overlap",
            Self::DuplicateNamespace { .. } => "duplicate-namespace",
            Self::DuplicatePool { .. } => "duplicate-pool",
            Self::Selector { .. } => "bad-selector",
            Self::Weight { .. } => "bad-weight",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Unreadable { error } => format!("the object cannot be read: {error}"),
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
            Self::DuplicatePool { pool } => format!("pool {pool} stands twice in spec.ipAddressPools"),
            Self::Selector { field, cause } => format!("{field}: {cause}"),
            Self::Weight { weight } => {
                format!("weight {weight} in spec.preferredNodeSelectors is outside 1 to 100")
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Unreadable { .. } => "compare it with `kubectl explain`, and apply it again".to_owned(),
            Self::NoAddresses => {
                "add a CIDR such as 192.0.2.0/28, or a range such as 192.0.2.10-192.0.2.20".to_owned()
            }
            Self::BadAddresses { entry, cause } => match cause {
                BadRange::BareAddress => {
                    let length = if entry.contains(':') { 128 } else { 32 };
                    format!("write {}/{length} for this one address", entry.trim())
                }
                BadRange::Reversed(first, last) => format!("write {last}-{first}"),
                BadRange::MixedFamilies(..) => "write one range for each family".to_owned(),
                BadRange::Syntax => "write address/length, or first-last".to_owned(),
            },
            Self::UnusableRange { .. } => {
                "choose addresses that your network routes to these nodes".to_owned()
            }
            Self::RangesOverlap { .. } => "remove one of the two".to_owned(),
            Self::PoolsOverlap { other, .. } => {
                format!("give each address to one pool only; {other} is older and stays in force")
            }
            Self::DuplicateNamespace { .. } | Self::DuplicatePool { .. } => {
                "remove one of the two".to_owned()
            }
            Self::Selector { .. } => "correct or remove the selector".to_owned(),
            Self::Weight { .. } => "choose a weight from 1 to 100".to_owned(),
        }
    }
}
