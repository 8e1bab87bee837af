//! Whether this replica may write.

use std::time::Duration;

use metallb_process::lease::Lease;

/// Whether this replica may write.
#[derive(Clone, Debug)]
pub enum Mandate {
    /// It is the only one: leader election is off.
    Alone,
    /// While it holds the lease.
    Lease(Lease),
}

impl Mandate {
    /// Returns when it may.
    pub async fn held(&self) {
        match self {
            Self::Alone => {}
            Self::Lease(lease) => lease.held().await,
        }
    }

    /// Returns when it may not any more.
    pub async fn lost(&self) {
        match self {
            Self::Alone => std::future::pending().await,
            Self::Lease(lease) => lease.lost().await,
        }
    }

    /// Will it still be allowed to, `duration` from now?
    pub fn outlives(&self, duration: Duration) -> bool {
        match self {
            Self::Alone => true,
            Self::Lease(lease) => lease.outlives(duration),
        }
    }
}
