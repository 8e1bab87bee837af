//! Random schedules, and what holds in each: also while something is wrong, for those that it does not concern.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use metallb_protocols::dice::Dice;
use proptest::prelude::ProptestConfig;

use super::api::{News, vip};
use super::cluster::{CLIENTS, Cluster, Process, ms, node_of};

/// How often the invariants are looked at.
const STEP: Duration = Duration::from_millis(20);
/// Two nodes that hear each other, and know the same, both own an address for so long at most.
const TWO_OWNERS: Duration = Duration::from_millis(600);
/// After the last thing that happened, an address that some healthy node may have is without an owner for so long at most.
const NO_OWNER: Duration = Duration::from_millis(2500);
/// What happened to a node is forgotten as a cause after so long: a speaker that is stood in for has three seconds to come back,
/// and so has the one that stands in for it.
const MEMORY: Duration = Duration::from_secs(8);

/// Of a thousand packets, in every fourth schedule.
const LOST: u64 = 20;

struct Storm {
    seed: u64,
    cluster: Cluster,
    dice: Dice,
    is_sticky: bool,
    is_verbose: bool,
    event: Duration,
    /// When something last happened to each node.
    changed: Vec<Duration>,
    /// The same without what makes a node have addresses again that it lost.
    struck: Vec<Duration>,
    /// Some wire was broken one way only.
    was_one_way: bool,
    contested: BTreeMap<(IpAddr, usize, usize), Duration>,
    orphaned: BTreeMap<IpAddr, Duration>,
    owners: BTreeMap<IpAddr, usize>,
    longest: (Duration, Duration),
    seen: BTreeMap<IpAddr, Vec<usize>>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let count = 3 + dice.index(3);
        let is_sticky = dice.permille(500);
        let mut cluster = Cluster::new(count, dice.roll(), is_sticky);
        cluster.lost = if seed.is_multiple_of(4) { LOST } else { 0 };
        Self {
            seed,
            cluster,
            dice,
            is_sticky,
            is_verbose: std::env::var_os("STORM").is_some(),
            event: Duration::ZERO,
            changed: vec![Duration::ZERO; count],
            struck: vec![Duration::ZERO; count],
            was_one_way: false,
            contested: BTreeMap::new(),
            orphaned: BTreeMap::new(),
            owners: BTreeMap::new(),
            longest: (Duration::ZERO, Duration::ZERO),
            seen: BTreeMap::new(),
        }
    }

    fn run(seed: u64) -> (Duration, Duration) {
        let mut storm = Self::new(seed);
        storm.pass(ms(2000));
        for _ in 0..=storm.dice.below(6) {
            storm.happen();
            let time = if storm.dice.permille(500) { 300 } else { 4000 };
            let time = storm.dice.below(time);
            storm.pass(ms(time));
        }
        storm.clear_up();
        storm.pass(ms(6000));
        storm.longest
    }

    fn happen(&mut self) {
        let count = self.cluster.len();
        let (one, other) = (self.dice.index(count), self.dice.index(count));
        let what = self.dice.below(19);
        if self.is_verbose {
            println!("{:?}: {what} of {one} and {other}", self.cluster.time);
        }
        let is_dead = self.cluster.machines[one].process == Process::Dead;
        let is_heard_of = self.cluster.time >= self.cluster.api_away_until;
        match what {
            0 | 1 => self.strike(one, |cluster| cluster.kill(one, false)),
            2 | 3 => self.strike(one, |cluster| cluster.kill(one, true)),
            4 => self.strike(one, |cluster| cluster.leave(one)),
            5..=7 if is_dead => self.change(one, |cluster| cluster.start(one)),
            8 => self.strike(one, |cluster| cluster.stop(one)),
            9 => (0..count).for_each(|node| self.go_on(node)),
            10 if is_heard_of => self.report(one, |cluster| cluster.api.exclude_or_not(one)),
            11 if is_heard_of => self.report(one, |cluster| cluster.api.leave_or_not(one)),
            12 if is_heard_of => self.report(one, |cluster| cluster.api.prefer_or_not(one)),
            13 if is_heard_of => self.report(one, |cluster| cluster.api.move_endpoint(one)),
            14 if is_heard_of => self.report(one, |cluster| cluster.api.delete_service_or_not()),
            15 => {
                let has_carrier = !self.cluster.machines[one].has_carrier;
                self.strike(one, |cluster| cluster.set_carrier(one, has_carrier));
            }
            16 if one != other => {
                self.strike(one, |cluster| _ = cluster.cut.insert((one, other)));
                self.strike(other, |_| {});
            }
            17 => {
                let alone = self.dice.permille(500);
                let inside: Vec<bool> = (0..count)
                    .map(|node| if alone { node == one } else { self.dice.permille(500) })
                    .collect();
                for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
                    if inside[a] != inside[b] {
                        self.strike(a, |cluster| _ = cluster.cut.insert((a, b)));
                    }
                }
            }
            18 => self.heal(),
            _ => {
                let time = ms(self.dice.below(4000));
                self.cluster.api_away_until = self.cluster.time + time;
            }
        }
    }

    fn heal(&mut self) {
        for (one, other) in std::mem::take(&mut self.cluster.cut) {
            self.strike(one, |_| {});
            self.strike(other, |_| {});
        }
    }

    fn clear_up(&mut self) {
        self.heal();
        for node in 0..self.cluster.len() {
            match self.cluster.machines[node].process {
                Process::Stopped => self.go_on(node),
                Process::Dead if self.dice.permille(500) => {
                    if self.is_verbose {
                        println!("{:?}: {node} starts", self.cluster.time);
                    }
                    self.change(node, |cluster| cluster.start(node));
                }
                Process::Dead | Process::Running => {}
            }
        }
    }

    fn go_on(&mut self, node: usize) {
        self.strike(node, |cluster| cluster.go_on(node));
    }

    /// What may cost a node its addresses.
    fn strike(&mut self, node: usize, what: impl FnOnce(&mut Cluster)) {
        self.struck[node] = self.cluster.time;
        self.change(node, what);
    }

    fn change(&mut self, node: usize, what: impl FnOnce(&mut Cluster)) {
        self.event = self.cluster.time;
        self.changed[node] = self.cluster.time;
        what(&mut self.cluster);
    }

    /// The API server says something new of a node.
    fn report(&mut self, node: usize, what: impl FnOnce(&mut Cluster) -> News) {
        let was = self.may_have(node);
        self.change(node, |cluster| {
            let news = what(cluster);
            cluster.publish(&news);
        });
        let is = self.may_have(node);
        let (was_preferred, is_preferred) = (was.0, is.0);
        if was.1 != is.1 && was.1.is_superset(&is.1) || was_preferred || was == is {
            self.struck[node] = self.cluster.time;
        }
        if is_preferred && !was_preferred {
            // It takes what the others have.
            self.struck.fill(self.cluster.time);
        }
    }

    fn may_have(&self, node: usize) -> (bool, BTreeSet<IpAddr>) {
        let api = &self.cluster.api;
        let all = (1..=4).map(vip).filter(|address| api.may_announce(node, *address));
        (api.is_preferred(node), all.collect())
    }

    fn pass(&mut self, time: Duration) {
        let end = self.cluster.time + time;
        while self.cluster.time < end {
            let next = self.cluster.time + STEP;
            self.cluster.run_until(next);
            self.look();
        }
    }

    fn look(&mut self) {
        let now = self.cluster.time;
        // What goes on goes on being a cause.
        for (one, other) in self.cluster.cut.clone() {
            (self.changed[one], self.changed[other]) = (now, now);
            (self.struck[one], self.struck[other]) = (now, now);
        }
        for node in (0..self.cluster.len()).filter(|node| !self.cluster.machines[*node].has_carrier) {
            (self.changed[node], self.struck[node]) = (now, now);
        }
        let running: Vec<usize> = (0..self.cluster.len()).filter(|node| self.is_running(*node)).collect();
        if 2 * running.len() < self.cluster.len() {
            // Who hears less than half of the speakers claims nothing, and gives back what it announces.
            self.struck.fill(now);
        }
        if running.iter().any(|node| !self.cluster.knows_all(*node)) {
            self.event = now;
        }
        self.look_for_conflicts(&running);
        let addresses = self.cluster.api.addresses();
        for address in (1..=4).map(vip) {
            let has = |node: &usize| {
                self.cluster.machines[*node].speaker.as_ref().is_some_and(|speaker| speaker.has(address))
            };
            let owners: Vec<usize> = running.iter().copied().filter(has).collect();
            if addresses.contains_key(&address) {
                self.look_for_two(address, &owners);
                self.look_for_none(address, &owners, &running);
                self.look_for_cause(address, &owners);
            } else {
                self.owners.remove(&address);
                self.orphaned.remove(&address);
                self.contested.retain(|(contested, ..), _| *contested != address);
            }
        }
    }

    fn is_running(&self, node: usize) -> bool {
        self.cluster.machines[node].process == Process::Running
    }

    /// All stations are the cluster's. Only who was heard and did not hear may be taken for another.
    fn look_for_conflicts(&mut self, running: &[usize]) {
        let cut = &self.cluster.cut;
        self.was_one_way |= cut.iter().any(|(one, other)| !cut.contains(&(*other, *one)));
        let machines = &self.cluster.machines;
        let contested = |node: &usize| machines[*node].speaker.as_ref()?.contested().first().copied();
        let conflict = running.iter().find_map(|node| Some((node, contested(node)?)));
        if let Some((node, address)) = conflict.filter(|_| !self.was_one_way) {
            panic!("{}", self.explain(address, &format!("{node} takes a node's station for a foreign one")));
        }
    }

    fn look_for_two(&mut self, address: IpAddr, owners: &[usize]) {
        let now = self.cluster.time;
        let count = self.cluster.len();
        for (one, other) in (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))) {
            let hear_each_other =
                ![(one, other), (other, one)].iter().any(|pair| self.cluster.cut.contains(pair));
            let know = [one, other].iter().all(|node| self.cluster.knows_all(*node));
            let place = (address, one, other);
            if owners.contains(&one) && owners.contains(&other) && hear_each_other && know {
                let since = *self.contested.entry(place).or_insert(now);
                let long = now.saturating_sub(since);
                self.longest.0 = self.longest.0.max(long);
                assert!(
                    long < TWO_OWNERS,
                    "{}",
                    self.explain(address, &format!("{one} and {other} since {since:?}"))
                );
            } else {
                self.contested.remove(&place);
            }
        }
    }

    fn look_for_none(&mut self, address: IpAddr, owners: &[usize], running: &[usize]) {
        let now = self.cluster.time;
        let machines = &self.cluster.machines;
        let may = |node: &usize| machines[*node].has_carrier && self.cluster.api.may_announce(*node, address);
        // Who is stood in for has it as well.
        let is_answered = |node: &usize| {
            let told = machines[*node].speaker.as_ref().and_then(|speaker| speaker.tells(CLIENTS, address));
            told.is_some_and(|station| machines[node_of(station)].has_power)
        };
        let is_fine = owners.iter().any(may)
            || running.iter().filter(|node| may(node)).any(is_answered)
            || !running.iter().any(may);
        if is_fine {
            self.orphaned.remove(&address);
            return;
        }
        let since = self.orphaned.entry(address).or_insert(now);
        *since = (*since).max(self.event);
        let long = now.saturating_sub(*since);
        let text = format!("nobody since {since:?}");
        self.longest.1 = self.longest.1.max(long);
        assert!(long < NO_OWNER, "{}", self.explain(address, &text));
    }

    fn look_for_cause(&mut self, address: IpAddr, owners: &[usize]) {
        let now = self.cluster.time;
        if self.is_verbose && self.seen.get(&address).is_none_or(|seen| seen != owners) {
            self.seen.insert(address, owners.to_vec());
            println!("{}", self.explain(address, &format!("of {owners:?}")));
        }
        let [owner] = owners else { return };
        let Some(before) = self.owners.insert(address, *owner).filter(|before| before != owner) else {
            return;
        };
        let is_recent = |at: Duration| at + MEMORY > now || self.event == now;
        let is_cause = if self.is_sticky {
            // Who does not hear all others when it starts goes by the rule; who leaves gives way to any that came back.
            let hears_all = !self.cluster.cut.iter().any(|(_, to)| to == owner);
            let gives_way = self.cluster.api.is_leaving(before) && !self.cluster.api.is_leaving(*owner);
            is_recent(self.struck[before]) || is_recent(self.changed[*owner]) && (!hears_all || gives_way)
        } else {
            is_recent(self.changed[before]) || is_recent(self.changed[*owner])
        };
        assert!(
            is_cause,
            "{}",
            self.explain(address, &format!("it went from {before} to {owner} without need"))
        );
    }

    fn explain(&self, address: IpAddr, what: &str) -> String {
        let speakers = self.cluster.machines.iter().enumerate().map(|(node, machine)| {
            let speaker = machine.speaker.as_ref().map(|speaker| speaker.explain(address));
            format!(
                "\n{node} {:?} power {} carrier {} {speaker:?}",
                machine.process, machine.has_power, machine.has_carrier
            )
        });
        format!(
            "seed {} ({}) at {:?}: {address}: {what}; cut {:?}{}",
            self.seed,
            if self.is_sticky { "sticky" } else { "hash" },
            self.cluster.time,
            self.cluster.cut,
            speakers.collect::<String>()
        )
    }
}

/// Most speakers do not hear one of them: it is dead for all, but not for itself. One hears it still, by heartbeats and ARP.
#[test]
fn who_is_dead_for_most_has_no_address_together_with_one_that_hears_it() {
    for seed in 0..8 {
        let count = Storm::new(seed).cluster.len();
        for (dead, hears) in (0..count).flat_map(|dead| (0..count).map(move |hears| (dead, hears))) {
            if dead == hears {
                continue;
            }
            let mut storm = Storm::new(seed);
            storm.pass(ms(2000));
            for other in (0..count).filter(|other| ![dead, hears].contains(other)) {
                storm.strike(dead, |cluster| cluster.cut.extend([(dead, other), (other, dead)]));
                storm.strike(other, |_| {});
            }
            storm.pass(ms(8000));
        }
    }
}

/// In a soak so many times as many as there are more cases than proptest's own 256. `SEED=n STORM=1` runs one, and says what happens.
const SCHEDULES: u64 = 400;
const THREADS: u64 = 2;

#[test]
fn whatever_happens_addresses_have_one_owner_and_move_with_a_cause() {
    let length = (u64::from(ProptestConfig::default().cases) / 256).max(1);
    let only = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    if let Some(seed) = only {
        println!("{:?}", Storm::run(seed));
        return;
    }
    let run = |first: u64| {
        let mut longest = (Duration::ZERO, Duration::ZERO);
        for seed in (first..SCHEDULES * length).step_by(usize::try_from(THREADS).unwrap()) {
            let (two, none) = Storm::run(seed);
            longest = (longest.0.max(two), longest.1.max(none));
        }
        println!("two owners for {:?} at most, none for {:?}", longest.0, longest.1);
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|first| drop(scope.spawn(move || run(first)))));
}
