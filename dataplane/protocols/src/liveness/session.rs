//! The engine: who was heard when, who counts as alive, and what to send.
//!
//! Its parts: what comes in (`arrivals`), who is silent (`watching`), what follows from the votes (`judging`), who has
//! which address (`claiming`), what goes out (`sending`), and what is to be made up for when it stood still (`pausing`).

mod arrivals;
mod claiming;
mod judging;
mod pausing;
mod sending;
#[cfg(test)]
mod settled;
mod watching;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use metallb_core::names::NodeName;
use metallb_core::shared::SharedMap;

use super::association::{Association, Nonces};
use super::keys::{Key, KeyId, Keyring};
use super::report::{Report, Reports};
use super::tenure::{Claim, Tenure, Tenures};
use super::votes::Votes;
use super::watchers::{NodeId, Rings};
use super::wire::{Handover, LOST, Malformed, Stance};
use claiming::{Compared, Errands};
use pausing::Behind;
use sending::Outbox;
use watching::Watch;

/// How often to beat, and how long silence may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats to one watcher.
    pub interval: Duration,
    /// A watcher that hears nothing for this long says so. Several intervals: single losses must not matter.
    pub dead_after: Duration,
}

impl Timing {
    /// For nodes on one network.
    pub const LAN: Self =
        Self { interval: Duration::from_millis(100), dead_after: Duration::from_millis(300) };
    /// For nodes on distant ones: five times that.
    pub const WAN: Self =
        Self { interval: Duration::from_millis(500), dead_after: Duration::from_millis(1500) };
}

/// What happens to a speaker.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`Liveness::poll_timeout`].
    Tick,
    /// The other nodes with a speaker, by what the API server says, and where to reach them.
    Peers(BTreeMap<NodeName, IpAddr>),
    /// A datagram came in.
    Datagram {
        /// From this address.
        from: IpAddr,
        /// With this content.
        bytes: &'a [u8],
    },
    /// The Secret that speakers share changed.
    Key(Key),
    /// This speaker says who has these addresses from now on.
    Claims(&'a [Claim]),
    /// Ownership is sticky on this node.
    Keep,
    /// Services have these addresses: who had others is forgotten.
    InUse(BTreeSet<IpAddr>),
    /// This node does not reach these networks, and all others.
    Lost(Vec<IpNet>),
    /// This speaker is able to announce: from now on it beats.
    Ready,
    /// Others are to announce this speaker's routes in its name, or not any more.
    Routes(Handover),
    /// This speaker is about to stop: tell everybody, and beat no more.
    Leave,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the liveness port of this address.
    Send {
        /// The peer's address.
        to: IpAddr,
        /// The datagram.
        datagram: Vec<u8>,
    },
    /// The peer counts as alive from now on.
    Alive(NodeName),
    /// The peer counts as dead from now on.
    Dead(NodeName, Why),
    /// This speaker itself stood still: others may have taken it for dead, and its addresses with it. What it missed was told before.
    Paused,
    /// The peers were asked who lives: from now on [`Liveness::alive`] means something, and changes are told.
    Informed,
    /// [`Liveness::tenures`] are others now, or [`Liveness::all_keep`] may be.
    Tenures,
    /// [`Liveness::lost`] is something else now.
    Lost,
    /// Another speaker claimed an address of this one in an earlier epoch: it learns of it, and may have told neighbours.
    Outlasted(IpAddr),
    /// A peer's routes are to be announced in its name, or not any more. May be said several times.
    Routes {
        /// The peer.
        node: NodeName,
        /// In which life it says so.
        boot_id: u64,
        /// What it says.
        handover: Handover,
    },
    /// A datagram was not taken for a heartbeat of a peer.
    Dropped(Dropped),
}

/// Why a peer counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Those who watch it hear nothing from it.
    Silent,
    /// It said goodbye.
    Left,
    /// It is in a new life, and not yet able to announce.
    Starting,
    /// The API server says that it has no speaker any more.
    Removed,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no heartbeat. [`Malformed::Foreign`] is what speakers of upstream send.
    Malformed(Malformed),
    /// It names no peer.
    UnknownNode,
    /// It names a peer, but comes from another address than that peer's.
    WrongAddress,
    /// It is for somebody else.
    NotForUs,
    /// Whoever wrote it has none of our keys.
    Unproven,
    /// It was sent before one that was taken already.
    Old,
    /// It may be a recording. Its sender is asked to say it again.
    Unplaced,
}

#[derive(Clone, Debug)]
struct Peer {
    name: NodeName,
    address: IpAddr,
    association: Association,
    /// Its newest key, by its own word.
    key: Option<KeyId>,
    /// How far it is, by its own word. `None`: it said goodbye.
    stance: Option<Stance>,
    /// When it last said that it serves.
    heard: Instant,
    /// When it last said anything.
    spoke: Option<Instant>,
    /// When it is given up, if it does not answer what it was asked.
    awaited: Option<Instant>,
    /// What was last told about it.
    told: bool,
    compared: Compared,
    /// Ownership is sticky where it is.
    keeps: bool,
}

/// How far this speaker is with learning who lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    /// There was no list of peers yet.
    Nothing,
    /// They are being asked since then.
    Asking(Instant),
    Informed,
}

/// How far this speaker itself is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    /// And the next heartbeat is due then.
    Serving(Instant),
    Left,
}

/// One speaker's view of the others. Never blocks, never fails: what went wrong is an [`Output`].
#[derive(Clone, Debug)]
pub struct Liveness {
    name: NodeName,
    me: NodeId,
    boot_id: u64,
    sequence: u64,
    timing: Timing,
    keys: Keyring,
    nonces: Nonces,
    phase: Phase,
    knowledge: Knowledge,
    /// It stood still, and tells nothing before it knows what it missed.
    behind: Option<Behind>,
    peers: BTreeMap<NodeId, Peer>,
    /// All nodes, this one included, and those of them that are alive.
    known: Rings,
    living: Rings,
    watched: BTreeMap<NodeId, Watch>,
    beats_to: BTreeSet<NodeId>,
    /// When those are to follow from who lives by now.
    reseat_at: Option<Instant>,
    /// Who did not answer in time, and was not heard since.
    unresponsive: BTreeSet<NodeId>,
    /// Who is awaited, by when they are given up.
    awaited: BTreeSet<(Instant, NodeId)>,
    votes: Votes,
    /// Whose votes are to be counted anew, and whose are when.
    recount: BTreeSet<NodeId>,
    count_by: BTreeSet<(Instant, NodeId)>,
    /// Who may have changed sides, and of whom that may be news.
    unsettled: BTreeSet<NodeId>,
    untold: BTreeSet<NodeId>,
    /// Peers that said something.
    answered: usize,
    outbox: Outbox,
    keeps: bool,
    reports: Reports,
    lost_changed: bool,
    tenures: Tenures,
    tenures_changed: bool,
    errands: Errands,
    /// When the first of the timers ends.
    due: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Liveness {
    /// The speaker on `name`. `seed` is random, and tells this life from all others.
    pub fn new(name: NodeName, seed: u64, timing: Timing, key: Key) -> Self {
        let me = NodeId::from(&name);
        let mut nonces = Nonces::new(seed);
        let mut known = Rings::default();
        known.insert(me);
        Self {
            name,
            me,
            boot_id: nonces.draw(),
            sequence: 0,
            timing,
            keys: Keyring::new(key),
            nonces,
            phase: Phase::Starting,
            knowledge: Knowledge::Nothing,
            behind: None,
            peers: BTreeMap::new(),
            living: known.clone(),
            known,
            watched: BTreeMap::new(),
            beats_to: BTreeSet::new(),
            reseat_at: None,
            unresponsive: BTreeSet::new(),
            awaited: BTreeSet::new(),
            votes: Votes::default(),
            recount: BTreeSet::new(),
            count_by: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            untold: BTreeSet::new(),
            answered: 0,
            outbox: Outbox::default(),
            keeps: false,
            reports: Reports::default(),
            lost_changed: false,
            tenures: Tenures::default(),
            tenures_changed: false,
            errands: Errands::default(),
            due: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened. Drain [`Liveness::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.forgive_own_pause(now);
        match input {
            Input::Tick => {}
            Input::Peers(addresses) => self.replace_peers(now, &addresses),
            Input::Datagram { from, bytes } => self.datagram(now, from, bytes),
            Input::Key(key) => self.keys.renew(now, key),
            Input::Claims(claims) => match &mut self.behind {
                Some(behind) => behind.claims.extend(claims),
                None => claims.iter().for_each(|claim| self.claim(*claim)),
            },
            Input::Keep => self.keeps = true,
            Input::InUse(addresses) => self.tenures_changed |= self.tenures.keep(addresses),
            Input::Lost(mut networks) => {
                networks.truncate(LOST);
                if self.reports.of(self.me).lost != networks && self.reports.begin(self.me, networks, 0) {
                    self.outbox.tell_all(now);
                }
            }
            Input::Ready => {
                if self.phase == Phase::Starting {
                    self.phase = Phase::Serving(now);
                    self.outbox.tell_all(now);
                }
            }
            Input::Routes(handover) => {
                self.outbox.hand_over(now, handover);
            }
            Input::Leave => self.leave(now),
        }
        if self.phase != Phase::Left {
            self.watch(now);
            self.judge(now);
            let has_caught_up = self.catch_up(now);
            self.tell_what_changed();
            if has_caught_up {
                self.outputs.push_back(Output::Paused);
            }
            self.become_informed(now);
            self.send_what_is_due(now);
            self.run_errands(now);
        }
        self.due = self.first_timer();
    }

    /// What follows from the inputs so far, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due. `None` is the only word for "no timer runs".
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The first of all timers.
    fn first_timer(&self) -> Option<Instant> {
        let beat = match self.phase {
            Phase::Starting => None,
            Phase::Serving(next) => Some(next),
            Phase::Left => return None,
        };
        let informed = match self.knowledge {
            Knowledge::Nothing | Knowledge::Informed => None,
            Knowledge::Asking(since) => Some(since + BOUND * self.timing.dead_after),
        };
        let awaited = self.awaited.first().map(|(until, _)| *until);
        let watched = self.watched.values().filter_map(|watch| watch.due(self.timing));
        let count = self.count_by.first().map(|(at, _)| *at);
        let behind = self.behind.as_ref().map(|behind| behind.until);
        let timers = [beat, informed, behind, awaited, count, self.reseat_at];
        let timers = timers.into_iter().chain([self.outbox.due(), self.errands.due()]);
        timers.flatten().chain(watched).min()
    }

    /// The nodes with a live speaker, this one included, as it was last told.
    pub fn alive(&self) -> BTreeSet<NodeName> {
        let told = self.peers.values().filter(|peer| peer.told);
        told.map(|peer| peer.name.clone()).chain([self.name.clone()]).collect()
    }

    /// Who has which address, as far as it was claimed.
    pub const fn tenures(&self) -> &SharedMap<IpAddr, Tenure> {
        self.tenures.all()
    }

    /// Is ownership sticky on all nodes that live? Before that nobody may go by it.
    pub fn all_keep(&self) -> bool {
        if let Some(behind) = &self.behind {
            return behind.all_kept;
        }
        let mut living = self.peers.iter().filter(|(node, _)| self.living.contains(**node));
        self.keeps && living.all(|(_, peer)| peer.keeps)
    }

    /// The networks that other nodes do not reach, by their own word; who reaches all is left out.
    pub fn lost(&self) -> BTreeMap<NodeName, BTreeSet<IpNet>> {
        let of = |(node, report): (&NodeId, &Report)| {
            let peer = self.peers.get(node).filter(|_| !report.lost.is_empty())?;
            Some((peer.name.clone(), report.lost.iter().copied().collect()))
        };
        self.reports.all().iter().filter_map(of).collect()
    }

    /// Begins what only follows from a list of peers.
    fn replace_peers(&mut self, now: Instant, addresses: &BTreeMap<NodeName, IpAddr>) {
        let first_list = self.knowledge == Knowledge::Nothing;
        let gone = self.peers.iter().filter(|(_, peer)| !addresses.contains_key(&peer.name));
        for node in gone.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.remove_peer(node);
        }
        for (name, address) in addresses {
            if *name == self.name {
                continue;
            }
            if let Some(peer) = self.peers.get_mut(&NodeId::from(name)) {
                peer.address = *address;
                continue;
            }
            // Those that are there before us count as alive until the others, or their silence, say otherwise.
            let stance = if first_list { Stance::Serving } else { Stance::Starting };
            self.add_peer(now, name, *address, stance);
        }
        self.reseat(now);
        if first_list {
            self.knowledge = Knowledge::Asking(now);
        }
    }

    fn add_peer(&mut self, now: Instant, name: &NodeName, address: IpAddr, stance: Stance) {
        let node = NodeId::from(name);
        let peer = Peer {
            name: name.clone(),
            address,
            association: Association::new(now),
            key: None,
            stance: Some(stance),
            heard: now,
            spoke: None,
            awaited: None,
            told: false,
            compared: Compared::default(),
            keeps: false,
        };
        self.peers.insert(node, peer);
        self.known.insert(node);
        if stance == Stance::Serving {
            self.living.insert(node);
        }
        self.unsettled.insert(node);
        self.untold.insert(node);
        self.ask(now, node);
    }

    fn remove_peer(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.remove(&node) {
            if let Some(until) = peer.awaited {
                self.awaited.remove(&(until, node));
            }
            self.answered -= usize::from(peer.spoke.is_some());
            if peer.told {
                self.outputs.push_back(Output::Dead(peer.name, Why::Removed));
            }
        }
        self.recount.extend(self.living.watched_by(node, &self.known));
        self.known.remove(node);
        self.living.remove(node);
        self.unresponsive.remove(&node);
        self.votes.forget(node);
        self.votes.drop_accusation(self.me, node);
        self.lost_changed |= self.reports.forget(node);
        self.outbox.forget(node);
        self.errands.forget(node);
    }

    /// Once all have answered, or those who could say what is with the others; or nobody, for long enough.
    fn become_informed(&mut self, now: Instant) {
        let Knowledge::Asking(since) = self.knowledge else { return };
        let all = self.answered == self.peers.len();
        let enough = self.answered > 0 && since + self.timing.dead_after <= now && !self.is_undecided();
        let knows = (all || enough) && self.have_stated() && self.is_in_step();
        if knows || since + BOUND * self.timing.dead_after <= now {
            self.knowledge = Knowledge::Informed;
            self.tell_changes();
            self.outputs.push_back(Output::Informed);
        }
    }
}

/// Detection times after which a speaker that starts relies on what it knows by then, whatever that is: what a lone survivor
/// needs, and one for those that are found silent only then.
const BOUND: u32 = 4;
