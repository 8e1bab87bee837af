//! Routers that connect by themselves, where that is asked for. By default we connect, and nothing listens.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Endpoint, Password};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::wanted::{Transport, Wanted};
use crate::net::tcp::{dress_socket, expect_signed};

/// After a connection could not be accepted (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(100);

/// The sockets that listen, one a family.
#[derive(Debug)]
pub struct Listeners {
    sockets: [TcpListener; 2],
    signed: BTreeMap<IpAddr, Password>,
}

impl Listeners {
    pub const fn new(sockets: [TcpListener; 2]) -> Self {
        Self { sockets, signed: BTreeMap::new() }
    }

    /// Takes signed connections, and no others, from peers that have a password.
    pub fn expect<'w>(&mut self, peers: impl Iterator<Item = &'w Wanted>) {
        let signed: BTreeMap<IpAddr, Password> = peers
            .filter_map(|wanted| match &wanted.transport.endpoint {
                Endpoint::Address(address) => Some((*address, wanted.transport.password.clone()?)),
                Endpoint::Interface(_) => None,
            })
            .collect();
        let [v4, v6] = &self.sockets;
        let listener = |peer: IpAddr| match Family::of(peer) {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        let gone = self.signed.keys().filter(|peer| !signed.contains_key(*peer)).map(|peer| (*peer, None));
        let new = signed.iter().filter(|(peer, password)| self.signed.get(*peer) != Some(*password));
        for (peer, password) in gone.chain(new.map(|(peer, password)| (*peer, Some(password)))) {
            if let Err(error) = expect_signed(listener(peer), peer, password) {
                tracing::warn!(event = "passwordRefused", %peer, %error, "the kernel did not take the password (TCP-MD5)");
            }
        }
        self.signed = signed;
    }

    /// The next connection, and from where it comes.
    pub async fn accept(&self) -> (TcpStream, IpAddr) {
        let [v4, v6] = &self.sockets;
        loop {
            let result = tokio::select! {
                result = v4.accept() => result,
                result = v6.accept() => result,
            };
            match result {
                Ok((stream, from)) => return (stream, from.ip()),
                Err(error) => {
                    tracing::debug!(event = "acceptFailed", %error, "");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Gives an accepted connection the options that we give to those that we make.
pub fn dress(stream: &TcpStream, transport: &Transport) -> io::Result<()> {
    let family = Family::of(stream.peer_addr()?.ip());
    dress_socket(&SockRef::from(stream), family, transport.reach)
}
