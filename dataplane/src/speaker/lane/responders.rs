//! All responders of this node, in step with the tables: opened, closed, listened to in turn, spoken through.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::moves::Moves;
use super::responder::{Heard, Outcome, Responder, View};
use super::sockets::{Socket, Sockets};
use super::succession::Succession;
use super::tables::{Protocol, Tables};
use crate::speaker::metrics::Metrics;

/// Frames taken from one socket before the next thing gets its turn: a flood on one interface must not starve the others,
/// nor the heartbeats.
const TURN: usize = 64;
/// After a socket could not be opened, try again this much later.
const REOPEN: Duration = Duration::from_secs(1);

/// By interface and protocol.
pub(super) struct Responders {
    open: BTreeMap<(u32, Protocol), Responder>,
    /// Why others are not open.
    failed: BTreeMap<(u32, Protocol), String>,
    reopen_at: Option<Instant>,
    metrics: Metrics,
    telling: watch::Sender<Sockets>,
}

impl Responders {
    /// How they stand goes to `telling`.
    pub(super) fn new(metrics: Metrics, telling: watch::Sender<Sockets>) -> Self {
        Self { open: BTreeMap::new(), failed: BTreeMap::new(), reopen_at: None, metrics, telling }
    }

    /// Opens and closes what `new` says otherwise than `old`.
    pub(super) fn change(&mut self, now: Instant, old: &Tables, new: &Tables) {
        self.open.retain(|(index, protocol), responder| {
            let (before, after) = (old.stations.get(index), new.stations.get(index));
            let is_same = before.zip(after).is_some_and(|(before, after)| {
                before.name == after.name && before.mac(*protocol) == after.mac(*protocol)
            });
            if !is_same {
                let event = match protocol {
                    Protocol::Arp => "deleteARPResponder",
                    Protocol::Ndp => "deleteNDPResponder",
                };
                tracing::info!(event, interface = %responder.name, "no longer answering there");
            }
            is_same
        });
        self.reopen(now, new);
    }

    /// Opens again what failed, if it is time.
    pub(super) fn pass_time(&mut self, now: Instant, tables: &Tables) {
        if self.reopen_at.is_some_and(|due| due <= now) {
            self.reopen(now, tables);
        }
    }

    /// When [`Self::pass_time`] has something to do.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.reopen_at
    }

    /// To be told when frames wait.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.values().map(Responder::as_fd)
    }

    /// Answers what waits, of each interface not too much at once. What others say of addresses.
    pub(super) fn receive(&mut self, view: View<'_>, buffer: &mut [u8]) -> Vec<Heard> {
        let mut broken = Vec::new();
        let mut heard = Vec::new();
        for (place, responder) in &self.open {
            for _ in 0..TURN {
                match responder.receive(buffer) {
                    Ok(Some(frame)) => {
                        let outcome = responder.answer(view, frame);
                        heard.extend(self.count(responder, outcome));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(event = "receiveFailed", interface = %responder.name, %error, "opening it anew");
                        broken.push((*place, error.to_string()));
                        break;
                    }
                }
            }
        }
        if !broken.is_empty() {
            for (place, why) in broken {
                self.open.remove(&place);
                self.failed.insert(place, why);
            }
            self.reopen_at = Some(Instant::now() + REOPEN);
            self.tell_sockets();
        }
        heard
    }

    /// Tells all neighbours, on the interfaces where it is announced, where an address is: here, or at the node that is stood in
    /// for.
    pub(super) fn tell(&self, tables: &Tables, succession: &Succession, address: IpAddr) {
        for responder in self.announcing(tables, address) {
            let station = |own| succession.told(tables, address, responder.index, own);
            for sent in responder.tell(address, station) {
                if is_sent(responder, &sent) {
                    self.metrics.gratuitous_sent.inc(address);
                }
            }
        }
    }

    /// Tells all neighbours that an address which was announced here is at the next owner's station. Not counted: it is not this
    /// node's any more.
    pub(super) fn give(&self, moves: &Moves, address: IpAddr) {
        let Some(interfaces) = moves.interfaces(address) else { return };
        for responder in self.open.values().filter(|responder| interfaces.contains(&responder.name)) {
            for sent in responder.tell(address, |_| moves.station(address, responder.index)) {
                is_sent(responder, &sent);
            }
        }
    }

    /// An address is not answered for any longer.
    pub(super) fn forget(&self, address: IpAddr) {
        self.metrics.forget(address);
    }

    /// Asks all neighbours, on all interfaces, who has an address.
    pub(super) fn ask(&self, address: IpAddr) {
        ask_on(self.open.values(), address);
    }

    /// Asks all neighbours, on the interfaces where it is announced, who else has an address.
    pub(super) fn probe(&self, tables: &Tables, address: IpAddr) {
        ask_on(self.announcing(tables, address), address);
    }

    /// On the interfaces where it is announced.
    fn announcing<'r>(&'r self, tables: &'r Tables, address: IpAddr) -> impl Iterator<Item = &'r Responder> {
        let interfaces = tables.announced.get(&address);
        let is_among = move |name| interfaces.is_some_and(|interfaces| interfaces.contains(name));
        self.open.values().filter(move |responder| is_among(&responder.name))
    }

    fn count(&self, responder: &Responder, outcome: Outcome) -> Option<Heard> {
        match outcome {
            Outcome::Answered(address, sent) => {
                self.metrics.requests_received.inc(address);
                match sent {
                    Ok(()) => self.metrics.responses_sent.inc(address),
                    Err(error) => {
                        if let Some(frames) = responder.unsent.one_more(Instant::now()) {
                            tracing::warn!(
                                event = "answerFailed", interface = %responder.name, %error, frames,
                                "the asker asks again"
                            );
                        }
                    }
                }
                None
            }
            Outcome::Heard(heard) => Some(heard),
            Outcome::Ignored => None,
        }
    }

    fn reopen(&mut self, now: Instant, tables: &Tables) {
        self.reopen_at = None;
        self.failed.clear();
        for (index, station) in &*tables.stations {
            for protocol in Protocol::ALL {
                let Some(mac) = station.mac(protocol) else { continue };
                if self.open.contains_key(&(*index, protocol)) {
                    continue;
                }
                let event = match protocol {
                    Protocol::Arp => "createARPResponder",
                    Protocol::Ndp => "createNDPResponder",
                };
                match Responder::open(protocol, *index, station.name.clone(), mac) {
                    Ok(responder) => {
                        tracing::info!(event, interface = %station.name, "answering there");
                        self.open.insert((*index, protocol), responder);
                    }
                    Err(error) => {
                        self.failed.insert((*index, protocol), error.to_string());
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(
                            event,
                            interface = %station.name,
                            error,
                            "cannot answer there; does the container have CAP_NET_RAW?"
                        );
                        self.reopen_at = Some(now + REOPEN);
                    }
                }
            }
        }
        self.tell_sockets();
    }

    /// A roll-out waits for them.
    fn tell_sockets(&self) {
        let open = self.open.keys().map(|place| (*place, Socket::Open));
        let failed = self.failed.iter().map(|(place, why)| (*place, Socket::Failed(why.clone())));
        let sockets: Sockets = open.chain(failed).collect();
        self.telling.send_if_modified(|told| {
            let is_news = *told != sockets;
            *told = sockets;
            is_news
        });
    }
}

/// Has a frame gone that tells neighbours something? If not, says why.
fn is_sent(responder: &Responder, sent: &io::Result<()>) -> bool {
    if let Err(error) = sent
        && let Some(frames) = responder.unsent.one_more(Instant::now())
    {
        tracing::warn!(event = "announceFailed", interface = %responder.name, %error, frames, "will be repeated");
    }
    sent.is_ok()
}

fn ask_on<'r>(responders: impl Iterator<Item = &'r Responder>, address: IpAddr) {
    for responder in responders {
        if let Err(error) = responder.ask(address) {
            tracing::debug!(event = "questionFailed", interface = %responder.name, %error, "the next one follows");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metallb_protocols::ethernet::Mac;
    use prometheus::Registry;

    use super::super::tables::Station;
    use super::*;

    /// There is none with this index, so its sockets cannot be opened, whoever tries.
    const NOWHERE: u32 = 0x7fff_fff0;

    #[test]
    fn of_a_socket_that_cannot_be_opened_it_is_told_why_until_its_interface_is_gone() {
        let metrics = Metrics::register(&Registry::new(), "node".into()).unwrap();
        let (telling, mut told) = watch::channel(Sockets::new());
        let mut responders = Responders::new(metrics, telling);
        let station = Station { name: "eth9".into(), arp: Some(Mac([2; 6])), ndp: None };
        let with = Tables { stations: Arc::new([(NOWHERE, station)].into()), ..Tables::default() };
        let without = Tables::default();
        let now = Instant::now();
        responders.change(now, &without, &with);
        let sockets = told.borrow_and_update().clone();
        assert_eq!(sockets.keys().collect::<Vec<_>>(), [&(NOWHERE, Protocol::Arp)], "and none for IPv6");
        let Some(Socket::Failed(why)) = sockets.get(&(NOWHERE, Protocol::Arp)) else { panic!("it is open") };
        assert!(why.contains("os error"), "{why}");
        responders.pass_time(now + REOPEN, &with);
        assert!(!told.has_changed().unwrap(), "it is tried again, and the same is not told again");
        responders.change(now + REOPEN, &with, &without);
        assert_eq!(*told.borrow(), Sockets::new());
    }
}
