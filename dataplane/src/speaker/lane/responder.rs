//! One protocol on one interface: frames in, answers out.
//!
//! Not here: which addresses are announced ([`super::Tables`]), hearing the groups that are asked for them
//! (`super::groups`), and any byte (`metallb-protocols`).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use metallb_core::names::InterfaceName;
use metallb_protocols::conflict::Conflicts;
use metallb_protocols::ethernet::Mac;
use metallb_protocols::responder::{Answer, Host, Ignored};
use metallb_protocols::sighting::Sightings;
use metallb_protocols::{arp, ndp};

use super::moves::Moves;
use super::succession::Succession;
use super::tables::{Protocol, Station, Tables};
use super::unsent::Unsent;
use crate::net::packet::PacketSocket;

/// What answers.
pub(super) struct Responder {
    /// The interface.
    pub(super) name: InterfaceName,
    pub(super) index: u32,
    mac: Mac,
    socket: PacketSocket,
    protocol: Protocol,
    pub(super) unsent: Unsent,
}

/// What came of a frame.
pub(super) enum Outcome {
    /// It asked for an address, and was told where that is; or not, for this reason.
    Answered(IpAddr, io::Result<()>),
    /// Another station says something of an address.
    Heard(Heard),
    /// Nothing.
    Ignored,
}

/// What another station says of an address.
pub(super) enum Heard {
    /// It has one that is announced here.
    Contested {
        /// By index.
        interface: u32,
        /// The address.
        address: IpAddr,
        /// The station.
        by: Mac,
        /// The station that says so.
        from: Mac,
    },
    /// One that is awaited here is here now.
    Given {
        /// The address.
        address: IpAddr,
    },
    /// It has one that was asked for.
    Answered {
        /// By index.
        interface: u32,
        /// The address.
        address: IpAddr,
        /// The station.
        station: Mac,
        /// The station that says so.
        from: Mac,
    },
}

impl Responder {
    /// Opens the socket.
    pub(super) fn open(protocol: Protocol, index: u32, name: InterfaceName, mac: Mac) -> io::Result<Self> {
        let socket = match protocol {
            Protocol::Arp => PacketSocket::arp(index)?,
            Protocol::Ndp => PacketSocket::neighbours(index)?,
        };
        Ok(Self { name, index, mac, socket, protocol, unsent: Unsent::default() })
    }

    /// The next frame, if one waits.
    pub(super) fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        self.socket.receive(buffer)
    }

    /// Answers a frame, if it is to be answered.
    pub(super) fn answer(&self, view: View<'_>, frame: &[u8]) -> Outcome {
        let host = Seen { view, index: self.index, name: &self.name };
        match self.protocol {
            Protocol::Arp => self.act(arp::answer(self.mac, frame, &host)),
            Protocol::Ndp => self.act(ndp::answer(self.mac, frame, &host)),
        }
    }

    fn act<M>(&self, answer: Answer<M>) -> Outcome {
        match answer {
            Answer::Contested { address, by, from } => {
                tracing::debug!(event = "contested", interface = %self.name, %address, %by, "another station claims it");
                Outcome::Heard(Heard::Contested { interface: self.index, address, by, from })
            }
            Answer::Given { address } => Outcome::Heard(Heard::Given { address }),
            Answer::Heard { address, station, from } => {
                Outcome::Heard(Heard::Answered { interface: self.index, address, station, from })
            }
            Answer::Reply { address, frame } => Outcome::Answered(address, self.socket.send(&frame)),
            Answer::Ignore(Ignored::NotAnnounced(address)) => {
                tracing::trace!(event = "ignored", interface = %self.name, %address, "not announced here");
                Outcome::Ignored
            }
            Answer::Ignore(
                Ignored::Malformed(_)
                | Ignored::NotARequest
                | Ignored::NotForThisStation
                | Ignored::FromAGroup(_)
                | Ignored::Undecided(_),
            ) => Outcome::Ignored,
        }
    }

    /// Tells all neighbours where an address is, which `told` says, given the own station. What became of each frame.
    pub(super) fn tell(&self, address: IpAddr, told: impl FnOnce(Mac) -> Option<Mac>) -> Vec<io::Result<()>> {
        let Some(station) = told(self.mac) else { return Vec::new() };
        let from = self.mac;
        match (self.protocol, address) {
            (Protocol::Arp, IpAddr::V4(address)) => {
                let frames = arp::Announcement { address, station, from }.frames();
                frames.iter().map(|frame| self.socket.send(frame)).collect()
            }
            (Protocol::Ndp, IpAddr::V6(address)) => {
                vec![self.socket.send(&ndp::Announcement { address, station, from }.frame())]
            }
            (Protocol::Arp, IpAddr::V6(_)) | (Protocol::Ndp, IpAddr::V4(_)) => Vec::new(),
        }
    }

    /// Asks all neighbours who has an address.
    pub(super) fn ask(&self, address: IpAddr) -> io::Result<()> {
        match (self.protocol, address) {
            (Protocol::Arp, IpAddr::V4(address)) => self.socket.send(&arp::question(self.mac, address)),
            (Protocol::Ndp, IpAddr::V6(address)) => self.socket.send(&ndp::question(self.mac, address)),
            (Protocol::Arp, IpAddr::V6(_)) | (Protocol::Ndp, IpAddr::V4(_)) => Ok(()),
        }
    }
}

impl AsFd for Responder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What it is decided by whether and how somebody is answered.
#[derive(Clone, Copy)]
pub(super) struct View<'l> {
    /// What is announced where.
    pub(super) tables: &'l Tables,
    /// In whose name.
    pub(super) succession: &'l Succession,
    /// What is not to be announced yet, and what is asked for beside.
    pub(super) conflicts: &'l Conflicts,
    /// Who is asked whether it still answers.
    pub(super) sightings: &'l Sightings,
    /// What is on its way.
    pub(super) moves: &'l Moves,
}

/// This host, as one of its interfaces sees it.
pub(super) struct Seen<'l> {
    pub(super) view: View<'l>,
    pub(super) index: u32,
    pub(super) name: &'l InterfaceName,
}

impl Host for Seen<'_> {
    fn announces(&self, address: IpAddr) -> bool {
        let View { tables, succession, conflicts, moves, .. } = self.view;
        succession.answers(tables, address, self.index, self.name)
            && !conflicts.is_held(address)
            && !moves.is_awaited(address)
    }

    fn told(&self, address: IpAddr, own: Mac) -> Option<Mac> {
        let View { tables, succession, moves, .. } = self.view;
        moves.station(address, self.index).or_else(|| succession.told(tables, address, self.index, own))
    }

    fn awaits(&self, address: IpAddr) -> bool {
        self.view.moves.is_awaited(address)
    }

    fn asks_for(&self, address: IpAddr) -> bool {
        let View { succession, conflicts, sightings, moves, .. } = self.view;
        succession.asks_for(address)
            || moves.asks_for(address)
            || conflicts.asks_for(address)
            || conflicts.is_held(address)
            || sightings.asks_for(address)
    }

    fn has_station(&self, mac: Mac) -> bool {
        let mac = Some(mac);
        self.view.tables.stations.values().any(|station: &Station| station.arp == mac || station.ndp == mac)
    }
}
