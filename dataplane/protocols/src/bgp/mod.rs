//! BGP (RFC 4271): telling routers which addresses are reached through this node.
//!
//! In this room: `wire` (the messages).

pub mod adverts;
pub mod session;
pub mod wire;

#[cfg(test)]
mod tests;
