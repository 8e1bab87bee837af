//! How all come to know who has which address, and who does not reach which network: what is new goes from neighbour to neighbour. Who
//! watches a node, and whom it watches, are its neighbours: there are few of them, and over them news reach everybody.
//!
//! Heartbeats carry the whole tables in short. Neighbours whose tables differ for longer than news take tell each other all, so
//! whatever was lost is said again, and who starts learns before it decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Liveness, Output, Peer};
use crate::liveness::report::{self, Report};
use crate::liveness::tenure::{self, Claim};
use crate::liveness::watchers::NodeId;
use crate::liveness::wire::{CLAIMS, REPORTS, Stance, Word};

/// Datagrams to send before other things get their turn, and until when the next have theirs. What comes meanwhile goes together.
const TURN: usize = 16;
const PAUSE: Duration = Duration::from_millis(1);
/// Nobody is told the whole table more often than that, but who stood still.
const AGAIN: Duration = Duration::from_secs(1);

/// What a neighbour is to be told: who has these addresses, and which networks these nodes do not reach.
#[derive(Clone, Debug, Default)]
struct Errand {
    addresses: BTreeSet<IpAddr>,
    nodes: BTreeSet<NodeId>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Errands {
    unsent: BTreeMap<NodeId, Errand>,
    turn: Option<Instant>,
}

impl Errands {
    pub(super) fn due(&self) -> Option<Instant> {
        self.turn.filter(|_| !self.unsent.is_empty())
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.unsent.remove(&node);
    }

    fn of(&mut self, neighbour: NodeId) -> &mut Errand {
        self.unsent.entry(neighbour).or_default()
    }
}

/// The tables of a speaker in short: two with the same are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) tenures: u64,
    pub(super) reports: u64,
}

/// What a peer said of its tables.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    tenures: Table,
    reports: Table,
    /// It does not know yet what it missed.
    behind: bool,
}

/// What it said of one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    /// The table in short.
    digest: Option<u64>,
    /// They differed when it last said something: its own and ours, in short.
    differed: Option<(u64, u64)>,
    /// When it was told all of ours.
    told: Option<Instant>,
}

impl Table {
    /// Is it time to tell all of ours: at once, or where tables still differ?
    fn is_to_be_told(
        &mut self,
        now: Instant,
        (theirs, ours): (u64, u64),
        at_once: bool,
        later: bool,
        again: Duration,
    ) -> bool {
        self.digest = Some(theirs);
        if theirs == ours {
            self.differed = None;
            return false;
        }
        let still = self.differed.replace((theirs, ours)) == Some((theirs, ours));
        let is_time = self.told.is_none_or(|told| told + again <= now);
        let is_due = is_time && (at_once || later && still);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

impl Compared {
    /// It has not said anything of them yet.
    pub(super) const fn is_unknown(&self) -> bool {
        self.tenures.digest.is_none()
    }

    /// It said the same, and knows what others do.
    pub(super) fn is_same(&self, ours: Short) -> bool {
        !self.behind && (self.tenures.digest, self.reports.digest) == (Some(ours.tenures), Some(ours.reports))
    }
}

impl Liveness {
    /// This speaker says who has an address from now on.
    pub(super) fn claim(&mut self, claim: Claim) {
        if self.tenures.hear(claim) == tenure::Heard::New {
            self.tenures_changed = true;
            self.pass_on(claim.address, None);
        }
    }

    /// So does another one.
    pub(super) fn hear_claims(&mut self, from: NodeId, claims: &[Claim]) {
        for claim in claims {
            match self.tenures.hear(*claim) {
                tenure::Heard::New => {
                    self.tenures_changed = true;
                    self.pass_on(claim.address, Some(from));
                }
                tenure::Heard::Known => {}
                tenure::Heard::Late(held) => {
                    self.errands.of(from).addresses.insert(claim.address);
                    if held.owner == self.me && claim.tenure.owner == from {
                        self.outputs.push_back(Output::Outlasted(claim.address));
                    }
                }
            }
        }
    }

    fn pass_on(&mut self, address: IpAddr, from: Option<NodeId>) {
        let neighbours: BTreeSet<_> = self.beats_to.iter().chain(self.watched.keys()).copied().collect();
        for node in neighbours.into_iter().filter(|node| Some(*node) != from) {
            self.errands.of(node).addresses.insert(address);
        }
    }

    pub(super) fn hear_reports(&mut self, now: Instant, from: NodeId, reports: &[(NodeId, Report)]) {
        for (node, report) in reports {
            self.hear_report(now, from, *node, report);
        }
    }

    /// `from` says which networks a node does not reach: itself, or another one. It is not passed on at once: the node tells all itself, and
    /// whom it does not reach differs from the others.
    pub(super) fn hear_report(&mut self, now: Instant, from: NodeId, node: NodeId, report: &Report) {
        if node == self.me {
            let own = self.reports.of(node);
            // Of another life.
            if own < *report && self.reports.begin(node, own.lost, report.incarnation) {
                self.outbox.tell_all(now);
            }
            return;
        }
        if !self.peers.contains_key(&node) {
            return;
        }
        match self.reports.hear(node, report) {
            report::Heard::New { networks } => self.lost_changed |= networks,
            report::Heard::Known => {}
            report::Heard::Late => drop(self.errands.of(from).nodes.insert(node)),
        }
    }

    /// Our tables.
    pub(super) const fn short(&self) -> Short {
        Short { tenures: self.tenures.digest(), reports: self.reports.digest() }
    }

    /// A peer says its tables in short.
    pub(super) fn compare(
        &mut self,
        now: Instant,
        node: NodeId,
        asks_or_starts: bool,
        behind: bool,
        theirs: Short,
    ) {
        let ours = self.short();
        let is_neighbour = self.beats_to.contains(&node) || self.watched.contains_key(&node);
        // Who starts, or stood still, is told by one of them at once: it could not take in what all know at the same time.
        let is_guide = asks_or_starts && self.living.next(node) == Some(self.me);
        let Some(Peer { compared, .. }) = self.peers.get_mut(&node) else { return };
        compared.behind = behind;
        // That one does not wait for long.
        let again = if behind { self.timing.dead_after / 3 } else { AGAIN };
        let tables = (theirs.tenures, ours.tenures);
        if compared.tenures.is_to_be_told(now, tables, is_guide, is_neighbour, again) {
            self.errands.of(node).addresses.extend(self.tenures.all().keys().copied());
        }
        // By anybody: a few are said, and it may be that it hears none of its neighbours.
        let tables = (theirs.reports, ours.reports);
        if compared.reports.is_to_be_told(now, tables, is_guide, true, again) {
            self.errands.of(node).nodes.extend(self.reports.all().keys().copied());
        }
    }

    /// Have all that spoke said how they stand, and whether they keep what they have? The first word of a peer may be a challenge.
    pub(super) fn have_stated(&self) -> bool {
        let mut spoke = self.peers.values().filter(|peer| peer.spoke.is_some());
        spoke.all(|peer| !peer.compared.is_unknown() || peer.stance.is_none())
    }

    /// Is what we know what others know? They say so, or there are none.
    pub(super) fn is_in_step(&self) -> bool {
        let serves = |peer: &&Peer| peer.stance == Some(Stance::Serving) && peer.spoke.is_some();
        let mut others = self.peers.values().filter(serves).peekable();
        others.peek().is_none() || others.any(|peer| peer.compared.is_same(self.short()))
    }

    pub(super) fn run_errands(&mut self, now: Instant) {
        if self.errands.unsent.is_empty() || self.errands.turn.is_some_and(|turn| now < turn) {
            return;
        }
        for _ in 0..TURN {
            let Some(mut entry) = self.errands.unsent.first_entry() else { break };
            let neighbour = *entry.key();
            let Errand { addresses, nodes } = entry.get_mut();
            let word = if nodes.is_empty() {
                let some: Vec<_> = std::iter::from_fn(|| addresses.pop_first()).take(CLAIMS).collect();
                let held =
                    |address: IpAddr| Some(Claim { address, tenure: *self.tenures.all().get(&address)? });
                let claims: Vec<_> = some.into_iter().filter_map(held).collect();
                Some(claims).filter(|claims| !claims.is_empty()).map(Word::Claims)
            } else {
                let some = std::iter::from_fn(|| nodes.pop_first()).take(REPORTS);
                Some(Word::Reports(some.map(|node| (node, self.reports.of(node))).collect()))
            };
            if addresses.is_empty() && nodes.is_empty() {
                entry.remove();
            }
            if let Some(word) = word {
                self.send(now, neighbour, word);
            }
        }
        self.errands.turn = Some(now + PAUSE);
    }
}
