//! What comes in: whose it is, of when, and what it says.

use std::net::IpAddr;
use std::time::Instant;

use super::claiming::Short;
use super::{Dropped, Liveness, Output, Peer};
use crate::liveness::association::{Age, Stamp};
use crate::liveness::keys::KeyId;
use crate::liveness::watchers::NodeId;
use crate::liveness::wire::{Handover, Heartbeat, Page, Stance, Word};

impl Liveness {
    pub(super) fn datagram(&mut self, now: Instant, from: IpAddr, bytes: &[u8]) {
        if let Err(dropped) = self.heartbeat(now, from, bytes) {
            self.outputs.push_back(Output::Dropped(dropped));
        }
    }

    fn heartbeat(&mut self, now: Instant, from: IpAddr, bytes: &[u8]) -> Result<(), Dropped> {
        let (heartbeat, seal) = Heartbeat::parse(bytes).map_err(Dropped::Malformed)?;
        let Heartbeat { word, newest_key, boot_id, sequence, echo, offer, sender, receiver } = heartbeat;
        let node = NodeId::of(sender);
        let peer = self.peers.get_mut(&node).filter(|peer| peer.name.as_str() == sender);
        let peer = peer.ok_or(Dropped::UnknownNode)?;
        if peer.address != from {
            return Err(Dropped::WrongAddress);
        }
        if receiver != self.name.as_str() {
            return Err(Dropped::NotForUs);
        }
        // Only here it begins to cost something.
        let prover = self.keys.prover(now, seal.covered, seal.proof).ok_or(Dropped::Unproven)?;
        let proven_by = prover.id();
        match peer.association.place(now, Stamp { boot_id, sequence, echo, offer }) {
            Age::Overtaken => {
                // Several follow one another at once. Whatever the order, the same comes of them.
                match word {
                    Word::Claims(claims) => self.hear_claims(node, &claims),
                    Word::Reports(reports) => self.hear_reports(now, node, &reports),
                    Word::Challenge | Word::State { .. } | Word::Leave | Word::Routes(_) => {
                        return Err(Dropped::Old);
                    }
                }
                return Ok(());
            }
            Age::Old => return Err(Dropped::Old),
            Age::Unknown => {
                if peer.association.may_challenge(now) {
                    self.challenge(now, node, proven_by, offer);
                }
                return Err(Dropped::Unplaced);
            }
            Age::FirstOfLife => self.recount.extend(self.votes.withdraw(node)),
            Age::Next => {}
        }
        self.spoke(now, node, newest_key);
        match word {
            Word::Challenge => self.introduce(now, node),
            Word::State { stance, asks, keeps, behind, ballot, tenures, reports, report } => {
                self.hear_keeping(node, keeps);
                self.hear_report(now, node, node, &report);
                self.hear(now, node, stance, &ballot);
                let asks_or_starts = asks || stance == Stance::Starting;
                self.compare(now, node, asks_or_starts, behind, Short { tenures, reports });
                if asks {
                    self.answer(now, node);
                }
            }
            Word::Leave => self.stands(node, None),
            Word::Claims(claims) => self.hear_claims(node, &claims),
            Word::Reports(reports) => self.hear_reports(now, node, &reports),
            Word::Routes(handover) => self.hear_handover(node, boot_id, handover),
        }
        Ok(())
    }

    /// It is there, whatever it says.
    fn spoke(&mut self, now: Instant, node: NodeId, key: KeyId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.key = Some(key);
        self.answered += usize::from(peer.spoke.replace(now).is_none());
        if let Some(until) = peer.awaited.take() {
            self.awaited.remove(&(until, node));
        }
        if self.unresponsive.remove(&node) {
            self.recount_bench_of(node);
        }
        self.outbox.answered(node);
    }

    fn hear(&mut self, now: Instant, node: NodeId, stance: Stance, ballot: &Page) {
        self.recount.extend(self.votes.cast(node, ballot));
        self.stands(node, Some(stance));
        if stance == Stance::Serving
            && let Some(Peer { heard, .. }) = self.peers.get_mut(&node)
        {
            *heard = now;
            self.acquit(now, node);
            if self.watched.contains_key(&node) {
                self.beat_along(now);
            }
        }
    }

    fn hear_keeping(&mut self, node: NodeId, keeps: bool) {
        if let Some(peer) = self.peers.get_mut(&node) {
            self.tenures_changed |= std::mem::replace(&mut peer.keeps, keeps) != keeps;
        }
    }

    fn hear_handover(&mut self, node: NodeId, boot_id: u64, handover: Handover) {
        if let Some(peer) = self.peers.get(&node) {
            self.outputs.push_back(Output::Routes { node: peer.name.clone(), boot_id, handover });
        }
    }

    fn stands(&mut self, node: NodeId, stance: Option<Stance>) {
        if let Some(peer) = self.peers.get_mut(&node)
            && std::mem::replace(&mut peer.stance, stance) != stance
        {
            self.unsettled.insert(node);
        }
    }
}
