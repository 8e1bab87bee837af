//! Sockets for whole frames (`packet(7)`; they need `CAP_NET_RAW`): the ARP, the neighbour discovery and the beginnings and ends
//! of connections of one interface, the BFD echo of all.

use std::io::{self, IoSliceMut, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::{Duration, SystemTime};

use metallb_core::address::Family;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvfrom, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, SockFilter, Socket, Type};

use super::{filter, sys};

/// Frames of one protocol on one interface, in both directions, without what this host sends itself.
#[derive(Debug)]
pub struct PacketSocket(Socket);

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Frames of any protocol (`ETH_P_ALL`): they are heard before a program at the interface (tc) may take them or write other addresses
/// into them.
const EVERYTHING: u16 = 0x0003;
/// Where it seems to be longer, the clock was set, or this process stood still.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// To bind to every interface.
const ANY: u32 = 0;

impl PacketSocket {
    /// Opens a socket for ARP on the interface with that index. It never blocks.
    pub fn arp(interface: u32) -> io::Result<Self> {
        Self::open(interface, ETHERTYPE_ARP, &filter::arp())
    }

    /// Opens a socket for what neighbours of the interface with that index say by IPv6. It never blocks. Of what is
    /// sent to groups it hears those that this host is a member of ([`super::membership`]).
    pub fn neighbours(interface: u32) -> io::Result<Self> {
        Self::open(interface, ETHERTYPE_IPV6, &filter::neighbours())
    }

    /// Opens a socket for the TCP segments that begin or end a connection, from the network of the interface with that index. It
    /// never blocks. The kernel notes when each came ([`Self::receive_dated`]).
    pub fn connections(interface: u32, family: Family) -> io::Result<Self> {
        let socket = Self::open(interface, EVERYTHING, &filter::connections(family))?;
        setsockopt(&socket.0, ReceiveTimestampns, &true)?;
        Ok(socket)
    }

    fn open(interface: u32, ethertype: u16, filter: &[SockFilter]) -> io::Result<Self> {
        // Protocol 0 hears nothing until it is bound, so no frame of another interface gets in.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        sys::packet::ignore_outgoing(&socket)?;
        socket.attach_filter(filter)?;
        socket.bind(&sys::packet::address(interface, ethertype)?)?;
        Ok(Self(socket))
    }

    /// The next frame, if one waits. A frame longer than `buffer` is cut.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        match (&self.0).read(buffer) {
            Ok(length) => Ok(buffer.get(..length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next frame, if one waits, and for how long it has: nothing, where the kernel did not note when it came, or
    /// that is more than a second ago.
    pub fn receive_dated<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<(&'b [u8], Duration)>> {
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut slices = [IoSliceMut::new(buffer)];
        let received = recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty());
        let (length, came) = match received {
            Ok(message) => {
                let mut notes = message.cmsgs()?;
                let came = notes.find_map(|note| match note {
                    ControlMessageOwned::ScmTimestampns(came) => Some(Duration::from(came)),
                    _ => None, // open: the kernel may note other things
                });
                (message.bytes, came)
            }
            Err(Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let waited = came
            .and_then(|came| SystemTime::UNIX_EPOCH.checked_add(came)?.elapsed().ok())
            .filter(|waited| *waited < LONGEST_WAIT);
        Ok(buffer.get(..length).map(|frame| (frame, waited.unwrap_or_default())))
    }

    /// Sends a complete frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame).map(drop)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// BFD's echo packets, and the control packets that show the way for them, on every interface, without what this host
/// sends itself. A returning echo has our own address as its source: no UDP socket would be given it.
#[derive(Debug)]
pub struct EchoSocket(Socket);

impl EchoSocket {
    /// Opens the socket. It never blocks.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        sys::packet::ignore_outgoing(&socket)?;
        socket.attach_filter(&filter::echo())?;
        socket.bind(&sys::packet::address(ANY, ETHERTYPE_IPV4)?)?;
        Ok(Self(socket))
    }

    /// The next frame, if one waits, and the index of the interface it came through.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<(u32, &'b [u8])>> {
        match recvfrom::<LinkAddr>(self.0.as_raw_fd(), buffer) {
            Ok((length, from)) => {
                let interface = from.and_then(|from| u32::try_from(from.ifindex()).ok()).unwrap_or(ANY);
                Ok(buffer.get(..length).map(|frame| (interface, frame)))
            }
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a complete frame through that interface.
    pub fn send(&self, interface: u32, frame: &[u8]) -> io::Result<()> {
        self.0.send_to(frame, &sys::packet::address(interface, ETHERTYPE_IPV4)?).map(drop)
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
