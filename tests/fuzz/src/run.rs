//! Inputs to a check, until the time is over or one fails.

use std::env;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner};

/// How long a target runs where nobody says otherwise: a test among others.
pub const BUDGET: Duration = Duration::from_secs(1);
/// Seconds to run instead.
const SECONDS: &str = "METALLB_FUZZ_SECONDS";
/// The one round to run instead.
const SEED: &str = "METALLB_FUZZ_SEED";
/// Inputs in a round: what a seed brings back.
const ROUND: u32 = 64;

/// What a target found: the smallest input that still fails, and how to see it again.
pub struct Found {
    seed: u64,
    what: String,
}

/// As tests print it.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nonce more: {SEED}={} and the name of this test", self.what, self.seed)
    }
}

/// Puts inputs to `check` until the time is over. One round at least, however slow.
pub fn run<S: Strategy>(inputs: S, check: impl Fn(S::Value) -> TestCaseResult) -> Result<(), Found> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number(SEED) {
        return round(seed, &inputs, &check);
    }
    let budget = number(SECONDS).map_or(BUDGET, Duration::from_secs);
    let start = Instant::now();
    // The standard library's own chance; every test and every run begins elsewhere.
    let mut seed = RandomState::new().hash_one(());
    loop {
        round(seed, &inputs, &check)?;
        if start.elapsed() >= budget {
            return Ok(());
        }
        seed = seed.wrapping_add(1);
    }
}

fn round<S: Strategy>(
    seed: u64,
    inputs: &S,
    check: &impl Fn(S::Value) -> TestCaseResult,
) -> Result<(), Found> {
    let config =
        Config { cases: ROUND, failure_persistence: None, max_shrink_time: 30_000, ..Config::default() };
    let mut octets = [0; 32];
    octets.iter_mut().zip(seed.to_be_bytes()).for_each(|(octet, of_seed)| *octet = of_seed);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &octets);
    let found = |what: String| Found { seed, what };
    match TestRunner::new_with_rng(config, rng).run(inputs, check) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, input)) => Err(found(format!("{reason}, for {input:?}"))),
        Err(error @ TestError::Abort(_)) => Err(found(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::test_runner::TestCaseError;

    use super::*;

    #[test]
    fn a_failure_is_found_and_its_seed_brings_it_back() {
        let small = |n: u32| if n < 1 << 30 { Ok(()) } else { Err(TestCaseError::fail("large")) };
        let found = run(any::<u32>(), small).unwrap_err();
        assert!(found.what.contains("for 1073741824"), "made as small as can be: {found:?}");
        let again = round(found.seed, &any::<u32>(), &small).unwrap_err();
        assert_eq!(again.what, found.what);
        assert!(format!("{found:?}").contains(&format!("METALLB_FUZZ_SEED={}", found.seed)));
    }

    #[test]
    fn a_panic_is_a_failure() {
        let found = run(any::<u8>(), |n| {
            assert!(n < 9, "too much");
            Ok(())
        });
        assert!(found.unwrap_err().what.contains("too much"));
    }
}
