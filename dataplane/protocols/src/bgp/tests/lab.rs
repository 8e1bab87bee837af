//! Two speakers, the network between them, and one virtual clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use metallb_core::address::Family;
use metallb_core::config::{Asn, HoldTime, RemoteAs, RouterId};

use super::adverts::Router;
use crate::bgp::adverts::{Defaults, NextHops, RouteAttributes};
use crate::bgp::session::{
    Beginning, Connection, Ending, Failure, Input, Jitter, Output, Path, Retry, Session, Settings, State,
    Unconnected,
};
use crate::bgp::wire::{Frame, Kind, LARGEST_EXTENDED, Open, Sender};
use crate::virtual_clock;

/// From one speaker to the other.
pub const DELAY: Duration = Duration::from_millis(1);

/// Ours.
pub const US: usize = 0;
/// The router.
pub const ROUTER: usize = 1;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

pub fn settings(my_asn: u32, peer_asn: u32) -> Settings {
    Settings {
        my_asn: asn(my_asn),
        local_asn: None,
        remote: RemoteAs::Number(asn(peer_asn)),
        router_id: RouterId::new(my_asn.into()).unwrap(),
        hold_time: HoldTime::try_from(seconds(90)).unwrap(),
        keepalive_time: None,
        families: [Family::V4, Family::V6].into(),
        extended_next_hop: false,
        graceful_restart: false,
        restart_helper: true,
        additional_paths: false,
        host_name: Some("node".into()),
        retry: Retry { first: seconds(1), longest: seconds(120), connect_time: None },
        defaults: Defaults { local_preference: 100, med: Some(0) },
        password: false,
    }
}

pub fn route(n: u8) -> IpNet {
    format!("192.0.2.{n}/32").parse().unwrap()
}

pub fn routes(numbers: impl IntoIterator<Item = u8>) -> BTreeMap<IpNet, Arc<RouteAttributes>> {
    numbers.into_iter().map(|n| (route(n), Arc::default())).collect()
}

/// What is under way to a speaker.
#[derive(Debug)]
enum Arrival {
    Connected(Connection),
    Refused(Connection),
    Accepted(Connection),
    Bytes(Connection, Vec<u8>),
    Closed(Connection),
}

pub struct Node {
    pub session: Session,
    /// Does it take connections?
    pub listens: bool,
    /// Does it read? One that does not hangs altogether: its timers stand still too.
    pub reads: bool,
    pub log: Vec<Output>,
}

pub struct Lab {
    pub now: Instant,
    pub nodes: [Node; 2],
    /// Packets get through.
    pub link: bool,
    /// From one speaker to the other.
    pub delay: Duration,
    /// Nothing arrives before: what is sent meanwhile is sent again until it does, as TCP does.
    pub stalled_until: Instant,
    /// What the router read on each of its connections.
    pub tables: BTreeMap<Connection, Router>,
    /// What the router would have in its tables.
    pub table: Router,
    /// Kinds of messages in the order sent, by sender.
    pub messages: Vec<(usize, Kind)>,
    /// OPENs that we sent.
    pub opens: Vec<Open>,
    under_way: BTreeMap<(Instant, u64), (usize, Arrival)>,
    sent: u64,
    accepted: u64,
    /// When the last packet arrives at each speaker: none overtakes another.
    last: [Instant; 2],
    /// Each end of a connection, and the other.
    pub ends: BTreeMap<(usize, Connection), Connection>,
}

impl Lab {
    pub fn new(ours: Settings, theirs: Settings) -> Self {
        let now = virtual_clock::start();
        let node = |settings, seed, listens| Node {
            session: Session::new(now, settings, Beginning::Peer, Jitter::new(seed)),
            listens,
            reads: true,
            log: Vec::new(),
        };
        Self {
            now,
            nodes: [node(ours, 1, false), node(theirs, 2, true)],
            link: true,
            delay: DELAY,
            stalled_until: now,
            tables: BTreeMap::new(),
            table: Router::default(),
            messages: Vec::new(),
            opens: Vec::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            accepted: 0,
            last: [now; 2],
            ends: BTreeMap::new(),
        }
    }

    /// We do not listen, the router does. Both know all routes they want.
    pub fn ready(ours: Settings, theirs: Settings) -> Self {
        let mut lab = Self::new(ours, theirs);
        lab.input(US, Input::Routes(routes([1])));
        lab.input(ROUTER, Input::Routes(BTreeMap::new()));
        lab
    }

    /// Up and quiet.
    pub fn established() -> Self {
        let mut lab = Self::ready(settings(64_512, 64_513), settings(64_513, 64_512));
        lab.start();
        lab.run_for(seconds(1));
        assert_eq!(lab.states(), [State::Established; 2]);
        lab.forget();
        lab
    }

    pub fn start(&mut self) {
        self.input(ROUTER, Input::Start);
        self.input(US, Input::Start);
    }

    pub fn input(&mut self, node: usize, input: Input<'_>) {
        self.nodes[node].session.handle_input(self.now, input);
        self.serve(node);
    }

    pub fn stop(&mut self, node: usize, ending: Ending) {
        self.input(node, Input::Stop(ending));
    }

    pub fn states(&self) -> [State; 2] {
        [self.nodes[US].session.state(), self.nodes[ROUTER].session.state()]
    }

    /// What was said so far is of no interest.
    pub fn forget(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.log.clear());
    }

    /// Why sessions and attempts of `node` ended, since last asked.
    pub fn failures(&mut self, node: usize) -> Vec<Failure> {
        let log = std::mem::take(&mut self.nodes[node].log);
        let failure = |output| match output {
            Output::Down(failure) | Output::Failed(failure) => Some(failure),
            Output::Connect(_) | Output::Close { .. } | Output::Up(_) => None,
        };
        log.into_iter().filter_map(failure).collect()
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut spins = 0;
        loop {
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let awake = self.nodes.iter().filter(|node| node.reads);
            let timers = awake.filter_map(|node| node.session.poll_timeout());
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            spins = if next <= self.now { spins + 1 } else { 0 };
            assert!(spins < 100_000, "the clock does not get on");
            self.now = self.now.max(next);
            if let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (node, arrival) = entry.remove();
                self.arrive(node, arrival);
                continue;
            }
            for node in [US, ROUTER] {
                if self.nodes[node].reads {
                    self.input(node, Input::Tick);
                }
            }
        }
        self.now = end;
    }

    /// The connection of `node` stands, and nobody is at its other end: see [`Lab::inject`].
    pub fn pretend(&mut self, node: usize) {
        self.under_way.clear();
        let dialled = self.nodes[node].log.iter().rev().find_map(|output| match output {
            Output::Connect(connection) => Some(*connection),
            _ => None,
        });
        let connection = dialled.expect("it dialled");
        self.ends.clear();
        self.ends.insert((node, connection), Connection::Accepted(u64::MAX));
        self.input(node, Input::Connected { connection, path: Path::default() });
    }

    /// Bytes from nowhere on the connection of `node`.
    pub fn inject(&mut self, node: usize, bytes: &[u8]) {
        let connection =
            *self.ends.keys().find(|(owner, _)| *owner == node).map(|(_, connection)| connection).unwrap();
        self.input(node, Input::Received { connection, bytes });
    }

    /// Reads what it did not want to read before.
    pub fn read_again(&mut self, node: usize) {
        self.nodes[node].reads = true;
        self.serve(1 - node);
    }

    /// The other speaker's process is gone and another begins: the system closes its connections.
    pub fn replace(&mut self, node: usize, settings: Settings) {
        let connections: Vec<_> =
            self.ends.keys().filter(|(owner, _)| *owner == node).map(|(_, connection)| *connection).collect();
        for connection in connections {
            self.close(node, connection);
        }
        self.under_way.retain(|_, (to, _)| *to != node);
        if node == ROUTER {
            self.tables.clear();
        }
        // Its successor counts its connections anew: what still points to the old ones points nowhere.
        let others = self.ends.iter_mut().filter(|((owner, _), _)| *owner != node);
        others.for_each(|(_, far)| *far = Connection::Accepted(u64::MAX));
        self.nodes[node].session = Session::new(self.now, settings, Beginning::Process, Jitter::new(9));
    }

    fn arrive(&mut self, node: usize, arrival: Arrival) {
        let path = Path {
            next_hops: NextHops {
                v4: Some([10, 0, 0, 1].into()),
                v6: Some("fd00::1".parse().unwrap()),
                link_local: None,
                over_ipv4: true,
            },
        };
        let known = |lab: &Self, connection| lab.ends.contains_key(&(node, connection));
        match arrival {
            Arrival::Connected(connection) if known(self, connection) => {
                self.input(node, Input::Connected { connection, path });
            }
            Arrival::Accepted(connection) if known(self, connection) => {
                self.input(node, Input::Accepted { connection, path });
            }
            Arrival::Refused(connection) => {
                self.input(node, Input::Unconnected { connection, why: Unconnected::Refused });
            }
            Arrival::Bytes(connection, bytes) if known(self, connection) => {
                if node == ROUTER {
                    self.note(connection, &bytes);
                }
                self.input(node, Input::Received { connection, bytes: &bytes });
            }
            Arrival::Closed(connection) => {
                self.ends.remove(&(node, connection));
                self.input(node, Input::Closed { connection, text: None });
            }
            Arrival::Bytes(connection, _) => self.reset_sender(node, connection),
            Arrival::Connected(_) | Arrival::Accepted(_) => {}
        }
    }

    /// Bytes came for a connection that `node` knows nothing of.
    fn reset_sender(&mut self, node: usize, connection: Connection) {
        let far = self.ends.iter().find(|((owner, _), far)| *owner != node && **far == connection);
        if let Some(((_, sender), _)) = far {
            self.send(1 - node, self.delay, Arrival::Closed(*sender));
        }
    }

    fn note(&mut self, connection: Connection, bytes: &[u8]) {
        let kind = Frame::split(bytes, LARGEST_EXTENDED).unwrap().unwrap().kind;
        if matches!(kind, Kind::Update | Kind::RouteRefresh) {
            let internal =
                self.nodes[US].session.settings().my_asn == self.nodes[ROUTER].session.settings().my_asn;
            self.tables.entry(connection).or_default().read(bytes, Sender { four_octet_as: true, internal });
        }
    }

    /// The connections of `node` are gone, and the other speaker is not told: it learns it when it says something.
    pub fn lose_connections(&mut self, node: usize) {
        let connections: Vec<_> =
            self.ends.keys().filter(|(owner, _)| *owner == node).map(|(_, connection)| *connection).collect();
        for connection in connections {
            self.ends.remove(&(node, connection));
            self.input(node, Input::Closed { connection, text: None });
        }
    }

    fn send(&mut self, node: usize, after: Duration, arrival: Arrival) {
        if self.link {
            self.sent += 1;
            let at = (self.now + after).max(self.stalled_until).max(self.last[node]);
            self.last[node] = at;
            self.under_way.insert((at, self.sent), (node, arrival));
        }
    }

    /// Does what the session wants done, and writes what it has to write.
    fn serve(&mut self, node: usize) {
        let other = 1 - node;
        let mut outputs = 0;
        while let Some(output) = self.nodes[node].session.poll_output() {
            outputs += 1;
            assert!(outputs <= 6, "so much from one input: {:?}", self.nodes[node].log);
            match &output {
                Output::Connect(connection) if self.nodes[other].listens => {
                    self.accepted += 1;
                    let far = Connection::Accepted(self.accepted);
                    if self.link {
                        self.ends.extend([((node, *connection), far), ((other, far), *connection)]);
                    }
                    self.send(other, self.delay, Arrival::Accepted(far));
                    self.send(node, self.delay * 2, Arrival::Connected(*connection));
                }
                Output::Connect(connection) => self.send(node, self.delay * 2, Arrival::Refused(*connection)),
                Output::Close { connection, farewell } => {
                    if let Some(bytes) = farewell {
                        self.write(node, *connection, bytes.clone());
                    }
                    self.close(node, *connection);
                }
                Output::Up(_) if node == US => self.table = Router::default(),
                Output::Up(_) | Output::Down(_) | Output::Failed(_) => {}
            }
            self.nodes[node].log.push(output);
        }
        self.flush(node);
    }

    fn flush(&mut self, node: usize) {
        if !self.nodes[1 - node].reads {
            return;
        }
        let connections: Vec<_> =
            self.ends.keys().filter(|(owner, _)| *owner == node).map(|(_, c)| *c).collect();
        for connection in connections {
            while let Some(bytes) = self.nodes[node].session.poll_transmit(self.now, connection) {
                self.write(node, connection, bytes);
            }
        }
    }

    fn write(&mut self, node: usize, connection: Connection, bytes: Vec<u8>) {
        let frame = Frame::split(&bytes, LARGEST_EXTENDED).unwrap().unwrap();
        self.messages.push((node, frame.kind));
        if (node, frame.kind) == (US, Kind::Open) {
            self.opens.extend(Open::parse(frame.body));
        }
        if node == US && matches!(frame.kind, Kind::Update | Kind::RouteRefresh) {
            let internal = self.nodes[US].session.negotiated().is_some_and(|negotiated| negotiated.internal);
            self.table.read(&bytes, Sender { four_octet_as: true, internal });
        }
        if let Some(far) = self.ends.get(&(node, connection)).copied() {
            self.send(1 - node, self.delay, Arrival::Bytes(far, bytes));
        }
    }

    fn close(&mut self, node: usize, connection: Connection) {
        if let Some(far) = self.ends.remove(&(node, connection)) {
            self.send(1 - node, self.delay, Arrival::Closed(far));
        }
    }
}
