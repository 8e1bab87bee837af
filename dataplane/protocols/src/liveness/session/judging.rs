//! What follows from the votes: who lives, by our knowledge.

use std::time::Instant;

use super::{Knowledge, Liveness, Output, Peer, Why};
use crate::liveness::votes::{Bench, Next};
use crate::liveness::watchers::NodeId;
use crate::liveness::wire::Stance;

/// A death seats other watchers, whose votes may make another one; more rounds than this wait for the next input.
const ROUNDS: usize = 4;

impl Liveness {
    pub(super) fn judge(&mut self, now: Instant) {
        for _ in 0..ROUNDS {
            let due = self.next_count.is_some_and(|due| due <= now);
            if !std::mem::take(&mut self.recount) && !due {
                return;
            }
            self.next_count = None;
            for node in self.votes.in_question() {
                if self.peers.contains_key(&node) {
                    self.weigh(now, node);
                } else {
                    self.votes.cases.remove(&node);
                }
            }
            if self.bury_and_revive() {
                self.reseat(now);
                self.recount = true;
            }
            if self.knowledge == Knowledge::Informed {
                self.tell_changes();
            }
        }
        if std::mem::take(&mut self.recount) {
            self.count_by(now + self.timing.interval / 10);
        }
    }

    fn weigh(&mut self, now: Instant, node: NodeId) {
        let bench = self.bench(node);
        let was_dead = self.votes.is_condemned(node);
        match self.votes.case(node).weigh(now, self.timing, bench.leaning()) {
            Next::Close => drop(self.votes.cases.remove(&node)),
            Next::Rest => {}
            Next::Wait(until) => self.count_by(until),
            Next::Ask(until) => {
                self.count_by(until);
                let watchers = self.living.watchers(node).into_iter().chain([node]);
                for asked in watchers.collect::<Vec<_>>() {
                    self.ask(now, asked);
                }
            }
        }
        let revived = was_dead && !self.votes.is_condemned(node);
        if revived && self.peers.get(&node).is_some_and(|peer| peer.heard + self.timing.dead_after < now) {
            // Others heard it. What it says itself may be news, too.
            self.outbox.probe([node]);
        }
    }

    fn count_by(&mut self, until: Instant) {
        self.next_count = Some(self.next_count.map_or(until, |next| next.min(until)));
    }

    /// Those who watch `node` and are there. Ourselves too, once it did not answer us.
    fn bench(&self, node: NodeId) -> Bench {
        let mut watchers = self.living.watchers(node);
        if !watchers.contains(&self.me) && self.votes.accuses(self.me, node) {
            watchers.push(self.me);
        }
        watchers.retain(|watcher| !self.unresponsive.contains(watcher));
        let accusing = watchers.iter().filter(|watcher| self.votes.accuses(**watcher, node)).count();
        Bench { accusing, others: watchers.len() - accusing }
    }

    fn lives(&self, node: NodeId, peer: &Peer) -> bool {
        peer.stance == Some(Stance::Serving) && !self.votes.is_condemned(node)
    }

    /// Whether anyone changed sides.
    fn bury_and_revive(&mut self) -> bool {
        let changed: Vec<_> = self
            .peers
            .iter()
            .filter(|(node, peer)| self.lives(**node, peer) != self.living.contains(**node))
            .map(|(node, _)| *node)
            .collect();
        for node in &changed {
            if self.living.contains(*node) {
                self.living.remove(*node);
            } else {
                self.living.insert(*node);
            }
        }
        !changed.is_empty()
    }

    /// Tells what is different from what was last told.
    pub(super) fn tell_changes(&mut self) {
        for (node, peer) in &mut self.peers {
            let lives = self.living.contains(*node);
            if std::mem::replace(&mut peer.told, lives) == lives {
                continue;
            }
            let name = peer.name.clone();
            self.outputs.push_back(match (lives, peer.stance) {
                (true, _) => Output::Alive(name),
                (false, None) => Output::Dead(name, Why::Left),
                (false, Some(Stance::Starting)) => Output::Dead(name, Why::Starting),
                (false, Some(Stance::Serving)) => Output::Dead(name, Why::Silent),
            });
        }
    }

    /// Whether it is open what is with somebody.
    pub(super) fn is_undecided(&self) -> bool {
        let open = self.votes.cases.iter().filter(|(node, _)| self.peers.contains_key(*node));
        open.filter(|(_, case)| !case.condemned).count() > 0
    }
}
