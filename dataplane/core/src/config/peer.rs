//! BGPPeers: with whom to talk BGP, how, and from which nodes.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};

use super::bfd_profile::BfdProfile;
use super::bgp_session::{Asn, ConnectTime, Password, RouterId, Timers};
use crate::address::Family;
use crate::labels::{Labels, Selector, any_matches};
use crate::names::{BfdProfileName, InterfaceName, SecretName, VrfName};

/// A router to talk BGP with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `spec.myASN`: our own system.
    pub my_asn: Asn,
    /// `spec.localASN`: presented to this router in place of [`Self::my_asn`], which then shows nowhere.
    pub local_asn: Option<Asn>,
    /// `spec.peerASN` or `spec.dynamicASN`.
    pub remote: RemoteAs,
    /// `spec.peerAddress` or `spec.interface`.
    pub endpoint: Endpoint,
    /// `spec.peerPort`.
    pub port: NonZeroU16,
    /// `spec.sourceAddress`: of the family of the peer's address, if that is given.
    pub source_address: Option<IpAddr>,
    /// `spec.routerID`; `None` lets the node choose.
    pub router_id: Option<RouterId>,
    /// `spec.vrf`; `None` is the default VRF.
    pub vrf: Option<VrfName>,
    /// `spec.holdTime` and `spec.keepaliveTime`; `None` leaves them to the profile of defaults.
    pub timers: Option<Timers>,
    /// `spec.connectTime`; `None` leaves it to the profile of defaults.
    pub connect_time: Option<ConnectTime>,
    /// `spec.password` or `spec.passwordSecret`.
    pub password: Option<PasswordSource>,
    /// `spec.bfdProfile`, and what it says.
    pub bfd: Option<Bfd>,
    /// `spec.enableGracefulRestart`.
    pub graceful_restart: bool,
    /// `spec.ebgpMultiHop`.
    pub multihop: bool,
    /// The router is at most so many hops away, and proves it (RFC 5082).
    pub ttl_security: Option<NonZeroU8>,
    /// `spec.dualStackAddressFamily`.
    pub families: SessionFamilies,
    /// `spec.nodeSelectors`: nodes that connect; empty means all.
    pub node_selectors: Vec<Selector>,
}

/// The system of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one and no other.
    Number(Asn),
    /// Our own, whichever that is.
    Internal,
    /// Any but our own.
    External,
}

/// Where the router is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// At this address.
    Address(IpAddr),
    /// Behind this interface, found by its router advertisements (an unnumbered session).
    Interface(InterfaceName),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Interface(interface) => fmt::Display::fmt(interface, f),
        }
    }
}

/// Where the password of a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// In the object itself.
    Inline(Password),
    /// Under `password` in this Secret of MetalLB's namespace.
    Secret(SecretName),
}

/// The BFD session that watches over a peer. A copy of the profile: a peer that is in force needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bfd {
    /// The BFDProfile.
    pub name: BfdProfileName,
    /// Its settings.
    pub profile: BfdProfile,
}

/// Which routes a session carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFamilies {
    /// Those of the family of its own addresses.
    Own,
    /// IPv4 and IPv6.
    Both,
}

/// Why two peers cannot both be served from one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerConflict {
    /// The same router in the same VRF: two sessions from one address to one address are one.
    SameEndpoint,
    /// One speaker has one router ID in a VRF.
    RouterIds,
    /// One speaker is in one autonomous system in a VRF.
    OwnAsns,
}

impl Peer {
    /// The port of a peer that names none.
    pub const PORT: NonZeroU16 = NonZeroU16::new(179).unwrap();

    /// A peer that says nothing but who and where it is.
    pub const fn new(my_asn: Asn, remote: RemoteAs, endpoint: Endpoint) -> Self {
        Self {
            my_asn,
            local_asn: None,
            remote,
            endpoint,
            port: Self::PORT,
            source_address: None,
            router_id: None,
            vrf: None,
            timers: None,
            connect_time: None,
            password: None,
            bfd: None,
            graceful_restart: false,
            multihop: false,
            ttl_security: None,
            families: SessionFamilies::Own,
            node_selectors: Vec::new(),
        }
    }

    /// Does a node with these labels connect?
    pub fn covers_node(&self, node: &Labels) -> bool {
        self.node_selectors.is_empty() || any_matches(&self.node_selectors, node)
    }

    /// The family of the session's addresses. An unnumbered session runs over link-local IPv6.
    pub fn session_family(&self) -> Family {
        match &self.endpoint {
            Endpoint::Address(address) => Family::of(*address),
            Endpoint::Interface(_) => Family::V6,
        }
    }

    /// Is it reached as `address`, or `interface`, in a VRF if it has one? What upstream calls a peer in messages.
    pub fn identity(&self) -> String {
        match &self.vrf {
            None => self.endpoint.to_string(),
            Some(vrf) => format!("{}-{vrf}", self.endpoint),
        }
    }

    /// What keeps the two from being served from one node, if they select a common one: that is for the caller to
    /// know. VRFs keep everything apart.
    pub fn conflicts(&self, other: &Self) -> Vec<PeerConflict> {
        let mut conflicts = Vec::new();
        if self.vrf == other.vrf {
            if self.endpoint == other.endpoint {
                conflicts.push(PeerConflict::SameEndpoint);
            }
            if self.router_id != other.router_id {
                conflicts.push(PeerConflict::RouterIds);
            }
            if self.my_asn != other.my_asn {
                conflicts.push(PeerConflict::OwnAsns);
            }
        }
        conflicts
    }
}
