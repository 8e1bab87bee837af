//! The other speakers, as the lane meets them: the socket of the heartbeats, and what they say about who lives.
//!
//! Without a key a heartbeat would prove nothing, so there are none: then every node counts whose speaker is ready by what
//! the API server says, and this one. A key that comes later turns them on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{
    Claim, Dropped, Input, Key, KeyId, Liveness, Malformed, NodeId, Output, Tenure, Timing, Why,
};

use super::Routes;
use super::tables::{Phase, Tables};
use crate::speaker::metrics::Metrics;

/// How heartbeats are exchanged.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    /// Own address.
    pub address: IpAddr,
    /// UDP port, the same on every node.
    pub port: u16,
    /// Random, different in every life of this speaker.
    pub seed: u64,
    /// How often, and how long silence may last.
    pub timing: Timing,
    /// Ownership is sticky on this node.
    pub keeps: bool,
}

/// What became of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Who has a live speaker, if that is different now.
    pub(super) speakers: Option<Speakers>,
    /// Those whose last heartbeat said that they end.
    pub(super) left: Vec<NodeName>,
    /// This process stood still.
    pub(super) paused: bool,
    /// Who has which address, if that is different now.
    pub(super) tenures: Option<SharedMap<IpAddr, Tenure>>,
    /// The networks that other nodes do not reach, if those are others now.
    pub(super) lost: Option<BTreeMap<NodeName, BTreeSet<IpNet>>>,
    /// What becomes of the routes of speakers that restart, by their own word.
    pub(super) handovers: BTreeMap<NodeName, Routes>,
    /// Addresses of this node that another one claimed, in an earlier epoch.
    pub(super) outlasted: BTreeSet<IpAddr>,
}

pub(super) struct Members {
    node: NodeName,
    socket: UdpSocket,
    settings: Heartbeats,
    liveness: Option<Liveness>,
    /// The key in use, and where the next one is put.
    key: Option<KeyId>,
    newest: Arc<ArcSwapOption<Key>>,
    /// The others that ought to be heard: their heartbeats are ours, and the API server calls them ready.
    expected: BTreeSet<NodeName>,
    metrics: Metrics,
}

impl Members {
    pub(super) fn open(
        node: NodeName,
        settings: Heartbeats,
        newest: Arc<ArcSwapOption<Key>>,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let address = SocketAddr::new(settings.address, settings.port);
        let socket = UdpSocket::bind(address).with_context(|| {
            format!("cannot exchange heartbeats from {address} (UDP); is the port taken, or the address not on this node?")
        })?;
        socket.set_nonblocking(true)?;
        let expected = BTreeSet::new();
        Ok(Self { node, socket, settings, liveness: None, key: None, newest, expected, metrics })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.liveness.as_ref().and_then(Liveness::poll_timeout)
    }

    /// The brain swapped its tables.
    pub(super) fn change(&mut self, now: Instant, old: &Tables, new: &Tables) -> Told {
        let mut told = Told::default();
        if let Some(peers) = &new.peers {
            if self.liveness.is_none() {
                if old.peers.is_none() || old.ready != new.ready {
                    told.speakers = Some(self.ready(new));
                }
            } else if old.peers.as_ref() != Some(peers) {
                told = self.input(now, Input::Peers(BTreeMap::clone(peers)));
            }
            if old.peers.as_ref() != Some(peers) || old.ready != new.ready {
                let others = new.ready.iter().filter(|node| **node != self.node && peers.contains_key(*node));
                self.expected = others.cloned().collect();
                self.count();
            }
        }
        if let Some(in_use) = new.in_use.as_ref().filter(|in_use| old.in_use.as_ref() != Some(in_use)) {
            told = told.and(self.input(now, Input::InUse(BTreeSet::clone(in_use))));
        }
        if old.lost != new.lost {
            told = told.and(self.input(now, Input::Lost(new.lost.iter().copied().collect())));
        }
        if let Some(handover) = new.routes.filter(|_| old.routes != new.routes) {
            told = told.and(self.input(now, Input::Routes(handover)));
        }
        let input = match new.phase {
            Phase::Starting => None,
            Phase::Serving => Some(Input::Ready),
            Phase::Leaving => Some(Input::Leave),
        };
        if let Some(input) = input.filter(|_| old.phase != new.phase) {
            told = told.and(self.input(now, input));
        }
        told
    }

    /// The node's id among those of all.
    pub(super) fn id(&self) -> NodeId {
        NodeId::from(&self.node)
    }

    /// Are heartbeats exchanged?
    pub(super) const fn is_on(&self) -> bool {
        self.liveness.is_some()
    }

    /// Is ownership sticky on all nodes that live?
    pub(super) fn all_keep(&self) -> bool {
        self.liveness.as_ref().is_some_and(Liveness::all_keep)
    }

    /// From now on these have these addresses.
    pub(super) fn claim(&mut self, now: Instant, claims: &[Claim]) -> Told {
        self.input(now, Input::Claims(claims))
    }

    fn ready(&self, tables: &Tables) -> Speakers {
        Speakers::Alive(tables.ready.iter().cloned().chain([self.node.clone()]).collect())
    }

    /// The Secret is there, or is another one.
    pub(super) fn take_key(&mut self, now: Instant, tables: &Tables) -> Told {
        let newest = self.newest.load();
        let Some(key) = newest.as_deref().filter(|key| self.key != Some(key.id())).cloned() else {
            return Told::default();
        };
        self.key = Some(key.id());
        if self.liveness.is_some() {
            return self.input(now, Input::Key(key));
        }
        tracing::info!(event = "heartbeatsOn", "there is a key for heartbeats now");
        self.liveness = Some(Liveness::new(self.node.clone(), self.settings.seed, self.settings.timing, key));
        if self.settings.keeps {
            self.input(now, Input::Keep);
        }
        self.change(now, &Tables::default(), tables)
    }

    pub(super) fn pass_time(&mut self, now: Instant) -> Told {
        if self.due().is_some_and(|due| due <= now) { self.input(now, Input::Tick) } else { Told::default() }
    }

    /// Takes one datagram from the socket. `None` if there is none.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<Told> {
        match self.socket.recv_from(buffer) {
            Ok((length, from)) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                let from = from.ip().to_canonical();
                Some(self.input(Instant::now(), Input::Datagram { from, bytes }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
            // An ICMP error about something sent earlier; the peer's silence will say the rest.
            Err(_) => Some(Told::default()),
        }
    }

    fn input(&mut self, now: Instant, input: Input<'_>) -> Told {
        let Some(liveness) = &mut self.liveness else { return Told::default() };
        liveness.handle_input(now, input);
        let (mut changed, mut claimed, mut lost) = (false, false, false);
        let mut told = Told::default();
        while let Some(output) = liveness.poll_output() {
            match output {
                Output::Send { to, datagram } => {
                    if let Err(error) = self.socket.send_to(&datagram, (to, self.settings.port)) {
                        tracing::debug!(event = "heartbeatFailed", %to, %error, "the next one follows");
                    }
                }
                Output::Alive(node) => {
                    tracing::info!(event = "speakerAlive", %node, "it counts from now on");
                    changed = true;
                }
                Output::Dead(node, why) => {
                    tracing::info!(event = "speakerDead", %node, ?why, "its addresses go to others");
                    changed = true;
                    if why == Why::Left {
                        told.left.push(node);
                    }
                }
                Output::Informed => changed = true,
                Output::Paused => told.paused = true,
                Output::Tenures => claimed = true,
                Output::Lost => lost = true,
                Output::Routes { node, boot_id, handover } => {
                    told.handovers.insert(node, Routes { boot_id, handover });
                }
                Output::Outlasted(address) => drop(told.outlasted.insert(address)),
                // Counted only: whoever can send us anything must not fill the log.
                Output::Dropped(why) => {
                    self.metrics.heartbeats_dropped.with_label_values(&[reason(why)]).inc()
                }
            }
        }
        told.speakers = changed.then(|| Speakers::Alive(liveness.alive()));
        told.lost = lost.then(|| liveness.lost());
        told.tenures = claimed.then(|| liveness.tenures().clone());
        if changed {
            self.count();
        }
        told
    }

    /// Shows how many are heard of those that ought to be. Without heartbeats nobody is, and that is no news.
    fn count(&self) {
        let Some(liveness) = &self.liveness else { return };
        let heard = liveness.alive().intersection(&self.expected).count();
        self.metrics.peers.set(self.expected.len(), heard);
    }
}

impl Told {
    fn and(mut self, later: Self) -> Self {
        self.handovers.extend(later.handovers);
        self.left.extend(later.left);
        Self {
            handovers: self.handovers,
            left: self.left,
            speakers: later.speakers.or(self.speakers),
            paused: self.paused || later.paused,
            tenures: later.tenures.or(self.tenures),
            lost: later.lost.or(self.lost),
            outlasted: &self.outlasted | &later.outlasted,
        }
    }
}

/// A closed set: it is a label.
const fn reason(why: Dropped) -> &'static str {
    match why {
        Dropped::Malformed(Malformed::Foreign) => "foreign",
        Dropped::Malformed(Malformed::Version(_)) => "version",
        Dropped::Malformed(
            Malformed::Length
            | Malformed::UnknownKind(_)
            | Malformed::Name
            | Malformed::Ballot
            | Malformed::Claims
            | Malformed::Networks,
        ) => "malformed",
        Dropped::UnknownNode => "unknown-node",
        Dropped::WrongAddress => "wrong-address",
        Dropped::NotForUs => "not-for-us",
        Dropped::Unproven => "unproven",
        Dropped::Old => "old",
        Dropped::Unplaced => "unplaced",
    }
}
