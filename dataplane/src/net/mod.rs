//! Sockets and netlink: everything of the operating system that the speaker touches.
//!
//! | room | holds |
//! |---|---|
//! | [`links`] | the interfaces of this node, followed by netlink |
//! | [`packet`] | a socket for ARP on one interface |
//! | `sys` | system calls that no library wraps; the only unsafe code of the project |
//!
//! Not here: what is sent and to whom (`metallb-protocols`), and when (`speaker::lane`).

pub mod links;
pub mod packet;
mod sys;
