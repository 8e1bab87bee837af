//! Sockets and netlink: everything of the operating system that the speaker touches.
//!
//! | room | holds |
//! |---|---|
//! | [`bfd`] | UDP sockets for BFD control packets |
//! | `filter` | what the kernel drops before a socket sees it |
//! | [`heap`] | how the allocator deals with memory: it is here because its options are unsafe code |
//! | [`interfaces`] | the interfaces of this node and their addresses |
//! | [`links`] | the interfaces that may answer ARP and neighbour discovery |
//! | [`membership`] | multicast groups of IPv6, so that switches send their frames here |
//! | `netlink` | asking the kernel, and following both |
//! | [`packet`] | sockets for whole frames: ARP and neighbour discovery on one interface, BFD echo on all |
//! | [`reach`] | the networks that this node reaches, and since when a cable that had died is trusted again |
//! | `route` | the interface that packets for an address leave by |
//! | [`router_discovery`] | raw sockets for router solicitations and advertisements |
//! | `sys` | system calls that no library wraps; the only unsafe code of the project |
//! | [`tcp`] | TCP connections to routers, with passwords and TTLs |
//!
//! Not here: what is sent and to whom (`metallb-protocols`), and when (`speaker::lane`).

pub mod bfd;
mod filter;
pub mod interfaces;
pub mod links;
pub mod membership;
mod netlink;
pub mod packet;
pub mod reach;
mod route;
pub mod router_discovery;
mod sys;
pub mod tcp;

pub use sys::heap;
