//! Numbers in no order, the same ones for the same seed: to stray from intervals, and for random schedules in tests. Not for secrets.
//!
//! Not here: where the seed comes from.

/// A sequence of numbers, by its seed (Splitmix64: a counter, and a hash of it).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next of the sequence.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.roll() % if end == 0 { 1 } else { end }
    }

    /// An index into `count` things; 0 if there is none.
    pub fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap_or_default()
    }

    /// True so many times in a thousand.
    pub const fn permille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}
