//! Somebody on the network who recorded, and plays back.

use super::cluster::{Cluster, Packet};
use crate::dice::Dice;

impl Cluster {
    /// Somebody plays back `count` datagrams of those that it recorded: to whom they were sent, to somebody else, or back to who sent
    /// them.
    pub(super) fn play_back(&mut self, dice: &mut Dice, count: u64) {
        // Where nothing was recorded yet there is nothing to play.
        let Some(tape) = self.tape.take_if(|tape| !tape.is_empty()) else { return };
        for _ in 0..count {
            let packet = tape[dice.index(tape.len())].clone();
            let played = match dice.below(4) {
                0 => Packet { to: dice.index(self.len()), ..packet },
                1 => Packet { to: packet.from, from: packet.to, ..packet },
                _ => packet,
            };
            self.carry(&played);
        }
        self.tape = Some(tape);
    }
}
