//! The bytes of ARP for IPv4 over Ethernet: RFC 826, in a frame of 42 bytes (the driver pads to Ethernet's 60).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::Ipv4Addr;

use pnet_base::MacAddr;
use pnet_packet::Packet as _;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};

use crate::ethernet::Mac;

/// Ethernet header and ARP for IPv4.
pub const FRAME_LENGTH: usize = 42;
const ETHERNET_HEADER: usize = 14;

/// `ar$op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet for IPv4 over Ethernet, with its Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source.
    pub source: Mac,
    /// What it says.
    pub operation: Operation,
    /// `ar$sha`.
    pub sender_mac: Mac,
    /// `ar$spa`.
    pub sender_ip: Ipv4Addr,
    /// `ar$tha`; means nothing in a request.
    pub target_mac: Mac,
    /// `ar$tpa`.
    pub target_ip: Ipv4Addr,
}

/// Why bytes are no [`Packet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer than 42 bytes.
    #[error("too short")]
    Truncated,
    /// The ethertype is another.
    #[error("not ARP")]
    NotArp,
    /// ARP for something else than IPv4 over Ethernet.
    #[error("not IPv4 over Ethernet")]
    OtherProtocol,
    /// An operation other than request and reply (RARP, InARP, …).
    #[error("operation {0}")]
    UnknownOperation(u16),
}

impl Packet {
    /// Reads a frame. Hostile bytes in; what comes out needs no further check.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let ethernet = EthernetPacket::new(frame).ok_or(Malformed::Truncated)?;
        if ethernet.get_ethertype() != EtherTypes::Arp {
            return Err(Malformed::NotArp);
        }
        let arp = ArpPacket::new(ethernet.payload()).ok_or(Malformed::Truncated)?;
        if arp.get_hardware_type() != ArpHardwareTypes::Ethernet
            || arp.get_protocol_type() != EtherTypes::Ipv4
            || arp.get_hw_addr_len() != 6
            || arp.get_proto_addr_len() != 4
        {
            return Err(Malformed::OtherProtocol);
        }
        let operation = match arp.get_operation() {
            ArpOperations::Request => Operation::Request,
            ArpOperations::Reply => Operation::Reply,
            other => return Err(Malformed::UnknownOperation(other.0)),
        };
        Ok(Self {
            destination: Mac(ethernet.get_destination().octets()),
            source: Mac(ethernet.get_source().octets()),
            operation,
            sender_mac: Mac(arp.get_sender_hw_addr().octets()),
            sender_ip: arp.get_sender_proto_addr(),
            target_mac: Mac(arp.get_target_hw_addr().octets()),
            target_ip: arp.get_target_proto_addr(),
        })
    }

    /// Writes the frame. Cannot fail: a packet that exists can be sent.
    pub fn emit(&self) -> [u8; FRAME_LENGTH] {
        let mut frame = [0; FRAME_LENGTH];
        let (header, body) = frame.split_at_mut(ETHERNET_HEADER);
        if let Some(mut ethernet) = MutableEthernetPacket::new(header) {
            ethernet.set_destination(mac(self.destination));
            ethernet.set_source(mac(self.source));
            ethernet.set_ethertype(EtherTypes::Arp);
        }
        if let Some(mut arp) = MutableArpPacket::new(body) {
            arp.set_hardware_type(ArpHardwareTypes::Ethernet);
            arp.set_protocol_type(EtherTypes::Ipv4);
            arp.set_hw_addr_len(6);
            arp.set_proto_addr_len(4);
            arp.set_operation(match self.operation {
                Operation::Request => ArpOperations::Request,
                Operation::Reply => ArpOperations::Reply,
            });
            arp.set_sender_hw_addr(mac(self.sender_mac));
            arp.set_sender_proto_addr(self.sender_ip);
            arp.set_target_hw_addr(mac(self.target_mac));
            arp.set_target_proto_addr(self.target_ip);
        }
        frame
    }
}

fn mac(Mac(octets): Mac) -> MacAddr {
    MacAddr::from(octets)
}

/// "This address is here now": both forms of it, since some stations heed only one (RFC 5227 §3 asks for requests;
/// upstream sends both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The address.
    pub address: Ipv4Addr,
    /// The station that has it.
    pub station: Mac,
    /// The station that says so: switches look for it where this comes from.
    pub from: Mac,
}

impl Announcement {
    /// The frames to broadcast, in order.
    pub fn frames(self) -> [[u8; FRAME_LENGTH]; 2] {
        let Self { address, station, from } = self;
        [Operation::Request, Operation::Reply].map(|operation| {
            let packet = Packet {
                destination: Mac::BROADCAST,
                source: from,
                operation,
                sender_mac: station,
                sender_ip: address,
                target_mac: Mac::BROADCAST,
                target_ip: address,
            };
            packet.emit()
        })
    }
}
