//! The session: inputs to outputs. The steps of the state machine are in `steps`, messages in `messages`, and what a way
//! that is there again means in `path`.

mod messages;
mod path;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use metallb_core::address::Family;
use metallb_core::names::NodeName;

use self::steps::{Farewell, Which};
use super::counters::Counters;
use super::ending::Ending;
use super::failure::{Failure, Unconnected};
use super::fsm::{Event, State};
use super::line::{Connection, Line, Path};
use super::offer::Negotiated;
use super::settings::Settings;
use crate::bgp::adverts::{Adverts, InItsName, Outlook, Paths, RouteAttributes, StandIns};
use crate::jitter::Jitter;

/// Until their OPEN came (RFC 4271 §8.2.2).
const OPEN_HOLD: Duration = Duration::from_mins(4);
/// A router that reads nothing is given up after this, or twice the hold time if that is longer (RFC 9687).
const SEND_HOLD: Duration = Duration::from_mins(8);
/// A session that was up for so long starts over counting its failures: one that fails each second keeps on waiting.
const STABLE: Duration = Duration::from_secs(10);
/// For so long after a process began its OPENs say that it restarted (RFC 4724): a router keeps routes no longer.
const RESTART_WINDOW: Duration = Duration::from_mins(2);
/// A router whose session is up waits no longer than this to hear that it knows all routes. FRR waits as long.
const DEFERRAL: Duration = Duration::from_mins(4);

/// What a session begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The process: routers may have routes of its predecessor.
    Process,
    /// The BGPPeer: no router can.
    Peer,
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`Session::poll_timeout`]. What the sockets hold goes first: a process that stood still must
    /// not take its own silence for the router's.
    Tick,
    /// Connect, and stay connected.
    Start,
    /// End the session.
    Stop(Ending),
    /// The configuration is now this. The session begins anew if it has to.
    Configure(Box<Settings>),
    /// The connection stands that [`Output::Connect`] asked for.
    Connected {
        /// Which.
        connection: Connection,
        /// The way that it takes.
        path: Path,
    },
    /// It does not.
    Unconnected {
        /// Which.
        connection: Connection,
        /// Why not.
        why: Unconnected,
    },
    /// The router connected to us: from the address, over the device and under the password of this session.
    Accepted {
        /// Which.
        connection: Connection,
        /// The way that it takes.
        path: Path,
    },
    /// Bytes came in.
    Received {
        /// On which connection.
        connection: Connection,
        /// The bytes. The session keeps less than one message of them.
        bytes: &'a [u8],
    },
    /// A connection ended. The session forgets it.
    Closed {
        /// Which.
        connection: Connection,
        /// What the system says of it, where that is more than "closed".
        text: Option<String>,
    },
    /// BFD, or the link, says that the router can be reached again: connect at once, and do not give up soon.
    PathUp,
    /// These are all routes that are wanted. Until this was said once no End-of-RIB is sent: a router would drop what it
    /// kept over a restart.
    Routes(BTreeMap<IpNet, Arc<RouteAttributes>>),
    /// These routes are wanted like this now, or not any more.
    Changes(Vec<(IpNet, Option<Arc<RouteAttributes>>)>),
    /// Mark all routes as about to go, or no longer (RFC 8326).
    Drain(bool),
    /// Announce this in the name of these nodes, whose speakers restart; in the name of others nothing.
    StandIns(BTreeMap<NodeName, InItsName>),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make a connection, and say [`Input::Connected`] or [`Input::Unconnected`].
    Connect(Connection),
    /// Close a connection, or give it up before it stands. The session knows it no more.
    Close {
        /// Which.
        connection: Connection,
        /// To be written first, after what was handed out before, as far as the socket takes it.
        farewell: Option<Vec<u8>>,
    },
    /// The session is up.
    Up(Box<Negotiated>),
    /// The session was up and is not any more.
    Down(Failure),
    /// An attempt came to nothing.
    Failed(Failure),
}

/// A session with one router. Never blocks, never fails: what went wrong is an [`Output`].
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    jitter: Jitter,
    beginning: Beginning,
    born: Instant,
    started: bool,
    /// The connection that the session is, or will be.
    main: Line,
    /// One that the router made while `main` was there.
    rival: Option<Line>,
    dialled: u64,
    /// In a row.
    failures: u32,
    /// The path came up a while ago.
    eager_until: Option<Instant>,
    up_since: Option<Instant>,
    ever_up: bool,
    /// Send the next OPEN without capabilities: the router refused one that had some.
    bare: bool,
    last_failure: Option<Failure>,
    adverts: Adverts,
    stand_ins: StandIns,
    deferral: Option<Instant>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that rests until [`Input::Start`].
    pub fn new(now: Instant, settings: Settings, beginning: Beginning, jitter: Jitter) -> Self {
        Self {
            settings,
            jitter,
            beginning,
            born: now,
            started: false,
            main: Line::new(State::Idle),
            rival: None,
            dialled: 0,
            failures: 0,
            eager_until: None,
            up_since: None,
            ever_up: false,
            bare: false,
            last_failure: None,
            adverts: Adverts::default(),
            stand_ins: StandIns::default(),
            deferral: None,
            counters: Counters::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened. Drain [`Session::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Tick => self.tick(now),
            Input::Start => {
                self.started = true;
                self.happen(now, Which::Main, Event::Start, None, Farewell::ByState);
            }
            Input::Stop(ending) => self.stop(now, &ending),
            Input::Configure(settings) => self.configure(now, *settings),
            Input::Connected { connection, path } => {
                if let Some(which) = self.which(connection) {
                    self.line(which).into_iter().for_each(|line| line.path = path);
                    self.happen(now, which, Event::Connected, None, Farewell::ByState);
                }
            }
            Input::Unconnected { connection, why } => {
                let failure = Failure::Unconnected { why, password: self.settings.password };
                self.fails(now, connection, failure);
            }
            Input::Accepted { connection, path } => self.accepted(now, connection, path),
            Input::Received { connection, bytes } => self.received(now, connection, bytes),
            Input::Closed { connection, text } => {
                if let Some(line) = self.which(connection).and_then(|which| self.line(which)) {
                    let failure = Failure::Closed { state: line.state, text };
                    self.fails(now, connection, failure);
                }
            }
            Input::PathUp => self.path_up(now),
            Input::Routes(routes) => self.adverts.want_all(&routes),
            Input::Changes(changes) => {
                for (prefix, attributes) in changes {
                    self.adverts.want(prefix, attributes);
                }
            }
            Input::Drain(draining) => self.adverts.set_draining(draining),
            Input::StandIns(wanted) => self.stand_ins.set(wanted),
        }
        self.watch_the_reader(now);
    }

    /// What follows from the inputs so far, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due. `None` is the only word for "no timer runs".
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lines = [Some(&self.main), self.rival.as_ref()].into_iter().flatten();
        lines.filter_map(|line| line.due.first()).chain(self.deferral).min()
    }

    /// Is there something to write on this connection?
    pub fn has_transmit(&self, connection: Connection) -> bool {
        let lines = [Some(&self.main), self.rival.as_ref()].into_iter().flatten();
        lines.filter(|line| line.connection == Some(connection)).any(|line| self.owes(line))
    }

    /// The next message to write on this connection. Ask when the last one was written in full, and not before: then no
    /// more than one message waits in memory, however slowly the router reads.
    pub fn poll_transmit(&mut self, now: Instant, connection: Connection) -> Option<Vec<u8>> {
        let which = self.which(connection)?;
        let message = self.next_message(which);
        if let Some(line) = self.line(which) {
            line.due.send_hold = None;
        }
        self.watch_the_reader(now);
        message
    }

    /// Where the session stands: with two connections, where the further one does.
    pub fn state(&self) -> State {
        self.rival.as_ref().map_or(self.main.state, |rival| rival.state.max(self.main.state))
    }

    /// What was agreed on, while the session is up.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.main.negotiated.as_ref().filter(|_| self.main.state == State::Established)
    }

    /// Since when the session is up.
    pub const fn up_since(&self) -> Option<Instant> {
        self.up_since
    }

    /// Why the last session, or attempt at one, ended.
    pub const fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// What it is configured to be.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is announced, and what is not yet.
    pub const fn adverts(&self) -> &Adverts {
        &self.adverts
    }

    fn stop(&mut self, now: Instant, ending: &Ending) {
        let comes_back = self.started && ending.comes_back();
        self.started = comes_back;
        let at_once =
            matches!(ending, Ending::Reconfigured | Ending::Reset { .. } | Ending::Transport { .. });
        for which in [Which::Rival, Which::Main] {
            let negotiated = self.line(which).and_then(|line| line.negotiated.as_ref());
            let farewell = ending.farewell(negotiated).map_or(Farewell::Silent, Farewell::Say);
            let failure = Failure::Ended(ending.clone());
            self.happen(now, which, Event::Stop, Some(failure), farewell);
        }
        self.main.due.attempt = match (comes_back, at_once) {
            (false, _) => None,
            (true, true) => Some(now),
            (true, false) => Some(now + self.next_wait()),
        };
    }

    fn configure(&mut self, now: Instant, settings: Settings) {
        let reset = self.settings.needs_reset(&settings);
        self.settings = settings;
        if reset && self.started {
            self.stop(now, &Ending::Reconfigured);
        }
    }

    fn accepted(&mut self, now: Instant, connection: Connection, path: Path) {
        // RFC 4271 §8.2.2: in Idle connections are refused. And a third one helps nobody.
        if !self.started || self.main.state == State::Idle || self.rival.is_some() {
            self.outputs.push_back(Output::Close { connection, farewell: None });
            return;
        }
        self.rival = Some(Line { connection: Some(connection), path, ..Line::new(State::Active) });
        self.happen(now, Which::Rival, Event::Connected, None, Farewell::ByState);
    }

    fn fails(&mut self, now: Instant, connection: Connection, failure: Failure) {
        if let Some(which) = self.which(connection) {
            // It is gone: there is nothing left to close.
            self.line(which).into_iter().for_each(|line| line.connection = None);
            self.happen(now, which, Event::ConnectionFails, Some(failure), Farewell::ByState);
        }
    }

    fn tick(&mut self, now: Instant) {
        let passed = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if passed(self.deferral) {
            self.deferral = None;
            self.adverts.stop_waiting();
        }
        for which in [Which::Rival, Which::Main] {
            let Some(line) = self.line(which) else { continue };
            let (due, state, after) = (line.due, line.state, line.patience);
            let (event, failure) = if passed(due.hold) {
                (Event::HoldExpires, Some(Failure::HoldTimerExpired { state, after }))
            } else if passed(due.send_hold) {
                let after = self.send_hold(which);
                (Event::SendHoldExpires, Some(Failure::SendHoldTimerExpired { after }))
            } else if passed(due.keepalive) {
                (Event::KeepaliveDue, None)
            } else if passed(due.attempt) {
                line.due.attempt = None;
                match state {
                    State::Connect => {
                        let (why, password) = (Unconnected::NoAnswer, self.settings.password);
                        (Event::ConnectRetryExpires, Some(Failure::Unconnected { why, password }))
                    }
                    State::Active => (Event::ConnectRetryExpires, None),
                    State::Idle | State::OpenSent | State::OpenConfirm | State::Established => {
                        (Event::Start, None)
                    }
                }
            } else {
                continue;
            };
            self.happen(now, which, event, failure, Farewell::ByState);
        }
    }

    fn which(&self, connection: Connection) -> Option<Which> {
        if self.main.connection == Some(connection) {
            return Some(Which::Main);
        }
        let is_rival = self.rival.as_ref().is_some_and(|line| line.connection == Some(connection));
        is_rival.then_some(Which::Rival)
    }

    fn line(&mut self, which: Which) -> Option<&mut Line> {
        match which {
            Which::Main => Some(&mut self.main),
            Which::Rival => self.rival.as_mut(),
        }
    }

    fn outlook(&self, negotiated: &Negotiated) -> Outlook {
        let path = |family| negotiated.additional_paths.contains(&family).then_some(StandIns::OWN);
        Outlook {
            asn: self.settings.shown_asn(),
            internal: negotiated.internal,
            four_octet_as: negotiated.four_octet_as,
            extended_next_hop: negotiated.extended_next_hop,
            paths: Paths { v4: path(Family::V4), v6: path(Family::V6) },
            limit: negotiated.limit(),
            next_hops: self.main.path.next_hops,
            defaults: self.settings.defaults,
            draining: false, // the table of routes knows
        }
    }
}
