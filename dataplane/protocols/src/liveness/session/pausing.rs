//! A process that was stopped (SIGSTOP, a suspended machine) heard nobody: that was its own silence, not theirs. Nor does it go by what
//! was said meanwhile, of which the last may be missing: it asks who lives, and until one of the others has the same tables, nothing
//! that it learns is told. What it told before is in force until then.

use std::time::Instant;

use super::claiming::Compared;
use super::{Knowledge, Liveness, Output, Peer};
use crate::liveness::wire::Stance;

impl Liveness {
    pub(super) fn forgive_own_pause(&mut self, now: Instant) {
        let Some(late) = self.due.and_then(|due| now.checked_duration_since(due)) else { return };
        if late < self.timing.dead_after / 2 {
            return;
        }
        self.forgive_silence(now);
        for case in self.votes.cases.values_mut() {
            case.forgive(now);
        }
        if late >= self.timing.dead_after {
            // We were taken for dead.
            for peer in self.peers.values_mut() {
                peer.association.expire();
                peer.compared = Compared::default();
            }
            if self.knowledge == Knowledge::Informed {
                self.behind_until = Some(now + self.timing.dead_after);
            }
            self.outbox.probe_all(self.peers.keys().copied());
            self.outbox.tell_all(now);
        }
        self.recount.extend(self.votes.in_question());
        self.outputs.push_back(Output::Paused);
    }

    /// Has this speaker learned what it missed?
    pub(super) fn catch_up(&mut self, now: Instant) {
        let Some(until) = self.behind_until else { return };
        let ours = self.short();
        let is_as_we = |peer: &Peer| peer.stance == Some(Stance::Serving) && peer.compared.is_same(ours);
        if until <= now || self.peers.values().any(is_as_we) {
            self.behind_until = None;
            self.tell_changes();
        }
    }

    /// What follows for those who go by the tables.
    pub(super) fn tell_what_changed(&mut self) {
        if self.behind_until.is_some() {
            return;
        }
        if std::mem::take(&mut self.tenures_changed) {
            self.outputs.push_back(Output::Tenures);
        }
        if std::mem::take(&mut self.lost_changed) {
            self.outputs.push_back(Output::Lost);
        }
    }
}
