//! When to try again.

use std::time::Duration;

use metallb_core::config::ConnectTime;

const SECOND: Duration = Duration::from_secs(1);
/// An attempt to connect that takes longer is given up.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure: nothing, or a second.
    pub first: Duration,
    /// However often it failed.
    pub longest: Duration,
    /// `spec.connectTime`: between attempts to connect, however often they failed.
    pub connect_time: Option<ConnectTime>,
}

impl Retry {
    /// After `failures` in a row, this one not counted: the first, then a second, and twice that each time.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = if self.first.is_zero() { failures.checked_sub(1) } else { Some(failures) };
        let Some(doublings) = doublings else { return self.first };
        let base = if self.first.is_zero() { SECOND } else { self.first };
        base.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.longest)
    }

    /// How long an attempt may take. Where attempts are to follow each other sooner, no longer than that.
    pub fn attempt(&self) -> Duration {
        self.connect_time.map_or(ATTEMPT, |connect_time| connect_time.get().min(ATTEMPT))
    }

    /// As [`Retry::after`], after an attempt to connect.
    pub fn after_connecting(&self, failures: u32) -> Duration {
        self.connect_time.map_or_else(|| self.after(failures), ConnectTime::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(retry: Retry) -> Vec<u64> {
        (0..10).map(|failures| retry.after(failures).as_secs()).collect()
    }

    #[test]
    fn waits_double_from_the_first_to_the_longest() {
        let longest = Duration::from_mins(2);
        let at_once = Retry { first: Duration::ZERO, longest, connect_time: None };
        assert_eq!(seconds(at_once), [0, 1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(seconds(Retry { first: SECOND, ..at_once }), [1, 2, 4, 8, 16, 32, 64, 120, 120, 120]);
        assert_eq!(at_once.after(u32::MAX), longest);
    }

    #[test]
    fn a_connect_time_does_not_grow() {
        let connect_time = ConnectTime::new(Duration::from_secs(7));
        let retry = Retry { first: SECOND, longest: Duration::from_mins(2), connect_time };
        assert!((0..40).all(|failures| retry.after_connecting(failures) == Duration::from_secs(7)));
    }
}
