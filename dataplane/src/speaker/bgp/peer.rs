//! One peer's task: between its session machine and its sockets, timers and orders. It waits for nothing else, and
//! nothing else waits for it.

mod path;
mod telling;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use metallb_core::config::Endpoint;
use metallb_core::names::PeerName;
use metallb_core::plan::PeerChanges;
use metallb_protocols::bfd::{Hops, Path as Way, Status};
use metallb_protocols::bgp::adverts::InItsName;
use metallb_protocols::bgp::session::{
    Beginning, Connection, Ending, Input, Jitter, Output, Session, State, Unconnected,
};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::orders::{OfPeer, Orders, StandIn, StandIns};
use super::wanted::{Transport, Wanted};
use super::watched::{Means, Watched, compare};
use super::wires::{Ready, Wires};
use crate::net::interfaces::Interfaces;
use crate::net::tcp::Dial;
use crate::speaker::bfd;
use crate::speaker::discovery::{self, Neighbour};
use path::path;
use telling::Telling;
pub use telling::Told;

/// Read at once. A router that sends all it knows is read in such pieces, with a turn for everything else in between:
/// for other peers' tasks, which share the thread. So much are 862 messages at most.
const CHUNK: usize = 16 * 1024;
/// Messages written at once, likewise.
const TURN: usize = 256;

/// What a peer's task has besides its orders.
#[derive(Clone)]
pub struct Around {
    /// What BFD is to watch.
    pub watched: Watched,
    /// What it sees.
    pub bfd: watch::Receiver<bfd::Seen>,
    /// The routers of unnumbered peers.
    pub neighbours: watch::Receiver<discovery::Seen>,
    /// Why there is none.
    pub missing: watch::Receiver<discovery::Missing>,
    /// The networks that this node is on.
    pub interfaces: watch::Receiver<Interfaces>,
    /// Where it tells how the session stands.
    pub told: Told,
}

/// A connection under way.
struct Dialling {
    connection: Connection,
    attempt: BoxFuture<'static, Result<TcpStream, Unconnected>>,
}

/// Where a router is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Router {
    /// As the BGPPeer says.
    Given(IpAddr),
    /// As its advertisements say.
    Found(Neighbour),
}

impl Router {
    const fn address(&self) -> IpAddr {
        match self {
            Self::Given(address) | Self::Found(Neighbour { address, .. }) => *address,
        }
    }
}

/// The task of one peer.
pub struct Peer {
    name: PeerName,
    around: Around,
    wanted: Wanted,
    session: Session,
    wires: Wires,
    dialling: Option<Dialling>,
    orders: Arc<Orders<OfPeer>>,
    accepted: mpsc::Receiver<TcpStream>,
    /// Connections that the router made are numbered here.
    counted: u64,
    /// Where the router is, if that is known.
    router: Option<Router>,
    /// What BFD watches, and what it said last.
    way: Option<Way>,
    bfd: Option<Status>,
    /// What is announced in the name of others, by any peer.
    stand_ins: Arc<StandIns>,
    telling: Telling,
    /// There is more to write than was written in one turn.
    more: bool,
    ended: bool,
    /// It ends for a restart.
    restarting: bool,
}

impl Peer {
    pub fn new(
        name: PeerName,
        wanted: Wanted,
        beginning: Beginning,
        seed: u64,
        around: Around,
        orders: Arc<Orders<OfPeer>>,
        accepted: mpsc::Receiver<TcpStream>,
    ) -> Self {
        let session = Session::new(Instant::now(), wanted.settings.clone(), beginning, Jitter::new(seed));
        let telling = Telling::new(name.clone(), around.told.clone(), &wanted);
        Self {
            name,
            around,
            wanted,
            session,
            wires: Wires::default(),
            dialling: None,
            orders,
            accepted,
            counted: 0,
            router: None,
            way: None,
            bfd: None,
            stand_ins: Arc::default(),
            telling,
            more: false,
            ended: false,
            restarting: false,
        }
    }

    /// Runs until it is told to end.
    pub async fn run(mut self) {
        let mut buffer = vec![0; CHUNK];
        self.find_router();
        self.input(Input::Start);
        while !self.ended {
            let router = self.router.map(|router| router.address());
            self.telling.tell(&self.session, &self.wanted, router, self.bfd.as_ref());
            let due = self.session.poll_timeout();
            tokio::select! {
                biased;
                orders = self.orders.take() => self.obey(orders),
                Ok(()) = self.around.bfd.changed() => self.look_at_bfd(),
                ready = self.wires.ready() => {
                    match ready {
                        Ready::Read(connection) => self.read(connection, &mut buffer),
                        Ready::Write(connection) => self.flush(connection),
                    }
                    // Routers that never stop sending must not stop the clock.
                    if due.is_some_and(|due| due <= Instant::now()) {
                        self.input(Input::Tick);
                    }
                    tokio::task::yield_now().await;
                }
                (connection, result) = dialled(&mut self.dialling) => self.dialled(connection, result),
                Some(stream) = self.accepted.recv() => self.accept(stream),
                Ok(()) = self.around.neighbours.changed() => self.find_router(),
                Ok(()) = self.around.interfaces.changed() => self.look_at_networks(),
                () = until(due) => self.input(Input::Tick),
                () = tokio::task::yield_now(), if self.more => self.write(),
            }
            self.wires.tidy();
        }
        if !self.restarting {
            self.around.watched.set(&self.name, None);
        }
        self.telling.forget();
        self.wires.finish().await;
    }

    fn obey(&mut self, orders: OfPeer) {
        let OfPeer { wanted, routes, draining, stand_ins, ending } = orders;
        if let Some(wanted) = wanted {
            self.change(wanted);
        }
        if let Some(PeerChanges { complete, routes }) = routes {
            if complete {
                let routes = routes.into_iter().filter_map(|(prefix, route)| Some((prefix, route?)));
                self.input(Input::Routes(routes.collect()));
            } else {
                self.input(Input::Changes(routes.into_iter().collect()));
            }
        }
        if let Some(draining) = draining {
            self.input(Input::Drain(draining));
        }
        if let Some(stand_ins) = stand_ins {
            self.stand_ins = stand_ins;
            self.stand_in();
        }
        if let Some(ending) = ending {
            // What takes our place watches on. The router must not hear from BFD that somebody switched it off: it
            // would take away what it keeps for us.
            self.restarting = matches!(ending, Ending::Restarting);
            self.input(Input::Stop(ending));
            self.ended = true;
        }
    }

    /// Announces in the name of nodes that have this peer too, and an address on the router's network.
    fn stand_in(&mut self) {
        let next_door = |StandIn { next_hop, .. }: &StandIn| {
            let router = self.router.map(|router| router.address());
            let interfaces = self.around.interfaces.borrow();
            let mut networks = interfaces.values().flat_map(|interface| &interface.addresses);
            router.is_some_and(|router| {
                networks.any(|net| net.contains(&router) && net.contains(&IpAddr::V4(*next_hop)))
            })
        };
        let here = self.stand_ins.iter().filter_map(|(node, stand_in)| {
            let routes = stand_in.routes.get(&self.name).filter(|_| next_door(stand_in))?.clone();
            Some((node.clone(), InItsName { next_hop: stand_in.next_hop, routes }))
        });
        let here = here.collect();
        self.input(Input::StandIns(here));
    }

    fn change(&mut self, wanted: Wanted) {
        let before = std::mem::replace(&mut self.wanted, wanted);
        if before.transport != self.wanted.transport {
            // What was accepted before was so by other rules: another password, say.
            while self.accepted.try_recv().is_ok() {}
            let text = what_differs(&before.transport, &self.wanted.transport).to_owned();
            self.input(Input::Stop(Ending::Transport { text }));
        }
        if before.settings != self.wanted.settings {
            self.input(Input::Configure(Box::new(self.wanted.settings.clone())));
        }
        self.telling.configured(&self.wanted);
        self.find_router();
        if !self.stand_ins.is_empty() {
            self.stand_in();
        }
        self.watch();
    }

    /// Where is the router now? An unnumbered one may have appeared, or another taken its place.
    fn find_router(&mut self) {
        let router = match &self.wanted.transport.endpoint {
            Endpoint::Address(address) => Some(Router::Given(*address)),
            Endpoint::Interface(interface) => {
                self.around.neighbours.borrow_and_update().get(interface).copied().map(Router::Found)
            }
        };
        let before = std::mem::replace(&mut self.router, router);
        if before == router {
            return;
        }
        self.watch();
        match (before, router) {
            (Some(before), _) if self.session.state() > State::Active => {
                let text = format!("{} is not the router behind the interface any more", before.address());
                self.input(Input::Stop(Ending::Transport { text }));
            }
            (_, Some(_)) => self.input(Input::PathUp),
            (_, None) => {}
        }
    }

    /// Is the router next door by now, or not any more? A session that BFD watches over stays watched as it is: it is to
    /// find out that an interface was lost, and not to be told to look elsewhere.
    fn look_at_networks(&mut self) {
        if !self.stand_ins.is_empty() {
            self.stand_in();
        }
        let is_watched = self.bfd.is_some_and(|bfd| bfd.ups > 0);
        if self.session.up_since().is_none() || !is_watched {
            self.watch();
        }
    }

    /// Has BFD watch the way to the router, if the peer asks for it.
    fn watch(&mut self) {
        let bfd = self.wanted.bfd.as_ref().zip(self.router.as_ref());
        let way = bfd.map(|(bfd, router)| (self.way_to(router), bfd.profile));
        self.around.watched.set(&self.name, way.clone());
        let way = way.map(|(way, _)| way);
        if self.way != way {
            self.way = way;
            self.bfd = None;
            // BFD may watch it already, and have nothing new to say.
            self.around.bfd.mark_changed();
        }
    }

    fn way_to(&self, router: &Router) -> Way {
        let Transport { endpoint, port: _, source_address, vrf, password: _, reach: _ } =
            &self.wanted.transport;
        let address = router.address();
        let by_network = || if self.is_next_door(address) { Hops::Single } else { Hops::Multi };
        let hops = self.wanted.hops.unwrap_or_else(by_network);
        let interface = match endpoint {
            Endpoint::Address(_) => None,
            Endpoint::Interface(interface) => Some(interface.clone()),
        };
        Way { peer: address, hops, source: source(router, *source_address), interface, vrf: vrf.clone() }
    }

    fn is_next_door(&self, router: IpAddr) -> bool {
        let interfaces = self.around.interfaces.borrow();
        interfaces.values().flat_map(|interface| &interface.addresses).any(|net| net.contains(&router))
    }

    fn look_at_bfd(&mut self) {
        let now = self.way.as_ref().and_then(|way| self.around.bfd.borrow_and_update().get(way).copied());
        let means = compare(self.bfd.as_ref(), now.as_ref());
        self.bfd = now;
        match means {
            Means::Lost if self.session.up_since().is_some() => self.input(Input::Stop(Ending::BfdDown)),
            Means::Found => self.input(Input::PathUp),
            Means::Lost | Means::Nothing => {}
        }
    }

    /// Hands an input to the session, and does what follows.
    fn input(&mut self, input: Input<'_>) {
        self.session.handle_input(Instant::now(), input);
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(connection) => {
                    self.telling.attempt();
                    self.dial(connection);
                }
                Output::Close { connection, farewell } => {
                    if self.dialling.as_ref().is_some_and(|dialling| dialling.connection == connection) {
                        self.dialling = None;
                    }
                    self.wires.close(connection, farewell);
                }
                Output::Up(negotiated) => {
                    self.telling.up(&negotiated);
                    // Networks may have come since it was looked for them.
                    self.watch();
                }
                Output::Down(failure) => self.telling.down(&failure),
                Output::Failed(failure) => self.telling.failed(&failure),
            }
        }
        self.telling.reached(self.session.state());
        self.write();
    }

    /// Writes what the session has to say, as far as the sockets take it.
    fn write(&mut self) {
        let mut broken = None;
        let mut left = TURN;
        self.more = false;
        'all: for connection in self.wires.writable() {
            while self.session.has_transmit(connection) {
                if left == 0 {
                    self.more = true;
                    break 'all;
                }
                left -= 1;
                let Some(message) = self.session.poll_transmit(Instant::now(), connection) else { break };
                if let Err(error) = self.wires.write(connection, message) {
                    broken = Some((connection, error));
                    break 'all;
                }
                if !self.wires.writable().contains(&connection) {
                    break;
                }
            }
        }
        if let Some((connection, error)) = broken {
            self.closed(connection, Some(error.to_string()));
        }
    }

    fn flush(&mut self, connection: Connection) {
        match self.wires.flush(connection) {
            Ok(()) => self.write(),
            Err(error) => self.closed(connection, Some(error.to_string())),
        }
    }

    fn read(&mut self, connection: Connection, buffer: &mut [u8]) {
        match self.wires.read(connection, buffer) {
            None => {}
            Some(Ok(0)) => self.closed(connection, None),
            Some(Ok(length)) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.input(Input::Received { connection, bytes });
            }
            Some(Err(error)) => self.closed(connection, Some(error.to_string())),
        }
    }

    fn closed(&mut self, connection: Connection, text: Option<String>) {
        self.wires.forget(connection);
        self.input(Input::Closed { connection, text });
    }

    fn dial(&mut self, connection: Connection) {
        let attempt = match self.to_dial() {
            Ok(dial) => async move { dial.connect().await }.boxed(),
            Err(why) => std::future::ready(Err(why)).boxed(),
        };
        self.dialling = Some(Dialling { connection, attempt });
    }

    fn to_dial(&self) -> Result<Dial, Unconnected> {
        let Transport { endpoint, port, source_address, vrf, password, reach } = &self.wanted.transport;
        let interface = match endpoint {
            Endpoint::Address(_) => None,
            Endpoint::Interface(interface) => Some(interface.clone()),
        };
        let router = self.router.ok_or_else(|| {
            let missing = self.around.missing.borrow();
            let why = missing
                .get(endpoint.to_string().as_str())
                .map_or_else(|| "its router is being looked for".to_owned(), ToString::to_string);
            Unconnected::Here { text: format!("interface {endpoint} (spec.interface): {why}") }
        })?;
        Ok(Dial {
            peer: router.address(),
            port: port.get(),
            interface,
            vrf: vrf.clone(),
            source: source(&router, *source_address),
            reach: *reach,
            password: password.clone(),
        })
    }

    fn dialled(&mut self, connection: Connection, result: Result<TcpStream, Unconnected>) {
        self.dialling = None;
        match result {
            Ok(stream) => {
                let path = path(&stream, &self.wanted.transport);
                self.wires.add(connection, stream);
                self.input(Input::Connected { connection, path });
            }
            Err(why) => self.input(Input::Unconnected { connection, why }),
        }
    }

    fn accept(&mut self, stream: TcpStream) {
        let connection = Connection::Accepted(self.counted);
        self.counted += 1;
        let path = path(&stream, &self.wanted.transport);
        self.wires.add(connection, stream);
        self.input(Input::Accepted { connection, path });
    }
}

/// The outcome of the attempt under way, if there is one.
async fn dialled(dialling: &mut Option<Dialling>) -> (Connection, Result<TcpStream, Unconnected>) {
    match dialling {
        Some(Dialling { connection, attempt }) => (*connection, attempt.await),
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// `spec.sourceAddress`; or, of a router that was found, the address that it found us by.
fn source(router: &Router, configured: Option<IpAddr>) -> Option<IpAddr> {
    match router {
        Router::Given(_) => configured,
        Router::Found(neighbour) => Some(neighbour.local),
    }
}

/// For the message to the router, and for the log: what about the connection is different now.
fn what_differs(before: &Transport, now: &Transport) -> &'static str {
    if before.password != now.password {
        "its password changed"
    } else if before.endpoint != now.endpoint || before.port != now.port {
        "its address changed"
    } else if before.source_address != now.source_address {
        "its source address changed"
    } else if before.vrf != now.vrf {
        "its VRF changed"
    } else {
        "its TTL changed"
    }
}
