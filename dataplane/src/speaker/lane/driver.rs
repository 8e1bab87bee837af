//! The loop of the lane: wait for packets, tables or time; then do what the protocols say.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use metallb_core::plan::Speakers;
use metallb_protocols::announcer::Announcer;
use metallb_protocols::liveness::{Input, Liveness, Output};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use tokio::sync::watch;

use super::Heartbeats;
use super::groups::{self, Groups};
use super::responders::Responders;
use super::tables::{Phase, Protocol, Station, Tables};

/// The longest frame or datagram that matters. An ARP frame has 60 bytes, a heartbeat at most 278.
const BUFFER: usize = 2048;
/// Heartbeats taken, and addresses told about, before the next thing gets its turn: ten thousand addresses to tell must not
/// starve who asks, nor the heartbeats.
const TURN: usize = 64;

pub(super) struct Driver {
    shared: Arc<ArcSwap<Tables>>,
    wake: Arc<EventFd>,
    speakers: watch::Sender<Option<Speakers>>,
    /// The tables that the state below is in step with.
    tables: Arc<Tables>,
    responders: Responders,
    groups: Groups,
    announcer: Announcer,
    heartbeats: Option<(UdpSocket, Heartbeats, Liveness)>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<ArcSwap<Tables>>,
        wake: Arc<EventFd>,
        speakers: watch::Sender<Option<Speakers>>,
        responders: Responders,
        groups: Groups,
        announcer: Announcer,
        heartbeats: Option<(UdpSocket, Heartbeats, Liveness)>,
    ) -> Self {
        let tables = shared.load_full();
        Self { shared, wake, speakers, tables, responders, groups, announcer, heartbeats }
    }

    /// Runs until the tables say that the speaker leaves.
    pub(super) fn run(mut self) {
        let mut buffer = [0; BUFFER];
        loop {
            if let Err(errno) = self.wait() {
                tracing::error!(event = "pollFailed", %errno, "the lane ends, and the process with it");
                return;
            }
            self.take_tables();
            self.receive_frames(&mut buffer);
            self.receive_heartbeats(&mut buffer);
            self.pass_time();
            if self.tables.phase == Phase::Leaving {
                return;
            }
        }
    }

    /// Returns when something may be due: a packet, new tables, or a timer.
    fn wait(&self) -> nix::Result<()> {
        let timers = [self.announcer.poll_timeout(), self.responders.poll_timeout()];
        let liveness = self.heartbeats.as_ref().and_then(|(_, _, liveness)| liveness.poll_timeout());
        let due = timers.into_iter().flatten().chain(liveness).min();
        let timeout = match due.map(|due| due.saturating_duration_since(Instant::now())) {
            // A millisecond too late rather than one too early: the timer would not be due yet.
            Some(wait) => PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut descriptors: Vec<_> = std::iter::once(self.wake.as_fd())
            .chain(self.heartbeats.iter().map(|(socket, ..)| socket.as_fd()))
            .chain(self.responders.descriptors())
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Brings responders, bursts and peers in step with the newest tables.
    fn take_tables(&mut self) {
        let mut count = [0; 8];
        let _ = nix::unistd::read(self.wake.as_fd(), &mut count); // nothing to read: nothing new
        let now = Instant::now();
        let new = self.shared.load_full();
        if !Arc::ptr_eq(&new, &self.tables) {
            let old = std::mem::replace(&mut self.tables, new.clone());
            self.announce_what_is_new(now, &old, &new);
            self.responders.change(now, &old, &new);
            if !Arc::ptr_eq(&old.announced, &new.announced) || !Arc::ptr_eq(&old.stations, &new.stations) {
                self.groups.set(groups::wanted(&new));
            }
            self.tell_liveness(now, &old, &new);
        }
    }

    /// An address that moved here, or that is on an interface now that did not answer before, starts a burst.
    fn announce_what_is_new(&mut self, now: Instant, old: &Tables, new: &Tables) {
        for address in old.announced.keys().filter(|address| !new.announced.contains_key(address)) {
            self.announcer.stop(*address);
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
        for (address, interfaces) in &*new.announced {
            let moved_here = old.announced.get(address) != Some(interfaces);
            let mut came_up = came_up.get(&Protocol::of(*address)).into_iter().flatten();
            if moved_here || came_up.any(|name| interfaces.contains(name)) {
                self.announcer.start(now, *address);
            }
        }
    }

    fn tell_liveness(&mut self, now: Instant, old: &Tables, new: &Tables) {
        if let Some(peers) = new.peers.as_ref().filter(|peers| old.peers.as_ref() != Some(*peers)) {
            self.liveness(now, Input::Peers(BTreeMap::clone(peers)));
        }
        if new.phase != old.phase {
            match new.phase {
                Phase::Starting => {}
                Phase::Serving => self.liveness(now, Input::Ready),
                Phase::Leaving => self.liveness(now, Input::Leave),
            }
        }
    }

    fn receive_frames(&mut self, buffer: &mut [u8]) {
        for address in self.responders.receive(&self.tables, buffer) {
            self.announcer.contested(Instant::now(), address);
        }
    }

    fn receive_heartbeats(&mut self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            let Some((socket, ..)) = &self.heartbeats else { return };
            match socket.recv_from(buffer) {
                Ok((length, from)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.liveness(Instant::now(), Input::Datagram { from: from.ip().to_canonical(), bytes });
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // An ICMP error about something sent earlier; the peer's silence will say the rest.
                Err(_) => {}
            }
        }
    }

    /// What time alone brings about: heartbeats, deaths, repetitions.
    fn pass_time(&mut self) {
        let now = Instant::now();
        let due = self.heartbeats.as_ref().and_then(|(_, _, liveness)| liveness.poll_timeout());
        if due.is_some_and(|due| due <= now) {
            self.liveness(now, Input::Tick);
        }
        self.responders.pass_time(now, &self.tables);
        for _ in 0..TURN {
            let Some(address) = self.announcer.poll_output(now) else { break };
            self.responders.tell(&self.tables, address);
        }
    }

    fn liveness(&mut self, now: Instant, input: Input<'_>) {
        let Some((socket, heartbeats, liveness)) = &mut self.heartbeats else { return };
        liveness.handle_input(now, input);
        let mut changed = false;
        while let Some(output) = liveness.poll_output() {
            match output {
                Output::Send { to, datagram } => {
                    if let Err(error) = socket.send_to(&datagram, (to, heartbeats.port)) {
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
                }
                Output::Informed => changed = true,
                Output::Paused => {
                    tracing::warn!(event = "paused", "this process stood still; telling all addresses anew");
                    for address in self.tables.announced.keys() {
                        self.announcer.start(now, *address);
                    }
                }
                Output::Dropped(why) => {
                    tracing::debug!(event = "heartbeatDropped", ?why, "not from a known speaker")
                }
            }
        }
        if changed {
            self.speakers.send_replace(Some(Speakers::Alive(liveness.alive())));
        }
    }
}
