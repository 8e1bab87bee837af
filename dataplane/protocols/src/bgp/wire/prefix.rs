//! Prefixes: a length in bits, and as many octets as that takes (RFC 4271 §4.3, RFC 4760 §5).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use metallb_core::address::Family;

use super::reader::Reader;

/// Tells routes to one prefix apart, where a session carries several (RFC 7911 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathId(pub u32);

impl PathId {
    /// The octets that it takes before a prefix.
    pub const OCTETS: usize = 4;
}

/// Prefixes of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefixes {
    /// IPv4.
    V4(Vec<Ipv4Net>),
    /// IPv6.
    V6(Vec<Ipv6Net>),
}

impl Prefixes {
    /// None of `family`.
    pub const fn none(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4(Vec::new()),
            Family::V6 => Self::V6(Vec::new()),
        }
    }

    /// Their family.
    pub const fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::V4(prefixes) => prefixes.len(),
            Self::V6(prefixes) => prefixes.len(),
        }
    }

    /// Are there none?
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them.
    pub fn nets(&self) -> Box<dyn Iterator<Item = IpNet> + '_> {
        match self {
            Self::V4(prefixes) => Box::new(prefixes.iter().copied().map(IpNet::V4)),
            Self::V6(prefixes) => Box::new(prefixes.iter().copied().map(IpNet::V6)),
        }
    }

    /// Adds one more; `false`, and nothing is added, if it is of the other family.
    pub fn push(&mut self, prefix: IpNet) -> bool {
        match (self, prefix) {
            (Self::V4(prefixes), IpNet::V4(prefix)) => prefixes.push(prefix),
            (Self::V6(prefixes), IpNet::V6(prefix)) => prefixes.push(prefix),
            (Self::V4(_), IpNet::V6(_)) | (Self::V6(_), IpNet::V4(_)) => return false,
        }
        true
    }

    /// The octets that `prefix` takes in a message.
    pub fn octets(prefix: IpNet) -> usize {
        usize::from(prefix.prefix_len()).div_ceil(8).saturating_add(1)
    }

    /// All that is left in `reader`; `None` if that is not prefixes throughout. Bits behind a prefix mean nothing.
    pub(super) fn parse(family: Family, reader: Reader<'_>) -> Option<Self> {
        match family {
            Family::V4 => parse_v4(reader).map(Self::V4),
            Family::V6 => parse_v6(reader).map(Self::V6),
        }
    }

    /// Each behind `path`, if there is one.
    pub(super) fn emit(&self, path: Option<PathId>, out: &mut Vec<u8>) {
        match self {
            Self::V4(prefixes) => emit_v4(prefixes, path, out),
            Self::V6(prefixes) => {
                for net in prefixes {
                    emit_path(path, out);
                    emit(net.prefix_len(), &net.trunc().network().octets(), out);
                }
            }
        }
    }
}

pub(super) fn parse_v4(mut reader: Reader<'_>) -> Option<Vec<Ipv4Net>> {
    let mut prefixes = Vec::new();
    while !reader.is_empty() {
        let (length, octets) = parse::<4>(&mut reader)?;
        prefixes.push(Ipv4Net::new(Ipv4Addr::from(octets), length).ok()?.trunc());
    }
    Some(prefixes)
}

fn parse_v6(mut reader: Reader<'_>) -> Option<Vec<Ipv6Net>> {
    let mut prefixes = Vec::new();
    while !reader.is_empty() {
        let (length, octets) = parse::<16>(&mut reader)?;
        prefixes.push(Ipv6Net::new(Ipv6Addr::from(octets), length).ok()?.trunc());
    }
    Some(prefixes)
}

fn parse<const N: usize>(reader: &mut Reader<'_>) -> Option<(u8, [u8; N])> {
    let length = reader.u8()?;
    let given = reader.bytes(usize::from(length).div_ceil(8))?;
    let mut octets = [0; N];
    octets.get_mut(..given.len())?.copy_from_slice(given);
    Some((length, octets))
}

pub(super) fn emit_v4(prefixes: &[Ipv4Net], path: Option<PathId>, out: &mut Vec<u8>) {
    for net in prefixes {
        emit_path(path, out);
        emit(net.prefix_len(), &net.trunc().network().octets(), out);
    }
}

fn emit_path(path: Option<PathId>, out: &mut Vec<u8>) {
    out.extend(path.iter().flat_map(|PathId(id)| id.to_be_bytes()));
}

fn emit(length: u8, octets: &[u8], out: &mut Vec<u8>) {
    out.push(length);
    out.extend(octets.iter().take(usize::from(length).div_ceil(8)));
}
