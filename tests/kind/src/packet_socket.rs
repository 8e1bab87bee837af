//! Sockets through which whole frames pass (packet(7)).
//!
//! Not here: what is in the frames.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;

/// One on all interfaces of the network namespace that the thread is in. A read waits for `look`, less than a second.
pub fn open(look: Duration) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
        .context("open a packet socket")?;
    let look = TimeVal::new(0, look.subsec_micros().into());
    setsockopt(&socket, sockopt::ReceiveTimeout, &look).context("set a timeout")?;
    Ok(socket)
}
