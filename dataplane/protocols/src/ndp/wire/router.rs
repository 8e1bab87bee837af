//! Router solicitations and advertisements.
//!
//! ```text
//!  solicitation:   type 133 | code 0 | checksum | reserved (4) | options
//!  advertisement:  type 134 | code 0 | checksum | hop limit | M O flags | router lifetime (2) | reachable time (4) |
//!                  retransmission timer (4) | options
//! ```

use std::net::Ipv6Addr;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};

use super::options::Options;
use super::{HOP_LIMIT, Malformed};
use crate::ethernet::Mac;

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;

/// How a packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its source address.
    pub from: Ipv6Addr,
    /// Its hop limit.
    pub hop_limit: u8,
}

/// "Who is a router here?"
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solicitation {
    /// Where the sender is on the link.
    pub source: Option<Mac>,
}

/// "I am a router." In most fields zero means "not said", which is `None` here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advertisement {
    /// The hop limit that hosts should send with.
    pub hop_limit: Option<NonZeroU8>,
    /// Addresses are had by DHCPv6.
    pub managed: bool,
    /// Other configuration is had by DHCPv6.
    pub other: bool,
    /// For how many seconds the sender may be used as a default router; `None`: it may not.
    pub router_lifetime: Option<NonZeroU16>,
    /// For how many milliseconds a neighbour counts as reachable.
    pub reachable_time: Option<NonZeroU32>,
    /// Milliseconds between neighbour solicitations.
    pub retransmission_timer: Option<NonZeroU32>,
    /// Where the sender is on the link.
    pub source: Option<Mac>,
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Somebody looks for routers.
    Solicitation(Solicitation),
    /// Somebody is a router.
    Advertisement(Advertisement),
}

impl Message {
    /// Reads a packet, whose checksum is right, from its ICMPv6 type on (RFC 4861 §6.1).
    pub fn parse(arrival: Arrival, bytes: &[u8]) -> Result<Self, Malformed> {
        let Arrival { from, hop_limit } = arrival;
        if hop_limit != HOP_LIMIT {
            return Err(Malformed::HopLimit(hop_limit));
        }
        let ([kind, code, _, _], body) = bytes.split_first_chunk().ok_or(Malformed::Truncated)?;
        let message = match *kind {
            SOLICITATION => Self::solicitation(from, body)?,
            ADVERTISEMENT => Self::advertisement(from, body)?,
            other => return Err(Malformed::OtherType(other)),
        };
        if *code == 0 { Ok(message) } else { Err(Malformed::Code(*code)) }
    }

    fn solicitation(from: Ipv6Addr, body: &[u8]) -> Result<Self, Malformed> {
        let ([_, _, _, _], options) = body.split_first_chunk().ok_or(Malformed::Truncated)?;
        let Options { names_source, source, target: _ } = Options::parse(options)?;
        if names_source && from.is_unspecified() {
            return Err(Malformed::LinkLayerOfNobody);
        }
        Ok(Self::Solicitation(Solicitation { source }))
    }

    fn advertisement(from: Ipv6Addr, body: &[u8]) -> Result<Self, Malformed> {
        if !from.is_unicast_link_local() {
            return Err(Malformed::NotLinkLocal(from));
        }
        let (header, options) = body.split_first_chunk::<12>().ok_or(Malformed::Truncated)?;
        let [hop_limit, flags, l0, l1, a0, a1, a2, a3, t0, t1, t2, t3] = *header;
        let Options { names_source: _, source, target: _ } = Options::parse(options)?;
        Ok(Self::Advertisement(Advertisement {
            hop_limit: NonZeroU8::new(hop_limit),
            managed: flags & MANAGED != 0,
            other: flags & OTHER != 0,
            router_lifetime: NonZeroU16::new(u16::from_be_bytes([l0, l1])),
            reachable_time: NonZeroU32::new(u32::from_be_bytes([a0, a1, a2, a3])),
            retransmission_timer: NonZeroU32::new(u32::from_be_bytes([t0, t1, t2, t3])),
            source,
        }))
    }

    /// Writes the packet from its ICMPv6 type on, without the checksum. Cannot fail: a message that exists can be sent.
    pub fn emit(&self) -> Vec<u8> {
        let (mut bytes, source) = match self {
            Self::Solicitation(Solicitation { source }) => (vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0], source),
            Self::Advertisement(advertisement) => {
                let Advertisement {
                    hop_limit,
                    managed,
                    other,
                    router_lifetime,
                    reachable_time,
                    retransmission_timer,
                    source,
                } = advertisement;
                let managed = if *managed { MANAGED } else { 0 };
                let other = if *other { OTHER } else { 0 };
                let mut bytes = vec![ADVERTISEMENT, 0, 0, 0];
                bytes.extend([hop_limit.map_or(0, NonZeroU8::get), managed | other]);
                bytes.extend(router_lifetime.map_or(0, NonZeroU16::get).to_be_bytes());
                bytes.extend(reachable_time.map_or(0, NonZeroU32::get).to_be_bytes());
                bytes.extend(retransmission_timer.map_or(0, NonZeroU32::get).to_be_bytes());
                (bytes, source)
            }
        };
        bytes.extend(source.iter().flat_map(|mac| Options::source_link_layer(*mac)));
        bytes
    }
}
