//! Answering for addresses: what ARP and neighbour discovery have in common.
//!
//! In this room: the host in whose name it is answered, and what becomes of a frame. Who is answered and with what is in
//! [`crate::arp::answer`] and [`crate::ndp::answer`].

#[cfg(test)]
pub(crate) mod hosts;

use std::net::IpAddr;

use crate::ethernet::Mac;

/// The addresses and stations of this host, as an interface sees them.
pub trait Host {
    /// Is the address announced on this interface?
    fn announces(&self, address: IpAddr) -> bool;
    /// The station that who asks for an announced address is told, where `own` is that of the interface; `None` while that
    /// is not decided. It is another's while this host stands in for it ([`crate::stand_in`]).
    fn told(&self, _address: IpAddr, own: Mac) -> Option<Mac> {
        Some(own)
    }
    /// Does this host itself want to know who has the address?
    fn asks_for(&self, _address: IpAddr) -> bool {
        false
    }
    /// Is the address to be announced on this interface, as soon as the node that has it gives it over?
    fn awaits(&self, _address: IpAddr) -> bool {
        false
    }
    /// Is it the address of one of the host's interfaces?
    fn has_station(&self, station: Mac) -> bool;
}

/// What to do about a frame that came in; `M` is what the protocol says of one that it cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<M> {
    /// Send this frame: it says that `address` is here.
    Reply {
        /// The address asked for.
        address: IpAddr,
        /// The complete Ethernet frame.
        frame: Vec<u8>,
    },
    /// Another station says that it has an address which is announced here, or awaited.
    Contested {
        /// The address.
        address: IpAddr,
        /// The other station.
        by: Mac,
        /// The station that says so. It is another one where somebody speaks in its name.
        from: Mac,
    },
    /// Another station says of an address which this host awaits that it is here now.
    Given {
        /// The address.
        address: IpAddr,
    },
    /// A station says that it has an address which this host asks for.
    Heard {
        /// The address.
        address: IpAddr,
        /// The station.
        station: Mac,
        /// The station that says so, perhaps in the other's name.
        from: Mac,
    },
    /// Do nothing.
    Ignore(Ignored<M>),
}

/// Why a frame gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored<M> {
    /// It cannot be read, or may not be believed.
    Malformed(M),
    /// It does not ask for anything.
    NotARequest,
    /// It is addressed to another station.
    NotForThisStation,
    /// It says that it comes from many stations at once: an answer would go to all of them.
    FromAGroup(Mac),
    /// It asks for an address that is not announced here.
    NotAnnounced(IpAddr),
    /// It asks for an address of which it is not decided who has it.
    Undecided(IpAddr),
}

/// What it means that a frame from one station says of another, or of itself, that it has an address. `None`: nothing. What this
/// host said itself may come back by another interface.
pub(crate) fn claim<M>(host: &impl Host, address: IpAddr, by: Mac, from: Mac) -> Option<Answer<M>> {
    let is_known = host.announces(address) || host.awaits(address);
    if !is_known || host.has_station(from) {
        return None;
    }
    if !host.has_station(by) {
        return Some(Answer::Contested { address, by, from });
    }
    host.awaits(address).then_some(Answer::Given { address })
}
