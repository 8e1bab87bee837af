//! When to try again, and how far to stray from it.

use std::time::Duration;

use metallb_core::config::ConnectTime;

const SECOND: Duration = Duration::from_secs(1);

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

    /// The same after an attempt to connect.
    pub fn after_connecting(&self, failures: u32) -> Duration {
        self.connect_time.map_or_else(|| self.after(failures), ConnectTime::get)
    }
}

/// Keeps speakers from doing things in step (RFC 4271 §10): a sequence of factors from 0.75 to 1, by its seed.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The sequence that starts with `seed`, which should differ from node to node and from peer to peer.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next of the sequence, of `time`.
    pub fn of(&mut self, time: Duration) -> Duration {
        // Splitmix64: a counter, and a hash of it.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let permille = 750 + u32::try_from((mixed >> 32) % 251).unwrap_or_default();
        time.saturating_mul(permille) / 1000
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

    #[test]
    fn jitter_takes_up_to_a_quarter_off_and_adds_nothing() {
        let mut jitter = Jitter::new(7);
        let times: Vec<_> = (0..1000).map(|_| jitter.of(Duration::from_secs(1000)).as_secs()).collect();
        assert!(times.iter().all(|time| (750..=1000).contains(time)));
        assert!(times.contains(&750) && times.contains(&1000), "both ends are reached");
    }
}
