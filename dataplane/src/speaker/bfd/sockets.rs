//! The lane's sockets: opened when a session needs them, closed when none does, and tried again when they cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use metallb_core::names::VrfName;
use metallb_protocols::bfd::{Discriminator, Path, State};
use nix::errno::Errno;

use crate::net::bfd::{Ear, Expected, Receiver, SOURCE_PORTS, Sender};
use crate::net::packet::EchoSocket;

/// Ports to try for a session. Of 16384 few are taken.
const TRIES: usize = 32;

/// Draws a number to choose a port by.
pub(super) type Draw = Box<dyn FnMut() -> u32 + Send>;

pub(super) struct Sockets {
    receivers: BTreeMap<Ear, Receiver>,
    senders: BTreeMap<Path, Sender>,
    /// A session keeps its port for life, also when its socket has to be opened anew (RFC 5881 §4).
    ports: BTreeMap<Path, u16>,
    echo: Option<EchoSocket>,
    /// What could not be opened, and was said to be so: once is enough.
    complained: BTreeSet<Missing>,
    draw: Draw,
}

/// A socket that cannot be opened now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    Ear(Ear),
    Speaker(Path),
    Echo,
}

impl Sockets {
    pub(super) fn new(draw: Draw) -> Self {
        Self {
            receivers: BTreeMap::new(),
            senders: BTreeMap::new(),
            ports: BTreeMap::new(),
            echo: None,
            complained: BTreeSet::new(),
            draw,
        }
    }

    /// Opens what is missing for these sessions, and lets in what they expect. Whether all is there.
    pub(super) fn serve<'p>(
        &mut self,
        sessions: impl Iterator<Item = (&'p Path, Discriminator, State)>,
        echo: bool,
    ) -> bool {
        let mut ears: BTreeMap<Ear, Vec<Expected>> = BTreeMap::new();
        let mut paths = BTreeSet::new();
        for (path, discriminator, state) in sessions {
            let expected = Expected { peer: path.peer, discriminator, strangers: state != State::Up };
            ears.entry(Ear::of(path)).or_default().push(expected);
            paths.insert(path);
        }
        self.receivers.retain(|ear, _| ears.contains_key(ear));
        self.complained.retain(|missing| match missing {
            Missing::Ear(ear) => ears.contains_key(ear),
            Missing::Speaker(path) => paths.contains(path),
            Missing::Echo => echo,
        });
        let mut complete = true;
        for (ear, expected) in ears {
            complete &= self.hear(&ear, &expected);
        }
        for path in paths {
            complete &= self.speak(path);
        }
        complete & self.echo(echo)
    }

    /// A session is gone.
    pub(super) fn close(&mut self, path: &Path) {
        self.senders.remove(path);
        self.ports.remove(path);
    }

    pub(super) fn receivers(&self) -> impl Iterator<Item = &Receiver> {
        self.receivers.values()
    }

    pub(super) fn echo_socket(&self) -> Option<&EchoSocket> {
        self.echo.as_ref()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let receivers = self.receivers.values().map(|receiver| receiver.as_fd());
        receivers.chain(self.echo.iter().map(|echo| echo.as_fd()))
    }

    /// Sends a control packet. `Ok(false)`: the session has no socket now.
    pub(super) fn send(&mut self, path: &Path, datagram: &[u8]) -> io::Result<bool> {
        let Some(sender) = self.senders.get(path) else { return Ok(false) };
        let sent = sender.send(datagram);
        if sent.as_ref().is_err_and(|error| is_stale(path, error)) {
            self.senders.remove(path);
            // A VRF that is made anew is another one, and the ear in the old one hears nothing for ever.
            self.receivers.retain(|ear, _| ear.vrf.is_none() || ear.vrf != path.vrf);
        }
        sent.map(|()| true)
    }

    fn hear(&mut self, ear: &Ear, expected: &[Expected]) -> bool {
        if !self.receivers.contains_key(ear) {
            match Receiver::open(ear.clone()) {
                Ok(receiver) => {
                    self.receivers.insert(ear.clone(), receiver);
                    self.complained.remove(&Missing::Ear(ear.clone()));
                }
                Err(error) => {
                    if self.complained.insert(Missing::Ear(ear.clone())) {
                        tracing::error!(
                            event = "bfdListenFailed",
                            port = ear.hops.port(),
                            vrf = ear.vrf.as_ref().map(VrfName::as_str),
                            %error,
                            "cannot hear BFD; is another BFD daemon on this node, or the VRF missing? Trying again"
                        );
                    }
                    return false;
                }
            }
        }
        if let Some(Err(error)) = self.receivers.get(ear).map(|receiver| receiver.hear_only(expected)) {
            tracing::warn!(event = "bfdFilterFailed", %error, "some routers may not be heard; trying again");
            return false;
        }
        true
    }

    fn speak(&mut self, path: &Path) -> bool {
        if self.senders.contains_key(path) {
            return true;
        }
        match self.open_sender(path) {
            Ok((port, sender)) => {
                self.ports.insert(path.clone(), port);
                self.senders.insert(path.clone(), sender);
                self.complained.remove(&Missing::Speaker(path.clone()));
                true
            }
            Err(error) => {
                if self.complained.insert(Missing::Speaker(path.clone())) {
                    tracing::warn!(
                        event = "bfdSendFailed",
                        session = %path,
                        %error,
                        "no socket to speak to the router with; is its interface, VRF or source address missing? \
                         Trying again"
                    );
                }
                false
            }
        }
    }

    fn open_sender(&mut self, path: &Path) -> io::Result<(u16, Sender)> {
        let (first, last) = (*SOURCE_PORTS.start(), *SOURCE_PORTS.end());
        let count = u32::from(last - first) + 1;
        let mut kept = self.ports.get(path).copied();
        let mut taken = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let drawn = u16::try_from((self.draw)() % count).unwrap_or(0);
            let port = kept.take().unwrap_or(first + drawn);
            match Sender::open(path, port) {
                Ok(sender) => return Ok((port, sender)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    fn echo(&mut self, wanted: bool) -> bool {
        if !wanted {
            self.echo = None;
        } else if self.echo.is_none() {
            match EchoSocket::open() {
                Ok(socket) => {
                    self.echo = Some(socket);
                    self.complained.remove(&Missing::Echo);
                }
                Err(error) => {
                    if self.complained.insert(Missing::Echo) {
                        tracing::error!(
                            event = "bfdEchoFailed",
                            %error,
                            "no echo mode; does the container have CAP_NET_RAW? Control packets watch on; trying again"
                        );
                    }
                    return false;
                }
            }
        }
        true
    }
}

/// Whether the socket itself may have become useless. One that is bound to an interface is bound to its index, and fails
/// for ever when the interface is made anew; with which error differs by family.
fn is_stale(path: &Path, error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let busy = matches!(errno, Some(Errno::EAGAIN | Errno::ENOBUFS));
    let bound = path.interface.is_some() || path.vrf.is_some() || path.source.is_some();
    bound && !busy
}
