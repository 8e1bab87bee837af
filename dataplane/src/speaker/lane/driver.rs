//! The loop of the lane: wait for packets, tables or time; then do what the protocols say.

mod seen;
mod waiting;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use metallb_core::plan::Speakers;
use metallb_core::shared::SharedMap;
use metallb_protocols::announcer::Announcer;
use metallb_protocols::conflict::{self, Conflicts};
use metallb_protocols::liveness::{Claim, Tenure};
use metallb_protocols::sighting::{self, Sightings};
use metallb_protocols::stand_in;
use nix::sys::eventfd::EventFd;
use tokio::sync::watch;

use super::conflicts::{Conflict, Contested};
use super::groups::{self, Groups};
use super::members::{Members, Told};
use super::moves::{self, Moves};
use super::responder::{Heard, View};
use super::responders::Responders;
use super::sockets::Sockets;
use super::succession::{LINGER, Succession};
use super::tables::{Phase, Protocol, Station, Tables};
use super::{Membership, Pace};
use crate::speaker::metrics::Metrics;
use waiting::{Source, is_over};

/// The longest frame or datagram that matters. A heartbeat has less than 1,500 bytes.
const BUFFER: usize = 2048;
/// Heartbeats taken, and addresses told about, before the next thing gets its turn: ten thousand addresses to tell must not
/// starve who asks, nor the heartbeats.
const TURN: usize = 64;

/// What others hold the other end of.
pub(super) struct Shared {
    pub(super) tables: Arc<ArcSwap<Tables>>,
    pub(super) wake: Arc<EventFd>,
    pub(super) membership: watch::Sender<Membership>,
    pub(super) contested: watch::Sender<Contested>,
    pub(super) sockets: watch::Sender<Sockets>,
}

pub(super) struct Driver {
    shared: Shared,
    /// The tables that the state below is in step with.
    tables: Arc<Tables>,
    responders: Responders,
    groups: Groups,
    announcer: Announcer,
    succession: Succession,
    moves: Moves,
    conflicts: Conflicts,
    sightings: Sightings,
    members: Option<Members>,
    /// Who has a live speaker, by the heartbeats.
    heard: Option<Speakers>,
    /// What is to be claimed.
    claims: BTreeMap<IpAddr, Tenure>,
    /// Set when the speaker leaves.
    end: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        shared: Shared,
        groups: Groups,
        pace: Pace,
        metrics: Metrics,
        members: Option<Members>,
    ) -> Self {
        let tables = shared.tables.load_full();
        let Pace { refresh, restart_grace, policy } = pace;
        Self {
            responders: Responders::new(metrics, shared.sockets.clone()),
            shared,
            tables,
            groups,
            announcer: Announcer::new(refresh),
            succession: Succession::new(restart_grace),
            moves: Moves::new(restart_grace),
            conflicts: Conflicts::new(policy),
            sightings: Sightings::default(),
            members,
            heard: None,
            claims: BTreeMap::new(),
            end: None,
        }
    }

    /// Runs until the tables say that the speaker leaves, and a little longer: others may not have heard of it yet.
    pub(super) fn run(mut self) {
        let mut buffer = [0; BUFFER];
        // The kernel wakes threads up to 50 microseconds late, to save power. The pauses in which addresses move are hardly longer. If this
        // fails, more of them are missed.
        let _ = nix::sys::prctl::set_timerslack(1);
        loop {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(errno) => {
                    tracing::error!(event = "pollFailed", %errno, "the lane ends, and the process with it");
                    return;
                }
            };
            if ready.contains(&Source::Orders) {
                self.take_tables();
            }
            // Before a timer counts it is looked for what that waits for: it may have come in the meantime.
            if ready.contains(&Source::Segments) || is_over(self.moves.poll_timeout()) {
                self.moves.receive(&mut buffer);
            }
            self.move_on(Instant::now());
            if ready.contains(&Source::Frames) || is_over(self.frames_awaited()) {
                self.receive_frames(&mut buffer);
            }
            if ready.contains(&Source::Heartbeats) || is_over(self.heartbeats_awaited()) {
                self.receive_heartbeats(&mut buffer);
            }
            self.pass_time(Instant::now());
            self.settle_claims();
            if self.end.is_some_and(|end| end <= Instant::now()) {
                return;
            }
        }
    }

    /// Brings responders, bursts and peers in step with the newest tables.
    fn take_tables(&mut self) {
        let mut count = [0; 8];
        let _ = nix::unistd::read(self.shared.wake.as_fd(), &mut count); // nothing to read: nothing new
        let now = Instant::now();
        let new = self.shared.tables.load_full();
        if !Arc::ptr_eq(&new, &self.tables) {
            let old = std::mem::replace(&mut self.tables, new.clone());
            self.succession.change(now, &old, &new, &self.moves);
            self.moves.change(now, &old, &new, &self.succession);
            if !Arc::ptr_eq(&old.nodes, &new.nodes) {
                self.conflicts.handle_input(now, conflict::Input::Nodes(&new.nodes));
            }
            self.announce_what_is_new(now, &old, &new);
            self.responders.change(now, &old, &new);
            let told = self.members.as_mut().map(|members| members.change(now, &old, &new));
            self.pass_on(now, told);
            if old.upstream != new.upstream {
                self.tell_membership(None, None);
            }
            if !Arc::ptr_eq(&old.claims, &new.claims) {
                let addresses: Vec<_> = new
                    .claims
                    .iter()
                    .filter(|(address, claim)| old.claims.get(*address) != Some(claim))
                    .collect();
                for (address, _) in addresses {
                    self.claim(*address);
                }
            }
            if new.phase == Phase::Leaving {
                // Who follows has the word from now on.
                self.announcer = Announcer::default();
                self.end = Some(now + LINGER);
            }
            self.settle_succession(now);
            self.settle_moves(now);
            self.settle_conflicts(now);
        }
        let was_on = self.members.as_ref().is_some_and(Members::is_on);
        let told = self.members.as_mut().map(|members| members.take_key(now, &new));
        self.pass_on(now, told);
        if !was_on && self.members.as_ref().is_some_and(Members::is_on) {
            // Nobody has heard of them yet.
            for address in new.claims.keys() {
                self.claim(*address);
            }
        }
    }

    /// An address that moved here, or that is on an interface now that did not answer before, starts a burst. What is
    /// neither is not looked at: there may be thousands.
    fn announce_what_is_new(&mut self, now: Instant, old: &Tables, new: &Tables) {
        let changed = new.announced.changed_since(&old.announced);
        for address in changed.iter().filter(|address| !new.announced.contains_key(*address)) {
            self.announcer.stop(**address);
            self.conflicts.handle_input(now, conflict::Input::Ended(**address));
            if !self.succession.lingers(**address) {
                self.responders.forget(**address);
            }
        }
        // Its service went while this node still answered for what had moved.
        let settled = old.moved_unlike(new);
        for address in settled.filter(|address| !new.announced.contains_key(*address)) {
            self.responders.forget(*address);
        }
        for address in changed.iter().filter(|address| new.announced.contains_key(*address)) {
            if !self.moves.is_awaited(**address) {
                self.begin(now, **address);
            }
        }
        if Arc::ptr_eq(&old.stations, &new.stations) {
            if changed.iter().any(|address| address.is_ipv6()) {
                self.groups.set(groups::wanted(new, &self.succession));
            }
            return;
        }
        let came_up = Protocol::ALL.map(|protocol| {
            let differs = |(index, station): &(&u32, &Station)| {
                let before = old.stations.get(index).and_then(|station| station.mac(protocol));
                station.mac(protocol).is_some_and(|mac| before != Some(mac))
            };
            let came_up: Vec<_> =
                new.stations.iter().filter(differs).map(|(_, station)| &station.name).collect();
            (protocol, came_up)
        });
        let came_up = BTreeMap::from(came_up);
        for (address, interfaces) in new.announced.iter().filter(|(address, _)| !changed.contains(*address)) {
            let mut came_up = came_up.get(&Protocol::of(*address)).into_iter().flatten();
            if came_up.any(|name| interfaces.contains(name)) {
                self.announce(now, *address);
            }
        }
        self.groups.set(groups::wanted(new, &self.succession));
    }

    /// Begins a burst, unless the address may go back to where it was, or is held back.
    fn announce(&mut self, now: Instant, address: IpAddr) {
        if self.is_told_of(address) {
            self.announcer.start(now, address);
            self.claim(address);
        }
    }

    /// Others may have told neighbours of the addresses meanwhile: they are told anew of those that did not go to others. That is no claim.
    fn tell_anew(&mut self, now: Instant, tenures: Option<&SharedMap<IpAddr, Tenure>>) {
        let me = self.members.as_ref().map(Members::id);
        let went = |address: &IpAddr| {
            let tenure = tenures.and_then(|tenures| tenures.get(address));
            tenure.is_some_and(|tenure| Some(tenure.owner) != me)
        };
        let tables = Arc::clone(&self.tables);
        for address in tables.announced.keys().filter(|address| !went(address)) {
            if self.is_told_of(*address) {
                self.announcer.start(now, *address);
            }
        }
    }

    /// Are neighbours told that the address is here? Not while it may go back to where it was, or is held back, or on its way.
    fn is_told_of(&self, address: IpAddr) -> bool {
        !self.succession.is_waiting(&self.tables, address)
            && !self.conflicts.is_held(address)
            && !self.moves.is_awaited(address)
    }

    /// Where ownership is sticky, says who has an address from now on: this node, if neighbours are told of it; or the one that it
    /// is handed over to.
    fn claim(&mut self, address: IpAddr) {
        let Some(tenure) = self.tables.claims.get(&address).copied() else { return };
        let is_own = self.members.as_ref().is_some_and(|members| tenure.owner == members.id());
        if !is_own || self.is_told_of(address) {
            self.claims.insert(address, tenure);
        }
    }

    /// All at once: that is little to say.
    fn settle_claims(&mut self) {
        let claims = std::mem::take(&mut self.claims).into_iter();
        let claims: Vec<_> = claims.map(|(address, tenure)| Claim { address, tenure }).collect();
        if !claims.is_empty() {
            tracing::debug!(
                event = "claim",
                count = claims.len(),
                ?claims,
                "all speakers are told who has them from now on"
            );
            let now = Instant::now();
            let told = self.members.as_mut().map(|members| members.claim(now, &claims));
            self.pass_on(now, told);
        }
    }

    /// The address is this node's from now on.
    fn begin(&mut self, now: Instant, address: IpAddr) {
        let is_new = self.tables.new.contains(&address);
        self.conflicts.handle_input(now, conflict::Input::Begun { address, is_new });
        self.announce(now, address);
    }

    fn settle_succession(&mut self, now: Instant) {
        while let Some(output) = self.succession.poll_absent() {
            match output {
                stand_in::Output::Ask(address) => self.responders.ask(address),
                stand_in::Output::Lives(_) => {}
                stand_in::Output::TakeOver(node) => self.forget_routes(&node),
            }
        }
        while let Some(output) = self.succession.poll_output() {
            match output {
                stand_in::Output::Ask(address) => {
                    self.responders.ask(address);
                    self.look_for_its_speaker(address);
                }
                stand_in::Output::Lives(node) => {
                    tracing::info!(event = "standingIn", %node, "its speaker is silent, and it is not: answering in its name");
                    // Neighbours that make sure ask its station directly, and nobody answers: they are told before they give up.
                    for address in self.tables.inherited_from(&node) {
                        self.announcer.start(now, address);
                    }
                }
                stand_in::Output::TakeOver(node) => {
                    tracing::info!(event = "takeOver", %node, "its addresses are announced from here");
                    for address in self.tables.inherited_from(&node) {
                        self.begin(now, address);
                    }
                }
            }
        }
    }

    fn settle_moves(&mut self, now: Instant) {
        while let Some(output) = self.moves.poll_output() {
            match output {
                moves::Output::Ask(node) => self.responders.ask(node),
                moves::Output::Give(address) => self.responders.give(&self.moves, address),
                // Not what has no interface here, and not from a speaker that leaves.
                moves::Output::Begin(address) => {
                    if self.tables.announced.contains_key(&address) && self.end.is_none() {
                        self.begin(now, address);
                    }
                }
            }
        }
    }

    fn settle_conflicts(&mut self, now: Instant) {
        while let Some(output) = self.conflicts.poll_output() {
            match output {
                conflict::Output::AskNode(node) => self.responders.ask(node),
                conflict::Output::Probe(address) => self.responders.probe(&self.tables, address),
                conflict::Output::Released(address) => self.announce(now, address),
                conflict::Output::Conflict { address, interface, by } => {
                    let name = self.tables.stations.get(&interface).map(|station| station.name.clone());
                    let conflict = Conflict { interface: name, station: by };
                    conflict.log(address);
                    self.shared.contested.send_modify(|all| drop(all.insert(address, conflict)));
                }
                conflict::Output::Over(address) => {
                    tracing::info!(event = "addressConflictOver", %address, "no other station has it any more");
                    self.shared.contested.send_modify(|all| drop(all.remove(&address)));
                }
            }
        }
    }

    /// What segments, or time, bring about for addresses on their way. The end of the last request is the moment to move an address:
    /// nothing else comes first.
    fn move_on(&mut self, now: Instant) {
        self.moves.pass_time(now);
        self.settle_moves(now);
    }

    fn receive_frames(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        let view = View {
            tables: &self.tables,
            succession: &self.succession,
            conflicts: &self.conflicts,
            sightings: &self.sightings,
            moves: &self.moves,
        };
        for heard in self.responders.receive(view, buffer) {
            self.sight(now, &heard);
            match heard {
                Heard::Contested { interface, address, by, from } => {
                    if !self.shared.contested.borrow().contains_key(&address) {
                        // What is only awaited is not this node's to give up: its owner may say so.
                        if !self.moves.is_awaited(address) {
                            self.succession.claimed(now, interface, address);
                        }
                    }
                    self.moves.end(address);
                    if self.has(address) && self.end.is_none() {
                        self.announcer.contested(now, address);
                        let claimed = conflict::Input::Claimed { interface, address, by, from };
                        self.conflicts.handle_input(now, claimed);
                    }
                }
                Heard::Given { address } => self.moves.given(address),
                Heard::Answered { interface, address, station, from } => {
                    self.succession.heard(now, interface, address, station);
                    self.moves.heard(interface, address, station);
                    let input = if self.conflicts.is_held(address) {
                        conflict::Input::Claimed { interface, address, by: station, from }
                    } else {
                        conflict::Input::Heard { node: address, station }
                    };
                    self.conflicts.handle_input(now, input);
                }
            }
        }
        self.settle_succession(now);
        self.settle_moves(now);
        self.settle_conflicts(now);
        self.settle_sightings();
    }

    /// Is the address announced from here, in this node's own name?
    fn has(&self, address: IpAddr) -> bool {
        self.tables.announced.contains_key(&address)
            && !self.succession.is_waiting(&self.tables, address)
            && !self.moves.is_awaited(address)
    }

    fn receive_heartbeats(&mut self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            let Some(told) = self.members.as_mut().and_then(|members| members.receive(buffer)) else {
                return;
            };
            self.pass_on(Instant::now(), Some(told));
        }
    }

    /// What time alone brings about: heartbeats, deaths, repetitions.
    fn pass_time(&mut self, now: Instant) {
        let told = self.members.as_mut().map(|members| members.pass_time(now));
        self.pass_on(now, told);
        self.responders.pass_time(now, &self.tables);
        let given_up = self.succession.pass_time(now);
        for address in &given_up {
            self.responders.forget(*address);
            self.moves.end(*address);
        }
        if given_up.iter().any(IpAddr::is_ipv6) {
            self.groups.set(groups::wanted(&self.tables, &self.succession));
        }
        self.settle_succession(now);
        if self.conflicts.poll_timeout().is_some_and(|due| due <= now) {
            self.conflicts.handle_input(now, conflict::Input::Tick);
        }
        self.settle_conflicts(now);
        if self.sightings.poll_timeout().is_some_and(|due| due <= now) {
            self.sightings.handle_input(now, sighting::Input::Tick);
        }
        self.settle_sightings();
        for _ in 0..TURN {
            let Some(address) = self.announcer.poll_output(now) else { break };
            self.responders.tell(&self.tables, &self.succession, address);
        }
    }

    /// Passes on what the heartbeats said.
    fn pass_on(&mut self, now: Instant, told: Option<Told>) {
        let Some(Told { speakers, left, paused, tenures, lost, handovers, outlasted }) = told else { return };
        for (node, routes) in handovers {
            self.note_routes(now, node, routes);
        }
        for address in outlasted {
            if self.has(address) && self.end.is_none() {
                self.announcer.remind(now, address);
            }
        }
        if paused && self.end.is_none() {
            tracing::warn!(event = "paused", "this process stood still; telling all addresses anew");
            self.tell_anew(now, tenures.as_ref());
        }
        let is_news = speakers.is_some() || tenures.is_some() || lost.is_some();
        if let Some(speakers) = speakers {
            if let Speakers::Alive(nodes) = &speakers {
                for node in nodes {
                    self.sightings.handle_input(now, sighting::Input::Heard(node));
                }
            }
            self.heard = Some(speakers);
        }
        for node in &left {
            self.sightings.handle_input(now, sighting::Input::Left(node));
        }
        if is_news {
            self.tell_membership(tenures, lost);
        }
    }
}

#[cfg(test)]
mod tests;
