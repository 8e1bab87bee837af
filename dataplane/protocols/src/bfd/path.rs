//! What a session watches: the way to one router.

use std::fmt;
use std::net::IpAddr;

use metallb_core::names::{InterfaceName, VrfName};

/// How far away the router is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hops {
    /// On the same link (RFC 5881): a packet that crossed a router is none of its.
    Single,
    /// Behind other routers (RFC 5883).
    Multi,
}

impl Hops {
    /// The UDP port that control packets go to.
    pub const fn port(self) -> u16 {
        match self {
            Self::Single => 3784,
            Self::Multi => 4784,
        }
    }
}

/// The way to one router. There is one session for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// The router.
    pub peer: IpAddr,
    /// How far away it is.
    pub hops: Hops,
    /// Our own address; `None` leaves it to the routing table.
    pub source: Option<IpAddr>,
    /// The interface that it is behind; needed for link-local addresses.
    pub interface: Option<InterfaceName>,
    /// The VRF; `None` is the default one.
    pub vrf: Option<VrfName>,
}

impl Path {
    /// The way to `peer`, wherever the routing table says it is.
    pub const fn to(peer: IpAddr, hops: Hops) -> Self {
        Self { peer, hops, source: None, interface: None, vrf: None }
    }

    /// Whether a packet that arrived so may be of this path's session.
    pub(super) fn is_of(&self, arrival: &Arrival) -> bool {
        let Self { peer, hops, source, interface, vrf } = self;
        *peer == arrival.from
            && *hops == arrival.hops
            && *vrf == arrival.vrf
            && source.is_none_or(|source| source == arrival.to)
            && interface.as_ref().is_none_or(|interface| arrival.interface.as_ref() == Some(interface))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, hops, source, interface, vrf } = self;
        fmt::Display::fmt(peer, f)?;
        if let Some(interface) = interface {
            write!(f, "%{interface}")?;
        }
        if let Some(source) = source {
            write!(f, " from {source}")?;
        }
        if let Some(vrf) = vrf {
            write!(f, " in VRF {vrf}")?;
        }
        match hops {
            Hops::Single => Ok(()),
            Hops::Multi => f.write_str(" (multihop)"),
        }
    }
}

/// How a control packet arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From this address.
    pub from: IpAddr,
    /// At this one of ours.
    pub to: IpAddr,
    /// On the port for these.
    pub hops: Hops,
    /// With this TTL or hop limit.
    pub ttl: u8,
    /// Through this interface, where that is known.
    pub interface: Option<InterfaceName>,
    /// In this VRF.
    pub vrf: Option<VrfName>,
}
