//! The loop of the lane: wait for packets, tables or time; then do what the protocols say.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_protocols::announcer::Announcer;
use metallb_protocols::arp::{self, Announcement};
use metallb_protocols::ethernet::Mac;
use metallb_protocols::liveness::{Input, Liveness, Output, Timing};
use metallb_protocols::responder::{Answer, Host, Ignored};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use tokio::sync::watch;

use super::tables::{Phase, Station, Tables};
use super::{Heartbeats, Metrics};
use crate::net::packet::PacketSocket;

/// The longest frame or datagram that matters. An ARP frame has 60 bytes, a heartbeat at most 278.
const BUFFER: usize = 2048;
/// Packets taken from one socket, and addresses told about, before the next thing gets its turn: a flood on one interface,
/// or ten thousand addresses to tell, must not starve the others, nor the heartbeats.
const TURN: usize = 64;
/// An interface of this host, as the ARP responder sees it.
struct Interface<'t> {
    tables: &'t Tables,
    station: &'t Station,
}

impl Host for Interface<'_> {
    fn announces(&self, address: IpAddr) -> bool {
        let interfaces = self.tables.announced.get(&address);
        interfaces.is_some_and(|interfaces| interfaces.contains(&self.station.name))
    }

    fn has_station(&self, mac: Mac) -> bool {
        self.tables.stations.values().any(|station| station.mac == mac)
    }
}

/// After a socket could not be opened, try again this much later.
const REOPEN: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    shared: Arc<ArcSwap<Tables>>,
    wake: Arc<EventFd>,
    speakers: watch::Sender<Option<Speakers>>,
    metrics: Metrics,
    /// The tables that the state below is in step with.
    tables: Arc<Tables>,
    sockets: BTreeMap<u32, PacketSocket>,
    reopen_at: Option<Instant>,
    announcer: Announcer,
    heartbeats: Option<(UdpSocket, Heartbeats, Liveness)>,
}

impl Driver {
    pub(super) fn new(
        node: NodeName,
        heartbeats: Option<Heartbeats>,
        socket: Option<UdpSocket>,
        shared: Arc<ArcSwap<Tables>>,
        wake: Arc<EventFd>,
        speakers: watch::Sender<Option<Speakers>>,
        metrics: Metrics,
    ) -> Self {
        let heartbeats = socket.zip(heartbeats).map(|(socket, heartbeats)| {
            let liveness = Liveness::new(node, heartbeats.boot_id, Timing::default());
            (socket, heartbeats, liveness)
        });
        Self {
            tables: shared.load_full(),
            shared,
            wake,
            speakers,
            metrics,
            sockets: BTreeMap::new(),
            reopen_at: None,
            announcer: Announcer::default(),
            heartbeats,
        }
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
        let timers = [self.announcer.poll_timeout(), self.reopen_at];
        let liveness = self.heartbeats.as_ref().and_then(|(_, _, liveness)| liveness.poll_timeout());
        let due = timers.into_iter().flatten().chain(liveness).min();
        let timeout = match due.map(|due| due.saturating_duration_since(Instant::now())) {
            // A millisecond too late rather than one too early: the timer would not be due yet.
            Some(wait) => PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut descriptors: Vec<_> = std::iter::once(self.wake.as_fd())
            .chain(self.heartbeats.iter().map(|(socket, ..)| socket.as_fd()))
            .chain(self.sockets.values().map(PacketSocket::as_fd))
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Brings sockets, bursts and peers in step with the newest tables.
    fn take_tables(&mut self) {
        let mut count = [0; 8];
        let _ = nix::unistd::read(self.wake.as_fd(), &mut count); // nothing to read: nothing new
        let now = Instant::now();
        let new = self.shared.load_full();
        if !Arc::ptr_eq(&new, &self.tables) {
            let old = std::mem::replace(&mut self.tables, new.clone());
            self.announce_what_is_new(now, &old, &new);
            self.sockets.retain(|index, _| new.stations.get(index) == old.stations.get(index));
            self.open_sockets(now);
            self.tell_liveness(now, &old, &new);
        } else if self.reopen_at.is_some_and(|due| due <= now) {
            self.open_sockets(now);
        }
    }

    /// An address that moved here, or that is on an interface now that did not answer before, starts a burst.
    fn announce_what_is_new(&mut self, now: Instant, old: &Tables, new: &Tables) {
        for address in old.announced.keys().filter(|address| !new.announced.contains_key(address)) {
            self.announcer.stop(*address);
        }
        let came_up: Vec<&Station> = new
            .stations
            .iter()
            .filter(|(index, station)| old.stations.get(index) != Some(*station))
            .map(|(_, station)| station)
            .collect();
        for (address, interfaces) in &*new.announced {
            let moved_here = old.announced.get(address) != Some(interfaces);
            if moved_here || came_up.iter().any(|station| interfaces.contains(&station.name)) {
                self.announcer.start(now, *address);
            }
        }
    }

    fn open_sockets(&mut self, now: Instant) {
        self.reopen_at = None;
        for (index, station) in &*self.tables.stations {
            if self.sockets.contains_key(index) {
                continue;
            }
            match PacketSocket::arp(*index) {
                Ok(socket) => {
                    tracing::info!(event = "createARPResponder", interface = %station.name, "answering ARP");
                    self.sockets.insert(*index, socket);
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        event = "createARPResponder",
                        interface = %station.name,
                        error,
                        "cannot answer ARP there; does the container have CAP_NET_RAW?"
                    );
                    self.reopen_at = Some(now + REOPEN);
                }
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
        let mut broken = Vec::new();
        let mut contested = Vec::new();
        for (index, socket) in &self.sockets {
            let Some(station) = self.tables.stations.get(index) else { continue };
            for _ in 0..TURN {
                match socket.receive(buffer) {
                    Ok(Some(frame)) => contested.extend(self.answer(socket, station, frame)),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(event = "receiveFailed", interface = %station.name, %error, "opening it anew");
                        broken.push(*index);
                        break;
                    }
                }
            }
        }
        let now = Instant::now();
        for index in broken {
            self.sockets.remove(&index);
            self.reopen_at = Some(now + REOPEN);
        }
        for address in contested {
            self.announcer.contested(now, address);
        }
    }

    /// Answers a frame, if it is to be answered. An address that it contests.
    fn answer(&self, socket: &PacketSocket, station: &Station, frame: &[u8]) -> Option<IpAddr> {
        match arp::answer(station.mac, frame, &Interface { tables: &self.tables, station }) {
            Answer::Contested { address, by } => {
                tracing::debug!(event = "contested", interface = %station.name, %address, %by, "another station claims it");
                return Some(address);
            }
            Answer::Reply { address, frame } => {
                let label = address.to_string();
                self.metrics.requests_received.with_label_values(&[&label]).inc();
                match socket.send(&frame) {
                    Ok(()) => self.metrics.responses_sent.with_label_values(&[&label]).inc(),
                    Err(error) => {
                        tracing::warn!(event = "answerFailed", interface = %station.name, %error, "the asker asks again");
                    }
                }
            }
            Answer::Ignore(Ignored::NotAnnounced(address)) => {
                tracing::trace!(event = "ignored", interface = %station.name, %address, "not announced here");
            }
            Answer::Ignore(
                Ignored::Malformed(_)
                | Ignored::NotARequest
                | Ignored::NotForThisStation
                | Ignored::FromAGroup(_),
            ) => {}
        }
        None
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
        for _ in 0..TURN {
            let Some(address) = self.announcer.poll_output(now) else { break };
            self.tell_neighbours(address);
        }
    }

    fn tell_neighbours(&self, address: IpAddr) {
        let IpAddr::V4(v4) = address else { return }; // NDP is not here yet
        let Some(interfaces) = self.tables.announced.get(&address) else { return };
        for (index, socket) in &self.sockets {
            let Some(station) = self.tables.stations.get(index) else { continue };
            if !interfaces.contains(&station.name) {
                continue;
            }
            for frame in (Announcement { address: v4, station: station.mac }).frames() {
                match socket.send(&frame) {
                    Ok(()) => self.metrics.gratuitous_sent.with_label_values(&[&v4.to_string()]).inc(),
                    Err(error) => {
                        tracing::warn!(event = "announceFailed", interface = %station.name, %error, "will be repeated");
                    }
                }
            }
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
