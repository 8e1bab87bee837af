//! A process that was stopped (SIGSTOP, a suspended machine) heard nobody: that was its own silence, not theirs. Nor does it go by what
//! was said meanwhile, of which the last may be missing: it asks who lives, and until one of the others has the same tables, nothing
//! that it learns is told, and nothing is claimed. What it told before is in force until then.

use std::time::Instant;

use super::claiming::Compared;
use super::{Knowledge, Liveness, Output, Peer};
use crate::liveness::tenure::Claim;
use crate::liveness::wire::Stance;

/// What this speaker knows is of before a pause.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    /// It goes by what it knows by then, whatever that is.
    pub(super) until: Instant,
    /// Was ownership sticky on all nodes?
    pub(super) all_kept: bool,
    /// What it is to claim.
    pub(super) claims: Vec<Claim>,
}

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
        self.recount.extend(self.votes.in_question());
        if late < self.timing.dead_after {
            return self.outputs.push_back(Output::Paused);
        }
        // We were taken for dead.
        for peer in self.peers.values_mut() {
            peer.association.forget();
            peer.compared = Compared::default();
        }
        match self.knowledge {
            Knowledge::Nothing => {}
            // It has nothing to tell anew, and the others have as long to answer as if it asked now.
            Knowledge::Asking(_) => self.knowledge = Knowledge::Asking(now),
            Knowledge::Informed => {
                let all_kept = self.all_keep();
                let claims = self.behind.take().map(|behind| behind.claims).unwrap_or_default();
                self.behind = Some(Behind { until: now + self.timing.dead_after, all_kept, claims });
            }
        }
        self.outbox.probe_all(self.peers.keys().copied());
        self.outbox.tell_all(now);
    }

    /// Has this speaker learned what it missed, just now?
    pub(super) fn catch_up(&mut self, now: Instant) -> bool {
        let ours = self.short();
        let is_as_we = |peer: &Peer| peer.stance == Some(Stance::Serving) && peer.compared.is_same(ours);
        let knows = self.peers.is_empty() || self.peers.values().any(is_as_we);
        let Some(behind) = self.behind.take_if(|behind| knows || behind.until <= now) else {
            return false;
        };
        self.tell_changes();
        for claim in behind.claims {
            // It was decided without knowing what was claimed meanwhile.
            if self.tenures.all().get(&claim.address).is_none_or(|held| held.epoch < claim.tenure.epoch) {
                self.claim(claim);
            }
        }
        true
    }

    /// What follows for those who go by the tables.
    pub(super) fn tell_what_changed(&mut self) {
        if self.behind.is_some() {
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
