//! All sessions of a node: which packet is of which session (RFC 5880 §6.3), and which are wanted.
//!
//! Nothing is kept of packets that belong to no session, however many there are.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::config::BfdProfile;

use super::echo::{self, Echo, Loop, Sight};
use super::echoing::Echoing;
use super::path::{Arrival, Hops, Path};
use super::session::{Change, Fact, Session, Status};
use super::timers::Chance;
use super::wire::{Control, Discriminator, Malformed, State};

/// How long a session that is no longer wanted says so, once a second or faster: it has to survive a loss or two, or the
/// router takes the end for a failure.
pub const FAREWELL: Duration = Duration::from_secs(3);

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`Sessions::poll_timeout`].
    Tick,
    /// These sessions are wanted, and no others.
    Wanted(&'a BTreeMap<Path, BfdProfile>),
    /// A datagram came in on a port for control packets.
    Control {
        /// How it arrived.
        arrival: &'a Arrival,
        /// What is in it.
        bytes: &'a [u8],
    },
    /// A frame came in that may matter for echo mode.
    Frame {
        /// Through the interface with this index.
        interface: u32,
        /// The frame.
        bytes: &'a [u8],
    },
    /// This speaker is about to stop: tell the routers that it is no failure (`AdminDown`), and want nothing any more.
    Farewell,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the router, to the port that [`Hops::port`] says.
    Send {
        /// The session.
        path: Path,
        /// The payload.
        datagram: Vec<u8>,
    },
    /// Send this frame.
    SendEcho {
        /// The session.
        path: Path,
        /// Through the interface with this index.
        interface: u32,
        /// The complete frame.
        frame: Vec<u8>,
    },
    /// An echo packet came back.
    EchoReturned(Path),
    /// A control packet was taken.
    Heard(Path),
    /// A session changed its state.
    Changed(Path, Change),
    /// A session that was no longer wanted is gone.
    Ended(Path),
    /// A packet was not taken.
    Dropped(Dropped),
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no control packet for us.
    Malformed(Malformed),
    /// It came over more routers than its session allows (RFC 5881 §5, RFC 5883 §5).
    Ttl(u8),
    /// It is of no session.
    NoSession,
    /// It names a session, and comes from elsewhere than that session's router.
    WrongPath,
    /// It does not name the session, which is up. A router that has started anew sends such packets, and so does anybody
    /// who cannot see ours; the former is found by its silence in the session that was.
    Unaware,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    secret: u64,
    /// How to echo, as control packets came: the interface's index, and the addresses.
    echo: Option<(u32, Loop)>,
    /// No longer wanted: gone then.
    ends: Option<Instant>,
}

/// All sessions of a node. Never blocks, never fails: what went wrong is an [`Output`].
#[derive(Debug)]
pub struct Sessions {
    entries: BTreeMap<Path, Entry>,
    paths: BTreeMap<Discriminator, Path>,
    chance: Chance,
    outputs: VecDeque<Output>,
}

impl Sessions {
    /// None yet.
    pub fn new(chance: Chance) -> Self {
        Self { entries: BTreeMap::new(), paths: BTreeMap::new(), chance, outputs: VecDeque::new() }
    }

    /// Takes in what happened. Drain [`Sessions::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Tick => self.tick(now),
            Input::Wanted(wanted) => self.want(now, wanted),
            Input::Control { arrival, bytes } => {
                if let Err(dropped) = self.hear(now, arrival, bytes) {
                    self.outputs.push_back(Output::Dropped(dropped));
                }
            }
            Input::Frame { interface, bytes } => self.see(now, interface, bytes),
            Input::Farewell => self.want(now, &BTreeMap::new()),
        }
    }

    /// What follows from the inputs so far, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due. `None` is the only word for "no timer runs".
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = |entry: &Entry| entry.ends.into_iter().chain(entry.session.poll_timeout()).min();
        self.entries.values().filter_map(due).min()
    }

    /// The sessions that are wanted, as they stand.
    pub fn statuses(&self) -> BTreeMap<Path, Status> {
        let wanted = self.entries.iter().filter(|(_, entry)| entry.ends.is_none());
        wanted.map(|(path, entry)| (path.clone(), entry.session.status())).collect()
    }

    /// Every session, also one that takes its leave, with the discriminator that its router has to name, and its state:
    /// who is up takes no packets that name none.
    pub fn expected(&self) -> impl Iterator<Item = (&Path, Discriminator, State)> {
        self.entries.iter().map(|(path, entry)| (path, entry.session.local(), entry.session.state()))
    }

    /// Whether echo packets may have to be sent and received.
    pub fn wants_echo(&self) -> bool {
        self.entries.iter().any(|(path, entry)| entry.session.profile().echo_mode && can_echo(path))
    }

    fn want(&mut self, now: Instant, wanted: &BTreeMap<Path, BfdProfile>) {
        for (path, entry) in &mut self.entries {
            if entry.ends.is_some() || wanted.contains_key(path) {
                continue;
            }
            // Who was never heard does not wait for a farewell.
            entry.ends = Some(if entry.session.is_heard() { now + FAREWELL } else { now });
            entry.session.switch_off(now, &mut self.chance);
        }
        for (path, profile) in wanted {
            match self.entries.get_mut(path) {
                Some(entry) => {
                    entry.ends = None;
                    entry.session.set_profile(now, *profile, &mut self.chance);
                    entry.session.switch_on(now, &mut self.chance);
                }
                None => self.open(now, path, *profile),
            }
        }
        self.collect();
        self.bury(now);
    }

    fn open(&mut self, now: Instant, path: &Path, profile: BfdProfile) {
        let local = self.unused_discriminator();
        let secret = self.chance.draw();
        let echoing = Echoing::new(can_echo(path));
        let session = Session::new(now, local, profile, echoing, &mut self.chance);
        self.paths.insert(local, path.clone());
        self.entries.insert(path.clone(), Entry { session, secret, echo: None, ends: None });
    }

    fn unused_discriminator(&mut self) -> Discriminator {
        let mut draw = u32::try_from(self.chance.draw() >> 32).unwrap_or(1);
        loop {
            if let Some(free) = Discriminator::new(draw).filter(|drawn| !self.paths.contains_key(drawn)) {
                return free;
            }
            draw = draw.wrapping_add(1); // there are more numbers than sessions
        }
    }

    fn hear(&mut self, now: Instant, arrival: &Arrival, bytes: &[u8]) -> Result<(), Dropped> {
        // Before anything else: what comes from afar is not even read.
        if arrival.hops == Hops::Single && arrival.ttl != 255 {
            return Err(Dropped::Ttl(arrival.ttl));
        }
        let packet = Control::parse(bytes).map_err(Dropped::Malformed)?;
        let path = match packet.your_discriminator {
            Some(local) => self.paths.get(&local),
            None => self.entries.keys().find(|path| path.is_of(arrival)),
        };
        let path = path.ok_or(Dropped::NoSession)?.clone();
        let entry = self.entries.get_mut(&path).ok_or(Dropped::NoSession)?;
        if !path.is_of(arrival) {
            return Err(Dropped::WrongPath);
        }
        if arrival.hops == Hops::Multi && arrival.ttl < entry.session.profile().minimum_ttl.get() {
            return Err(Dropped::Ttl(arrival.ttl));
        }
        if packet.your_discriminator.is_none() && entry.session.state() == State::Up {
            return Err(Dropped::Unaware);
        }
        self.outputs.push_back(Output::Heard(path.clone()));
        entry.session.hear(now, &packet, &mut self.chance);
        drain(&path, entry, &mut self.outputs);
        Ok(())
    }

    fn see(&mut self, now: Instant, interface: u32, bytes: &[u8]) {
        match echo::sight(bytes) {
            None => {}
            Some(Sight::Returned(Echo { discriminator, sequence, secret })) => {
                let Some(path) = self.paths.get(&discriminator) else { return };
                let Some(entry) = self.entries.get_mut(path) else { return };
                let through = entry.echo.is_some_and(|(known, _)| known == interface);
                if through && entry.secret == secret {
                    self.outputs.push_back(Output::EchoReturned(path.clone()));
                    entry.session.hear_echo(now, sequence);
                }
            }
            Some(Sight::Control { from, discriminator, path: way }) => {
                let Some(path) = self.paths.get(&discriminator) else { return };
                let Some(entry) = self.entries.get_mut(path) else { return };
                if path.peer == IpAddr::V4(from) && path.source.is_none_or(|source| source == way.address) {
                    entry.echo = Some((interface, way));
                }
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.session.tick(now, &mut self.chance);
        }
        self.collect();
        self.bury(now);
    }

    fn collect(&mut self) {
        for (path, entry) in &mut self.entries {
            drain(path, entry, &mut self.outputs);
        }
    }

    fn bury(&mut self, now: Instant) {
        let gone = |entry: &Entry| entry.ends.is_some_and(|ends| ends <= now);
        for (path, entry) in self.entries.extract_if(.., |_, entry| gone(entry)) {
            self.paths.remove(&entry.session.local());
            self.outputs.push_back(Output::Ended(path));
        }
    }
}

/// Echo is of RFC 5881, so for one hop, and here for IPv4.
fn can_echo(path: &Path) -> bool {
    path.hops == Hops::Single && path.peer.is_ipv4()
}

fn drain(path: &Path, entry: &mut Entry, outputs: &mut VecDeque<Output>) {
    while let Some(fact) = entry.session.poll_fact() {
        match fact {
            Fact::Send(packet) => {
                outputs.push_back(Output::Send { path: path.clone(), datagram: packet.emit() });
            }
            Fact::SendEcho { sequence } => {
                // Not known yet how: then none has ever returned, and none is missed.
                let Some((interface, way)) = entry.echo else { continue };
                let echo = Echo { discriminator: entry.session.local(), sequence, secret: entry.secret };
                let frame = echo.frame(&way);
                outputs.push_back(Output::SendEcho { path: path.clone(), interface, frame });
            }
            Fact::Changed(change) => outputs.push_back(Output::Changed(path.clone(), change)),
        }
    }
}
