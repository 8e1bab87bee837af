//! Options of TCP sockets that no library knows: passwords (RFC 2385) and the least TTL (RFC 5082).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _};

use socket2::{SockAddr, SockAddrStorage};

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C)]
struct Md5Signature {
    address: SockAddrStorage, // repr(transparent) over sockaddr_storage
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    interface: libc::c_int,
    key: [u8; libc::TCP_MD5SIG_MAXKEYLEN],
}

#[allow(clippy::cast_possible_truncation)] // 216
const MD5_SIGNATURE: libc::socklen_t = size_of::<Md5Signature>() as libc::socklen_t;
#[allow(clippy::cast_possible_truncation)] // 4
const C_INT: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// Signs what goes to `peer`, and takes only what is signed like that from it (`TCP_MD5SIG`, `tcp(7)`). An empty `key`
/// ends it. Of a listening socket, this holds for the connections that it accepts.
pub fn sign(socket: &impl AsFd, peer: SocketAddr, key: &[u8]) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "the password is longer than 80 octets");
    let mut signature = Md5Signature {
        address: SockAddr::from(peer).as_storage(),
        flags: 0,
        prefix_length: 0,
        key_length: u16::try_from(key.len()).map_err(|_| too_long())?,
        interface: 0,
        key: [0; libc::TCP_MD5SIG_MAXKEYLEN],
    };
    signature.key.get_mut(..key.len()).ok_or_else(too_long)?.copy_from_slice(key);
    // SAFETY: the descriptor is open for the length of the call, being borrowed; the value is laid out as the kernel's
    // struct (repr(C), of the same field types), outlives the call, and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_MD5SIG,
            std::ptr::from_ref(&signature).cast(),
            MD5_SIGNATURE,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Drops what arrives with a lower TTL or hop limit (`IP_MINTTL`, `IPV6_MINHOPCOUNT`).
pub fn drop_below(socket: &impl AsFd, ttl: u8, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = if is_ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT)
    } else {
        (libc::IPPROTO_IP, libc::IP_MINTTL)
    };
    let value = libc::c_int::from(ttl);
    // SAFETY: the descriptor is open for the length of the call, being borrowed; the option value is a c_int that
    // outlives the call, and its length is given.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, std::ptr::from_ref(&value).cast(), C_INT)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
