//! Routers that connect by themselves, where that is asked for. By default we connect, and nothing listens.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Endpoint, Password};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::wanted::{Transport, Wanted};
use crate::net::tcp::{dress_socket, expect_signed};

/// After a connection could not be accepted (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(100);
/// Before the kernel is offered again a password that it did not take.
const AGAIN: Duration = Duration::from_secs(1);

/// Gives a listening socket the password for a router; `None` ends one.
type Sign = fn(&TcpListener, IpAddr, Option<&Password>) -> io::Result<()>;

/// The sockets that listen, one a family.
#[derive(Debug)]
pub struct Listeners {
    sockets: [TcpListener; 2],
    sign: Sign,
    /// What the kernel has taken.
    signed: BTreeMap<IpAddr, Password>,
    /// What it has not taken, or not ended. These routers are not let in: nobody would have checked who they are.
    failed: BTreeMap<IpAddr, Option<Password>>,
    /// When that is tried again.
    again_at: Instant,
    /// Accepted, and not handed out yet.
    waiting: VecDeque<(TcpStream, IpAddr)>,
}

impl Listeners {
    pub fn new(sockets: [TcpListener; 2]) -> Self {
        Self::signing(sockets, expect_signed)
    }

    fn signing(sockets: [TcpListener; 2], sign: Sign) -> Self {
        let (signed, failed, waiting) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { sockets, sign, signed, failed, again_at: Instant::now(), waiting }
    }

    /// Takes signed connections, and no others, from peers that have a password.
    pub fn expect<'w>(&mut self, peers: impl Iterator<Item = &'w Wanted>) {
        let signed: BTreeMap<IpAddr, Password> = peers
            .filter_map(|wanted| match &wanted.transport.endpoint {
                Endpoint::Address(address) => Some((*address, wanted.transport.password.clone()?)),
                Endpoint::Interface(_) => None,
            })
            .collect();
        let known = self.signed.keys().chain(self.failed.keys());
        let gone = known.filter(|peer| !signed.contains_key(*peer)).map(|peer| (*peer, None));
        let new = signed.iter().filter(|(peer, password)| {
            self.signed.get(*peer) != Some(*password) || self.failed.contains_key(*peer)
        });
        let changes: BTreeMap<_, _> =
            gone.chain(new.map(|(peer, password)| (*peer, Some(password.clone())))).collect();
        if changes.is_empty() {
            return;
        }
        for (peer, password) in &changes {
            if let Err(error) = self.change(*peer, password.as_ref()) {
                tracing::error!(
                    event = "passwordRefused", %peer, %error,
                    "the kernel did not take the password (TCP-MD5): connections of this router are refused; trying again"
                );
            }
        }
        // What was accepted before went by other passwords, and the routers try again.
        self.waiting.retain(|(_, from)| !changes.contains_key(from));
        self.take_accepted();
        self.waiting.retain(|(_, from)| !changes.contains_key(from));
    }

    fn change(&mut self, peer: IpAddr, password: Option<&Password>) -> io::Result<()> {
        let [v4, v6] = &self.sockets;
        let listener = match Family::of(peer) {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        let result = (self.sign)(listener, peer, password);
        match (&result, password) {
            (Ok(()), Some(password)) => drop(self.signed.insert(peer, password.clone())),
            (Ok(()), None) => drop(self.signed.remove(&peer)),
            (Err(_), _) => {
                self.failed.insert(peer, password.cloned());
                self.again_at = Instant::now() + AGAIN;
            }
        }
        if result.is_ok() {
            self.failed.remove(&peer);
        }
        result
    }

    /// Does the kernel check that connections from there are signed as they should be?
    pub fn vouches_for(&self, peer: IpAddr) -> bool {
        !self.failed.contains_key(&peer)
    }

    fn try_again(&mut self) {
        for (peer, password) in self.failed.clone() {
            match self.change(peer, password.as_ref()) {
                Ok(()) => {
                    tracing::info!(event = "passwordTaken", %peer, "the kernel took the password (TCP-MD5)")
                }
                Err(error) => tracing::debug!(event = "passwordRefused", %peer, %error, "trying again"),
            }
        }
    }

    /// Takes what the kernel has accepted so far.
    fn take_accepted(&mut self) {
        for socket in &self.sockets {
            // Past the runtime, which may not have heard of them yet.
            while let Ok((stream, _)) = SockRef::from(socket).accept() {
                let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream.into()));
                // Gone again already, it was nothing.
                let accepted = stream.and_then(|stream| Ok((stream.peer_addr()?.ip(), stream)));
                self.waiting.extend(accepted.map(|(from, stream)| (stream, from)));
            }
        }
    }

    /// The next connection, and from where it comes. Meanwhile passwords that were not taken are tried again.
    pub async fn accept(&mut self) -> (TcpStream, IpAddr) {
        loop {
            if let Some(accepted) = self.waiting.pop_front() {
                return accepted;
            }
            let [v4, v6] = &self.sockets;
            let result = tokio::select! {
                result = v4.accept() => result,
                result = v6.accept() => result,
                () = tokio::time::sleep_until(self.again_at), if !self.failed.is_empty() => {
                    self.try_again();
                    continue;
                }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicBool, Ordering};

    use metallb_core::config::{Asn, Peer, RemoteAs};

    use super::*;
    use crate::speaker::bgp::wanted::Profile;

    fn wanted(password: &str) -> Wanted {
        let remote = RemoteAs::Number(Asn::new(64_513).unwrap());
        let endpoint = Endpoint::Address(Ipv4Addr::LOCALHOST.into());
        let peer = Peer::new(Asn::new(64_512).unwrap(), remote, endpoint);
        Wanted::of(&peer, Some(Password::new(password)), Profile::Frr, &"node".into(), &[])
    }

    async fn sockets() -> [TcpListener; 2] {
        let listen = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        [listen().await, listen().await]
    }

    #[tokio::test]
    async fn a_router_whose_password_was_not_taken_is_not_vouched_for_until_it_is() {
        static TAKES: AtomicBool = AtomicBool::new(false);
        let sign: Sign = |_, _, _| {
            let taken = TAKES.load(Ordering::Relaxed).then_some(());
            taken.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
        };
        let mut listeners = Listeners::signing(sockets().await, sign);
        let peer = Ipv4Addr::LOCALHOST.into();
        listeners.expect([wanted("one")].iter());
        assert!(!listeners.vouches_for(peer));
        // Said again, it is no more true than before.
        listeners.expect([wanted("one")].iter());
        listeners.try_again();
        assert!(!listeners.vouches_for(peer));
        TAKES.store(true, Ordering::Relaxed);
        listeners.try_again();
        assert!(listeners.vouches_for(peer) && listeners.failed.is_empty());
        TAKES.store(false, Ordering::Relaxed);
        listeners.expect([wanted("two")].iter());
        assert!(!listeners.vouches_for(peer), "the one before is in force");
        TAKES.store(true, Ordering::Relaxed);
        listeners.expect([wanted("two")].iter());
        assert!(listeners.vouches_for(peer));
    }

    #[tokio::test]
    async fn what_was_accepted_before_a_password_changed_is_dropped() {
        let mut listeners = Listeners::signing(sockets().await, |_, _, _| Ok(()));
        let address = listeners.sockets[0].local_addr().unwrap();
        let _early = TcpStream::connect(address).await.unwrap();
        listeners.expect([wanted("one")].iter());
        let late = TcpStream::connect(address).await.unwrap();
        listeners.expect([wanted("one")].iter());
        let (accepted, _) = listeners.accept().await;
        assert_eq!(accepted.peer_addr().unwrap(), late.local_addr().unwrap());
    }
}
