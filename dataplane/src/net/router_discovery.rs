//! Raw ICMPv6 sockets (`raw(7)`; they need `CAP_NET_RAW`) for router solicitations and advertisements on one interface.
//!
//! Whether the kernel itself takes advertisements (`accept_ra`) does not matter here, and nothing here changes it.
//! Not here: what the messages say, and whether they may be believed (`metallb_protocols::ndp`).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd as _;

use metallb_core::names::InterfaceName;
use metallb_protocols::ndp::ALL_ROUTERS;
use metallb_protocols::ndp::wire::Arrival;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::sys;

/// Router solicitations and advertisements.
const TYPES: [u8; 2] = [133, 134];
/// What no packet from beyond a router can have (RFC 4861 §6.1).
const HOP_LIMIT: u32 = 255;
/// Bytes for what the kernel tells about a packet: its hop limit, and the interface.
const ANCILLARY: usize = 128;

/// The messages of routers on one interface, without what this socket sends itself.
#[derive(Debug)]
pub struct RouterDiscovery {
    socket: AsyncFd<Socket>,
    index: u32,
}

impl RouterDiscovery {
    /// Opens the socket on the interface of that name, which has to be the one of that index. It never blocks. Belongs to the
    /// runtime that it is opened on.
    pub fn open(name: &InterfaceName, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_nonblocking(true)?;
        sys::hear_only_icmpv6(&socket, &TYPES)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        socket.bind_device(Some(name.as_str().as_bytes()))?;
        // Fails if a new interface has taken the name in the meantime.
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_hops_v6(HOP_LIMIT)?;
        socket.set_multicast_loop_v6(false)?;
        // Every host is in the group of all hosts.
        socket.join_multicast_v6(&ALL_ROUTERS, index)?;
        Ok(Self { socket: sys::watch(socket)?, index })
    }

    /// Returns when a packet may wait.
    pub async fn readable(&self) {
        // An error is that of a runtime which ends.
        let _ = self.socket.readable().await;
    }

    /// The next packet, if one waits, and how it arrived. What is longer than `buffer` is cut.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<(Arrival, &'b [u8])>> {
        loop {
            let received = self.socket.try_io(Interest::READABLE, |socket| receive(socket, buffer));
            match received {
                // One of another interface, from before the socket was bound.
                Ok(Received { index, .. }) if index != self.index => {}
                Ok(Received { arrival, length, .. }) => {
                    return Ok(buffer.get(..length).map(|bytes| (arrival, bytes)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a packet from one of the interface's addresses; the kernel adds the checksum.
    pub fn send(&self, from: Ipv6Addr, to: Ipv6Addr, bytes: &[u8]) -> io::Result<()> {
        let source = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
            ipi6_ifindex: self.index,
        };
        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, self.index));
        let ancillary = [ControlMessage::Ipv6PacketInfo(&source)];
        let descriptor = self.socket.get_ref().as_raw_fd();
        sendmsg(descriptor, &[IoSlice::new(bytes)], &ancillary, MsgFlags::MSG_DONTWAIT, Some(&to))?;
        Ok(())
    }
}

struct Received {
    arrival: Arrival,
    index: u32,
    length: usize,
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut ancillary = [0; ANCILLARY];
    let mut slices = [IoSliceMut::new(buffer)];
    let descriptor = socket.as_raw_fd();
    let message =
        recvmsg::<SockaddrIn6>(descriptor, &mut slices, Some(&mut ancillary), MsgFlags::MSG_DONTWAIT)?;
    let (mut hop_limit, mut index) = (0, 0);
    for told in message.cmsgs()? {
        match told {
            ControlMessageOwned::Ipv6HopLimit(value) => hop_limit = u8::try_from(value).unwrap_or(0),
            ControlMessageOwned::Ipv6PacketInfo(told) => index = told.ipi6_ifindex,
            _ => {} // nothing else was asked for
        }
    }
    let from = message.address.map(|from| from.ip());
    let from = from.ok_or_else(|| io::Error::other("a packet without a sender"))?;
    Ok(Received { arrival: Arrival { from, hop_limit }, index, length: message.bytes })
}
