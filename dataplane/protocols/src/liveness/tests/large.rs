//! What speakers send and how long a death takes, from three to a thousand of them; and a thousand in twenty
//! schedules a seed.
//!
//! The figures are printed (`--nocapture`), and the seed with each disaster; what is asserted is what is promised.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cluster::{Cluster, Process, Weather, ms};
use super::length::length;
use super::owners::{Disputes, order};
use crate::dice::Dice;

/// Silence of three intervals, what the network takes, and the turns in which a thousand are told.
const DETECTION: Duration = Duration::from_millis(320);

/// One in so many of the sorted `values`.
fn quantile(values: &[Duration], permille: usize) -> Duration {
    values[(values.len() - 1) * permille / 1000]
}

/// From each death to each of the others' knowing it.
fn detections(cluster: &mut Cluster, dice: &mut Dice, deaths: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..deaths {
        let node = dice.index(cluster.len());
        cluster.run_for(Duration::from_micros(dice.below(100_000)));
        cluster.forget();
        let died = cluster.time;
        cluster.kill(node);
        cluster.run_for(ms(400));
        times.extend(cluster.deaths().iter().map(|(at, ..)| at.saturating_sub(died)));
        assert_eq!(
            cluster.deaths().len(),
            cluster.len() - 1,
            "each other node knows of it, and of no other death"
        );
        cluster.start(node);
        cluster.run_for(ms(200));
        assert!(cluster.all_agree());
    }
    times.sort_unstable();
    let (half, most, all) = (quantile(&times, 500), quantile(&times, 990), quantile(&times, 1000));
    println!("{} nodes: a death is known after {half:?} (p50), {most:?} (p99), {all:?} (max)", cluster.len());
    times
}

#[test]
fn a_death_is_known_to_all_after_three_intervals() {
    for count in [3, 9, 100] {
        let mut cluster = Cluster::settled(count, 3);
        let times = detections(&mut cluster, &mut Dice(11), 100);
        assert!(quantile(&times, 1000) <= DETECTION);
        // The last heartbeat was up to one interval before the death.
        assert!(quantile(&times, 0) >= ms(199), "it is not rash either");
    }
}

#[test]
fn many_that_start_at_once_soon_know_each_other() {
    let mut cluster = Cluster::of(300, 1);
    let time = cluster.run_until(ms(400), Cluster::all_agree);
    println!("300 nodes start: they know each other after {time:?}");
    assert!(time.is_some());
    cluster.forget();
    cluster.run_for(ms(1000));
    assert!(cluster.facts.is_empty(), "{:?}", cluster.facts);
}

const COUNT: usize = 1000;

/// At each millisecond it would take too long.
fn is_time_to_look(cluster: &Cluster) -> bool {
    cluster.time.subsec_millis().is_multiple_of(10)
}

/// Eight deaths and twelve disasters, one after the other, in a cluster whose clocks differ.
fn schedules(seed: u64) {
    let mut cluster = Cluster::long_settled(COUNT, seed);
    let mut dice = Dice(seed);
    cluster.run_for(ms(2000));
    let mut rates = cluster.rates(ms(2000));
    rates.sort_by(f64::total_cmp);
    let mean = rates.iter().sum::<f64>() / 1000.0;
    println!("{COUNT} nodes: {mean:.1} datagrams/s (mean, both ways), {:.1} (worst)", rates[COUNT - 1]);
    assert!(rates[COUNT - 1] < 100.0);
    assert!(cluster.facts.is_empty(), "seed {seed}: {:?}", cluster.facts);
    assert_eq!(cluster.dropped, 0, "seed {seed}: they know each other");

    let times = detections(&mut cluster, &mut dice, 8);
    assert!(quantile(&times, 1000) <= DETECTION, "seed {seed}");
    let mut addresses = Addresses::new();
    for number in 0..12 {
        let name = format!("seed {seed}, disaster {number}");
        Disaster::any(&mut dice).strike(&mut cluster, &mut dice, &mut addresses, &name);
    }
}

/// Some that the nodes own.
struct Addresses {
    orders: Vec<Vec<usize>>,
    disputes: Disputes,
}

impl Addresses {
    fn new() -> Self {
        Self { orders: (0..50).map(|address| order(address, COUNT)).collect(), disputes: Disputes::default() }
    }

    /// Once all agree, each has one owner. Until then none may have two for long that hear each other.
    fn look(&mut self, cluster: &Cluster, name: &str) {
        let views: Vec<_> = (0..COUNT).filter_map(|node| Some((node, cluster.told(node)?))).collect();
        let owners_of = |order: &Vec<usize>| {
            let is_owner = |(node, view): &&(usize, &BTreeSet<usize>)| {
                order.iter().find(|first| view.contains(first)) == Some(node)
            };
            views.iter().filter(is_owner).map(|(node, _)| *node).collect()
        };
        let owners: Vec<Vec<usize>> = self.orders.iter().map(owners_of).collect();
        let cut = &cluster.cut;
        let hear_each_other = |one, other| !cut.contains(&(one, other)) && !cut.contains(&(other, one));
        self.disputes.look(cluster, &owners, hear_each_other, name);
    }
}

/// What happens to some of the nodes.
#[derive(Clone, Copy, Debug)]
enum What {
    /// They are without power.
    Die,
    /// They say goodbye.
    Leave,
    /// SIGSTOP.
    StandStill,
    /// Nobody hears them.
    Mute,
    /// They and the others do not hear each other.
    Part,
}

#[derive(Debug)]
struct Disaster {
    what: What,
    struck: BTreeSet<usize>,
    /// Datagrams are lost, repeated, and overtake each other.
    is_stormy: bool,
    /// Somebody records, and plays back.
    is_recorded: bool,
}

impl Disaster {
    fn any(dice: &mut Dice) -> Self {
        let what = match dice.below(12) {
            0..=3 => What::Die,
            4 | 5 => What::Leave,
            6 | 7 => What::StandStill,
            8..=10 => What::Mute,
            _ => What::Part,
        };
        let size = 1 + dice.index(20);
        let mut struck = BTreeSet::new();
        while struck.len() < size {
            struck.insert(dice.index(COUNT));
        }
        Self { what, struck, is_stormy: dice.permille(300), is_recorded: dice.permille(300) }
    }

    /// In milliseconds: all others know who is left, and once it is over that all are there.
    fn bounds(&self) -> (u64, u64) {
        let bad = if self.is_stormy { 900 } else { 0 };
        let known = if self.struck.len() > 10 { 700 } else { 400 };
        (known + bad, 1000 + bad)
    }

    fn strike(&self, cluster: &mut Cluster, dice: &mut Dice, addresses: &mut Addresses, name: &str) {
        let Self { what, struck, is_stormy, is_recorded } = self;
        println!(
            "{name}: {what:?}, {} nodes, {}{}",
            struck.len(),
            if *is_stormy { "bad weather" } else { "fair weather" },
            if *is_recorded { ", recorded and played back" } else { "" },
        );
        cluster.tape = is_recorded.then(Vec::new);
        cluster.run_for(Duration::from_micros(dice.below(100_000)));
        cluster.forget();
        if *is_stormy {
            let delay = (Duration::from_micros(50), ms(1 + dice.below(10)));
            cluster.weather = Weather { delay, lost: dice.below(21), repeated: dice.below(21) };
        }
        let (inside, outside): (Vec<_>, Vec<_>) = (0..COUNT).partition(|node| struck.contains(node));
        for node in &inside {
            match what {
                What::Die => cluster.kill(*node),
                What::Leave => cluster.leave(*node),
                What::StandStill => cluster.stop(*node),
                What::Mute => cluster.cut.extend(outside.iter().map(|other| (*node, *other))),
                What::Part => cluster.part(&[*node], &outside),
            }
        }
        let (first, then) = self.bounds();
        self.play_back(cluster, dice);
        // Who is alone among a thousand takes long to find that out.
        let know = |cluster: &Cluster| {
            let knows = |node: &usize| cluster.told(*node).is_some_and(|view| view.iter().eq(&outside));
            is_time_to_look(cluster) && {
                addresses.look(cluster, name);
                outside.iter().all(knows)
            }
        };
        let time = cluster.run_until(ms(first), know);
        println!("{name}: all others know after {time:?}");
        assert!(time.is_some(), "{name}: not known to all after {first} ms");
        let hear_each_other = |one: &usize, other: &usize| match what {
            What::Part => struck.contains(one) == struck.contains(other),
            What::Die | What::Leave | What::StandStill | What::Mute => {
                !struck.contains(one) && !struck.contains(other)
            }
        };
        let wrong = cluster.deaths().into_iter().filter(|(_, by, of)| hear_each_other(by, of));
        assert_eq!(wrong.count(), 0, "{name}: somebody dies who lives");

        cluster.weather = Weather::FAIR;
        cluster.cut.clear();
        for node in inside {
            cluster.go_on(node);
            if cluster.process(node) == Process::Dead {
                cluster.start(node);
            }
        }
        self.play_back(cluster, dice);
        let agree = |cluster: &Cluster| {
            is_time_to_look(cluster) && {
                addresses.look(cluster, name);
                cluster.all_agree()
            }
        };
        let time = cluster.run_until(ms(then), agree);
        println!("{name}: all agree again after {time:?}");
        assert!(time.is_some(), "{name}: no agreement afterwards");
        cluster.tape = None;
    }

    fn play_back(&self, cluster: &mut Cluster, dice: &mut Dice) {
        if self.is_recorded {
            cluster.play_back(dice, 1000);
        }
    }
}

/// A seed is eight deaths and twelve disasters.
#[test]
fn a_thousand_speakers_send_little_and_survive_twenty_schedules() {
    (0..length()).map(|number| 7 + number).for_each(schedules);
}

/// Of a thousand it takes 1.2 s, and the test of it minutes.
#[test]
fn two_halves_of_many_both_go_on() {
    let mut cluster = Cluster::settled(200, 3);
    let (one, other): (Vec<_>, Vec<_>) = (0..200).partition(|node| node % 2 == 0);
    cluster.part(&one, &other);
    let time = cluster.run_until(ms(2000), |cluster| {
        let knows = |half: &[usize]| half.iter().all(|node| cluster.view(*node) == half);
        knows(&one) && knows(&other)
    });
    println!("100 of 200 are left, twice: they know after {time:?}");
    assert!(time.is_some());
    cluster.cut.clear();
    assert!(cluster.run_until(ms(400), Cluster::all_agree).is_some());
    cluster.run_for(ms(1000));
    cluster.forget();
    cluster.run_for(ms(3000));
    assert!(cluster.deaths().is_empty());
    let most = cluster.rates(ms(3000)).into_iter().fold(0.0, f64::max);
    assert!(most < 100.0, "{most}: who watched only while it was parted does so still");
}

#[test]
fn a_few_of_many_go_on_alone() {
    // The last of them once never agreed: who was seated elsewhere was taken to have heard the dead.
    [3, 8, 11].into_iter().for_each(a_few_go_on_alone);
}

fn a_few_go_on_alone(seed: u64) {
    let mut cluster = Cluster::settled(100, seed);
    (5..100).for_each(|node| cluster.kill(node));
    let time = cluster.run_until(ms(4000), Cluster::all_agree);
    println!("5 of 100 are left: they know after {time:?}");
    assert!(time.is_some());
    (1..5).for_each(|node| cluster.kill(node));
    let time = cluster.run_until(ms(4000), Cluster::all_agree);
    println!("1 of 5 is left: it knows after {time:?}");
    assert!(time.is_some());
    (0..100).for_each(|node| cluster.kill(node));
    cluster.start(42);
    cluster.run_for(ms(3000));
    assert_eq!(cluster.view(42), [42]);
}
