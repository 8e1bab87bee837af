//! UDP sockets for BFD control packets: one that hears for all sessions of a kind, one that speaks for each.
//!
//! Not here: what the packets say, and which session they are of (`metallb_protocols::bfd`).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use metallb_core::address::Family;
use metallb_core::names::{InterfaceName, VrfName};
use metallb_protocols::bfd::{Arrival, Hops, Path};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

pub use super::filter::Expected;

use super::filter;

/// RFC 5881 §4: where a session's packets come from.
pub const SOURCE_PORTS: RangeInclusive<u16> = 49152..=65535;
/// Internetwork control, as routers mark their own protocols.
const TRAFFIC_CLASS: u32 = 0xc0;
const TTL: u32 = 255;
/// Bytes for what the kernel tells about a datagram: its TTL, our address, the interface.
const ANCILLARY: usize = 128;

/// What a receiving socket hears.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ear {
    /// Packets of this family.
    pub family: Family,
    /// On the port for these.
    pub hops: Hops,
    /// In this VRF.
    pub vrf: Option<VrfName>,
}

impl Ear {
    /// What has to be heard for a session.
    pub fn of(path: &Path) -> Self {
        Self { family: Family::of(path.peer), hops: path.hops, vrf: path.vrf.clone() }
    }
}

/// Hears the control packets of all sessions of a kind.
#[derive(Debug)]
pub struct Receiver {
    ear: Ear,
    socket: Socket,
}

impl Receiver {
    /// Opens the socket. It never blocks.
    pub fn open(ear: Ear) -> io::Result<Self> {
        let socket = socket(ear.family)?;
        match ear.family {
            Family::V4 => {
                setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
        }
        if let Some(vrf) = &ear.vrf {
            socket.bind_device(Some(vrf.as_str().as_bytes()))?;
        }
        let receiver = Self { ear, socket };
        // Before it is bound: nothing may slip past.
        receiver.hear_only(&[])?;
        let port = receiver.ear.hops.port();
        receiver.socket.bind(&SocketAddr::new(unspecified(receiver.ear.family), port).into())?;
        Ok(receiver)
    }

    /// From now on the kernel drops what is not expected, so that a flood takes no place in the socket's queue: not even
    /// one in a router's name, by somebody who does not see its packets.
    pub fn hear_only(&self, expected: &[Expected]) -> io::Result<()> {
        self.socket.attach_filter(&filter::control(self.ear.family, self.ear.hops, expected))
    }

    /// The next datagram, if one waits, and how it arrived. What is longer than `buffer` is cut.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<(Arrival, &'b [u8])>> {
        let mut ancillary = [0; ANCILLARY];
        let (length, from, ttl, to, interface) = {
            let mut slices = [IoSliceMut::new(&mut *buffer)];
            let descriptor = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let message =
                match recvmsg::<SockaddrStorage>(descriptor, &mut slices, Some(&mut ancillary), flags) {
                    Ok(message) => message,
                    Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                    Err(errno) => return Err(errno.into()),
                };
            let (mut ttl, mut to, mut interface) = (0, unspecified(self.ear.family), 0);
            for told in message.cmsgs()? {
                match told {
                    ControlMessageOwned::Ipv4Ttl(value) | ControlMessageOwned::Ipv6HopLimit(value) => {
                        ttl = u8::try_from(value).unwrap_or(0);
                    }
                    ControlMessageOwned::Ipv4PacketInfo(told) => {
                        to = IpAddr::V4(Ipv4Addr::from(told.ipi_addr.s_addr.to_ne_bytes()));
                        interface = u32::try_from(told.ipi_ifindex).unwrap_or(0);
                    }
                    ControlMessageOwned::Ipv6PacketInfo(told) => {
                        to = IpAddr::V6(Ipv6Addr::from(told.ipi6_addr.s6_addr));
                        interface = told.ipi6_ifindex;
                    }
                    _ => {} // nothing else was asked for
                }
            }
            (message.bytes, message.address.and_then(|from| address(&from)), ttl, to, interface)
        };
        let Some(from) = from else { return Err(io::Error::other("a datagram without a sender")) };
        let name = nix::net::if_::if_indextoname(interface).ok();
        let name = name.as_ref().and_then(|name| name.to_str().ok());
        let Ear { family: _, hops, vrf } = &self.ear;
        let interface = name.map(Into::into);
        let arrival = Arrival { from, to, hops: *hops, ttl, interface, vrf: vrf.clone() };
        Ok(buffer.get(..length).map(|datagram| (arrival, datagram)))
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Speaks for one session.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    to: SocketAddr,
}

impl Sender {
    /// Opens a socket that sends from this port. It never blocks.
    pub fn open(path: &Path, source_port: u16) -> io::Result<Self> {
        let Path { peer, hops, source, interface, vrf } = path;
        let family = Family::of(*peer);
        let socket = socket(family)?;
        match family {
            Family::V4 => {
                socket.set_ttl_v4(TTL)?;
                socket.set_tos_v4(TRAFFIC_CLASS)?;
            }
            Family::V6 => {
                socket.set_unicast_hops_v6(TTL)?;
                socket.set_tclass_v6(TRAFFIC_CLASS)?;
            }
        }
        // An interface that belongs to a VRF says both.
        let device = interface.as_ref().map(InterfaceName::as_str).or(vrf.as_ref().map(VrfName::as_str));
        if let Some(device) = device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        // Nobody reads from it: let nobody fill it.
        socket.set_recv_buffer_size(0)?;
        let source = source.unwrap_or(unspecified(family));
        socket.bind(&SocketAddr::new(source, source_port).into())?;
        Ok(Self { socket, to: SocketAddr::new(*peer, hops.port()) })
    }

    /// Sends a datagram to the router.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, &self.to.into()).map(drop)
    }
}

fn socket(family: Family) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

const fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn address(socket: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = socket.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| socket.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}
