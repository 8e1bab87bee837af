//! Every parser of bytes from the network, and the machines behind them, under bytes near to valid ones.
//!
//! What has to hold: nothing panics; what is read is written and read again as the same; an answer is a message that
//! its receiver can read; and memory and work are bounded by what came in, measured in octets allocated.

#![allow(clippy::panic, clippy::unwrap_used)] // all of this is a test

mod arp;
mod bfd;
mod bgp_messages;
mod bgp_session;
mod hostile;
mod liveness;
mod ndp;
mod router;
