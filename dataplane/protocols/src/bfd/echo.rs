//! The echo packet (RFC 5881 §4): a frame to the router's hardware address, but with our own IP address as its
//! destination, so that the router's forwarding, and not its BFD, sends it back.
//!
//! Everything such a frame needs stands in any frame that brought a control packet of that router: both hardware
//! addresses, and our own IP address. So nothing is looked up: [`sight`] reads both kinds.
//!
//! The payload is a matter of the sender alone. Ours:
//!
//! ```text
//!  0         1          2       4               8          12            20
//!  +---------+----------+-------+---------------+----------+-------------+
//!  | version | length   | 0     | discriminator | sequence | secret      |
//!  +---------+----------+-------+---------------+----------+-------------+
//! ```
//!
//! IPv4 only: admission refuses echo mode on IPv6 peers, as MetalLB always did.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::Ipv4Addr;

use super::path::Hops;
use super::wire::{Control, Discriminator};
use crate::ethernet::Mac;

/// The UDP port of echo packets.
pub const ECHO_PORT: u16 = 3785;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const NO_OPTIONS: u8 = 0x45;
/// Internetwork control, as for control packets.
const TOS: u8 = 0xc0;
const UDP: u8 = 17;
const VERSION: u8 = 1;
const PAYLOAD: u8 = 20;
const UDP_LENGTH: u8 = 28;
const IP_LENGTH: u8 = 48;

/// What an echo packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Our session.
    pub discriminator: Discriminator,
    /// Which packet.
    pub sequence: u32,
    /// Known to nobody who does not see the packets.
    pub secret: u64,
}

/// The addresses of an echo packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Our hardware address.
    pub station: Mac,
    /// The router's.
    pub router: Mac,
    /// Our IP address: both source and destination.
    pub address: Ipv4Addr,
}

/// A frame that matters for echo mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// An echo packet came back.
    Returned(Echo),
    /// A control packet passed, by which `from` can be echoed through.
    Control {
        /// Its IP source.
        from: Ipv4Addr,
        /// Our session.
        discriminator: Discriminator,
        /// The way it came, seen from here.
        path: Loop,
    },
}

impl Echo {
    /// The complete frame.
    pub fn frame(&self, path: &Loop) -> Vec<u8> {
        let Loop { station, router, address } = path;
        let address = address.octets();
        let port = ECHO_PORT.to_be_bytes();
        let mut frame = Vec::with_capacity(62);
        frame.extend(router.0);
        frame.extend(station.0);
        frame.extend(ETHERTYPE_IPV4);
        frame.extend(ip_header(address));
        frame.extend(port);
        frame.extend(port);
        frame.extend([0, UDP_LENGTH, 0, 0]); // no checksum: IPv4 allows it, and the secret is better than one
        frame.extend([VERSION, PAYLOAD, 0, 0]);
        frame.extend(self.discriminator.get().to_be_bytes());
        frame.extend(self.sequence.to_be_bytes());
        frame.extend(self.secret.to_be_bytes());
        frame
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let ([version, length, ..], rest) = payload.split_first_chunk::<4>()?;
        let (discriminator, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (secret, _) = rest.split_first_chunk()?;
        if *version != VERSION || *length != PAYLOAD {
            return None;
        }
        Some(Self {
            discriminator: Discriminator::new(u32::from_be_bytes(*discriminator))?,
            sequence: u32::from_be_bytes(*sequence),
            secret: u64::from_be_bytes(*secret),
        })
    }
}

/// Reads a frame. `None`: none that matters.
pub fn sight(frame: &[u8]) -> Option<Sight> {
    let (to, rest) = frame.split_first_chunk()?;
    let (from, rest) = rest.split_first_chunk()?;
    let (ethertype, packet) = rest.split_first_chunk()?;
    if *ethertype != ETHERTYPE_IPV4 {
        return None;
    }
    let (header, _) = packet.split_first_chunk::<20>()?;
    let [first, _, _, _, _, _, fragment, offset, ttl, protocol, _, _, addresses @ ..] = header;
    let (source, destination) = addresses.split_first_chunk::<4>()?;
    let (destination, _) = destination.split_first_chunk::<4>()?;
    let header_length = usize::from(first & 0x0f).checked_mul(4)?;
    let fragmented = fragment & 0x3f != 0 || *offset != 0;
    if first >> 4 != 4 || header_length < 20 || fragmented || *protocol != UDP {
        return None;
    }
    let (udp, payload) = packet.get(header_length..)?.split_first_chunk::<8>()?;
    let [_, _, port, port_low, ..] = *udp;
    let port = u16::from_be_bytes([port, port_low]);
    // Forwarded once, which costs one; a router that loops in hardware may not count it.
    if port == ECHO_PORT && *ttl >= 254 && source == destination {
        return Echo::parse(payload).map(Sight::Returned);
    }
    if port == Hops::Single.port() && *ttl == 255 {
        let discriminator = Control::parse(payload).ok()?.your_discriminator?;
        let path =
            Loop { station: Mac(*to), router: Mac(*from), address: Ipv4Addr::from_octets(*destination) };
        return Some(Sight::Control { from: Ipv4Addr::from_octets(*source), discriminator, path });
    }
    None
}

fn ip_header(address: [u8; 4]) -> [u8; 20] {
    let [a, b, c, d] = address;
    let header = |sum: [u8; 2]| {
        let [high, low] = sum;
        [NO_OPTIONS, TOS, 0, IP_LENGTH, 0, 0, 0, 0, 255, UDP, high, low, a, b, c, d, a, b, c, d]
    };
    header(checksum(&header([0, 0])))
}

/// RFC 1071, of a header whose checksum is zero.
fn checksum(header: &[u8; 20]) -> [u8; 2] {
    let (words, _) = header.as_chunks::<2>();
    // Ten words of 16 bits fit in 32 bits by far, and two folds take the carries in.
    let sum = words.iter().fold(0_u32, |sum, word| sum.wrapping_add(u16::from_be_bytes(*word).into()));
    let fold = |sum: u32| (sum & 0xffff).wrapping_add(sum >> 16);
    let [_, _, high, low] = (!fold(fold(sum))).to_be_bytes();
    [high, low]
}
