//! BIRD 2: one program, whose answers are text.
//!
//! It cannot send BFD echo packets, nor hold BFD packets against a minimum TTL; to an unnumbered neighbour it sends
//! router advertisements and waits to be connected to.

pub(super) mod answers;
pub(super) mod configuration;
pub(super) mod daemon;
#[cfg(test)]
mod tests;
