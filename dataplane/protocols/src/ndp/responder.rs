//! Who is answered for the address of a service, and with what; and what is told unasked.

use std::net::{IpAddr, Ipv6Addr};

use super::ALL_NODES;
use super::wire::Malformed;
use super::wire::neighbour::{Advertisement, Message, Packet, Solicitation, solicited_node};
use crate::ethernet::Mac;
use crate::responder::{Answer, Host, Ignored, claim};

/// Answers `frame`, which came in on an interface with address `station`, if it asks for an address that `host` announces
/// there.
///
/// Who asks does not matter, nor whether the group was asked or the address itself, with which a neighbour makes sure that
/// it is still there (RFC 4861 §7.3.3). Who asks because it is about to take the address is answered before all (RFC 4862
/// §5.4.4).
///
/// The answer comes from the address itself, as that of a host which has it: the interface need have no other. It
/// replaces what the neighbour knows (upstream's does not): after a move, a neighbour that asked both nodes has the one
/// that has the address now.
pub fn answer(station: Mac, frame: &[u8], host: &impl Host) -> Answer<Malformed> {
    let packet = match Packet::parse(frame) {
        Ok(packet) => packet,
        Err(malformed) => return Answer::Ignore(Ignored::Malformed(malformed)),
    };
    let (claimed, said, target) = match packet.message {
        Message::Solicitation(solicitation) => (packet.from, solicitation.source, Some(solicitation.target)),
        Message::Advertisement(advertisement) => (advertisement.target, advertisement.station, None),
    };
    let sender = said.unwrap_or(packet.source);
    if sender.is_group() {
        return Answer::Ignore(Ignored::FromAGroup(sender));
    }
    let claimed = IpAddr::V6(claimed);
    if let Some(answer) = claim(host, claimed, sender, packet.source) {
        return answer;
    }
    let Some(target) = target else {
        if host.asks_for(claimed) {
            return Answer::Heard { address: claimed, station: sender, from: packet.source };
        }
        return Answer::Ignore(Ignored::NotARequest);
    };
    if !packet.destination.is_group() && packet.destination != station {
        return Answer::Ignore(Ignored::NotForThisStation);
    }
    let address = IpAddr::V6(target);
    if !host.announces(address) {
        return Answer::Ignore(Ignored::NotAnnounced(address));
    }
    let Some(told) = host.told(address, station) else {
        return Answer::Ignore(Ignored::Undecided(address));
    };
    let asker = Some(packet.from).filter(|from| !from.is_unspecified());
    let reply = Packet {
        destination: if asker.is_some() { sender } else { Mac::of_group(ALL_NODES) },
        source: station,
        from: target,
        to: asker.unwrap_or(ALL_NODES),
        message: Message::Advertisement(Advertisement {
            target,
            router: false,
            solicited: asker.is_some(),
            replaces: true,
            station: Some(told),
        }),
    };
    Answer::Reply { address, frame: reply.emit() }
}

/// "Who has this address?", asked by a station that has no address itself (RFC 4862 §5.4.2): nobody's table changes by it, and
/// the answer goes to all.
pub fn question(station: Mac, address: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(address);
    let packet = Packet {
        destination: Mac::of_group(group),
        source: station,
        from: Ipv6Addr::UNSPECIFIED,
        to: group,
        message: Message::Solicitation(Solicitation { target: address, source: None }),
    };
    packet.emit()
}

/// "This address is here now" (RFC 4861 §7.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The address.
    pub address: Ipv6Addr,
    /// The station that has it.
    pub station: Mac,
    /// The station that says so: switches look for it where this comes from.
    pub from: Mac,
}

impl Announcement {
    /// The frame to send to all.
    pub fn frame(self) -> Vec<u8> {
        let Self { address, station, from } = self;
        let packet = Packet {
            destination: Mac::of_group(ALL_NODES),
            source: from,
            from: address,
            to: ALL_NODES,
            message: Message::Advertisement(Advertisement {
                target: address,
                router: false,
                solicited: false,
                replaces: true,
                station: Some(station),
            }),
        };
        packet.emit()
    }
}
