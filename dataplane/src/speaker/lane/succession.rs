//! Addresses between two nodes: those that were another's until its speaker fell silent, and those that are another's from
//! now on. In whose name they are answered for, and for how long.
//!
//! Not here: who owns what (the brain decides that), and any byte.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::config::Interfaces;
use metallb_core::names::{InterfaceName, NodeName};
use metallb_protocols::ethernet::Mac;
use metallb_protocols::stand_in::{Input, Name, Output, StandIns};

use super::moves::{Moves, TOLD_FOR};
use super::tables::{Predecessor, Tables};

/// A node goes on to answer for this long, at most, after another one was given its address: that one may not have heard of it yet.
pub(super) const LINGER: Duration = Duration::from_millis(500);

pub(super) struct Succession {
    stand_ins: StandIns,
    /// The nodes whose routes are announced in their name: asked as the others are, and nothing on layer 2 follows.
    absent: StandIns,
    /// Where they were announced, and until when they are answered for.
    lingering: BTreeMap<IpAddr, (Interfaces, Instant)>,
    /// When another station was heard to have an address of this node's, and on which interface, by index.
    claimed: BTreeMap<(IpAddr, u32), Instant>,
}

impl Succession {
    /// A silent speaker has `grace` to come back.
    pub(super) const fn new(grace: Duration) -> Self {
        Self {
            stand_ins: StandIns::new(grace),
            absent: StandIns::new(grace),
            lingering: BTreeMap::new(),
            claimed: BTreeMap::new(),
        }
    }

    /// Takes note of what is in `new` and was not in `old`, and the other way round.
    /// What is only awaited (`moves`) was never answered for.
    pub(super) fn change(&mut self, now: Instant, old: &Tables, new: &Tables, moves: &Moves) {
        self.lingering.retain(|address, _| new.moved.contains(address));
        // The next owner may have been the first to know that it is.
        self.claimed.retain(|(address, _), at| {
            now < *at + LINGER || (old.is_given_up(*address) && new.is_given_up(*address))
        });
        for address in new.moved_unlike(old) {
            let Some(interfaces) = old.announced.get(address) else { continue };
            // What was answered for in the other's name needs no transition.
            if !self.is_waiting(old, *address) && !moves.is_awaited(*address) {
                let told_for = new.settling(*address) + TOLD_FOR;
                let time = if moves.goes_to_heir(new, *address) { told_for } else { LINGER };
                self.lingering.insert(*address, (interfaces.clone(), now + time));
            }
        }
        for (address, (_, until)) in &mut self.lingering {
            // It goes on to a third node, which waits in its turn.
            if old.heirs.get(address) != new.heirs.get(address) && moves.goes_to_heir(new, *address) {
                *until = now + new.settling(*address) + TOLD_FOR;
            }
        }
        let of = |tables: &Tables| tables.inherited.values().cloned().collect::<BTreeSet<Predecessor>>();
        follow(&mut self.stand_ins, now, &of(old), &of(new));
        follow(&mut self.absent, now, &old.absent, &new.absent);
    }

    /// Another station says that it has an address that is this node's. If this one gives it up, that is the next owner, and
    /// neighbours hear of the address from that one only: two answers would have them go to and fro, and break what is open
    /// each time.
    pub(super) fn claimed(&mut self, now: Instant, interface: u32, address: IpAddr) {
        self.claimed.insert((address, interface), now);
    }

    /// A station says that it has an address that was asked for.
    pub(super) fn heard(&mut self, now: Instant, interface: u32, address: IpAddr, station: Mac) {
        self.stand_ins.handle_input(now, Input::Heard { interface, address, station });
        self.absent.handle_input(now, Input::Heard { interface, address, station });
    }

    /// What time alone brings about. The addresses that are not answered for any longer.
    pub(super) fn pass_time(&mut self, now: Instant) -> Vec<IpAddr> {
        self.stand_ins.handle_input(now, Input::Tick);
        self.absent.handle_input(now, Input::Tick);
        self.lingering.extract_if(.., |_, (_, until)| *until <= now).map(|(address, _)| address).collect()
    }

    /// Is it answered for though another node has it?
    pub(super) fn lingers(&self, address: IpAddr) -> bool {
        self.lingers_on(address).is_some()
    }

    /// Where it is then.
    pub(super) fn lingers_on(&self, address: IpAddr) -> Option<&Interfaces> {
        self.lingering.get(&address).map(|(interfaces, _)| interfaces)
    }

    /// What follows, in order.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.stand_ins.poll_output()
    }

    /// A node gives its routes once more, after it had been let go: it is asked again.
    pub(super) fn ask_again(&mut self, now: Instant, tables: &Tables, node: &NodeName) {
        for Predecessor { node, address } in tables.absent.iter().filter(|absent| absent.node == *node) {
            self.absent.handle_input(now, Input::Silent { node, address: *address });
        }
    }

    /// What follows for nodes whose routes are announced in their name, in order.
    pub(super) fn poll_absent(&mut self) -> Option<Output> {
        self.absent.poll_output()
    }

    /// When [`Self::pass_time`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let lingering = self.lingering.values().map(|(_, until)| *until);
        lingering.chain(self.stand_ins.poll_timeout()).chain(self.absent.poll_timeout()).min()
    }

    /// Is the address announced here, and is nobody to be told unasked, because its node may come back?
    pub(super) fn is_waiting(&self, tables: &Tables, address: IpAddr) -> bool {
        let predecessor = tables.inherited.get(&address);
        predecessor.is_some_and(|predecessor| self.stand_ins.is_for(&predecessor.node))
    }

    /// Is the address answered for on that interface, which has this index and name?
    pub(super) fn answers(&self, tables: &Tables, address: IpAddr, index: u32, name: &InterfaceName) -> bool {
        let on = tables.announced.get(&address).or_else(|| self.lingers_on(address));
        let is_here = on.is_some_and(|on| on.contains(name));
        is_here && !(tables.is_given_up(address) && self.claimed.contains_key(&(address, index)))
    }

    /// What is answered for beside what is announced.
    pub(super) fn lingering(&self) -> impl Iterator<Item = (&IpAddr, &Interfaces)> {
        self.lingering.iter().map(|(address, (interfaces, _))| (address, interfaces))
    }

    /// The node that had the address, if it is stood in for and this is its station there.
    pub(super) fn predecessor<'t>(
        &self,
        tables: &'t Tables,
        address: IpAddr,
        interface: u32,
        station: Mac,
    ) -> Option<&'t NodeName> {
        let node = &tables.inherited.get(&address)?.node;
        (self.stand_ins.name(node, interface) == Name::Of(station)).then_some(node)
    }

    /// The station that neighbours on an interface are told.
    pub(super) fn told(&self, tables: &Tables, address: IpAddr, interface: u32, own: Mac) -> Option<Mac> {
        let name = tables
            .inherited
            .get(&address)
            .map_or(Name::Own, |predecessor| self.stand_ins.name(&predecessor.node, interface));
        match name {
            Name::Own => Some(own),
            Name::Of(station) => Some(station),
            Name::Undecided => None,
        }
    }

    /// Is somebody asked for this address?
    pub(super) fn asks_for(&self, address: IpAddr) -> bool {
        self.stand_ins.asks_for(address) || self.absent.asks_for(address)
    }
}

/// Of whom the speaker is silent from now on, and of whom no longer.
fn follow(
    stand_ins: &mut StandIns,
    now: Instant,
    before: &BTreeSet<Predecessor>,
    after: &BTreeSet<Predecessor>,
) {
    for Predecessor { node, .. } in before.difference(after) {
        stand_ins.handle_input(now, Input::Over(node));
    }
    for Predecessor { node, address } in after.difference(before) {
        stand_ins.handle_input(now, Input::Silent { node, address: *address });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tables::Phase;
    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn vip() -> IpAddr {
        "192.0.2.200".parse().unwrap()
    }

    fn announcing() -> Tables {
        Tables { announced: [(vip(), Interfaces::All)].into(), ..Tables::default() }
    }

    fn inheriting() -> Tables {
        let predecessor = Predecessor { node: "old".into(), address: "192.0.2.1".parse().unwrap() };
        Tables { inherited: Arc::new([(vip(), predecessor)].into()), ..announcing() }
    }

    fn moved() -> Tables {
        Tables { moved: Arc::new([vip()].into()), ..Tables::default() }
    }

    fn begin(grace: u64) -> (Succession, Instant) {
        (Succession::new(Duration::from_secs(grace)), Instant::now())
    }

    fn change(succession: &mut Succession, now: Instant, old: &Tables, new: &Tables) {
        succession.change(now, old, new, &Moves::default());
    }

    fn answers(succession: &Succession, tables: &Tables) -> bool {
        succession.answers(tables, vip(), 1, &"eth0".into())
    }

    #[test]
    fn an_address_that_another_node_has_now_is_answered_for_a_little_longer() {
        let (mut succession, now) = begin(3);
        change(&mut succession, now, &announcing(), &moved());
        assert!(answers(&succession, &moved()));
        assert_eq!(succession.told(&moved(), vip(), 1, OWN), Some(OWN));
        assert_eq!(succession.poll_timeout(), Some(now + LINGER));
        assert_eq!(succession.pass_time(now + LINGER), [vip()]);
        assert!(!answers(&succession, &moved()));
        assert_eq!(succession.poll_timeout(), None);
    }

    #[test]
    fn who_is_heard_to_have_an_address_now_is_the_only_one_that_answers_for_it() {
        let (mut succession, now) = begin(3);
        change(&mut succession, now, &announcing(), &moved());
        succession.claimed(now, 2, vip());
        assert!(answers(&succession, &moved()), "the first interface may lead to another network");
        succession.claimed(now, 1, vip());
        assert!(!answers(&succession, &moved()));
        change(&mut succession, now, &moved(), &announcing());
        assert!(answers(&succession, &announcing()), "it came back");
    }

    #[test]
    fn it_may_have_said_so_a_moment_before_this_node_knew() {
        let (mut succession, now) = begin(3);
        succession.claimed(now, 1, vip());
        assert!(answers(&succession, &announcing()), "the address is here");
        change(&mut succession, now + LINGER / 2, &announcing(), &moved());
        assert!(!answers(&succession, &moved()));
    }

    #[test]
    fn what_was_claimed_long_before_the_address_moved_was_another_matter() {
        let (mut succession, now) = begin(3);
        succession.claimed(now, 1, vip());
        change(&mut succession, now + LINGER, &announcing(), &moved());
        assert!(answers(&succession, &moved()));
    }

    #[test]
    fn who_leaves_answers_until_another_one_is_heard_to_have_the_address() {
        let (mut succession, now) = begin(3);
        let leaving = Tables { phase: Phase::Leaving, ..announcing() };
        change(&mut succession, now, &announcing(), &leaving);
        assert!(answers(&succession, &leaving));
        succession.claimed(now, 1, vip());
        assert!(!answers(&succession, &leaving));
    }

    #[test]
    fn an_address_that_nobody_has_any_more_is_not() {
        let (mut succession, now) = begin(3);
        change(&mut succession, now, &announcing(), &Tables::default());
        assert!(!answers(&succession, &Tables::default()));
        change(&mut succession, now, &announcing(), &moved());
        change(&mut succession, now, &moved(), &Tables::default());
        assert!(!answers(&succession, &Tables::default()), "its service went meanwhile");
    }

    #[test]
    fn what_was_anothers_is_answered_in_its_name_until_its_time_is_over() {
        let (mut succession, now) = begin(3);
        change(&mut succession, now, &Tables::default(), &inheriting());
        assert_eq!(succession.told(&inheriting(), vip(), 1, OWN), None, "it may be dead");
        for question in 0..100 {
            let now = now + question * metallb_protocols::stand_in::INTERVAL;
            succession.heard(now, 1, "192.0.2.1".parse().unwrap(), THEIRS);
            succession.pass_time(now);
            assert_eq!(succession.told(&inheriting(), vip(), 1, OWN), Some(THEIRS));
            assert!(succession.is_waiting(&inheriting(), vip()));
        }
        succession.pass_time(now + Duration::from_secs(3));
        assert_eq!(succession.told(&inheriting(), vip(), 1, OWN), Some(OWN));
        assert!(!succession.is_waiting(&inheriting(), vip()));
    }

    #[test]
    fn what_goes_back_to_its_node_before_that_is_not_answered_for_any_longer() {
        let (mut succession, now) = begin(3);
        change(&mut succession, now, &Tables::default(), &inheriting());
        change(&mut succession, now, &inheriting(), &moved());
        assert!(!answers(&succession, &moved()));
        assert!(!succession.asks_for("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_second_address_of_the_same_node_begins_nothing_anew() {
        let (mut succession, now) = begin(3);
        change(&mut succession, now, &Tables::default(), &inheriting());
        succession.pass_time(now + Duration::from_secs(1));
        let mut more = inheriting();
        let predecessor = more.inherited[&vip()].clone();
        Arc::make_mut(&mut more.inherited).insert("192.0.2.201".parse().unwrap(), predecessor);
        change(&mut succession, now + Duration::from_secs(2), &inheriting(), &more);
        assert!(!succession.is_waiting(&more, vip()), "its node did not answer within its time");
    }
}
