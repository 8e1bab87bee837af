//! Being a member of multicast groups of IPv6 on an interface.
//!
//! That is two things. The hardware lets the group's frames in; and switches that follow who listens (RFC 4541) send them
//! here, for which the kernel has to say so (RFC 3810). Both may wait for whoever changes the network just then, for as long
//! as that takes: not for a thread that has to answer.
//!
//! Not here: reading what the groups are sent ([`super::packet`]).

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;

use metallb_protocols::ethernet::Mac;
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::sys::packet::{Membership, membership};

/// The groups of one interface. They are left when the value is dropped.
#[derive(Debug)]
pub struct Memberships {
    interface: u32,
    /// For the hardware. It is bound to no protocol: nothing ever arrives in it.
    frames: Socket,
    /// For the switches. How many groups fit into one is the system's business (`net.core.optmem_max`); the last one may have
    /// room. They are bound to no port: nothing ever arrives in them.
    members: Vec<Socket>,
    /// By which member.
    groups: BTreeMap<Ipv6Addr, Option<usize>>,
}

impl Memberships {
    /// None yet.
    pub fn on(interface: u32) -> io::Result<Self> {
        let frames = Socket::new(Domain::PACKET, Type::RAW, None)?;
        Ok(Self { interface, frames, members: Vec::new(), groups: BTreeMap::new() })
    }

    /// The groups that were joined.
    pub fn groups(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.groups.keys().copied()
    }

    /// Joins a group. To join it twice is to be in it.
    pub fn join(&mut self, group: Ipv6Addr) -> io::Result<Joined> {
        if self.groups.contains_key(&group) {
            return Ok(Joined::Fully);
        }
        membership(&self.frames, Membership::Add, self.interface, Mac::of_group(group).0)?;
        match self.tell_switches(group) {
            Ok(member) => {
                self.groups.insert(group, Some(member));
                Ok(Joined::Fully)
            }
            Err(error) => {
                self.groups.insert(group, None);
                Ok(Joined::Unheard(error))
            }
        }
    }

    /// Leaves a group.
    pub fn leave(&mut self, group: Ipv6Addr) -> io::Result<()> {
        let Some(member) = self.groups.remove(&group) else { return Ok(()) };
        let told = match member.and_then(|position| self.members.get(position)) {
            Some(socket) => socket.leave_multicast_v6(&group, self.interface),
            None => Ok(()),
        };
        membership(&self.frames, Membership::Drop, self.interface, Mac::of_group(group).0)?;
        told
    }

    fn tell_switches(&mut self, group: Ipv6Addr) -> io::Result<usize> {
        if let Some((position, socket)) = self.members.iter().enumerate().next_back() {
            match socket.join_multicast_v6(&group, self.interface) {
                Ok(()) => return Ok(position),
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.join_multicast_v6(&group, self.interface)?;
        self.members.push(socket);
        Ok(self.members.len().saturating_sub(1))
    }
}

/// How far a group was joined.
#[derive(Debug)]
pub enum Joined {
    /// As far as can be.
    Fully,
    /// Its frames are let in, but switches were not told that they are wanted.
    Unheard(io::Error),
}

fn is_full(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    errno == Some(Errno::ENOBUFS as i32) || errno == Some(Errno::ENOMEM as i32)
}
