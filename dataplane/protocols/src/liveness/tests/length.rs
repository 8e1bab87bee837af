//! How long the random tests take.

use proptest::prelude::ProptestConfig;

/// How many times as long as in `make test`: `make soak` asks for so many more cases than proptest's own 256.
pub(super) fn length() -> u64 {
    (u64::from(ProptestConfig::default().cases) / 256).max(1)
}
