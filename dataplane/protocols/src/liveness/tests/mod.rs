//! Liveness: tables of small cases, and simulations in virtual time.

mod cluster;
mod hostile;
mod large;
mod lives;
mod queue;
mod recorder;
mod small;
mod storm;
mod tenures;
mod watchers;
mod wire;

use proptest::prelude::ProptestConfig;

/// How many times as long as in `make test`: `make soak` asks for so many more cases than proptest's own 256.
fn length() -> u64 {
    (u64::from(ProptestConfig::default().cases) / 256).max(1)
}
