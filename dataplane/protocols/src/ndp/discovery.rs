//! One interface: when to advertise and solicit, and who the neighbour is.
//!
//! The neighbour is who advertises itself from a link-local address, whatever else the advertisement says: FRR's lifetime
//! is 30 seconds or, when it stops, 0, and neither ends a BGP session. It is believed as long as the interface lives, as FRR
//! does: whether it still answers is for BGP and BFD to say.
//!
//! A link of this kind has one router. When another one advertises itself, either the router was replaced, or there are two.
//! FRR takes whoever spoke last, and so goes back and forth between two. We ask: if the neighbour that we have answers, it
//! stays, and there are two routers, which is told; if it does not answer for [`CONTEST`], the other one takes its place.
//!
//! Not here: who our addresses are on the link, and when the link comes and goes: a new link is a new [`Discovery`].

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use super::wire::{Advertisement, Arrival, Malformed, Message, Solicitation};
use crate::ethernet::Mac;
use crate::jitter::Jitter;

/// Every host of the link (`ff02::1`).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Every router of the link (`ff02::2`).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// How often something is said quickly at first. Packets get lost, above all while a link comes up. RFC 4861 wants more time
/// between the first advertisements, for the sake of links with many hosts; FRR does the same as we, for the same reason.
const BURST: u8 = 4;
/// Between two of a burst.
const QUICK: Duration = Duration::from_secs(1);
/// Between two later ones, before they are shortened at random.
const SLOW: Duration = Duration::from_secs(10);
/// A solicitation is answered within that (`MAX_RA_DELAY_TIME`).
const ANSWER: Duration = Duration::from_millis(500);
/// However often is solicited, advertisements that answer are that far apart (`MIN_DELAY_BETWEEN_RAS`).
const SPACING: Duration = Duration::from_secs(3);
/// How long a neighbour has to answer while another router advertises itself: [`ANSWER`] and [`SPACING`], and some.
const CONTEST: Duration = Duration::from_secs(4);
/// After that was decided, others are not listened to for so long: the answers to our questions would start it over.
const CALM: Duration = Duration::from_secs(10);
/// What FRR advertises, which complains about routers that differ.
const HOP_LIMIT: NonZeroU8 = NonZeroU8::new(64).expect("64 is not 0");

/// This node on the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Station {
    /// Its addresses: what comes from one of them is its own, though another process sent it.
    pub addresses: BTreeSet<Ipv6Addr>,
    /// Where it is on the link, if that is Ethernet.
    pub mac: Option<Mac>,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`Discovery::poll_timeout`].
    Tick,
    /// The node's addresses on the link have changed.
    Station(&'a Station),
    /// A packet came in.
    Packet {
        /// How it arrived.
        arrival: Arrival,
        /// What is in it, from its ICMPv6 type on.
        bytes: &'a [u8],
    },
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this, with a hop limit of 255, from a link-local address.
    Send {
        /// To everybody of a kind.
        to: Ipv6Addr,
        /// From its ICMPv6 type on, without the checksum.
        bytes: Vec<u8>,
    },
    /// This is the neighbour now.
    Neighbour(Ipv6Addr),
    /// There is another router on the link, which is not listened to as long as the neighbour answers.
    Rival(Ipv6Addr),
    /// A packet was not taken.
    Ignored(Ignored),
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It is no message of a router, or of who looks for one, on this link.
    Malformed(Malformed),
    /// It comes from this node.
    Own,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody was heard yet.
    Seeking,
    /// This router.
    Found { neighbour: Ipv6Addr },
    /// This router, if it answers before `until`; else the other one.
    Contested { neighbour: Ipv6Addr, rival: Ipv6Addr, until: Instant },
}

/// Says something quickly at first, then slowly.
#[derive(Clone, Copy, Debug)]
struct Pace {
    due: Instant,
    /// How many are still said quickly, after the one that is due.
    quick: u8,
}

impl Pace {
    const fn from(now: Instant) -> Self {
        Self { due: now, quick: BURST - 1 }
    }

    fn said(&mut self, now: Instant, jitter: &mut Jitter) {
        if let Some(left) = self.quick.checked_sub(1) {
            self.quick = left;
            self.due = now + QUICK;
        } else {
            self.due = now + jitter.of(SLOW);
        }
    }
}

/// Finds the router at the other end of a link, and lets it find us. Never blocks, never fails.
#[derive(Debug)]
pub struct Discovery {
    station: Station,
    jitter: Jitter,
    state: State,
    advertise: Pace,
    advertised: Option<Instant>,
    /// While there is something to ask.
    solicit: Option<Pace>,
    /// Others than the neighbour are not listened to before that.
    calm_until: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Discovery {
    /// A link has come up, on which the node is `station`. The first packets are due at once.
    pub fn new(now: Instant, station: Station, jitter: Jitter) -> Self {
        Self {
            station,
            jitter,
            state: State::Seeking,
            advertise: Pace::from(now),
            advertised: None,
            // RFC 4861 §6.3.7 has hosts wait for up to a second first, so that many do not ask at once. Here are two.
            solicit: Some(Pace::from(now)),
            calm_until: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input. Drain [`Discovery::poll_output`] before the next one.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(self.outputs.is_empty(), "drain `poll_output` before the next input");
        match input {
            Input::Tick => self.tick(now),
            Input::Station(station) => self.station.clone_from(station),
            Input::Packet { arrival, bytes } => self.packet(now, arrival, bytes),
        }
    }

    /// What follows from the input. Call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due.
    pub fn poll_timeout(&self) -> Instant {
        let until = match self.state {
            State::Seeking | State::Found { .. } => None,
            State::Contested { until, .. } => Some(until),
        };
        let others = self.solicit.map(|pace| pace.due).into_iter().chain(until);
        others.fold(self.advertise.due, Instant::min)
    }

    fn tick(&mut self, now: Instant) {
        match self.state {
            State::Seeking | State::Found { .. } => {}
            State::Contested { rival, until, .. } => {
                if until <= now {
                    self.decide(now, rival);
                    self.outputs.push_back(Output::Neighbour(rival));
                }
            }
        }
        if self.advertise.due <= now {
            self.advertise.said(now, &mut self.jitter);
            self.advertised = Some(now);
            let advertisement = Advertisement {
                hop_limit: Some(HOP_LIMIT),
                source: self.station.mac,
                ..Advertisement::default()
            };
            self.send(ALL_NODES, Message::Advertisement(advertisement));
        }
        if let Some(mut pace) = self.solicit.filter(|pace| pace.due <= now) {
            pace.said(now, &mut self.jitter);
            self.solicit = Some(pace);
            let solicitation = Solicitation { source: self.station.mac };
            self.send(ALL_ROUTERS, Message::Solicitation(solicitation));
        }
    }

    fn packet(&mut self, now: Instant, arrival: Arrival, bytes: &[u8]) {
        if self.station.addresses.contains(&arrival.from) {
            self.outputs.push_back(Output::Ignored(Ignored::Own));
            return;
        }
        match Message::parse(arrival, bytes) {
            Err(malformed) => self.outputs.push_back(Output::Ignored(Ignored::Malformed(malformed))),
            Ok(Message::Solicitation(_)) => self.answer(now),
            Ok(Message::Advertisement(_)) => self.heard(now, arrival.from),
        }
    }

    /// To all, not to the one who asked: so a flood of questions is worth one answer.
    fn answer(&mut self, now: Instant) {
        let soon = now + self.jitter.of(ANSWER);
        let at = self.advertised.map_or(soon, |advertised| soon.max(advertised + SPACING));
        self.advertise.due = self.advertise.due.min(at);
    }

    fn heard(&mut self, now: Instant, from: Ipv6Addr) {
        match self.state {
            State::Seeking => {
                self.state = State::Found { neighbour: from };
                self.solicit = None;
                self.outputs.push_back(Output::Neighbour(from));
            }
            State::Found { neighbour } => {
                let calm = self.calm_until.is_some_and(|until| now < until);
                if from != neighbour && !calm {
                    self.state = State::Contested { neighbour, rival: from, until: now + CONTEST };
                    self.solicit = Some(Pace::from(now));
                }
            }
            State::Contested { neighbour, rival, .. } if from == neighbour => {
                self.decide(now, neighbour);
                self.outputs.push_back(Output::Rival(rival));
            }
            State::Contested { neighbour, until, .. } => {
                self.state = State::Contested { neighbour, rival: from, until };
            }
        }
    }

    fn decide(&mut self, now: Instant, neighbour: Ipv6Addr) {
        self.state = State::Found { neighbour };
        self.solicit = None;
        self.calm_until = Some(now + CALM);
    }

    fn send(&mut self, to: Ipv6Addr, message: Message) {
        self.outputs.push_back(Output::Send { to, bytes: message.emit() });
    }
}
