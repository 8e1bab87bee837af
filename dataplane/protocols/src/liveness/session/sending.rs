//! What goes out: heartbeats to those who watch us, news to all, questions and answers.
//!
//! In the steady state that is one datagram an interval to each watcher, and every other interval one to somebody else, each
//! in turn, so that whatever was lost is said again. News are told to all at once and repeated with growing gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::claiming::Short;
use super::{Knowledge, Liveness, Output, Peer, Phase, Timing};
use crate::liveness::keys::KeyId;
use crate::liveness::votes::Votes;
use crate::liveness::watchers::NodeId;
use crate::liveness::wire::{Handover, Heartbeat, Page, Stance, Word};

/// Datagrams to send before other things get their turn, and until when the next have theirs: news to a thousand nodes must
/// not make an ARP request wait.
const TURN: usize = 64;
const PAUSE: Duration = Duration::from_millis(1);
/// News are told, and told again so often, each time after twice as many intervals.
const REPETITIONS: u8 = 2;
/// What changes within so much of an interval is told together.
const TOGETHER: u32 = 5;
/// How often it is said what becomes of our routes, an interval apart: nobody confirms it.
const HANDOVERS: u8 = 3;
/// How often somebody is asked, an interval apart, before it is left to the others.
const TRIES: u8 = 3;
/// A heartbeat that is due within this part of an interval may go at once.
const SOON: u32 = 4;

/// What is to be sent, besides heartbeats.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    /// To these, as soon as it is our turn again.
    queue: BTreeSet<NodeId>,
    turn: Option<Instant>,
    /// There are news to tell, by then.
    news: Option<Instant>,
    told: Option<Instant>,
    repetitions: u8,
    /// Who is asked, how many times more.
    asking: BTreeMap<NodeId, u8>,
    next_ask: Option<Instant>,
    /// To whom in turn, and when.
    round: Option<(NodeId, Instant)>,
    /// What others are to do with our routes, while that is being said.
    handover: Option<Saying>,
    /// The page of the ballot that heartbeats had last: each in turn.
    page: usize,
}

/// A word for all that is said several times.
#[derive(Clone, Debug)]
struct Saying {
    handover: Handover,
    /// So many times more.
    left: u8,
    /// Who has not heard it this time.
    queue: BTreeSet<NodeId>,
    due: Instant,
}

impl Outbox {
    /// There are news.
    pub(super) fn tell_all(&mut self, now: Instant) {
        self.news = Some(now);
        self.repetitions = REPETITIONS;
    }

    /// Our routes are given to others, or taken back.
    pub(super) fn hand_over(&mut self, now: Instant, handover: Handover) {
        self.handover = Some(Saying { handover, left: HANDOVERS, queue: BTreeSet::new(), due: now });
    }

    /// Asks once, without expecting anything.
    pub(super) fn probe(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        for node in nodes {
            self.asking.entry(node).or_insert(1);
            self.queue.insert(node);
        }
    }

    pub(super) fn probe_all(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        self.probe(nodes);
    }

    /// Asks until there is an answer.
    pub(super) fn insist(&mut self, now: Instant, node: NodeId) {
        self.asking.insert(node, TRIES);
        self.next_ask = self.next_ask.or(Some(now));
    }

    pub(super) fn answered(&mut self, node: NodeId) {
        self.asking.remove(&node);
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.asking.remove(&node);
        self.queue.remove(&node);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let round = self.round.map(|(_, at)| at);
        // News wait until the queue is empty.
        let news = self.news.filter(|_| self.queue.is_empty());
        let handover = self.handover.as_ref().map(|saying| saying.due);
        let turn = self.turn.filter(|_| !self.queue.is_empty());
        [turn, news, self.next_ask, round, handover].into_iter().flatten().min()
    }
}

impl Peer {
    /// The newest key that it has. Who is silent may have another one by now, for lack of which we do not hear it.
    fn newest_key(&self, now: Instant, timing: Timing) -> Option<KeyId> {
        let fresh = self.spoke.is_some_and(|spoke| now < spoke + 2 * timing.dead_after);
        self.key.filter(|_| fresh)
    }
}

impl Liveness {
    pub(super) fn send_what_is_due(&mut self, now: Instant) {
        self.beat(now);
        self.go_round(now);
        self.fill_queue(now);
        self.tell_handover(now);
        let queued = !self.outbox.queue.is_empty();
        if queued && self.outbox.turn.is_none_or(|turn| turn <= now) {
            for _ in 0..TURN {
                let Some(node) = self.outbox.queue.pop_first() else { break };
                let asks = match self.outbox.asking.get_mut(&node) {
                    Some(tries) => {
                        *tries = tries.saturating_sub(1);
                        if *tries == 0 {
                            self.outbox.asking.remove(&node);
                        }
                        true
                    }
                    None => false,
                };
                self.tell(now, node, asks);
            }
            self.outbox.turn = (!self.outbox.queue.is_empty()).then(|| now + PAUSE);
        }
    }

    /// A speaker that we watch beat. We are awake, and if we would be again soon, to beat, we do that now: so beats fall together, and
    /// nobody wakes up for each of them.
    pub(super) fn beat_along(&mut self, now: Instant) {
        if let Phase::Serving(due) = &mut self.phase
            && *due <= now + self.timing.interval / SOON
        {
            *due = now.min(*due);
        }
    }

    fn beat(&mut self, now: Instant) {
        let Phase::Serving(due) = self.phase else { return };
        if now < due {
            return;
        }
        // In step with itself, unless it is late.
        let next = due + self.timing.interval;
        self.phase = Phase::Serving(if next <= now { now + self.timing.interval } else { next });
        let mut pages = Page::split(self.published());
        self.outbox.page = (self.outbox.page + 1) % pages.len();
        let page = pages.swap_remove(self.outbox.page);
        for node in self.beats_to.clone() {
            self.state(now, node, false, page.clone());
        }
    }

    /// Says what becomes of our routes: to all, as those who share a router are not those who watch us.
    fn tell_handover(&mut self, now: Instant) {
        let Some(saying) = self.outbox.handover.as_mut().filter(|saying| saying.due <= now) else { return };
        if saying.queue.is_empty() {
            let Some(left) = saying.left.checked_sub(1) else { return self.outbox.handover = None };
            saying.left = left;
            saying.queue.extend(self.peers.keys());
        }
        let handover = saying.handover;
        let turn: Vec<NodeId> = std::iter::from_fn(|| saying.queue.pop_first()).take(TURN).collect();
        saying.due = now + if saying.queue.is_empty() { self.timing.interval } else { PAUSE };
        for node in turn {
            self.send(now, node, Word::Routes(handover));
        }
    }

    /// One in turn, of those who get no heartbeats. Who is dead is asked, and who we say is silent: perhaps it can be heard again.
    fn go_round(&mut self, now: Instant) {
        if self.peers.keys().all(|node| self.beats_to.contains(node)) {
            return self.outbox.round = None;
        }
        let (last, due) = self.outbox.round.unwrap_or((self.me, now));
        if now < due {
            return;
        }
        let mut next = self.known.next(last).unwrap_or(self.me);
        for _ in 0..=self.beats_to.len() {
            if next == self.me || self.beats_to.contains(&next) {
                next = self.known.next(next).unwrap_or(self.me);
            }
        }
        self.outbox.round = Some((next, now + 2 * self.timing.interval));
        if next != self.me && !self.beats_to.contains(&next) {
            let placed = self.peers.get(&next).is_some_and(|peer| peer.association.is_established());
            let silent = self.watched.get(&next).is_some_and(|watch| watch.silent);
            self.tell(now, next, !placed || silent || !self.living.contains(next));
        }
    }

    fn fill_queue(&mut self, now: Instant) {
        if self.outbox.next_ask.is_some_and(|due| due <= now) {
            self.outbox.queue.extend(self.outbox.asking.keys());
            self.outbox.next_ask = (!self.outbox.asking.is_empty()).then(|| now + self.timing.interval);
        }
        // Only when the last ones are told: or the first in the queue would hear all, and the others nothing.
        if self.outbox.news.is_some_and(|due| due <= now) && self.outbox.queue.is_empty() {
            let together = self.outbox.told.map(|told| told + self.timing.interval / TOGETHER);
            if let Some(later) = together.filter(|later| now < *later) {
                self.outbox.news = Some(later);
                return;
            }
            self.outbox.queue.extend(self.peers.keys());
            self.outbox.told = Some(now);
            let gap = self.timing.interval * (1 << (REPETITIONS - self.outbox.repetitions));
            self.outbox.news = (self.outbox.repetitions > 0).then(|| now + gap);
            self.outbox.repetitions = self.outbox.repetitions.saturating_sub(1);
        }
    }

    /// What we say about those that we watch.
    fn published(&self) -> Vec<NodeId> {
        self.watched.iter().filter(|(_, watch)| watch.silent).map(|(node, _)| *node).collect()
    }

    /// Everything that we say about others.
    fn tell(&mut self, now: Instant, node: NodeId, asks: bool) {
        for page in Page::split(self.published()) {
            self.state(now, node, asks, page);
        }
    }

    pub(super) fn answer(&mut self, now: Instant, node: NodeId) {
        self.tell(now, node, false);
    }

    /// Answers who could not tell whether we live. Whoever starts, or stood still, wants to know in turn what the other one knows.
    pub(super) fn introduce(&mut self, now: Instant, node: NodeId) {
        let is_unheard = self.peers.get(&node).is_some_and(|peer| peer.compared.is_unknown());
        let learns = matches!(self.knowledge, Knowledge::Asking(_)) || self.behind.is_some();
        self.tell(now, node, is_unheard && learns);
    }

    fn state(&mut self, now: Instant, node: NodeId, asks: bool, ballot: Page) {
        let stance = match self.phase {
            Phase::Starting => Stance::Starting,
            Phase::Serving(_) => Stance::Serving,
            // Whoever asks has not heard the goodbye, or could not place it.
            Phase::Left => return self.send(now, node, Word::Leave),
        };
        let Short { tenures, reports } = self.short();
        let (keeps, behind, report) = (self.keeps, self.behind.is_some(), self.reports.of(self.me));
        self.send(now, node, Word::State { stance, asks, keeps, behind, ballot, tenures, reports, report });
    }

    pub(super) fn send(&mut self, now: Instant, node: NodeId, word: Word) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        self.sequence += 1;
        let heartbeat = Heartbeat {
            word,
            newest_key: self.keys.newest(),
            boot_id: self.boot_id,
            sequence: self.sequence,
            echo: peer.association.echo(),
            offer: peer.association.offer(now, &mut self.nonces),
            sender: self.name.as_str(),
            receiver: peer.name.as_str(),
        };
        let datagram =
            heartbeat.emit(self.keys.towards(now, peer.newest_key(now, self.timing), self.sequence));
        self.outputs.push_back(Output::Send { to: peer.address, datagram });
    }

    /// Answers what cannot be placed: with the key that proved it, and what it offered.
    pub(super) fn challenge(&mut self, now: Instant, node: NodeId, key: KeyId, echo: u64) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let Some(key) = self.keys.by_id(now, key) else { return };
        self.sequence += 1;
        let heartbeat = Heartbeat {
            word: Word::Challenge,
            newest_key: self.keys.newest(),
            boot_id: self.boot_id,
            sequence: self.sequence,
            echo,
            offer: peer.association.challenge(now, &mut self.nonces),
            sender: self.name.as_str(),
            receiver: peer.name.as_str(),
        };
        self.outputs.push_back(Output::Send { to: peer.address, datagram: heartbeat.emit(key) });
    }

    /// Tells all at once.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.phase == Phase::Left {
            return;
        }
        self.phase = Phase::Left;
        self.votes = Votes::default();
        for node in self.peers.keys().copied().collect::<Vec<_>>() {
            self.send(now, node, Word::Leave);
        }
    }
}
