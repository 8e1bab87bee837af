//! Sockets and netlink: everything of the operating system that the speaker touches.
//!
//! | room | holds |
//! |---|---|
//! | [`bfd`] | UDP sockets for BFD control packets |
//! | `filter` | what the kernel drops before a socket sees it |
//! | [`links`] | the interfaces of this node, followed by netlink |
//! | [`packet`] | sockets for whole frames: ARP on one interface, BFD echo on all |
//! | `sys` | system calls that no library wraps; the only unsafe code of the project |
//! | [`tcp`] | TCP connections to routers, with passwords and TTLs |
//!
//! Not here: what is sent and to whom (`metallb-protocols`), and when (`speaker::lane`).

pub mod bfd;
mod filter;
pub mod links;
pub mod packet;
mod sys;
pub mod tcp;
