//! A socket for the ARP of one interface (`packet(7)`; needs `CAP_NET_RAW`).

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Socket, Type};

use super::sys;

/// Frames of one ethertype on one interface, in both directions, without what this host sends itself.
#[derive(Debug)]
pub struct PacketSocket(Socket);

const ETHERTYPE_ARP: u16 = 0x0806;

impl PacketSocket {
    /// Opens a socket for ARP on the interface with that index. It never blocks.
    pub fn arp(interface: u32) -> io::Result<Self> {
        // Protocol 0 hears nothing until it is bound, so no frame of another interface gets in.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        sys::ignore_outgoing(&socket)?;
        socket.bind(&sys::packet_address(interface, ETHERTYPE_ARP)?)?;
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
