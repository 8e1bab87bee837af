//! The TCP segments that begin and end a connection (RFC 9293), as an Ethernet frame brings them.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, SocketAddr};

use pnet_packet::Packet as _;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::ipv6::Ipv6Packet;
use pnet_packet::tcp::{TcpFlags, TcpPacket};

/// A connection, by its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// Who opened it.
    pub client: SocketAddr,
    /// The address and port of the service.
    pub server: SocketAddr,
}

/// What a segment from a client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SYN.
    Begins,
    /// FIN or RST.
    Ends,
}

/// A segment from a client with which a connection begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Of which connection.
    pub connection: Connection,
    /// What it says.
    pub kind: Kind,
}

impl Segment {
    /// Reads a frame. `None`: it is something else, or cut short, or a fragment.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetPacket::new(frame)?;
        match ethernet.get_ethertype() {
            EtherTypes::Ipv4 => {
                let packet = Ipv4Packet::new(ethernet.payload())?;
                let is_tcp = packet.get_next_level_protocol() == IpNextHeaderProtocols::Tcp;
                (is_tcp && packet.get_fragment_offset() == 0).then_some(())?;
                // Not by the length that the packet gives itself: it may be any.
                let header = usize::from(packet.get_header_length()).checked_mul(4)?;
                let tcp = TcpPacket::new(ethernet.payload().get(header..)?)?;
                Self::of(packet.get_source().into(), packet.get_destination().into(), &tcp)
            }
            EtherTypes::Ipv6 => {
                let packet = Ipv6Packet::new(ethernet.payload())?;
                (packet.get_next_header() == IpNextHeaderProtocols::Tcp).then_some(())?;
                let tcp = TcpPacket::new(ethernet.payload().get(Ipv6Packet::minimum_packet_size()..)?)?;
                Self::of(packet.get_source().into(), packet.get_destination().into(), &tcp)
            }
            _ => None, // open: an ethertype is any number
        }
    }

    fn of(from: IpAddr, to: IpAddr, tcp: &TcpPacket<'_>) -> Option<Self> {
        let flags = tcp.get_flags();
        let kind = if flags & (TcpFlags::FIN | TcpFlags::RST) != 0 {
            Kind::Ends
        } else if flags & TcpFlags::SYN != 0 {
            Kind::Begins
        } else {
            return None;
        };
        let client = SocketAddr::new(from, tcp.get_source());
        let server = SocketAddr::new(to, tcp.get_destination());
        Some(Self { connection: Connection { client, server }, kind })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // of frames made here
mod tests {
    use super::*;

    const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9];
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    const FIN_ACK: u8 = 0x11;
    const RST: u8 = 0x04;

    fn tcp(flags: u8) -> Vec<u8> {
        let mut header = vec![0x9c, 0x40, 0, 80]; // 40000 to 80
        header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        header
    }

    /// With options, so that the header has 24 bytes.
    fn v4(flags: u8) -> Vec<u8> {
        let mut frame = ETHERNET.to_vec();
        frame.extend([0x08, 0x00]);
        frame.extend([0x46, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 9, 192, 0, 2, 200, 1, 1, 1, 0]);
        frame.extend(tcp(flags));
        frame
    }

    fn v6(flags: u8) -> Vec<u8> {
        let mut frame = ETHERNET.to_vec();
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
        let ends: [std::net::Ipv6Addr; 2] =
            ["2001:db8::9".parse().unwrap(), "2001:db8::200".parse().unwrap()];
        frame.extend(ends.iter().flat_map(std::net::Ipv6Addr::octets));
        frame.extend(tcp(flags));
        frame
    }

    #[test]
    fn what_begins_and_what_ends_a_connection_is_told_apart() {
        let ends = [("192.0.2.9:40000", "192.0.2.200:80"), ("[2001:db8::9]:40000", "[2001:db8::200]:80")];
        for (frame, (client, server)) in [v4 as fn(u8) -> Vec<u8>, v6].into_iter().zip(ends) {
            let connection = Connection { client: client.parse().unwrap(), server: server.parse().unwrap() };
            for (flags, kind) in [(SYN, Kind::Begins), (FIN_ACK, Kind::Ends), (RST, Kind::Ends)] {
                assert_eq!(Segment::parse(&frame(flags)), Some(Segment { connection, kind }));
            }
            assert_eq!(Segment::parse(&frame(ACK)), None);
        }
    }

    #[test]
    fn what_is_cut_short_or_a_fragment_or_not_tcp_says_nothing() {
        for whole in [v4(SYN), v6(SYN)] {
            for length in 0..whole.len() {
                assert_eq!(Segment::parse(&whole[..length]), None, "{length} bytes");
            }
        }
        for (byte, value) in [(21, 1), (23, 17), (13, 0x06), (14, 0x4f)] {
            let mut frame = v4(SYN);
            frame[byte] = value;
            assert_eq!(Segment::parse(&frame), None, "byte {byte}");
        }
    }
}
