//! A speaker without threads and sockets: the brain's [`Facts`], the heartbeats and the states of the lane are those that are shipped.
//! What joins them here stands for `brain` and [`super::super::driver`], step by step. Frames to a group reach all, whoever joined it.

mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_protocols::announcer::Announcer;
use metallb_protocols::conflict::{self, Conflicts, Policy};
use metallb_protocols::ethernet::Mac;
use metallb_protocols::liveness::{self, Claim, Key, Liveness, NodeId, Tenure, Timing};
use metallb_protocols::responder::Answer;
use metallb_protocols::sighting::{self, Sightings};
use metallb_protocols::{arp, ndp, stand_in};

use crate::net::links::Links;
use crate::speaker::bgp::wanted::Profile;
use crate::speaker::departure;
use crate::speaker::facts::{Facts, Input};
use crate::speaker::lane::moves::{self, Moves};
use crate::speaker::lane::responder::{Seen, View};
use crate::speaker::lane::succession::Succession;
use crate::speaker::lane::tables::{Phase, Protocol, Tables};
use crate::speaker::lane::{Membership, Station};

/// How long a silent speaker has to come back.
const GRACE: Duration = Duration::from_secs(3);

/// What goes out.
#[derive(Clone)]
pub(super) enum Sent {
    /// A heartbeat.
    Datagram { to: IpAddr, bytes: Vec<u8> },
    /// By the interface with this index.
    Frame { interface: u32, bytes: Vec<u8> },
}

pub(super) struct Speaker {
    node: NodeName,
    facts: Facts,
    liveness: Liveness,
    membership: Membership,
    /// The brain has not seen it yet.
    is_news: bool,
    tables: Tables,
    succession: Succession,
    moves: Moves,
    announcer: Announcer,
    claims: BTreeMap<IpAddr, Tenure>,
    conflicts: Conflicts,
    sightings: Sightings,
    /// Who lives, by the heartbeats.
    heard: Option<Speakers>,
    /// Addresses that other stations have as well, of which none is a node's.
    contested: BTreeSet<IpAddr>,
    sent: Vec<Sent>,
}

impl Speaker {
    /// A new life on that node.
    pub(super) fn new(now: Instant, node: NodeName, seed: u64, is_sticky: bool) -> Self {
        let pace = departure::Pace { announcing: Duration::from_secs(5), flows: Duration::from_secs(10) };
        let mut facts = Facts::new(node.clone(), false, true, Profile::Native, pace);
        let key = Key::from_secret(b"one").unwrap();
        let mut liveness = Liveness::new(node.clone(), seed, Timing::LAN, key);
        if is_sticky {
            facts.set_sticky();
            liveness.handle_input(now, liveness::Input::Keep);
        }
        Self {
            node,
            facts,
            liveness,
            membership: Membership { is_on: true, ..Membership::default() },
            is_news: true,
            tables: Tables::default(),
            succession: Succession::new(GRACE),
            moves: Moves::new(GRACE),
            announcer: Announcer::new(None),
            claims: BTreeMap::new(),
            conflicts: Conflicts::new(Policy::Announce),
            sightings: Sightings::default(),
            heard: None,
            contested: BTreeSet::new(),
            sent: Vec::new(),
        }
    }

    // What happens to it; `settle` follows.

    pub(super) fn hear_of(&mut self, input: Input) {
        self.facts.apply(input);
    }

    pub(super) fn set_links(&mut self, now: Instant, links: Links) {
        self.facts.set_links(now, links);
    }

    pub(super) fn datagram(&mut self, now: Instant, from: IpAddr, bytes: &[u8]) {
        self.beat(now, liveness::Input::Datagram { from, bytes });
    }

    pub(super) fn frame(&mut self, now: Instant, interface: u32, bytes: &[u8]) {
        match self.answer(interface, bytes) {
            Some(Answer::Reply { frame, .. }) => self.sent.push(Sent::Frame { interface, bytes: frame }),
            Some(Answer::Contested { address, by, from }) => {
                self.sight(now, interface, address, by, from);
                if !self.contested.contains(&address) && !self.moves.is_awaited(address) {
                    self.succession.claimed(now, interface, address);
                }
                self.moves.end(address);
                if self.has(address) {
                    self.announcer.contested(now, address);
                    let claimed = conflict::Input::Claimed { interface, address, by, from };
                    self.conflicts.handle_input(now, claimed);
                }
            }
            Some(Answer::Given { address }) => self.moves.given(address),
            Some(Answer::Heard { address, station, .. }) => {
                self.sightings.handle_input(now, sighting::Input::Answered { address, station });
                self.succession.heard(now, interface, address, station);
                self.moves.heard(interface, address, station);
                self.conflicts.handle_input(now, conflict::Input::Heard { node: address, station });
            }
            Some(Answer::Ignore(_)) | None => {}
        }
    }

    /// What it makes of a frame that comes in by an interface on which it answers.
    fn answer(&self, interface: u32, bytes: &[u8]) -> Option<Answer<Infallible>> {
        let station = self.tables.stations.get(&interface)?;
        let view = View {
            tables: &self.tables,
            succession: &self.succession,
            conflicts: &self.conflicts,
            sightings: &self.sightings,
            moves: &self.moves,
        };
        let host = Seen { view, index: interface, name: &station.name };
        if arp::Packet::parse(bytes).is_ok() {
            heard(arp::answer(station.arp?, bytes, &host))
        } else {
            heard(ndp::answer(station.ndp?, bytes, &host))
        }
    }

    /// It is told to stop for good: it says goodbye.
    pub(super) fn leave(&mut self, now: Instant) {
        let tables = Tables { phase: Phase::Leaving, ..self.tables.clone() };
        self.take_tables(now, &tables);
    }

    /// Brain and lane in turn, until nothing more follows.
    pub(super) fn settle(&mut self, now: Instant) {
        for turn in 0.. {
            assert!(
                turn < 1000,
                "{}: something is due that does not pass: {:?}",
                self.node,
                self.timers().map(|due| due.map(|due| due <= now))
            );
            self.pass_time(now);
            if std::mem::take(&mut self.is_news) {
                self.facts.set_membership(now, self.membership.clone());
            }
            drop(self.facts.decide_routes(now));
            let tables = self.facts.decide(now);
            drop(self.facts.tell());
            match tables {
                Some(tables) => self.take_tables(now, &tables),
                None if self.is_news || self.due().is_some_and(|due| due <= now) => {}
                None => return,
            }
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.timers().into_iter().flatten().min()
    }

    fn timers(&self) -> [Option<Instant>; 7] {
        [
            self.liveness.poll_timeout(),
            self.facts.poll_timeout(),
            self.succession.poll_timeout(),
            self.moves.poll_timeout(),
            self.announcer.poll_timeout(),
            self.conflicts.poll_timeout(),
            self.sightings.poll_timeout(),
        ]
    }

    pub(super) fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    // What can be said of it

    /// Is the address announced from here, in this node's own name, and not only awaited?
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.tables.announced.contains_key(&address)
            && !self.succession.is_waiting(&self.tables, address)
            && !self.moves.is_awaited(address)
    }

    /// The station that who asks there for an address is told.
    pub(super) fn tells(&self, interface: u32, address: IpAddr) -> Option<Mac> {
        let question = question(CLIENT, address);
        let Answer::Reply { frame, .. } = self.answer(interface, &question)? else { return None };
        if let Ok(reply) = arp::Packet::parse(&frame) {
            return Some(reply.sender_mac);
        }
        match ndp::wire::neighbour::Packet::parse(&frame).unwrap().message {
            ndp::wire::neighbour::Message::Advertisement(advertisement) => advertisement.station,
            ndp::wire::neighbour::Message::Solicitation(_) => None,
        }
    }

    /// Addresses that other stations have as well, of which none is a node's, as far as it knows.
    pub(super) const fn contested(&self) -> &BTreeSet<IpAddr> {
        &self.contested
    }

    /// For the one who reads of a failure.
    pub(super) fn explain(&self, address: IpAddr) -> String {
        let Tables { announced, inherited, moved, heirs, awaited, phase, claims, .. } = &self.tables;
        format!(
            "{}: {phase:?} announced {} inherited {:?} moved {} heir {:?} awaited {} ({}) waiting {} claim {:?} tenure {:?} keep {} alive {:?}",
            self.node,
            announced.contains_key(&address),
            inherited.get(&address),
            moved.contains(&address),
            heirs.get(&address),
            awaited.contains(&address),
            self.moves.is_awaited(address),
            self.succession.is_waiting(&self.tables, address),
            claims.get(&address),
            self.liveness.tenures().get(&address),
            self.membership.all_keep,
            self.membership.speakers,
        )
    }

    // The lane

    fn take_tables(&mut self, now: Instant, new: &Tables) {
        let old = std::mem::replace(&mut self.tables, new.clone());
        self.succession.change(now, &old, new, &self.moves);
        self.moves.change(now, &old, new, &self.succession);
        let changed = new.announced.changed_since(&old.announced);
        let (here, gone): (Vec<IpAddr>, Vec<IpAddr>) =
            changed.into_iter().copied().partition(|address| new.announced.contains_key(address));
        if old.nodes != new.nodes {
            self.conflicts.handle_input(now, conflict::Input::Nodes(&new.nodes));
        }
        for address in gone {
            self.announcer.stop(address);
            self.conflicts.handle_input(now, conflict::Input::Ended(address));
        }
        for address in here {
            if !self.moves.is_awaited(address) {
                self.begin(now, address);
            }
        }
        let came_up = |(index, station): (&u32, &Station)| old.stations.get(index) != Some(station);
        if new.stations.iter().any(came_up) {
            new.announced.keys().for_each(|address| self.announce(now, *address));
        }
        self.tell_others(now, &old, new);
        for (address, claim) in &*new.claims {
            if old.claims.get(address) != Some(claim) {
                self.claim(*address);
            }
        }
        self.settle_lane(now);
    }

    /// What [`super::super::members::Members::change`] says.
    fn tell_others(&mut self, now: Instant, old: &Tables, new: &Tables) {
        if let Some(peers) = new.peers.as_ref().filter(|peers| old.peers.as_ref() != Some(peers)) {
            self.beat(now, liveness::Input::Peers(BTreeMap::clone(peers)));
        }
        if let Some(in_use) = new.in_use.as_ref().filter(|in_use| old.in_use.as_ref() != Some(in_use)) {
            self.beat(now, liveness::Input::InUse(BTreeSet::clone(in_use)));
        }
        if old.lost != new.lost {
            self.beat(now, liveness::Input::Lost(new.lost.iter().copied().collect()));
        }
        match new.phase {
            Phase::Serving if old.phase != Phase::Serving => self.beat(now, liveness::Input::Ready),
            Phase::Leaving if old.phase != Phase::Leaving => self.beat(now, liveness::Input::Leave),
            Phase::Starting | Phase::Serving | Phase::Leaving => {}
        }
    }

    fn beat(&mut self, now: Instant, input: liveness::Input<'_>) {
        self.liveness.handle_input(now, input);
        while let Some(output) = self.liveness.poll_output() {
            self.is_news |= !matches!(
                output,
                liveness::Output::Send { .. }
                    | liveness::Output::Paused
                    | liveness::Output::Outlasted(_)
                    | liveness::Output::Routes { .. }
                    | liveness::Output::Dropped(_)
            );
            match output {
                liveness::Output::Send { to, datagram } => {
                    self.sent.push(Sent::Datagram { to, bytes: datagram });
                }
                liveness::Output::Dead(node, liveness::Why::Left) => {
                    self.sightings.handle_input(now, sighting::Input::Left(&node));
                    self.tell_who_lives(now);
                }
                liveness::Output::Alive(_) | liveness::Output::Dead(..) | liveness::Output::Informed => {
                    self.tell_who_lives(now);
                }
                liveness::Output::Paused => {
                    let me = NodeId::from(&self.node);
                    for address in self.tables.announced.keys() {
                        let tenure = self.membership.tenures.get(address);
                        if self.is_told_of(*address) && tenure.is_none_or(|tenure| tenure.owner == me) {
                            self.announcer.start(now, *address);
                        }
                    }
                }
                liveness::Output::Tenures => self.membership.tenures = self.liveness.tenures().clone(),
                liveness::Output::Lost => self.membership.lost = self.liveness.lost(),
                liveness::Output::Outlasted(address) => {
                    if self.has(address) {
                        self.announcer.remind(now, address);
                    }
                }
                liveness::Output::Routes { .. } | liveness::Output::Dropped(_) => {}
            }
        }
        if self.is_news {
            self.membership.all_keep = self.liveness.all_keep() && !self.sightings.has_dispute();
        }
    }

    fn pass_time(&mut self, now: Instant) {
        if self.liveness.poll_timeout().is_some_and(|due| due <= now) {
            self.beat(now, liveness::Input::Tick);
        }
        for address in self.succession.pass_time(now) {
            self.moves.end(address);
        }
        self.moves.pass_time(now);
        if self.conflicts.poll_timeout().is_some_and(|due| due <= now) {
            self.conflicts.handle_input(now, conflict::Input::Tick);
        }
        if self.sightings.poll_timeout().is_some_and(|due| due <= now) {
            self.sightings.handle_input(now, sighting::Input::Tick);
        }
        self.settle_lane(now);
        while let Some(address) = self.announcer.poll_output(now) {
            let stations = self.tables.stations.clone();
            for (index, station) in &*stations {
                if let Some(own) = station.mac(Protocol::of(address)) {
                    let told = self.succession.told(&self.tables, address, *index, own);
                    self.say(*index, own, address, told);
                }
            }
        }
    }

    fn settle_lane(&mut self, now: Instant) {
        while let Some(output) = self.succession.poll_output() {
            match output {
                stand_in::Output::Ask(node) => {
                    self.ask(node);
                    if let Some(address) = self.tables.inherited_at(node) {
                        self.ask(address);
                    }
                }
                stand_in::Output::Lives(node) => {
                    let its = self.tables.inherited_from(&node);
                    for address in its {
                        self.announcer.start(now, address);
                    }
                }
                stand_in::Output::TakeOver(node) => {
                    let its = self.tables.inherited_from(&node);
                    for address in its {
                        self.begin(now, address);
                    }
                }
            }
        }
        while let Some(output) = self.moves.poll_output() {
            match output {
                moves::Output::Ask(address) => self.ask(address),
                moves::Output::Give(address) => {
                    let stations = self.tables.stations.clone();
                    for (index, station) in &*stations {
                        if let Some(own) = station.mac(Protocol::of(address)) {
                            let told = self.moves.station(address, *index);
                            self.say(*index, own, address, told);
                        }
                    }
                }
                moves::Output::Begin(address) => {
                    if self.tables.announced.contains_key(&address) {
                        self.begin(now, address);
                    }
                }
            }
        }
        while let Some(output) = self.conflicts.poll_output() {
            match output {
                conflict::Output::AskNode(address) | conflict::Output::Probe(address) => self.ask(address),
                conflict::Output::Conflict { address, .. } => _ = self.contested.insert(address),
                conflict::Output::Over(address) => _ = self.contested.remove(&address),
                conflict::Output::Released(address) => self.announce(now, address),
            }
        }
        self.settle_sightings();
        let claims: Vec<_> = std::mem::take(&mut self.claims)
            .into_iter()
            .map(|(address, tenure)| Claim { address, tenure })
            .collect();
        if !claims.is_empty() {
            self.beat(now, liveness::Input::Claims(&claims));
        }
    }

    fn begin(&mut self, now: Instant, address: IpAddr) {
        let is_new = self.tables.new.contains(&address);
        self.conflicts.handle_input(now, conflict::Input::Begun { address, is_new });
        self.announce(now, address);
    }

    fn announce(&mut self, now: Instant, address: IpAddr) {
        if self.is_told_of(address) {
            self.announcer.start(now, address);
            self.claim(address);
        }
    }

    fn is_told_of(&self, address: IpAddr) -> bool {
        !self.succession.is_waiting(&self.tables, address) && !self.moves.is_awaited(address)
    }

    fn claim(&mut self, address: IpAddr) {
        let Some(tenure) = self.tables.claims.get(&address).copied() else { return };
        if tenure.owner != NodeId::from(&self.node) || self.is_told_of(address) {
            self.claims.insert(address, tenure);
        }
    }

    fn ask(&mut self, address: IpAddr) {
        for (index, station) in &*self.tables.stations {
            if let Some(own) = station.mac(Protocol::of(address)) {
                self.sent.push(Sent::Frame { interface: *index, bytes: question(own, address) });
            }
        }
    }

    fn say(&mut self, interface: u32, from: Mac, address: IpAddr, told: Option<Mac>) {
        let Some(station) = told else { return };
        let frames = match address {
            IpAddr::V4(address) => {
                arp::Announcement { address, station, from }.frames().map(|frame| frame.to_vec()).to_vec()
            }
            IpAddr::V6(address) => vec![ndp::Announcement { address, station, from }.frame()],
        };
        self.sent.extend(frames.into_iter().map(|bytes| Sent::Frame { interface, bytes }));
    }
}

fn question(from: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp::question(from, address).to_vec(),
        IpAddr::V6(address) => ndp::question(from, address),
    }
}

/// Whatever protocol it was; nothing, if it is ignored.
fn heard<M>(answer: Answer<M>) -> Option<Answer<Infallible>> {
    match answer {
        Answer::Reply { address, frame } => Some(Answer::Reply { address, frame }),
        Answer::Contested { address, by, from } => Some(Answer::Contested { address, by, from }),
        Answer::Given { address } => Some(Answer::Given { address }),
        Answer::Heard { address, station, from } => Some(Answer::Heard { address, station, from }),
        Answer::Ignore(_) => None,
    }
}

/// Who asks for addresses, and is no node.
pub(super) const CLIENT: Mac = Mac([2, 9, 9, 9, 9, 9]);
