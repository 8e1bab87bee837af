//! Who is answered, and with what.

use std::net::{IpAddr, Ipv4Addr};

use super::wire::FRAME_LENGTH;
use super::{Malformed, Operation, Packet};
use crate::ethernet::Mac;
use crate::responder::{Answer, Host, Ignored, claim};

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
    if let Some(answer) = claim(host, sender, asker, packet.source) {
        return answer;
    }
    match packet.operation {
        Operation::Request => {}
        Operation::Reply if host.asks_for(sender) => {
            return Answer::Heard { address: sender, station: asker, from: packet.source };
        }
        Operation::Reply => return Answer::Ignore(Ignored::NotARequest),
    }
    if packet.destination != Mac::BROADCAST && packet.destination != station {
        return Answer::Ignore(Ignored::NotForThisStation);
    }
    let address = IpAddr::V4(packet.target_ip);
    if !host.announces(address) {
        return Answer::Ignore(Ignored::NotAnnounced(address));
    }
    let Some(told) = host.told(address, station) else {
        return Answer::Ignore(Ignored::Undecided(address));
    };
    let reply = Packet {
        destination: asker,
        // Not who is told: switches would look for it here.
        source: station,
        operation: Operation::Reply,
        sender_mac: told,
        sender_ip: packet.target_ip,
        target_mac: asker,
        target_ip: packet.sender_ip,
    };
    Answer::Reply { address, frame: reply.emit().to_vec() }
}

/// "Who has this address?", asked by a station that claims none itself (RFC 5227 §2.1.1): nobody's table changes by it.
pub fn question(station: Mac, address: Ipv4Addr) -> [u8; FRAME_LENGTH] {
    let packet = Packet {
        destination: Mac::BROADCAST,
        source: station,
        operation: Operation::Request,
        sender_mac: station,
        sender_ip: Ipv4Addr::UNSPECIFIED,
        target_mac: Mac([0; 6]),
        target_ip: address,
    };
    packet.emit()
}
