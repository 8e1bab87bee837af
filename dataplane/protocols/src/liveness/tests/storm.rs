//! Random schedules for clusters of three to nine: nodes die, leave, stand still and come back, the network loses, repeats,
//! delays and parts (also one way), clocks differ, keys are renewed node by node, and somebody records and plays back. On top
//! is an election: the owner of an address is the first, in an order of its own, of those that live; in half of the
//! schedules it keeps the address, and whoever follows claims it (sticky ownership).
//!
//! A failure prints its seed; `Storm::run(seed)` is the whole schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::cluster::{Clock, Cluster, Process, Weather, ms, name};
use super::length::length;
use super::owners::{Disputes, order};
use crate::dice::Dice;
use crate::liveness::{Claim, Input, NodeId, Output, Tenure};

const ADDRESSES: u64 = 6;
/// Nothing happened for so long: all that run agree. Detections of the last to be found, one after the other: three for a
/// lone survivor, and one for each layer of those that were not watched by it.
const CALM: Duration = Duration::from_millis(2200);
/// In a network without trouble: two nodes own one address for so long at most. Detections differ by what the network takes.
const TWO_OWNERS: Duration = Duration::from_millis(100);
/// In a network without trouble an address is without owner for so long at most while most nodes run, and while few do.
const NO_OWNER: Duration = Duration::from_millis(700);
const NO_OWNER_OF_FEW: Duration = Duration::from_millis(1900);
/// What was wrong with the network is forgotten after so long.
const MEMORY: Duration = Duration::from_secs(2);
/// How often the invariants are looked at.
const STEP: Duration = Duration::from_millis(10);

fn ip(address: u64) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(address).unwrap()])
}

struct Storm {
    seed: u64,
    cluster: Cluster,
    dice: Dice,
    /// When something last happened at all, and to the network or to somebody's time.
    event: Duration,
    trouble: Duration,
    /// When no more than half of the nodes last ran.
    few: Duration,
    /// When each node last died, left or started.
    changed: BTreeMap<usize, Duration>,
    /// Ownership is sticky.
    sticky: bool,
    /// Who had each address alone when that was last so.
    last_owners: BTreeMap<u64, usize>,
    keys: u64,
    /// Who gets the new key when.
    to_renew: Vec<(Duration, usize)>,
    /// Of the nodes, for each address: who owns it rather than whom.
    orders: Vec<Vec<usize>>,
    /// Since when an address has two owners, or none.
    contested: BTreeMap<u64, Duration>,
    orphaned: BTreeMap<u64, Duration>,
    disputes: Disputes,
    facts: usize,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let count = 3 + dice.index(7);
        let cluster = Cluster::with_clocks(count, dice.roll(), Clock::any);
        Self {
            seed,
            cluster,
            dice,
            event: Duration::ZERO,
            trouble: Duration::ZERO,
            few: Duration::ZERO,
            changed: BTreeMap::new(),
            sticky: seed % 8 >= 4,
            last_owners: BTreeMap::new(),
            keys: 0,
            to_renew: Vec::new(),
            orders: (0..ADDRESSES).map(|address| order(address, count)).collect(),
            contested: BTreeMap::new(),
            orphaned: BTreeMap::new(),
            disputes: Disputes::default(),
            facts: 0,
        }
    }

    fn run(seed: u64) {
        let mut storm = Self::new(seed);
        if storm.dice.permille(300) {
            storm.cluster.tape = Some(Vec::new());
        }
        storm.pass(ms(400));
        for _ in 0..storm.dice.below(8) {
            storm.happen();
            let time = storm.dice.below(700);
            storm.pass(ms(time));
        }
        storm.clear_up();
        storm.pass(CALM + ms(400));
        assert!(storm.cluster.all_agree(), "seed {seed}");
        for node in storm.cluster.running() {
            assert!(
                storm.cluster.told(node).unwrap().iter().copied().eq(storm.cluster.view(node)),
                "seed {seed}"
            );
        }
    }

    fn happen(&mut self) {
        let count = self.cluster.len();
        let (one, other) = (self.dice.index(count), self.dice.index(count));
        self.event = self.cluster.time;
        match self.dice.below(16) {
            0..=2 => self.turn(one, Cluster::kill),
            3 => self.turn(one, Cluster::leave),
            4..=6 if self.cluster.process(one) == Process::Dead => self.turn(one, Cluster::start),
            7 => self.cluster.stop(one),
            8 => (0..count).for_each(|node| self.cluster.go_on(node)),
            9 => _ = self.cluster.cut.insert((one, other)),
            10 => self.cluster.part(&[one], &[other]),
            11 => {
                let (one, other): (Vec<_>, Vec<_>) = (0..count).partition(|_| self.dice.permille(500));
                self.cluster.part(&one, &other);
            }
            12 => self.cluster.cut.clear(),
            13 => {
                let delay = (Duration::from_micros(50), ms(1 + self.dice.below(20)));
                let (lost, repeated) = (self.dice.below(60), self.dice.below(60));
                self.cluster.weather = Weather { delay, lost, repeated };
            }
            14 => self.renew_keys(),
            15 => self.play_back(),
            _ => {}
        }
    }

    fn turn(&mut self, node: usize, what: impl Fn(&mut Cluster, usize)) {
        what(&mut self.cluster, node);
        self.changed.insert(node, self.cluster.time);
    }

    /// The kubelets bring a new Secret, one by one.
    fn renew_keys(&mut self) {
        if self.to_renew.is_empty() {
            self.keys += 1;
            for node in 0..self.cluster.len() {
                let later = ms(self.dice.below(500));
                self.to_renew.push((self.cluster.time + later, node));
            }
        }
    }

    fn play_back(&mut self) {
        let count = self.dice.below(100);
        self.cluster.play_back(&mut self.dice, count);
    }

    /// The sky clears. Who is dead may stay so.
    fn clear_up(&mut self) {
        self.cluster.cut.clear();
        self.cluster.weather = Weather::FAIR;
        self.event = self.cluster.time;
        for node in 0..self.cluster.len() {
            self.cluster.go_on(node);
            if self.cluster.process(node) == Process::Dead && self.dice.permille(500) {
                self.turn(node, Cluster::start);
            }
        }
        self.play_back();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.cluster.time + time;
        while self.cluster.time < end {
            let now = self.cluster.time;
            let (due, later): (Vec<_>, _) = self.to_renew.iter().partition(|(at, _)| *at <= now);
            self.to_renew = later;
            for (_, node) in due {
                self.cluster.renew_key(node, &format!("key {}", self.keys));
            }
            let stopped = (0..self.cluster.len()).any(|node| self.cluster.process(node) == Process::Stopped);
            let bad = self.cluster.weather.lost + self.cluster.weather.repeated > 0;
            if stopped || bad || !self.cluster.cut.is_empty() || !self.to_renew.is_empty() {
                self.trouble = now;
            }
            self.cluster.run_for(STEP);
            self.claim();
            self.look();
        }
    }

    /// What each speaker does about addresses, by what it knows.
    fn claim(&mut self) {
        for (node, address) in self
            .cluster
            .running()
            .into_iter()
            .flat_map(|node| (0..ADDRESSES).map(move |address| (node, address)))
        {
            if !self.sticky || self.owner(node, address) != Some(node) {
                continue;
            }
            let held = self.cluster.tenure(node, ip(address));
            let own = NodeId::from(&name(node));
            if held.is_none_or(|held| held.owner != own) {
                let tenure = Tenure::following(held.as_ref(), own);
                self.cluster.input(node, Input::Claims(&[Claim { address: ip(address), tenure }]));
            }
        }
    }

    /// Who has the address, by what `node` knows.
    fn owner(&self, node: usize, address: u64) -> Option<usize> {
        let view = self.cluster.told(node)?;
        let held = self.cluster.tenure(node, ip(address));
        let holder = held.and_then(|held| view.iter().find(|node| NodeId::from(&name(**node)) == held.owner));
        let order = &self.orders[usize::try_from(address).unwrap()];
        holder.or_else(|| order.iter().find(|node| view.contains(node))).copied()
    }

    fn look(&mut self) {
        let now = self.cluster.time;
        let running = self.cluster.running();
        let owners: Vec<Vec<usize>> = (0..ADDRESSES)
            .map(|address| {
                let is_owner = |node: &usize| self.owner(*node, address) == Some(*node);
                running.iter().copied().filter(is_owner).collect()
            })
            .collect();
        // Who is dead for most and heard by some is left to ARP: `who_is_dead_for_most_has_no_address_together_with_one_that_hears_it`.
        let cut: BTreeSet<usize> = self.cluster.cut.iter().flat_map(|(one, other)| [*one, *other]).collect();
        // And a key is to be replaced only when all have had the one before: two that have none in common do not understand each other.
        let understand_all = |one, other| self.keys < 2 && !cut.contains(&one) && !cut.contains(&other);
        self.disputes.look(&self.cluster, &owners, understand_all, &format!("seed {}", self.seed));
        if now > self.event.max(self.trouble) + CALM {
            assert!(self.cluster.all_agree(), "seed {} at {now:?}", self.seed);
        }
        if now < self.trouble + MEMORY {
            self.contested.clear();
            self.orphaned.clear();
            self.last_owners.clear();
            self.facts = self.cluster.facts.len();
            return;
        }
        self.look_for_causes(now);
        self.look_for_owners(now, &running, &owners);
    }

    /// Nobody dies by silence, for anyone, who did not die.
    fn look_for_causes(&mut self, now: Duration) {
        for (at, observer, fact) in self.cluster.facts.iter().skip(self.facts) {
            if let Output::Dead(name, why) = fact {
                let node: usize = name.as_str()[1..].parse().unwrap();
                let cause =
                    |node: usize| self.changed.get(&node).is_some_and(|changed| *changed + MEMORY > now);
                assert!(
                    cause(node) || cause(*observer),
                    "seed {}: {name} is dead for n{observer} at {at:?}, {why:?}",
                    self.seed
                );
            }
        }
        self.facts = self.cluster.facts.len();
    }

    fn look_for_owners(&mut self, now: Duration, running: &[usize], owners: &[Vec<usize>]) {
        if 2 * running.len() <= self.cluster.len() {
            self.few = now;
        }
        let settled: Vec<_> = running.iter().filter(|node| self.cluster.told(**node).is_some()).collect();
        for (address, owners) in (0..).zip(owners) {
            if let ([owner], true) = (&owners[..], self.sticky) {
                let before = self.last_owners.insert(address, *owner).filter(|before| before != owner);
                let cause = |node| self.changed.get(&node).is_some_and(|at| *at + MEMORY > now);
                assert!(
                    before.is_none_or(cause),
                    "seed {} at {now:?}: {address} went from {before:?} to {owner} without need",
                    self.seed
                );
            }
            if owners.len() > 1 {
                let since = *self.contested.entry(address).or_insert(now);
                assert!(
                    now.saturating_sub(since) < TWO_OWNERS,
                    "seed {} at {now:?}: {owners:?} since {since:?}",
                    self.seed
                );
            } else {
                self.contested.remove(&address);
            }
            if owners.is_empty() && !settled.is_empty() {
                let since = *self.orphaned.entry(address).or_insert(now);
                let bound = if self.few < since { NO_OWNER } else { NO_OWNER_OF_FEW };
                assert!(
                    now.saturating_sub(since) < bound,
                    "seed {} at {now:?}: nobody since {since:?}",
                    self.seed
                );
            } else {
                self.orphaned.remove(&address);
            }
        }
    }
}

const SCHEDULES: u64 = 10_000;
/// That run beside each other.
const THREADS: u64 = 4;

/// Once it is over all agree; until then nobody dies without a cause, and no address has two owners that hear each other, or none,
/// for long.
#[test]
fn whatever_happens_is_survived() {
    let run = |first: u64| {
        (first..SCHEDULES * length()).step_by(usize::try_from(THREADS).unwrap()).for_each(Storm::run)
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|first| drop(scope.spawn(move || run(first)))));
}
