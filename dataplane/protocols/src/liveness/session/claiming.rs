//! How all come to know who has which address: what is new goes from neighbour to neighbour. Who watches a node, and whom it
//! watches, are its neighbours: there are few of them, and over them news reach everybody.
//!
//! Heartbeats carry the whole table in short. Neighbours whose tables differ for longer than news take tell each other all, so
//! whatever was lost is said again, and who starts learns before it decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Liveness, Output, Peer};
use crate::liveness::tenure::{Claim, Heard};
use crate::liveness::watchers::NodeId;
use crate::liveness::wire::{CLAIMS, Stance, Word};

/// Datagrams to send before other things get their turn, and until when the next have theirs. What comes meanwhile goes together.
const TURN: usize = 16;
const PAUSE: Duration = Duration::from_millis(1);
/// Nobody is told the whole table more often than that.
const AGAIN: Duration = Duration::from_secs(1);

/// The addresses of which a neighbour is to be told who has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Errands {
    unsent: BTreeMap<NodeId, BTreeSet<IpAddr>>,
    turn: Option<Instant>,
}

impl Errands {
    pub(super) fn due(&self) -> Option<Instant> {
        self.turn.filter(|_| !self.unsent.is_empty())
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.unsent.remove(&node);
    }
}

/// What a peer said of its table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    /// Its table in short.
    digest: Option<u64>,
    /// Tables differed when it last said something: its own and ours, in short.
    differed: Option<(u64, u64)>,
    /// When it was told all of ours.
    told: Option<Instant>,
}

impl Compared {
    /// It has not said anything of it yet.
    pub(super) const fn is_unknown(&self) -> bool {
        self.digest.is_none()
    }
}

impl Liveness {
    /// This speaker says who has an address from now on.
    pub(super) fn claim(&mut self, claim: Claim) {
        if self.tenures.hear(claim) == Heard::New {
            self.tenures_changed = true;
            self.pass_on(claim.address, None);
        }
    }

    /// So does another one.
    pub(super) fn hear_claims(&mut self, from: NodeId, claims: &[Claim]) {
        for claim in claims {
            match self.tenures.hear(*claim) {
                Heard::New => {
                    self.tenures_changed = true;
                    self.pass_on(claim.address, Some(from));
                }
                Heard::Known => {}
                Heard::Late(held) => {
                    self.errands.unsent.entry(from).or_default().insert(claim.address);
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
            self.errands.unsent.entry(node).or_default().insert(address);
        }
    }

    /// A peer says its table in short.
    pub(super) fn compare(&mut self, now: Instant, node: NodeId, stance: Stance, theirs: u64) {
        let ours = self.tenures.digest();
        let is_neighbour = self.beats_to.contains(&node) || self.watched.contains_key(&node);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let compared = &mut peer.compared;
        compared.digest = Some(theirs);
        if theirs == ours {
            compared.differed = None;
            return;
        }
        let still = compared.differed.replace((theirs, ours)) == Some((theirs, ours));
        let is_time = compared.told.is_none_or(|told| told + AGAIN <= now);
        // Who starts is told by one of them at once: it could not take in what all know at the same time.
        let is_guide = stance == Stance::Starting && self.living.next(node) == Some(self.me);
        if is_guide && is_time || is_neighbour && is_time && still {
            compared.told = Some(now);
            let all = self.tenures.all().keys().copied();
            self.errands.unsent.entry(node).or_default().extend(all);
        }
    }

    /// Have all that spoke said how they stand, and whether they keep what they have? The first word of a peer may be a challenge.
    pub(super) fn have_stated(&self) -> bool {
        let mut spoke = self.peers.values().filter(|peer| peer.spoke.is_some());
        spoke.all(|peer| peer.compared.digest.is_some() || peer.stance.is_none())
    }

    /// Is what we know what others know? They say so, or there are none.
    pub(super) fn is_in_step(&self) -> bool {
        let serves = |peer: &&Peer| peer.stance == Some(Stance::Serving) && peer.spoke.is_some();
        let mut digests = self.peers.values().filter(serves).map(|peer| peer.compared.digest).peekable();
        digests.peek().is_none() || digests.any(|digest| digest == Some(self.tenures.digest()))
    }

    pub(super) fn send_claims(&mut self, now: Instant) {
        if self.errands.unsent.is_empty() || self.errands.turn.is_some_and(|turn| now < turn) {
            return;
        }
        for _ in 0..TURN {
            let Some(mut errand) = self.errands.unsent.first_entry() else { break };
            let node = *errand.key();
            let addresses: Vec<_> =
                std::iter::from_fn(|| errand.get_mut().pop_first()).take(CLAIMS).collect();
            if errand.get().is_empty() {
                errand.remove();
            }
            let held = |address: IpAddr| Some(Claim { address, tenure: *self.tenures.all().get(&address)? });
            let claims: Vec<_> = addresses.into_iter().filter_map(held).collect();
            if !claims.is_empty() {
                self.send(now, node, Word::Claims(claims));
            }
        }
        self.errands.turn = Some(now + PAUSE);
    }
}
