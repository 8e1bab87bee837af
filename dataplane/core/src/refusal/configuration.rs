//! What is wrong with an object of the configuration, and what that does to it.
//!
//! One file for the refusals of a noun. Start at [`ObjectRefusal`].

mod advertisement;
mod codes;
mod community;
mod peer;
mod pool;
mod selector;

use std::fmt;

use super::Refusal;
use super::any_of::any_of;
use codes::codes;

pub use advertisement::AdvertisementRefusal;
pub use community::CommunityRefusal;
pub use peer::{BadRouterId, PeerRefusal, TTL_SECURITY};
pub use pool::PoolRefusal;
pub use selector::BadSelector;

/// The kinds of object that make up the configuration. Their order is that in which upstream judges them, and ours in
/// which refusals are told: those that others refer to come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// BFDProfile.
    BfdProfile,
    /// BGPPeer.
    BgpPeer,
    /// Community.
    Community,
    /// IPAddressPool.
    IpAddressPool,
    /// L2Advertisement.
    L2Advertisement,
    /// BGPAdvertisement.
    BgpAdvertisement,
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

    /// What English puts before it.
    pub const fn article(self) -> &'static str {
        match self {
            Self::IpAddressPool | Self::L2Advertisement => "an",
            Self::BfdProfile | Self::BgpPeer | Self::Community | Self::BgpAdvertisement => "a",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BfdProfile => "BFDProfile",
            Self::BgpPeer => "BGPPeer",
            Self::Community => "Community",
            Self::IpAddressPool => "IPAddressPool",
            Self::L2Advertisement => "L2Advertisement",
            Self::BgpAdvertisement => "BGPAdvertisement",
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

/// What a refusal does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The object is in force. Admission warns; a ConfigurationState stays Valid.
    Warning,
    /// The object refers to one that is not there, and is set aside until it is: objects arrive in any order, so
    /// admission only warns.
    Dangling,
    /// The object is set aside, or that part of it which the sentence names. Admission denies an edit that brings this
    /// about.
    SetsAside,
}

impl Effect {
    /// Is something of the configuration not in force because of it?
    pub const fn sets_aside(self) -> bool {
        match self {
            Self::Warning => false,
            Self::Dangling | Self::SetsAside => true,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Dangling => "set aside until what is missing is there; admission warns",
            Self::SetsAside => "set aside; admission denies",
        })
    }
}

/// Something wrong with an object. An object may have several; the rest of the configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRefusal {
    /// The object.
    pub object: ObjectRef,
    /// What is wrong with it.
    pub refusal: ConfigRefusal,
}

impl ObjectRefusal {
    /// What it does to the object.
    pub fn effect(&self) -> Effect {
        self.refusal.effect()
    }

    /// The text by which `ConfigurationState.status.errorSummary` tells it, without its prefix: upstream's where tools
    /// compare it as a whole, else [`Refusal::sentence`].
    pub fn summary(&self) -> String {
        self.refusal.summary(&self.object).unwrap_or_else(|| self.sentence())
    }

    /// Sort key in a summary: where tools expect one error of several, it is the one that upstream meets first. It
    /// compares peers with each other before it looks at anything by itself.
    pub fn rank(&self) -> (bool, &ObjectRef) {
        let of_a_pair = matches!(
            &self.refusal,
            ConfigRefusal::Peer(
                PeerRefusal::SameEndpoint { .. }
                    | PeerRefusal::RouterIdsDiffer { .. }
                    | PeerRefusal::OwnAsnsDiffer { .. }
            )
        );
        (!of_a_pair, &self.object)
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

/// What is wrong with an object of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // callers print refusals; only this room matches on them
pub enum ConfigRefusal {
    /// Wrong with any kind of object.
    Object(AnyRefusal),
    /// Wrong with a pool.
    Pool(PoolRefusal),
    /// Wrong with an advertisement.
    Advertisement(AdvertisementRefusal),
    /// Wrong with a peer.
    Peer(PeerRefusal),
    /// Wrong with a community.
    Community(CommunityRefusal),
}

impl ConfigRefusal {
    /// Every code there is, in the order of the document that lists them.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        let by_noun = [
            AnyRefusal::CODES,
            PoolRefusal::CODES,
            AdvertisementRefusal::CODES,
            PeerRefusal::CODES,
            CommunityRefusal::CODES,
        ];
        by_noun.into_iter().flatten().copied()
    }

    /// What it does to the object.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Object(_) | Self::Community(_) => Effect::SetsAside,
            Self::Pool(refusal) => refusal.effect(),
            Self::Advertisement(refusal) => refusal.effect(),
            Self::Peer(refusal) => refusal.effect(),
        }
    }

    fn summary(&self, object: &ObjectRef) -> Option<String> {
        match self {
            Self::Object(_) | Self::Pool(_) | Self::Community(_) => None,
            Self::Advertisement(refusal) => refusal.summary(),
            Self::Peer(refusal) => refusal.summary(&object.name),
        }
    }
}

any_of!(ConfigRefusal {
    Object(AnyRefusal),
    Pool(PoolRefusal),
    Advertisement(AdvertisementRefusal),
    Peer(PeerRefusal),
    Community(CommunityRefusal),
});

/// What can be wrong with an object of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyRefusal {
    /// The object does not have the shape of its kind (a field of the wrong type, say).
    Unreadable {
        /// What the decoder says.
        error: String,
    },
    /// A label selector that cannot be used.
    Selector {
        /// The field, from `spec` on.
        field: &'static str,
        /// What is wrong with it.
        cause: BadSelector,
    },
    /// A number outside its range.
    OutOfRange {
        /// The field, from `spec` on.
        field: &'static str,
        /// The number.
        value: i64,
        /// The smallest that is allowed.
        min: i64,
        /// The largest that is allowed.
        max: i64,
    },
}

codes!(AnyRefusal {
    Unreadable => "unreadable",
    Selector => "bad-selector",
    OutOfRange => "out-of-range",
});

impl Refusal for AnyRefusal {
    fn code(&self) -> &'static str {
        self.own_code()
    }

    fn sentence(&self) -> String {
        match self {
            Self::Unreadable { error } => format!("the object cannot be read: {error}"),
            Self::Selector { field, cause } => format!("{field}: {cause}"),
            Self::OutOfRange { field, value, min, max } => {
                format!("{field} is {value}, which is outside {min} to {max}")
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Unreadable { .. } => "compare it with `kubectl explain`, and apply it again".to_owned(),
            Self::Selector { .. } => "correct or remove the selector".to_owned(),
            Self::OutOfRange { min, max, .. } => format!("choose a number from {min} to {max}"),
        }
    }
}
