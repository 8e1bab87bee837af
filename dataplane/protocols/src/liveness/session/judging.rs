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
        if self.reseat_at.is_some_and(|at| at <= now) {
            self.reseat(now);
        }
        while let Some((_, node)) = self.count_by.first().filter(|(at, _)| *at <= now).copied() {
            self.count_by.pop_first();
            self.recount.insert(node);
        }
        for _ in 0..ROUNDS {
            for node in std::mem::take(&mut self.recount) {
                if self.peers.contains_key(&node) {
                    self.weigh(now, node);
                } else {
                    self.votes.cases.remove(&node);
                }
            }
            if self.unsettled.is_empty() {
                break;
            }
            if self.bury_and_revive() {
                self.reseat_soon(now);
            }
            if self.knowledge == Knowledge::Informed && self.behind.is_none() {
                self.tell_changes();
            }
        }
        let later = now + self.timing.interval / 10;
        self.count_by.extend(std::mem::take(&mut self.recount).into_iter().map(|node| (later, node)));
    }

    /// A watcher came, went, or stopped to answer: those that it watches have another bench.
    pub(super) fn recount_bench_of(&mut self, watcher: NodeId) {
        if self.votes.are_none() {
            return;
        }
        self.recount.extend(self.living.watched_by(watcher, &self.known));
    }

    fn weigh(&mut self, now: Instant, node: NodeId) {
        let bench = self.bench(node);
        let was_dead = self.votes.is_condemned(node);
        match self.votes.case(node).weigh(now, self.timing, bench.leaning()) {
            Next::Close => drop(self.votes.cases.remove(&node)),
            Next::Rest => {}
            Next::Wait(until) => drop(self.count_by.insert((until, node))),
            Next::Ask(until) => {
                self.count_by.insert((until, node));
                let watchers = self.living.watchers(node).into_iter().chain([node]);
                for asked in watchers.collect::<Vec<_>>() {
                    self.ask(now, asked);
                }
            }
        }
        let is_dead = self.votes.is_condemned(node);
        if was_dead != is_dead {
            self.unsettled.insert(node);
        }
        if !was_dead
            && is_dead
            && let Some(peer) = self.peers.get_mut(&node)
        {
            peer.association.expire();
        }
        if was_dead
            && !is_dead
            && self.peers.get(&node).is_some_and(|peer| peer.heard + self.timing.dead_after < now)
        {
            // Others heard it. What it says itself may be news, too.
            self.outbox.probe([node]);
        }
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
        let mut changed = false;
        for node in std::mem::take(&mut self.unsettled) {
            let Some(peer) = self.peers.get(&node) else { continue };
            self.untold.insert(node);
            let lives = self.lives(node, peer);
            if lives == self.living.contains(node) {
                continue;
            }
            changed = true;
            if lives {
                self.living.insert(node);
                self.recount_bench_of(node);
            } else {
                self.recount_bench_of(node);
                self.living.remove(node);
            }
        }
        changed
    }

    /// Tells what is different from what was last told.
    pub(super) fn tell_changes(&mut self) {
        for node in std::mem::take(&mut self.untold) {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let lives = self.living.contains(node);
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
