//! Addresses on their way between two nodes that live. Who had one watches for a lull ([`metallb_protocols::lull`]), tells all
//! neighbours that it is at the other's station from now on, and answers so until that one speaks for itself. Who is to have it is
//! silent until it hears that, or has waited long enough.
//!
//! Not here: who owns what (the brain decides that), and how long the old owner answers ([`super::succession`]).

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metallb_core::address::Family;
use metallb_core::config::Interfaces;
use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;
use metallb_protocols::lull::{GIVEN_WITHIN, Lull, Segment};
use metallb_protocols::timetable::Timetable;

use super::succession::Succession;
use super::tables::{Protocol, Tables};
use crate::net::packet::PacketSocket;

/// Segments taken from one socket, and addresses given over, before the next thing gets its turn.
const TURN: usize = 64;
/// Between two questions where the next owner is, and how many there are. One lost question or answer must not matter.
const QUESTION_INTERVAL: Duration = Duration::from_millis(30);
const QUESTIONS: u8 = 3;
/// Neighbours are told so often until the next owner speaks for itself: it may be the last to know that it is.
const REPEAT: Duration = Duration::from_millis(50);
/// And for so long at most, from when the address was to go.
pub(super) const TOLD_FOR: Duration = Duration::from_secs(1);

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Ask on all interfaces who has this address of a node.
    Ask(IpAddr),
    /// Tell neighbours that the address is at the next owner's station.
    Give(IpAddr),
    /// The address is this node's: begin to announce it.
    Begin(IpAddr),
}

#[derive(Default)]
pub(super) struct Moves {
    /// Nobody may speak of another's station here: addresses move at once.
    is_off: bool,
    giving: BTreeMap<IpAddr, Giving>,
    /// When to look whether a lull has come, and when to tell again.
    due: Timetable<IpAddr>,
    /// The nodes that addresses go to, by the address by which they are asked.
    heirs: BTreeMap<IpAddr, Heir>,
    /// By interface.
    sockets: BTreeMap<(u32, Protocol), PacketSocket>,
    awaited: BTreeSet<IpAddr>,
    /// Until when each of those is waited for.
    patience: Timetable<IpAddr>,
    outputs: VecDeque<Output>,
}

/// An address that goes to another node.
struct Giving {
    interfaces: Interfaces,
    heir: IpAddr,
    begun: Instant,
    /// `None`: it is not waited for one.
    lull: Option<Lull>,
    /// Where it is looked for then, as soon as the move has begun.
    watched: Vec<(u32, InterfaceName)>,
    /// Since when neighbours are told of the next owner.
    given: Option<Instant>,
}

impl Giving {
    /// How it went, once it is over. In the lull itself there is no time to write a line of the log.
    fn log(&self, address: IpAddr) {
        if let Some(given) = self.given {
            tracing::debug!(
                event = "givenOver", %address,
                after = ?given.saturating_duration_since(self.begun),
                underWay = self.lull.as_ref().map(|lull| lull.under_way(given)),
                "neighbours were told of the next owner"
            );
        }
    }
}

/// What goes to whom.
#[derive(Clone, Copy)]
struct Place {
    address: IpAddr,
    heir: IpAddr,
}

/// A node that addresses go to.
struct Heir {
    /// By interface.
    stations: BTreeMap<u32, Mac>,
    /// Where it is, is asked then, and so often still.
    next_question: Instant,
    questions: u8,
}

/// Where the address is, by index.
fn stations(address: IpAddr, interfaces: &Interfaces, tables: &Tables) -> Vec<(u32, InterfaceName)> {
    let protocol = Protocol::of(address);
    let all = tables.stations.iter();
    let its =
        all.filter(|(_, station)| interfaces.contains(&station.name) && station.mac(protocol).is_some());
    its.map(|(index, station)| (*index, station.name.clone())).collect()
}

impl Moves {
    /// With the time that a silent speaker has to come back. Where it has none, nobody speaks of another's station.
    pub(super) fn new(restart_grace: Duration) -> Self {
        Self { is_off: restart_grace.is_zero(), ..Self::default() }
    }

    /// Takes note of what is in `new` and was not in `old`, and the other way round; `succession` has done so.
    pub(super) fn change(&mut self, now: Instant, old: &Tables, new: &Tables, succession: &Succession) {
        if self.is_off {
            return;
        }
        let mut kept = BTreeSet::new();
        if !Arc::ptr_eq(&old.heirs, &new.heirs) {
            let over =
                self.giving.extract_if(.., |address, giving| new.heirs.get(address) != Some(&giving.heir));
            let over: BTreeMap<IpAddr, Giving> = over.collect();
            for (address, giving) in &over {
                self.due.cancel(*address);
                giving.log(*address);
            }
            for (address, heir) in &*new.heirs {
                if old.heirs.get(address) == Some(heir) || self.awaited.contains(address) {
                    continue; // what was only awaited is not here to be given
                }
                let place = Place { address: *address, heir: *heir };
                if let Some(giving) = over.get(address) {
                    // It goes on to a third node. Who was told of the second is to know that at once.
                    let mut lull = giving.lull.clone().filter(|_| giving.given.is_none());
                    if let Some(lull) = &mut lull {
                        if new.unhurried.contains(address) {
                            lull.settle(now + new.settling(*address));
                        } else {
                            lull.hurry(now);
                        }
                    }
                    self.give(now, new, place, giving.interfaces.clone(), lull);
                } else if let Some(interfaces) = succession.lingers_on(*address) {
                    if old.announced.contains_key(address) {
                        let lull = Lull::new(now + new.settling(*address));
                        self.give(now, new, place, interfaces.clone(), Some(lull));
                    }
                } else if let Some(interfaces) = old.announced.get(address) {
                    // It was answered for in another's name, and what is under way goes there. If it goes back to that one, neighbours
                    // know no other.
                    if old.inherited.get(address).is_none_or(|from| from.address != *heir) {
                        self.give(now, new, place, interfaces.clone(), None);
                    }
                }
            }
            kept.extend(over.into_keys());
            self.rest();
        }
        if !Arc::ptr_eq(&old.awaited, &new.awaited) {
            for address in old.awaited.difference(&new.awaited) {
                if self.stop_waiting(*address) && new.announced.contains_key(address) {
                    self.outputs.push_back(Output::Begin(*address));
                }
            }
            // Who still had it to give has not heard from the next owner.
            for address in new.awaited.difference(&old.awaited).filter(|address| !kept.contains(*address)) {
                if new.announced.contains_key(address) && !old.announced.contains_key(address) {
                    self.awaited.insert(*address);
                    self.patience.set(*address, now + new.settling(*address) + GIVEN_WITHIN);
                }
            }
        }
        self.pass_time(now);
    }

    /// Gives the address away, in a lull if one is to be waited for.
    fn give(
        &mut self,
        now: Instant,
        tables: &Tables,
        place: Place,
        interfaces: Interfaces,
        lull: Option<Lull>,
    ) {
        let Place { address, heir } = place;
        self.ask_for(now, heir);
        let watched = if lull.is_some() { stations(address, &interfaces, tables) } else { Vec::new() };
        let begun = lull.as_ref().map_or(now, |lull| lull.begun().max(now));
        self.due.set(address, begun);
        self.giving.insert(address, Giving { interfaces, heir, begun, lull, watched, given: None });
    }

    /// Asks where that node is, unless it is known.
    fn ask_for(&mut self, now: Instant, heir: IpAddr) {
        let unknown = Heir { stations: BTreeMap::new(), next_question: now, questions: QUESTIONS };
        match self.heirs.entry(heir) {
            Entry::Vacant(entry) => drop(entry.insert(unknown)),
            Entry::Occupied(mut entry) if entry.get().stations.is_empty() => drop(entry.insert(unknown)),
            Entry::Occupied(_) => {}
        }
    }

    /// Listens to what begins and ends where the address is.
    fn watch(&mut self, address: IpAddr, stations: Vec<(u32, InterfaceName)>) {
        for (index, interface) in stations {
            let Entry::Vacant(place) = self.sockets.entry((index, Protocol::of(address))) else { continue };
            match PacketSocket::connections(index, Family::of(address)) {
                Ok(socket) => drop(place.insert(socket)),
                Err(error) => {
                    tracing::debug!(event = "watchFailed", %interface, %error, "addresses move whatever is under way");
                }
            }
        }
    }

    /// The address is not answered for any longer, or the next owner speaks for itself.
    pub(super) fn end(&mut self, address: IpAddr) {
        if let Some(giving) = self.giving.remove(&address) {
            giving.log(address);
            self.due.cancel(address);
            self.rest();
        }
    }

    /// With nothing to give there is nobody to watch.
    fn rest(&mut self) {
        if self.giving.is_empty() {
            self.heirs.clear();
            self.sockets.clear();
        }
    }

    fn stop_waiting(&mut self, address: IpAddr) -> bool {
        self.patience.cancel(address);
        self.awaited.remove(&address)
    }

    /// The node that had the address says that it is here.
    pub(super) fn given(&mut self, address: IpAddr) {
        if self.stop_waiting(address) {
            self.outputs.push_back(Output::Begin(address));
        }
    }

    /// A station says that it has an address that was asked for.
    pub(super) fn heard(&mut self, interface: u32, address: IpAddr, station: Mac) {
        let Some(heir) = self.heirs.get_mut(&address) else { return };
        if heir.stations.insert(interface, station).is_none() {
            // Of these nobody could be told.
            let given =
                self.giving.iter().filter(|(_, giving)| giving.given.is_some() && giving.heir == address);
            self.outputs.extend(given.map(|(given, _)| Output::Give(*given)));
        }
    }

    /// Takes in what began and ended, of each interface not too much at once.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) {
        let mut seen = Vec::new();
        for socket in self.sockets.values() {
            for _ in 0..TURN {
                // An interface that is gone brings nothing.
                let Ok(Some((frame, waited))) = socket.receive_dated(buffer) else { break };
                let now = Instant::now();
                let came = now.checked_sub(waited).unwrap_or(now);
                seen.extend(Segment::parse(frame).map(|segment| (came, segment)));
            }
        }
        for (came, segment) in seen {
            self.see(came, &segment);
        }
    }

    fn see(&mut self, came: Instant, segment: &Segment) {
        let address = segment.connection.server.ip();
        if let Some(giving) = self.giving.get_mut(&address).filter(|giving| giving.given.is_none())
            && let Some(lull) = &mut giving.lull
        {
            lull.see(came, segment);
            // Unless it is still to begin: it is seen through what was opened for another address.
            if giving.watched.is_empty() {
                self.due.set(address, lull.poll_timeout());
            }
        }
    }

    /// What time alone brings about.
    pub(super) fn pass_time(&mut self, now: Instant) {
        for (address, heir) in &mut self.heirs {
            if heir.next_question <= now && heir.questions > 0 {
                heir.questions -= 1;
                heir.next_question = now + QUESTION_INTERVAL;
                self.outputs.push_back(Output::Ask(*address));
            }
        }
        for _ in 0..TURN {
            let Some(address) = self.due.pop(now) else { break };
            let Some(giving) = self.giving.get_mut(&address) else { continue };
            let watched = std::mem::take(&mut giving.watched);
            if giving.given.is_none()
                && let Some(lull) = &mut giving.lull
                && !lull.has_come(now)
            {
                self.due.set(address, lull.poll_timeout());
                self.watch(address, watched);
                continue;
            }
            let heir = giving.heir;
            giving.given.get_or_insert(now);
            if now < giving.begun + TOLD_FOR {
                self.outputs.push_back(Output::Give(address));
                self.due.set(address, now + REPEAT);
                self.ask_for(now, heir);
            } else {
                self.end(address);
            }
        }
        while let Some(address) = self.patience.pop(now) {
            self.given(address);
        }
    }

    /// When [`Self::pass_time`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let asking = self.heirs.values().filter(|heir| heir.questions > 0).map(|heir| heir.next_question);
        asking.chain(self.due.next()).chain(self.patience.next()).min()
    }

    /// What follows, in order.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// To be told when segments wait.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.values().map(PacketSocket::as_fd)
    }

    /// Is the node silent that the address goes to until it is told so? Upstream's speakers are not.
    pub(super) fn goes_to_heir(&self, tables: &Tables, address: IpAddr) -> bool {
        let is_upstream = |heir| tables.nodes.get(heir).is_some_and(|node| tables.upstream.contains(node));
        !self.is_off && tables.heirs.get(&address).is_some_and(|heir| !is_upstream(heir))
    }

    /// Is the address to be this node's as soon as the one that has it says so?
    pub(super) fn is_awaited(&self, address: IpAddr) -> bool {
        self.awaited.contains(&address)
    }

    /// Is somebody asked for this address?
    pub(super) fn asks_for(&self, address: IpAddr) -> bool {
        self.heirs.contains_key(&address)
    }

    /// The next owner's station on an interface, once neighbours are told of it.
    pub(super) fn station(&self, address: IpAddr, interface: u32) -> Option<Mac> {
        let giving = self.giving.get(&address).filter(|giving| giving.given.is_some())?;
        self.heirs.get(&giving.heir)?.stations.get(&interface).copied()
    }

    /// Where neighbours are told of it.
    pub(super) fn interfaces(&self, address: IpAddr) -> Option<&Interfaces> {
        self.giving.get(&address).map(|giving| &giving.interfaces)
    }
}
