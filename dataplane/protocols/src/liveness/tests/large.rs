//! What speakers send and how long a death takes, from three to a thousand of them; and a thousand in twenty disasters.
//!
//! The figures are printed (`--nocapture`); what is asserted is what is promised.

use std::time::Duration;

use super::cluster::{Cluster, Dice, ms};

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
        let node = dice.node(cluster.len());
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

#[test]
fn a_thousand_speakers_send_little_and_survive_disasters() {
    const COUNT: usize = 1000;
    let mut cluster = Cluster::long_settled(COUNT, 1);
    let mut dice = Dice(7);
    cluster.run_for(ms(2000));
    let mut rates = cluster.rates(ms(2000));
    rates.sort_by(f64::total_cmp);
    let mean = rates.iter().sum::<f64>() / 1000.0;
    println!("{COUNT} nodes: {mean:.1} datagrams/s (mean, both ways), {:.1} (worst)", rates[COUNT - 1]);
    assert!(rates[COUNT - 1] < 100.0);
    assert!(cluster.facts.is_empty(), "{:?}", cluster.facts);
    assert_eq!(cluster.dropped, 0, "they know each other");

    let times = detections(&mut cluster, &mut dice, 8);
    assert!(quantile(&times, 1000) <= DETECTION);
    for schedule in 0..12 {
        cluster.forget();
        let began = cluster.time;
        let first = dice.node(COUNT);
        let some = |size: usize| (0..size).map(|node| (first + node * 7) % COUNT).collect::<Vec<_>>();
        let (what, struck, bound) = match schedule % 4 {
            0 => ("a rack is without power", some(10), 400),
            1 => ("twenty are without power", some(20), 700),
            2 => ("one dies in bad weather", some(1), 1300),
            _ => ("one cannot be heard, and another stands still", some(2), 400),
        };
        match schedule % 4 {
            2 => {
                (cluster.weather.lost, cluster.weather.repeated) = (20, 20);
                cluster.weather.delay.1 = ms(10);
                cluster.kill(struck[0]);
            }
            3 => {
                let others: Vec<_> = (0..COUNT).filter(|node| *node != struck[0]).collect();
                cluster.cut.extend(others.iter().map(|other| (struck[0], *other)));
                cluster.stop(struck[1]);
            }
            _ => struck.iter().for_each(|node| cluster.kill(*node)),
        }
        let observers: Vec<_> = (0..COUNT).filter(|node| !struck.contains(node)).collect();
        let know = |cluster: &Cluster| {
            let knows = |node: &usize| cluster.told(*node).is_some_and(|view| view.iter().eq(&observers));
            cluster.time.subsec_millis().is_multiple_of(10) && observers.iter().all(knows)
        };
        let time = cluster.run_until(ms(bound), know);
        println!("{what}: all others know after {time:?}");
        assert!(time.is_some(), "{what}: not known to all after {bound} ms");
        let wrong = cluster
            .deaths()
            .into_iter()
            .filter(|(_, by, of)| observers.contains(by) && observers.contains(of));
        assert_eq!(wrong.count(), 0, "{what}: somebody dies who lives");

        cluster.weather = super::cluster::Weather::FAIR;
        cluster.cut.clear();
        for node in struck {
            cluster.go_on(node);
            if cluster.process(node) == super::cluster::Process::Dead {
                cluster.start(node);
            }
        }
        let agree =
            |cluster: &Cluster| cluster.time.subsec_millis().is_multiple_of(10) && cluster.all_agree();
        let time = cluster.run_until(ms(1000), agree);
        println!("{what}: all agree again after {time:?} ({:?} in all)", cluster.time.saturating_sub(began));
        assert!(time.is_some(), "{what}: no agreement afterwards");
    }
}

#[test]
fn a_few_of_many_go_on_alone() {
    let mut cluster = Cluster::settled(100, 3);
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
