//! Who is watched, and who of them is silent.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Knowledge, Liveness, Timing};
use crate::liveness::watchers::NodeId;

/// A node that we watch.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Nothing was heard since then. Silence from before we watched does not count: it did not know that we listen.
    since: Instant,
    /// It was asked, being late.
    prompted: bool,
    /// It is silent, and that was said.
    pub(super) silent: bool,
}

impl Watch {
    /// When its silence would have lasted too long.
    fn deadline(&self, timing: Timing) -> Instant {
        self.since + timing.dead_after
    }

    /// When two of its heartbeats are missing: time to ask for one before saying that it is silent.
    fn late(&self, timing: Timing) -> Instant {
        self.since + timing.interval * 9 / 4
    }

    pub(super) fn due(&self, timing: Timing) -> Option<Instant> {
        let deadline = self.deadline(timing);
        let late = Some(self.late(timing)).filter(|_| !self.prompted);
        (!self.silent).then(|| late.map_or(deadline, |late| late.min(deadline)))
    }
}

impl Liveness {
    /// Accuses who is silent, asks who is late, gives up who does not answer.
    pub(super) fn watch(&mut self, now: Instant) {
        let mut late = Vec::new();
        let mut silent = Vec::new();
        for (node, watch) in &mut self.watched {
            if watch.silent {
                continue;
            }
            if watch.deadline(self.timing) <= now {
                watch.silent = true;
                silent.push(*node);
            } else if !watch.prompted && watch.late(self.timing) <= now {
                watch.prompted = true;
                late.push(*node);
            }
        }
        self.outbox.probe(late);
        for node in silent {
            self.accuse(now, node);
        }
        while let Some((_, node)) = self.awaited.first().filter(|(until, _)| *until <= now).copied() {
            self.awaited.pop_first();
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.awaited = None;
                peer.association.expire();
            }
            // For ourselves only. Those who watch it say it to all.
            self.unresponsive.insert(node);
            self.votes.accuse(self.me, node);
            if self.knowledge == Knowledge::Informed {
                self.votes.case(node).open(now.checked_sub(self.timing.dead_after).unwrap_or(now));
            }
            self.recount.insert(node);
            self.recount_bench_of(node);
        }
    }

    /// Says to all that a node we watch is silent.
    fn accuse(&mut self, now: Instant, node: NodeId) {
        self.votes.accuse(self.me, node);
        self.recount.insert(node);
        self.outbox.tell_all(now);
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.association.expire();
        }
    }

    /// A node was heard: what was said about its silence is taken back.
    pub(super) fn acquit(&mut self, now: Instant, node: NodeId) {
        if self.votes.take_back(self.me, node) | self.votes.heard(node) {
            self.recount.insert(node);
        }
        if let Some(watch) = self.watched.get_mut(&node) {
            (watch.since, watch.prompted) = (now, false);
            if std::mem::replace(&mut watch.silent, false) {
                self.outbox.tell_all(now);
                // It may be others who watch it.
                self.reseat_soon(now);
            }
        }
    }

    /// Asks a node whether it is there, until it says so or has to be given up.
    pub(super) fn ask(&mut self, now: Instant, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if peer.awaited.is_some() || self.unresponsive.contains(&node) {
            return;
        }
        let until = now + self.timing.dead_after;
        peer.awaited = Some(until);
        self.awaited.insert((until, node));
        self.outbox.insist(now, node);
    }

    /// Who watches whom is to be found out. Many changes at once are not rare: a restart of all, half a cluster that is gone.
    pub(super) fn reseat_soon(&mut self, now: Instant) {
        self.reseat_at.get_or_insert(now + self.timing.interval / 20);
    }

    /// Who watches whom follows from who is known and who lives.
    pub(super) fn reseat(&mut self, now: Instant) {
        self.reseat_at = None;
        let of = |rings: &super::Rings| rings.watchers(self.me);
        self.beats_to = of(&self.known).into_iter().chain(of(&self.living)).collect();
        let mut watched = self.known.watched_by(self.me, &self.known);
        watched.extend(self.living.watched_by(self.me, &self.known));
        // Who found a node silent says so until it hears it, whoever else watches it by now: what is not said any more is taken for a sign
        // of life, and where most are dead at once, and the others do not agree who watches whom, those would bring one another back.
        let is_over = |node: &NodeId, watch: &Watch| !watch.silent || !self.peers.contains_key(node);
        let dropped =
            self.watched.iter().filter(|(node, watch)| !watched.contains(node) && is_over(node, watch));
        let dropped: BTreeSet<_> = dropped.map(|(node, _)| *node).collect();
        for node in dropped {
            let watch = self.watched.remove(&node);
            if !self.unresponsive.contains(&node) && self.votes.drop_accusation(self.me, node) {
                self.recount.insert(node);
            }
            if watch.is_some_and(|watch| watch.silent) {
                self.outbox.tell_all(now);
            }
        }
        for node in watched {
            if self.watched.contains_key(&node) {
                continue;
            }
            // Who is dead by the word of others does not live for lack of ours.
            let silent = self.votes.is_condemned(node) && self.knowledge == Knowledge::Informed;
            self.watched.insert(node, Watch { since: now, prompted: false, silent });
            if silent {
                self.accuse(now, node);
            }
        }
    }

    /// We stood still: whoever was silent meanwhile may have spoken.
    pub(super) fn forgive_silence(&mut self, now: Instant) {
        for watch in self.watched.values_mut() {
            (watch.since, watch.prompted) = (now, false);
        }
        let until = now + self.timing.dead_after;
        let awaited = std::mem::take(&mut self.awaited);
        for (_, node) in awaited {
            self.awaited.insert((until, node));
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.awaited = Some(until);
            }
            self.outbox.insist(now, node);
        }
    }
}
