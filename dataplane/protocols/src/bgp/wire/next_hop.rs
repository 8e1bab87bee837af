//! Next hops of MP_REACH_NLRI: IPv4 (RFC 4760), IPv6 with or without a link-local address (RFC 2545), and IPv6 for
//! IPv4 routes (RFC 8950).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use metallb_core::address::Family;

/// Where to send what matches a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextHop {
    /// To this address.
    V4(Ipv4Addr),
    /// To one of these.
    V6 {
        /// Reachable from afar; on an unnumbered link it may be the link-local address itself.
        global: Ipv6Addr,
        /// For who is on the same link.
        link_local: Option<Ipv6Addr>,
    },
}

impl NextHop {
    /// Reads a next hop for routes of `family`; `None` if its length is none that they can have.
    pub(super) fn parse(family: Family, octets: &[u8]) -> Option<Self> {
        if let (Family::V4, Ok(v4)) = (family, <[u8; 4]>::try_from(octets)) {
            return Some(Self::V4(v4.into()));
        }
        let (global, rest) = octets.split_first_chunk::<16>()?;
        let link_local = match rest {
            [] => None,
            _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?)),
        };
        Some(Self::V6 { global: Ipv6Addr::from(*global), link_local })
    }

    /// The octets behind their length.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => {
                out.push(4);
                out.extend(address.octets());
            }
            Self::V6 { global, link_local } => {
                out.push(if link_local.is_some() { 32 } else { 16 });
                out.extend(global.octets());
                out.extend(link_local.iter().flat_map(Ipv6Addr::octets));
            }
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => fmt::Display::fmt(address, f),
            Self::V6 { global, .. } => fmt::Display::fmt(global, f),
        }
    }
}
