//! Routers that do what no real one does: a few lines of BGP each, on an address of the router's host.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metallb_core::config::{HoldTime, RouterId};
use metallb_lab::network::Host;
use metallb_protocols::bgp::wire::{
    AddressFamily, AsPath, Attributes, Capability, Demarcation, Frame, Kind, LARGEST, Open, Origin,
    RouteRefresh, Update, keepalive,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::node::TOR;
use super::site::asn;

/// How it behaves, once the connection stands.
#[derive(Clone, Debug)]
pub enum Manner {
    /// As it should.
    Good,
    /// Its session is up, and then it sends these bytes.
    Sends(Vec<u8>),
    /// Its session is up, and then it announces so many routes.
    Floods(u32),
    /// Its session is up, and from then on it asks for all routes as fast as it can.
    Refreshes,
    /// Its OPEN names another system.
    Foreign,
    /// Its session is up, and it reads nothing any more.
    Deaf,
    /// It resets its session after a second, again and again.
    Resets,
    /// It says OPEN and nothing else.
    Mute,
    /// It takes connections and says nothing.
    Silent,
}

/// A router. It ends with the value.
pub struct Fake {
    task: JoinHandle<()>,
    /// When UPDATEs came.
    updates: Arc<Mutex<Vec<Instant>>>,
    /// When connections came.
    connections: Arc<Mutex<Vec<Instant>>>,
}

impl Fake {
    /// Listens at an address that the host is given for it.
    pub fn start(host: &Host, address: &str, manner: Manner) -> Self {
        host.addresses("v0", &[&format!("{address}/24")]).unwrap();
        let listener = host.inside(|| std::net::TcpListener::bind((address, 179)).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let updates = Arc::<Mutex<Vec<Instant>>>::default();
        let connections = Arc::<Mutex<Vec<Instant>>>::default();
        let (came, connected) = (Arc::clone(&updates), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connected.lock().unwrap().push(Instant::now());
                // It ends as connections do: in whatever way.
                let _ = Wire { stream, inbox: Vec::new() }.speak(&manner, &came).await;
            }
        });
        Self { task, updates, connections }
    }

    /// When UPDATEs came.
    pub fn updates(&self) -> Vec<Instant> {
        self.updates.lock().unwrap().clone()
    }

    /// When connections came.
    pub fn connections(&self) -> Vec<Instant> {
        self.connections.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection.
struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Wire {
    async fn speak(mut self, manner: &Manner, updates: &Mutex<Vec<Instant>>) -> io::Result<()> {
        match manner {
            Manner::Silent => return self.read_on(updates).await,
            Manner::Foreign => self.say_open(TOR + 1).await?,
            Manner::Mute => {
                self.say_open(TOR).await?;
                loop {
                    self.read().await?;
                }
            }
            Manner::Good
            | Manner::Sends(_)
            | Manner::Floods(_)
            | Manner::Refreshes
            | Manner::Deaf
            | Manner::Resets => self.say_open(TOR).await?,
        }
        self.stream.write_all(&keepalive()).await?;
        // Theirs: the OPEN, and that ours was good.
        while self.read().await? != Kind::Keepalive {}
        match manner {
            Manner::Sends(bytes) => self.stream.write_all(bytes).await?,
            Manner::Floods(routes) => self.flood(*routes).await?,
            Manner::Refreshes => return self.refresh(updates).await,
            Manner::Deaf => std::future::pending().await,
            Manner::Resets => {
                let _ = tokio::time::timeout(Duration::from_secs(1), self.read_on(updates)).await;
                // What is closed without lingering is reset.
                return SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            }
            Manner::Good | Manner::Foreign | Manner::Mute | Manner::Silent => {}
        }
        self.read_on(updates).await
    }

    /// Asks for all routes again and again, and reads them.
    async fn refresh(self, updates: &Mutex<Vec<Instant>>) -> io::Result<()> {
        let request =
            RouteRefresh { family: AddressFamily::IPV4_UNICAST, demarcation: Demarcation::Request }.emit();
        let requests = [request.repeat(2000), keepalive()].concat();
        let (mut reading, mut writing) = self.stream.into_split();
        let asking = async move {
            loop {
                writing.write_all(&requests).await?;
            }
        };
        let mut rest = vec![0; 1 << 16];
        let hearing = async move {
            while reading.read(&mut rest).await? > 0 {
                updates.lock().unwrap().push(Instant::now());
            }
            Err::<(), _>(io::ErrorKind::UnexpectedEof.into())
        };
        tokio::select! {
            result = asking => result,
            result = hearing => result,
        }
    }

    async fn say_open(&mut self, system: u32) -> io::Result<()> {
        let open = Open {
            asn: asn(system),
            four_octet_as: true,
            hold_time: HoldTime::try_from(Duration::from_secs(6)).unwrap(),
            router_id: RouterId::new([10, 9, 9, 9].into()).unwrap(),
            capabilities: vec![Capability::Multiprotocol(AddressFamily::IPV4_UNICAST)],
        };
        self.stream.write_all(&open.emit()).await
    }

    /// Reads messages, and answers each with a sign of life.
    async fn read_on(&mut self, updates: &Mutex<Vec<Instant>>) -> io::Result<()> {
        loop {
            match self.read().await? {
                Kind::Update => updates.lock().unwrap().push(Instant::now()),
                Kind::Keepalive => self.stream.write_all(&keepalive()).await?,
                Kind::Open | Kind::Notification | Kind::RouteRefresh => {}
            }
        }
    }

    async fn read(&mut self) -> io::Result<Kind> {
        loop {
            if let Some(frame) = Frame::split(&self.inbox, LARGEST).unwrap() {
                let (kind, length) = (frame.kind, frame.length);
                self.inbox.drain(..length);
                return Ok(kind);
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Announces that many host routes, 800 a message.
    async fn flood(&mut self, routes: u32) -> io::Result<()> {
        let hosts: Vec<u32> = (0..routes).map(|number| 0x2000_0000 + number).collect();
        for hosts in hosts.chunks(800) {
            let announced =
                hosts.iter().map(|host| ipnet::Ipv4Net::from(std::net::Ipv4Addr::from_bits(*host)));
            let attributes = Attributes {
                origin: Some(Origin::Igp),
                as_path: Some(AsPath::origin(asn(TOR))),
                next_hop: Some([192, 0, 2, 2].into()),
                ..Attributes::default()
            };
            let update = Update { announced: announced.collect(), attributes, ..Update::default() };
            self.stream.write_all(&update.emit(true, LARGEST).unwrap()).await?;
        }
        Ok(())
    }
}

/// A message of that type with this body.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap();
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}
