//! FRR: zebra, and bgpd and bfdd where they have something to do.

pub(super) mod answers;
pub(super) mod configuration;
pub(super) mod daemons;
