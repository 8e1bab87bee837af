//! What is not in force for a reason outside of the objects of metallb.io, whatever it is about.

use super::{FrrRefusal, HeartbeatRefusal, Refusal};

/// Something that was asked for and is not in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caveat {
    /// It is meant for FRR.
    Frr(FrrRefusal),
    /// It is meant for the heartbeats.
    Heartbeat(HeartbeatRefusal),
}

impl From<FrrRefusal> for Caveat {
    fn from(refusal: FrrRefusal) -> Self {
        Self::Frr(refusal)
    }
}

impl From<HeartbeatRefusal> for Caveat {
    fn from(refusal: HeartbeatRefusal) -> Self {
        Self::Heartbeat(refusal)
    }
}

impl Caveat {
    fn inner(&self) -> &dyn Refusal {
        match self {
            Self::Frr(refusal) => refusal,
            Self::Heartbeat(refusal) => refusal,
        }
    }
}

impl Refusal for Caveat {
    fn code(&self) -> &'static str {
        self.inner().code()
    }

    fn sentence(&self) -> String {
        self.inner().sentence()
    }

    fn fix(&self) -> String {
        self.inner().fix()
    }
}
