//! Who is answered, and with what.

use std::net::IpAddr;

use super::{Malformed, Operation, Packet};
use crate::ethernet::Mac;
use crate::responder::{Answer, Host, Ignored};

/// Answers `frame`, which came in on an interface with address `station`, if it asks for an address that `host` announces
/// there.
///
/// Who asks does not matter, nor whether all were asked or this station alone: address probes (sender 0.0.0.0, RFC 5227
/// §2.1.1) and requests by unicast, with which a neighbour makes sure (RFC 1122 §2.3.2.1), are answered like any other.
pub fn answer(station: Mac, frame: &[u8], host: &impl Host) -> Answer<Malformed> {
    let packet = match Packet::parse(frame) {
        Ok(packet) => packet,
        Err(malformed) => return Answer::Ignore(Ignored::Malformed(malformed)),
    };
    let asker = packet.sender_mac;
    if asker.is_group() {
        return Answer::Ignore(Ignored::FromAGroup(asker));
    }
    let sender = IpAddr::V4(packet.sender_ip);
    if host.announces(sender) && !host.has_station(asker) {
        return Answer::Contested { address: sender, by: asker };
    }
    match packet.operation {
        Operation::Request => {}
        Operation::Reply => return Answer::Ignore(Ignored::NotARequest),
    }
    if packet.destination != Mac::BROADCAST && packet.destination != station {
        return Answer::Ignore(Ignored::NotForThisStation);
    }
    let address = IpAddr::V4(packet.target_ip);
    if !host.announces(address) {
        return Answer::Ignore(Ignored::NotAnnounced(address));
    }
    let reply = Packet {
        destination: asker,
        source: station,
        operation: Operation::Reply,
        sender_mac: station,
        sender_ip: packet.target_ip,
        target_mac: asker,
        target_ip: packet.sender_ip,
    };
    Answer::Reply { address, frame: reply.emit().to_vec() }
}
