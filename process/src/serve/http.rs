//! Listening, probes over plain HTTP, and serving until the process ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Every address of this host, IPv6 and IPv4 as far as it has them.
    Everything(u16),
    /// The loopback address, 127.0.0.1.
    Loopback(u16),
    /// This address.
    Address(SocketAddr),
}

impl On {
    /// The port; 0 lets the system choose one.
    pub const fn port(self) -> u16 {
        match self {
            Self::Everything(port) | Self::Loopback(port) => port,
            Self::Address(address) => address.port(),
        }
    }

    fn bind(self) -> std::io::Result<std::net::TcpListener> {
        match self {
            Self::Loopback(port) => listener((Ipv4Addr::LOCALHOST, port).into()),
            Self::Address(address) => listener(address),
            // A host whose IPv6 is switched off cannot even make the socket.
            Self::Everything(port) => listener((Ipv6Addr::UNSPECIFIED, port).into())
                .or_else(|_| listener((Ipv4Addr::UNSPECIFIED, port).into())),
        }
    }

    /// Listens there. The error names the port and the likely cause.
    pub fn listen(self) -> anyhow::Result<TcpListener> {
        let port = self.port();
        let listener = self
            .bind()
            .with_context(|| format!("cannot listen on port {port}; is another process on it?"))?;
        Ok(TcpListener::from_std(listener)?)
    }
}

fn listener(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let domain = match address.ip() {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?; // whatever net.ipv6.bindv6only says
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// `/healthz` and `/readyz`, which answer 200 as upstream's do: the process runs.
pub fn probes() -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(|| async { "ok" }))
}

/// `/healthz`, which answers 200, and `/readyz`, which does so as long as `readiness` is `Ok`, else 503 with the reason.
pub fn probes_about(
    readiness: impl Fn() -> Result<(), &'static str> + Clone + Send + Sync + 'static,
) -> Router {
    let readyz = move || {
        let answer = match readiness() {
            Ok(()) => (StatusCode::OK, "ok"),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        async move { answer }
    };
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readyz))
}

/// A path that answers 200 while `is_open` is `Ok`, else 503 with the reason.
pub fn gate(path: &str, is_open: impl Fn() -> Result<(), String> + Clone + Send + Sync + 'static) -> Router {
    let answer = move || {
        let answer = match is_open() {
            Ok(()) => (StatusCode::OK, "ok".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        async move { answer }
    };
    Router::new().route(path, get(answer))
}

/// Serves `router` over plain HTTP until `shutdown`. Fails at once when the port cannot be had.
pub fn serve(on: On, router: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    run(on.listen()?, router, shutdown);
    Ok(())
}

/// Serves `router` to whoever `listener` lets in, until `shutdown`.
pub(super) fn run<L>(listener: L, router: Router, shutdown: Shutdown)
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    tokio::spawn(async move {
        let served =
            axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.requested().await });
        if let Err(error) = served.await {
            tracing::error!(event = "serverFailed", error = &error as &dyn std::error::Error, "stopped");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_is_reached_over_both_families_on_one_port() {
        let listener = On::Everything(0).listen().unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let taken = On::Loopback(0).listen().unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = On::Loopback(port).listen().unwrap_err().to_string();
        assert!(error.contains(&port.to_string()), "{error}");
    }
}
