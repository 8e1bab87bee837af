//! Addresses on their way between two nodes that live. Who had one watches for a lull ([`metallb_protocols::lull`]), tells all
//! neighbours that it is at the other's station from now on, and answers so until that one speaks for itself. Who is to have it is
//! silent until it hears that, or has waited long enough.
//!
//! Not here: who owns what (the brain decides that), and how long the old owner answers ([`super::succession`]).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metallb_core::address::Family;
use metallb_core::config::Interfaces;
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
    is_given: bool,
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
            for (address, _) in over.collect::<Vec<_>>() {
                self.due.cancel(address);
                kept.insert(address);
            }
            for (address, heir) in
                new.heirs.iter().filter(|(address, heir)| old.heirs.get(*address) != Some(heir))
            {
                let place = Place { address: *address, heir: *heir };
                if let Some(interfaces) = succession.lingers_on(*address) {
                    self.watch(place, interfaces, new);
                    self.give(now, place, interfaces.clone(), Some(Lull::new(now)));
                } else if let Some(interfaces) = old.announced.get(address) {
                    // It was answered for in another's name: what is under way goes there.
                    self.give(now, place, interfaces.clone(), None);
                }
            }
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
                    self.patience.set(*address, now + GIVEN_WITHIN);
                }
            }
        }
        self.pass_time(now);
    }

    /// Listens to what begins and ends where the address is.
    fn watch(&mut self, Place { address, .. }: Place, interfaces: &Interfaces, tables: &Tables) {
        let protocol = Protocol::of(address);
        for (index, station) in &*tables.stations {
            let place = (*index, protocol);
            if !interfaces.contains(&station.name)
                || station.mac(protocol).is_none()
                || self.sockets.contains_key(&place)
            {
                continue;
            }
            match PacketSocket::connections(*index, Family::of(address)) {
                Ok(socket) => drop(self.sockets.insert(place, socket)),
                Err(error) => {
                    tracing::debug!(event = "watchFailed", interface = %station.name, %error, "addresses move whatever is under way");
                }
            }
        }
    }

    /// Gives the address away, in a lull if one is to be waited for.
    fn give(&mut self, now: Instant, place: Place, interfaces: Interfaces, lull: Option<Lull>) {
        let Place { address, heir } = place;
        let unknown = Heir { stations: BTreeMap::new(), next_question: now, questions: QUESTIONS };
        match self.heirs.entry(heir) {
            Entry::Vacant(entry) => drop(entry.insert(unknown)),
            Entry::Occupied(mut entry) if entry.get().stations.is_empty() => drop(entry.insert(unknown)),
            Entry::Occupied(_) => {}
        }
        self.due.set(address, lull.as_ref().map_or(now, Lull::poll_timeout));
        self.giving.insert(address, Giving { interfaces, heir, begun: now, lull, is_given: false });
    }

    /// The address is not answered for any longer, or the next owner speaks for itself.
    pub(super) fn end(&mut self, address: IpAddr) {
        if self.giving.remove(&address).is_some() {
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
        if let Some(heir) = self.heirs.get_mut(&address) {
            heir.stations.insert(interface, station);
        }
    }

    /// Takes in what began and ended, of each interface not too much at once.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) {
        let mut seen = Vec::new();
        for socket in self.sockets.values() {
            for _ in 0..TURN {
                // An interface that is gone brings nothing.
                let Ok(Some(frame)) = socket.receive(buffer) else { break };
                seen.extend(Segment::parse(frame));
            }
        }
        let now = Instant::now();
        for segment in seen {
            self.see(now, &segment);
        }
    }

    fn see(&mut self, now: Instant, segment: &Segment) {
        let address = segment.connection.server.ip();
        if let Some(giving) = self.giving.get_mut(&address).filter(|giving| !giving.is_given)
            && let Some(lull) = &mut giving.lull
        {
            lull.see(now, segment);
            self.due.set(address, lull.poll_timeout());
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
            if !std::mem::replace(&mut giving.is_given, true) {
                tracing::debug!(
                    event = "givenOver", %address,
                    after = ?now.saturating_duration_since(giving.begun),
                    underWay = giving.lull.as_ref().map(|lull| lull.under_way(now)),
                    "neighbours are told of the next owner"
                );
            }
            self.outputs.push_back(Output::Give(address));
            self.due.set(address, now + REPEAT);
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
        let giving = self.giving.get(&address).filter(|giving| giving.is_given)?;
        self.heirs.get(&giving.heir)?.stations.get(&interface).copied()
    }

    /// Where neighbours are told of it.
    pub(super) fn interfaces(&self, address: IpAddr) -> Option<&Interfaces> {
        self.giving.get(&address).map(|giving| &giving.interfaces)
    }
}

#[cfg(test)]
mod tests {
    use metallb_protocols::lull::{Connection, Kind};

    use super::*;

    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn vip() -> IpAddr {
        "192.0.2.200".parse().unwrap()
    }

    fn other() -> IpAddr {
        "192.0.2.2".parse().unwrap()
    }

    fn announcing() -> Tables {
        Tables { announced: [(vip(), Interfaces::All)].into(), ..Tables::default() }
    }

    fn giving() -> Tables {
        let heirs = Arc::new([(vip(), other())].into());
        Tables { moved: Arc::new([vip()].into()), heirs, ..Tables::default() }
    }

    fn awaiting() -> Tables {
        Tables { awaited: Arc::new([vip()].into()), ..announcing() }
    }

    struct Scene {
        moves: Moves,
        succession: Succession,
        tables: Tables,
        start: Instant,
    }

    impl Scene {
        fn new(tables: Tables) -> Self {
            let succession = Succession::new(Duration::from_secs(3));
            Self { moves: Moves::default(), succession, tables, start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn change(&mut self, millis: u64, new: Tables) {
            let now = self.at(millis);
            self.succession.change(now, &self.tables, &new);
            self.moves.change(now, &self.tables, &new, &self.succession);
            self.tables = new;
        }

        fn see(&mut self, millis: u64, port: u16, kind: Kind) {
            let client = (std::net::Ipv4Addr::new(192, 0, 2, 9), port).into();
            let connection = Connection { client, server: "192.0.2.200:80".parse().unwrap() };
            self.moves.see(self.at(millis), &Segment { connection, kind });
        }

        /// What follows until then, and when.
        fn run(&mut self, until: u64) -> Vec<(u128, Output)> {
            let mut outputs = Vec::new();
            let mut now = self.start;
            loop {
                while let Some(output) = self.moves.poll_output() {
                    outputs.push(((now - self.start).as_millis(), output));
                }
                match self.moves.poll_timeout().filter(|due| *due <= self.at(until)) {
                    Some(due) => now = due,
                    None => return outputs,
                }
                self.moves.pass_time(now);
            }
        }
    }

    #[test]
    fn an_address_goes_to_the_next_owners_station_in_a_lull() {
        let mut scene = Scene::new(announcing());
        scene.change(0, giving());
        assert!(scene.moves.asks_for(other()));
        scene.moves.heard(1, other(), THEIRS);
        assert_eq!(scene.moves.station(vip(), 1), None, "it is still here");
        scene.see(90, 1, Kind::Begins);
        let asked = [0, 30, 60].map(|at| (at, Output::Ask(other())));
        assert_eq!(scene.run(120), asked);
        scene.see(130, 1, Kind::Ends);
        scene.moves.pass_time(scene.at(130));
        assert_eq!(scene.moves.poll_output(), Some(Output::Give(vip())));
        assert_eq!(scene.moves.station(vip(), 1), Some(THEIRS));
        assert_eq!(scene.moves.station(vip(), 2), None, "it was not heard there");
        let again = [180, 230].map(|at| (at, Output::Give(vip())));
        assert_eq!(scene.run(240), again, "the next owner may not have known yet");
        scene.moves.end(vip());
        assert!(!scene.moves.asks_for(other()));
        assert_eq!((scene.moves.station(vip(), 1), scene.moves.poll_timeout()), (None, None));
    }

    fn first_given(outputs: &[(u128, Output)]) -> Option<u128> {
        outputs.iter().find(|(_, output)| *output == Output::Give(vip())).map(|(at, _)| *at)
    }

    #[test]
    fn without_a_lull_it_goes_all_the_same() {
        let mut scene = Scene::new(announcing());
        scene.change(0, giving());
        for port in 1..4 {
            let millis = 90 * u64::from(port);
            assert_eq!(first_given(&scene.run(millis)), None);
            scene.see(millis, port, Kind::Begins);
        }
        assert_eq!(first_given(&scene.run(310)), Some(300));
    }

    #[test]
    fn what_was_answered_for_in_anothers_name_goes_at_once() {
        let predecessor =
            super::super::tables::Predecessor { node: "old".into(), address: "192.0.2.1".parse().unwrap() };
        let inherited = Arc::new([(vip(), predecessor)].into());
        let mut scene = Scene::new(Tables::default());
        scene.change(0, Tables { inherited, ..announcing() });
        scene.change(10, giving());
        assert_eq!(first_given(&scene.run(20)), Some(0));
    }

    #[test]
    fn where_nobody_may_speak_of_anothers_station_nobody_waits_or_tells() {
        for tables in [giving(), awaiting()] {
            let mut scene =
                Scene::new(if tables.heirs.is_empty() { Tables::default() } else { announcing() });
            scene.moves = Moves::new(Duration::ZERO);
            scene.change(0, tables);
            assert_eq!(scene.run(1000), []);
            assert!(!scene.moves.is_awaited(vip()));
        }
    }

    #[test]
    fn who_is_to_have_an_address_waits_until_it_is_given_it() {
        let mut scene = Scene::new(Tables::default());
        scene.change(0, awaiting());
        assert!(scene.moves.is_awaited(vip()));
        assert_eq!(scene.run(200), []);
        scene.moves.given(vip());
        assert_eq!(scene.run(1000), [(0, Output::Begin(vip()))]);
        assert!(!scene.moves.is_awaited(vip()));
        scene.moves.given(vip());
        assert_eq!(scene.run(1000), [], "told twice");
    }

    #[test]
    fn and_no_longer_than_the_old_owner_takes() {
        let mut scene = Scene::new(Tables::default());
        scene.change(0, awaiting());
        assert_eq!(scene.run(1000), [(400, Output::Begin(vip()))]);
        assert!(!scene.moves.is_awaited(vip()));
    }

    #[test]
    fn what_is_taken_away_meanwhile_is_not_awaited_any_longer() {
        let mut scene = Scene::new(Tables::default());
        scene.change(0, awaiting());
        scene.change(100, Tables::default());
        assert_eq!(scene.run(1000), []);
        assert!(!scene.moves.is_awaited(vip()));
    }

    #[test]
    fn what_is_this_nodes_without_waiting_any_more_begins() {
        let mut scene = Scene::new(Tables::default());
        scene.change(0, awaiting());
        scene.change(100, announcing());
        assert_eq!(scene.run(1000), [(0, Output::Begin(vip()))]);
    }

    #[test]
    fn what_comes_back_before_the_next_owner_spoke_is_here_still() {
        for millis in [50, 150] {
            let mut scene = Scene::new(announcing());
            scene.change(0, giving());
            scene.run(millis);
            scene.change(millis, awaiting());
            assert!(!scene.moves.is_awaited(vip()));
            assert_eq!(scene.run(1000), []);
        }
        let mut scene = Scene::new(announcing());
        scene.change(0, giving());
        scene.run(150);
        scene.moves.end(vip());
        scene.change(200, awaiting());
        assert!(scene.moves.is_awaited(vip()));
    }
}
