//! How far to stray from an interval, so that nodes do not do things in step.
//!
//! Not here: where the seed comes from.

use std::time::Duration;

use crate::dice::Dice;

/// Keeps speakers from doing things in step (RFC 4271 §10, RFC 4861 §6.2.4): a sequence of factors from 0.75 to 1, by its seed.
#[derive(Clone, Debug)]
pub struct Jitter(Dice);

impl Jitter {
    /// The sequence that starts with `seed`, which should differ from node to node and from peer to peer.
    pub const fn new(seed: u64) -> Self {
        Self(Dice(seed))
    }

    /// The next of the sequence, of `time`.
    pub fn of(&mut self, time: Duration) -> Duration {
        let permille = 750 + u32::try_from(self.0.below(251)).unwrap_or_default();
        time.saturating_mul(permille) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_takes_up_to_a_quarter_off_and_adds_nothing() {
        let mut jitter = Jitter::new(7);
        let times: Vec<_> = (0..1000).map(|_| jitter.of(Duration::from_secs(1000)).as_secs()).collect();
        assert!(times.iter().all(|time| (750..=1000).contains(time)));
        assert!(times.contains(&750) && times.contains(&1000), "both ends are reached");
    }
}
