//! The network: a node and four routers' hosts on one bridge, and the way from the node to the API server.
//!
//! ```text
//!   node ─┬─ tor-1 … tor-4        192.0.2.0/24
//!    .1   │   .11     .14
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use metallb_lab::network::{Bridge, Host, Network};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The node's address.
pub const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The addresses of the four routers.
pub const ROUTERS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(192, 0, 2, 11),
    Ipv4Addr::new(192, 0, 2, 12),
    Ipv4Addr::new(192, 0, 2, 13),
    Ipv4Addr::new(192, 0, 2, 14),
];
/// The AS of the node.
pub const NODE_AS: u32 = 64500;
/// The AS of all routers.
pub const ROUTER_AS: u32 = 64512;
/// Every host's interface on the bridge.
pub const INTERFACE: &str = "v0";

/// The hosts. They go when it is dropped.
pub struct Site {
    /// Where the speaker runs.
    pub node: Host,
    /// Where routers run, in the order of [`ROUTERS`].
    pub routers: Vec<Host>,
    _bridge: Bridge,
    _network: Network,
}

impl Site {
    /// Lays it out.
    pub fn new() -> Result<Self> {
        let network = Network::new()?;
        let bridge = network.bridge("lan")?;
        let host = |name: &str, address: Ipv4Addr| {
            let host = network.host(name)?;
            bridge.join(&host, INTERFACE)?;
            host.addresses(INTERFACE, &[&format!("{address}/24")])?;
            anyhow::Ok(host)
        };
        let node = host("node", NODE)?;
        let routers = ROUTERS.iter().zip(1..).map(|(address, n)| host(&format!("tor-{n}"), *address));
        Ok(Self { routers: routers.collect::<Result<_>>()?, node, _bridge: bridge, _network: network })
    }
}

/// Makes a port of this machine's loopback reachable at the same address inside a host, so that a kubeconfig works there.
/// It costs what a second pass over the loopback does.
pub struct Passage {
    /// The port.
    pub port: u16,
    task: JoinHandle<()>,
}

impl Passage {
    /// To the server at `url`, `https://127.0.0.1:PORT`.
    pub fn open(host: &Host, url: &str) -> Result<Self> {
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("{url} names no port"))?;
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = host.inside(|| TcpListener::bind(target))?.context("listen beside the speaker")?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let task = tokio::spawn(async move {
            loop {
                // Out of file descriptors, at worst: the next one may do better.
                let Ok((inside, _)) = listener.accept().await else { continue };
                tokio::spawn(pass(inside, target));
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut inside: TcpStream, target: SocketAddr) {
    // A server that is away shows as a connection that closes at once.
    if let Ok(mut server) = TcpStream::connect(target).await {
        let _ = (inside.set_nodelay(true), server.set_nodelay(true));
        let _ = tokio::io::copy_bidirectional(&mut inside, &mut server).await;
    }
}
