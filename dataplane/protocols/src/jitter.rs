//! How far to stray from an interval, so that nodes do not do things in step.
//!
//! Not here: where the seed comes from.

use std::time::Duration;

/// Keeps speakers from doing things in step (RFC 4271 §10, RFC 4861 §6.2.4): a sequence of factors from 0.75 to 1, by its seed.
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

    #[test]
    fn jitter_takes_up_to_a_quarter_off_and_adds_nothing() {
        let mut jitter = Jitter::new(7);
        let times: Vec<_> = (0..1000).map(|_| jitter.of(Duration::from_secs(1000)).as_secs()).collect();
        assert!(times.iter().all(|time| (750..=1000).contains(time)));
        assert!(times.contains(&750) && times.contains(&1000), "both ends are reached");
    }
}
