//! Who is answered, and with what.

use std::net::Ipv4Addr;

use super::{FRAME_LENGTH, Malformed, Operation, Packet};
use crate::ethernet::Mac;

/// What to do about a frame that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this frame: it says that `address` is here.
    Reply {
        /// The address asked for.
        address: Ipv4Addr,
        /// The complete Ethernet frame.
        frame: [u8; FRAME_LENGTH],
    },
    /// Another station says that it has an address which is announced here.
    Contested {
        /// The address.
        address: Ipv4Addr,
        /// The other station.
        by: Mac,
    },
    /// Do nothing.
    Ignore(Ignored),
}

/// Why a frame gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It is no ARP for IPv4 over Ethernet.
    Malformed(Malformed),
    /// It does not ask for anything.
    NotARequest,
    /// It is addressed to another station.
    NotForThisStation,
    /// It asks for an address that is not announced here.
    NotAnnounced(Ipv4Addr),
}

/// The addresses and stations of this host, as an interface sees them.
pub trait Host {
    /// Is the address announced on this interface?
    fn announces(&self, address: Ipv4Addr) -> bool;
    /// Is it the address of one of the host's interfaces?
    fn has_station(&self, station: Mac) -> bool;
}

/// Answers `frame`, which came in on an interface with address `station`, if it asks for an address that `host` announces
/// there.
///
/// Who asks does not matter: address probes (sender 0.0.0.0, RFC 5227 §2.1.1) are answered like any other.
pub fn answer(station: Mac, frame: &[u8], host: &impl Host) -> Answer {
    let packet = match Packet::parse(frame) {
        Ok(packet) => packet,
        Err(malformed) => return Answer::Ignore(Ignored::Malformed(malformed)),
    };
    if host.announces(packet.sender_ip) && !host.has_station(packet.sender_mac) {
        return Answer::Contested { address: packet.sender_ip, by: packet.sender_mac };
    }
    match packet.operation {
        Operation::Request => {}
        Operation::Reply => return Answer::Ignore(Ignored::NotARequest),
    }
    if packet.destination != Mac::BROADCAST && packet.destination != station {
        return Answer::Ignore(Ignored::NotForThisStation);
    }
    let address = packet.target_ip;
    if !host.announces(address) {
        return Answer::Ignore(Ignored::NotAnnounced(address));
    }
    let reply = Packet {
        destination: packet.sender_mac,
        source: station,
        operation: Operation::Reply,
        sender_mac: station,
        sender_ip: address,
        target_mac: packet.sender_mac,
        target_ip: packet.sender_ip,
    };
    Answer::Reply { address, frame: reply.emit() }
}
