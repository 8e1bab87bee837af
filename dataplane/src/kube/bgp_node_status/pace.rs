//! When a change is worth a write: news after a second's rest, and so at once after a quiet one; counts alone after half
//! a minute; and what failed, again after longer and longer.
//!
//! The bounds are for the API server: with a thousand nodes, one write a second from each is all that a bad day of the
//! whole network may cost it.

use std::time::Duration;

use tokio::time::Instant;

/// Rest after a write before news are written.
pub(super) const NEWS: Duration = Duration::from_secs(1);
/// Rest after a write before counts are written.
pub(super) const COUNTS: Duration = Duration::from_secs(30);
/// The longest rest after writes that failed.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// How much what is written differs from what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kube) enum Difference {
    /// Not at all.
    None,
    /// In what changes all the time.
    Counts,
    /// In what somebody may be waiting for.
    News,
}

/// Remembers the last write.
#[derive(Clone, Debug, Default)]
pub(in crate::kube) struct Pace {
    last: Option<Instant>,
    failures: u32,
}

impl Pace {
    /// From when on such a difference is to be written; a moment that has passed means now. `None`: there is nothing
    /// to write.
    pub(in crate::kube) fn due(&self, difference: Difference) -> Option<Instant> {
        let rest = match difference {
            Difference::None => return None,
            Difference::Counts => COUNTS,
            Difference::News => NEWS,
        };
        let doubled = NEWS.saturating_mul(2_u32.saturating_pow(self.failures));
        let retry = if self.failures == 0 { Duration::ZERO } else { doubled.min(LONGEST) };
        Some(self.last.map_or_else(Instant::now, |last| last + rest.max(retry)))
    }

    /// A write ended at `now`, and was made or failed.
    pub(in crate::kube) const fn wrote(&mut self, now: Instant, made: bool) {
        self.last = Some(now);
        self.failures = if made { 0 } else { self.failures.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(pace: &Pace, since: Instant, difference: Difference) -> Option<Duration> {
        pace.due(difference).map(|due| due.saturating_duration_since(since))
    }

    #[test]
    fn the_first_difference_is_written_at_once_whatever_it_is() {
        let now = Instant::now();
        let pace = Pace::default();
        for difference in [Difference::Counts, Difference::News] {
            assert!(wait(&pace, now, difference).unwrap() < NEWS, "{difference:?}");
        }
    }

    #[test]
    fn news_wait_a_second_after_a_write_counts_half_a_minute_and_nothing_is_never_due() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.wrote(now, true);
        assert_eq!(wait(&pace, now, Difference::News), Some(NEWS));
        assert_eq!(wait(&pace, now, Difference::Counts), Some(COUNTS));
        assert_eq!(wait(&pace, now, Difference::None), None);
    }

    #[test]
    fn what_fails_is_tried_again_after_longer_and_longer_until_it_is_made() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            pace.wrote(now, false);
            waits.push(wait(&pace, now, Difference::News).unwrap().as_secs());
        }
        assert_eq!(waits[..6], [2, 4, 8, 16, 30, 30]);
        assert_eq!(waits[39], 30);
        pace.wrote(now, true);
        assert_eq!(wait(&pace, now, Difference::News), Some(NEWS));
    }
}
