//! What packet sockets are told (`packet(7)`).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use socket2::SockAddr;

#[allow(clippy::cast_possible_truncation)] // 17
const AF_PACKET: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;
#[allow(clippy::cast_possible_truncation)] // 20
const SOCKADDR_LL: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
#[allow(clippy::cast_possible_truncation)] // 4
const C_INT: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
#[allow(clippy::cast_possible_truncation)] // 16
const PACKET_MREQ: libc::socklen_t = size_of::<libc::packet_mreq>() as libc::socklen_t;
#[allow(clippy::cast_possible_truncation)] // 0
const MULTICAST: libc::c_ushort = libc::PACKET_MR_MULTICAST as libc::c_ushort;

/// The address that binds a packet socket to one interface and one ethertype (`packet(7)`).
pub fn address(interface: u32, ethertype: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(interface).map_err(|_| io::Error::other("interface index out of range"))?;
    // SAFETY: the closure writes a complete sockaddr_ll, which is no larger than the sockaddr_storage it is given and
    // needs no stricter alignment, and sets the length to what it wrote.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = libc::sockaddr_ll {
                sll_family: AF_PACKET,
                sll_protocol: ethertype.to_be(),
                sll_ifindex: index,
                sll_hatype: 0,
                sll_pkttype: 0,
                sll_halen: 0,
                sll_addr: [0; 8],
            };
            storage.cast::<libc::sockaddr_ll>().write(address);
            *length = SOCKADDR_LL;
            Ok(())
        })
    }?;
    Ok(address)
}

/// Makes a packet socket deaf to what this host sends (`PACKET_IGNORE_OUTGOING`, Linux 4.20).
pub fn ignore_outgoing(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the length of the call, being borrowed; the option value is a c_int that
    // outlives the call, and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            std::ptr::from_ref(&on).cast(),
            C_INT,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether to hear a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// From now on.
    Add,
    /// No longer.
    Drop,
}

/// Has the hardware of an interface let the frames for a group in, or no longer, on behalf of a packet socket (`packet(7)`).
pub fn membership(socket: &impl AsFd, change: Membership, interface: u32, group: [u8; 6]) -> io::Result<()> {
    let index = i32::try_from(interface).map_err(|_| io::Error::other("interface index out of range"))?;
    let mut padded = [0; 8];
    for (octet, of_group) in padded.iter_mut().zip(group) {
        *octet = of_group;
    }
    let request = libc::packet_mreq { mr_ifindex: index, mr_type: MULTICAST, mr_alen: 6, mr_address: padded };
    let option = match change {
        Membership::Add => libc::PACKET_ADD_MEMBERSHIP,
        Membership::Drop => libc::PACKET_DROP_MEMBERSHIP,
    };
    // SAFETY: the descriptor is open for the length of the call, being borrowed; the option value is a packet_mreq that
    // outlives the call, and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(&request).cast(),
            PACKET_MREQ,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
