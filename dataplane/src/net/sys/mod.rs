//! System calls that no library wraps safely. Each unsafe block says why it is sound.
#![allow(unsafe_code)]

pub mod heap;
pub mod packet;
pub mod tcp;

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use socket2::Socket;
use tokio::io::unix::AsyncFd;

#[allow(clippy::cast_possible_truncation)] // 32
const ICMP6_FILTER: libc::socklen_t = size_of::<[u32; 8]>() as libc::socklen_t;
/// `linux/icmpv6.h`: the option of that level which blocks a message for each bit that is set.
const ICMPV6_FILTER: libc::c_int = 1;

/// Makes a raw ICMPv6 socket deaf to all types of messages but these (RFC 3542 §3.2).
pub fn hear_only_icmpv6(socket: &impl AsFd, types: &[u8]) -> io::Result<()> {
    let mut blocked = [u32::MAX; 8];
    for kind in types {
        if let Some(word) = blocked.get_mut(usize::from(kind / 32)) {
            *word &= !(1 << (kind % 32));
        }
    }
    // SAFETY: the descriptor is open for the length of the call, being borrowed; the option value is an icmp6_filter (eight
    // words of 32 bits) that outlives the call, and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_ICMPV6,
            ICMPV6_FILTER,
            std::ptr::from_ref(&blocked).cast(),
            ICMP6_FILTER,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the runtime say when there is something to read from the socket, which must not block.
pub fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a Socket owns its descriptor, which is open and the same until the Socket is dropped, and nobody but the
    // AsyncFd has it.
    Ok(unsafe { AsyncFd::register_with_interest(socket, tokio::io::Interest::READABLE) }?)
}
