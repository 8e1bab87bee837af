//! What is not in force for a reason outside of the objects of metallb.io, whatever it is about.

use super::any_of::any_of;
use super::{FrrRefusal, HeartbeatRefusal};

/// Something that was asked for and is not in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caveat {
    /// It is meant for FRR.
    Frr(FrrRefusal),
    /// It is meant for the heartbeats.
    Heartbeat(HeartbeatRefusal),
}

impl Caveat {
    /// Was it accepted without an effect, so that all works as it would without it?
    pub const fn is_harmless(&self) -> bool {
        match self {
            Self::Frr(_) => false,
            Self::Heartbeat(refusal) => refusal.is_harmless(),
        }
    }
}

any_of!(Caveat { Frr(FrrRefusal), Heartbeat(HeartbeatRefusal) });
