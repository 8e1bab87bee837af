//! Who was heard when, who counts as alive, and when to beat.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;

use super::wire::{Heartbeat, Kind, Malformed};

/// How often to beat, and how long silence may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats to one peer.
    pub interval: Duration,
    /// Silence for this long is death. Several intervals: single losses must not matter.
    pub dead_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval: Duration::from_millis(200), dead_after: Duration::from_secs(1) }
    }
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
    /// This speaker is able to announce: from now on it beats.
    Ready,
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
    /// This speaker itself stood still: others may have taken it for dead, and its addresses with it.
    Paused,
    /// The first peers are known: from now on [`Liveness::alive`] means something.
    Informed,
    /// A datagram was not taken for a heartbeat of a peer.
    Dropped(Dropped),
}

/// Why a peer counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Nothing was heard from it.
    Silent,
    /// It said goodbye.
    Left,
    /// The API server says that it has no speaker any more.
    Removed,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no heartbeat.
    Malformed(Malformed),
    /// It names no peer.
    UnknownNode,
    /// It names a peer, but comes from another address than that peer's.
    WrongAddress,
    /// It was sent before one that was heard already.
    Old,
}

#[derive(Clone, Debug)]
struct Peer {
    address: IpAddr,
    alive: bool,
    /// While alive: silence counts from here.
    heard: Instant,
    /// The last heartbeat's boot id and sequence.
    last: Option<(u64, u64)>,
}

/// One speaker's view of the others. Never blocks, never fails: what went wrong is an [`Output`].
#[derive(Debug)]
pub struct Liveness {
    me: NodeName,
    boot_id: u64,
    timing: Timing,
    sequence: u64,
    /// `None` until the peers are known: then those there count as alive until their silence proves otherwise, or
    /// a speaker that starts would take every address for a moment.
    peers: Option<BTreeMap<NodeName, Peer>>,
    /// `None` while this speaker does not beat.
    next_beat: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Liveness {
    /// The speaker on `me`, in a life that `boot_id` tells from its earlier ones.
    pub fn new(me: NodeName, boot_id: u64, timing: Timing) -> Self {
        Self { me, boot_id, timing, sequence: 0, peers: None, next_beat: None, outputs: VecDeque::new() }
    }

    /// Takes in what happened. Drain [`Liveness::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.forgive_own_pause(now);
        match input {
            Input::Tick => {}
            Input::Peers(addresses) => self.replace_peers(now, &addresses),
            Input::Datagram { from, bytes } => self.datagram(now, from, bytes),
            Input::Ready => self.next_beat = self.next_beat.or(Some(now)),
            Input::Leave => {
                self.next_beat = None;
                self.send_all(Kind::Leave);
            }
        }
        self.bury_the_silent(now);
        if self.next_beat.is_some_and(|due| due <= now) {
            self.next_beat = Some(now + self.timing.interval);
            self.send_all(Kind::Beat);
        }
    }

    /// What follows from the inputs so far, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due. `None` is the only word for "no timer runs".
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = self.peers.iter().flatten().filter(|(_, peer)| peer.alive);
        deadlines.map(|(_, peer)| peer.heard + self.timing.dead_after).chain(self.next_beat).min()
    }

    /// The nodes with a live speaker, this one included.
    pub fn alive(&self) -> BTreeSet<NodeName> {
        let peers = self.peers.iter().flatten().filter(|(_, peer)| peer.alive);
        peers.map(|(name, _)| name.clone()).chain([self.me.clone()]).collect()
    }

    /// A process that was stopped (SIGSTOP, a suspended machine) hears nobody: that is its own silence, not theirs.
    fn forgive_own_pause(&mut self, now: Instant) {
        let Some(late) = self.poll_timeout().and_then(|due| now.checked_duration_since(due)) else { return };
        if late < self.timing.dead_after / 2 {
            return;
        }
        for peer in self.peers.iter_mut().flat_map(BTreeMap::values_mut) {
            peer.heard = peer.heard.max(now);
        }
        self.outputs.push_back(Output::Paused);
    }

    fn replace_peers(&mut self, now: Instant, addresses: &BTreeMap<NodeName, IpAddr>) {
        let first_list = self.peers.is_none();
        let mut peers = self.peers.take().unwrap_or_default();
        peers.retain(|name, peer| {
            let stays = addresses.contains_key(name) && *name != self.me;
            if !stays && peer.alive {
                self.outputs.push_back(Output::Dead(name.clone(), Why::Removed));
            }
            stays
        });
        for (name, address) in addresses.iter().filter(|(name, _)| **name != self.me) {
            let peer = peers.entry(name.clone()).or_insert_with(|| {
                if first_list {
                    self.outputs.push_back(Output::Alive(name.clone()));
                }
                Peer { address: *address, alive: first_list, heard: now, last: None }
            });
            peer.address = *address;
        }
        self.peers = Some(peers);
        if first_list {
            self.outputs.push_back(Output::Informed);
        }
    }

    fn datagram(&mut self, now: Instant, from: IpAddr, bytes: &[u8]) {
        if let Err(dropped) = self.heartbeat(now, from, bytes) {
            self.outputs.push_back(Output::Dropped(dropped));
        }
    }

    fn heartbeat(&mut self, now: Instant, from: IpAddr, bytes: &[u8]) -> Result<(), Dropped> {
        let Heartbeat { kind, node, boot_id, sequence } =
            Heartbeat::parse(bytes).map_err(Dropped::Malformed)?;
        let peer = self.peers.as_mut().and_then(|peers| peers.get_mut(&node)).ok_or(Dropped::UnknownNode)?;
        if peer.address != from {
            return Err(Dropped::WrongAddress);
        }
        if peer.last.is_some_and(|(boot, last)| boot == boot_id && sequence <= last) {
            return Err(Dropped::Old);
        }
        peer.last = Some((boot_id, sequence));
        match kind {
            Kind::Beat => {
                peer.heard = now;
                if !std::mem::replace(&mut peer.alive, true) {
                    self.outputs.push_back(Output::Alive(node));
                }
            }
            Kind::Leave => {
                if std::mem::replace(&mut peer.alive, false) {
                    self.outputs.push_back(Output::Dead(node, Why::Left));
                }
            }
        }
        Ok(())
    }

    fn bury_the_silent(&mut self, now: Instant) {
        let dead_after = self.timing.dead_after;
        for (name, peer) in self.peers.iter_mut().flatten() {
            if peer.alive && peer.heard + dead_after <= now {
                peer.alive = false;
                self.outputs.push_back(Output::Dead(name.clone(), Why::Silent));
            }
        }
    }

    fn send_all(&mut self, kind: Kind) {
        self.sequence += 1;
        let heartbeat =
            Heartbeat { kind, node: self.me.clone(), boot_id: self.boot_id, sequence: self.sequence };
        let datagram = heartbeat.emit();
        for peer in self.peers.iter().flat_map(BTreeMap::values) {
            self.outputs.push_back(Output::Send { to: peer.address, datagram: datagram.clone() });
        }
    }
}
