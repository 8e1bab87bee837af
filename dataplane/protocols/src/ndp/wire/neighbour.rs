//! Neighbour solicitations and advertisements, from the Ethernet header to the end of the options.
//!
//! ```text
//!  Ethernet (14) | IPv6 (40): next header 58, hop limit 255 |
//!  solicitation:   type 135 | code 0 | checksum | reserved (4)      | target (16) | options
//!  advertisement:  type 136 | code 0 | checksum | R S O flags (4)   | target (16) | options
//! ```
//!
//! Whole frames, as neighbours that make sure of an address ask it directly: no socket of a host which does not have the
//! address itself would hear that.

use std::net::Ipv6Addr;

use super::options::Options;
use super::{HOP_LIMIT, Malformed};
use crate::ethernet::Mac;

/// The length of a message with one link-layer address: none that we send is longer.
pub const FRAME_LENGTH: usize = 86;

const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const VERSION: u8 = 6;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// A neighbour's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source.
    pub source: Mac,
    /// IPv6 source. Of a solicitation it may be unspecified: who asks is about to take the target.
    pub from: Ipv6Addr,
    /// IPv6 destination.
    pub to: Ipv6Addr,
    /// What it says.
    pub message: Message,
}

/// What a neighbour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Somebody looks for an address.
    Solicitation(Solicitation),
    /// Somebody has an address.
    Advertisement(Advertisement),
}

/// "Who has `target`?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// The address.
    pub target: Ipv6Addr,
    /// Where the sender is on the link.
    pub source: Option<Mac>,
}

/// "`target` is at `station`."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // they are on the wire, and every combination is legal
pub struct Advertisement {
    /// The address.
    pub target: Ipv6Addr,
    /// The sender is a router.
    pub router: bool,
    /// It answers a solicitation: the neighbour is reachable both ways.
    pub solicited: bool,
    /// It replaces another station that the receiver may know.
    pub replaces: bool,
    /// Where the address is on the link.
    pub station: Option<Mac>,
}

/// The group that hears questions for an address (RFC 4291 §2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from_octets([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

impl Packet {
    /// Reads a frame (RFC 4861 §7.1). Hostile bytes in; what comes out needs no further check.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let mut rest = frame;
        let (destination, source) = (Mac(take(&mut rest)?), Mac(take(&mut rest)?));
        let ethertype: [u8; 2] = take(&mut rest)?;
        let [version, _, _, _] = take(&mut rest)?;
        if ethertype != ETHERTYPE_IPV6 || version >> 4 != VERSION {
            return Err(Malformed::NotIpv6);
        }
        let length = u16::from_be_bytes(take(&mut rest)?);
        let [next_header, hop_limit] = take(&mut rest)?;
        let (from, to) = (Ipv6Addr::from(take::<16>(&mut rest)?), Ipv6Addr::from(take::<16>(&mut rest)?));
        if next_header != ICMPV6 {
            return Err(Malformed::OtherProtocol(next_header));
        }
        // What comes after it is padding.
        let message = rest.get(..usize::from(length)).ok_or(Malformed::Truncated)?;
        if hop_limit != HOP_LIMIT {
            return Err(Malformed::HopLimit(hop_limit));
        }
        if from.is_multicast() {
            return Err(Malformed::FromAGroup(from));
        }
        let kind = *message.first().ok_or(Malformed::Truncated)?;
        if !matches!(kind, SOLICITATION | ADVERTISEMENT) {
            return Err(Malformed::OtherType(kind));
        }
        if checksum(from, to, message) != 0 {
            return Err(Malformed::Checksum);
        }
        let message = Message::parse(from, to, message)?;
        Ok(Self { destination, source, from, to, message })
    }

    /// Writes the frame. Cannot fail: a packet that exists can be sent.
    pub fn emit(&self) -> Vec<u8> {
        let Self { destination, source, from, to, message } = self;
        let mut sealed = message.emit();
        let sum = checksum(*from, *to, &sealed);
        if let Some(field) = sealed.get_mut(2..4) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        let length = u16::try_from(sealed.len()).unwrap_or(u16::MAX); // 32 at most
        let mut frame = Vec::with_capacity(FRAME_LENGTH);
        frame.extend(destination.0);
        frame.extend(source.0);
        frame.extend(ETHERTYPE_IPV6);
        frame.extend([VERSION << 4, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([ICMPV6, HOP_LIMIT]);
        frame.extend(from.octets());
        frame.extend(to.octets());
        frame.extend(sealed);
        frame
    }
}

impl Message {
    fn parse(from: Ipv6Addr, to: Ipv6Addr, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let [kind, code, _, _] = take(&mut rest)?;
        let [flags, _, _, _] = take(&mut rest)?;
        let target = Ipv6Addr::from(take::<16>(&mut rest)?);
        let Options { names_source, source, target: station } = Options::parse(rest)?;
        if code != 0 {
            return Err(Malformed::Code(code));
        }
        if target.is_multicast() {
            return Err(Malformed::AboutAGroup(target));
        }
        if kind == SOLICITATION {
            if from.is_unspecified() {
                if names_source {
                    return Err(Malformed::LinkLayerOfNobody);
                }
                if to != solicited_node(to) {
                    return Err(Malformed::NobodyToSomebody(to));
                }
            }
            return Ok(Self::Solicitation(Solicitation { target, source }));
        }
        let solicited = flags & SOLICITED != 0;
        if solicited && to.is_multicast() {
            return Err(Malformed::SolicitedByAll);
        }
        let (router, replaces) = (flags & ROUTER != 0, flags & OVERRIDE != 0);
        Ok(Self::Advertisement(Advertisement { target, router, solicited, replaces, station }))
    }

    /// From the ICMPv6 type on, with a checksum of zero.
    fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        match self {
            Self::Solicitation(Solicitation { target, source }) => {
                bytes.extend([SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
                bytes.extend(target.octets());
                bytes.extend(source.iter().flat_map(|mac| Options::source_link_layer(*mac)));
            }
            Self::Advertisement(Advertisement { target, router, solicited, replaces, station }) => {
                let flag = |is: &bool, bit| if *is { bit } else { 0 };
                let flags = flag(router, ROUTER) | flag(solicited, SOLICITED) | flag(replaces, OVERRIDE);
                bytes.extend([ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
                bytes.extend(target.octets());
                bytes.extend(station.iter().flat_map(|mac| Options::target_link_layer(*mac)));
            }
        }
        bytes
    }
}

/// The next bytes of `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, left) = rest.split_first_chunk().ok_or(Malformed::Truncated)?;
    *rest = left;
    Ok(*taken)
}

/// The checksum of an ICMPv6 message and what of the IPv6 header belongs to it (RFC 8200 §8.1). Of a message that has
/// its checksum: zero, if it is right.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX); // a u16 has said it
    let header = [&from.octets()[..], &to.octets(), &length.to_be_bytes(), &[0, 0, 0, ICMPV6]];
    let mut sum = 0_u32;
    for part in header.into_iter().chain([message]) {
        let (words, rest) = part.as_chunks::<2>();
        let last = rest.iter().map(|octet| [*octet, 0]);
        // 65,535 octets are 32,768 words: their sum fits.
        sum = words
            .iter()
            .copied()
            .chain(last)
            .fold(sum, |sum, word| sum.wrapping_add(u16::from_be_bytes(word).into()));
    }
    while let Ok(carry) = u16::try_from(sum >> 16)
        && carry != 0
    {
        sum = (sum & 0xffff).wrapping_add(carry.into());
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}
