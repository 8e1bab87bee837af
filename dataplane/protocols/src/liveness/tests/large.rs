//! A thousand speakers: what they send, how long a death takes, disasters and what comes after each.

use std::time::Duration;

use super::cluster::{Cluster, Dice, ms};

/// As many disasters, of different kinds.
const SCHEDULES: usize = 20;

fn sorted<T: PartialOrd>(mut values: Vec<T>) -> Vec<T> {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    values
}

#[test]
fn a_thousand_speakers_send_little_and_find_every_death() {
    let n: usize = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let began = std::time::Instant::now();
    let mut cluster = Cluster::settled(n, 1);
    println!("settled {:?}", began.elapsed());
    cluster.run_for(ms(2000));
    let rates = sorted(cluster.rates(ms(2000)));
    let mean = rates.iter().sum::<f64>() / n as f64;
    println!("{n} nodes: {mean:.1} datagrams/s on the average, {:.1} at worst", rates[n - 1]);
    assert!(rates[n - 1] < 100.0);
    assert!(cluster.facts.is_empty(), "{:?}", cluster.facts);

    let mut dice = Dice(7);
    for schedule in 0..SCHEDULES {
        let kind = schedule % 5;
        cluster.run_for(Duration::from_micros(dice.below(100_000)));
        cluster.forget();
        let struck = cluster.time;
        let all: Vec<usize> = (0..n).collect();
        let some: Vec<usize> = match kind {
            0 | 3 => vec![dice.node(n)],
            1 => (0..n / 100).map(|_| dice.node(n)).collect(),
            2 => (0..n / 10).map(|node| (node * 7 + schedule) % n).collect(),
            _ => (n / 3..n).collect(),
        };
        match kind {
            0..=2 => some.iter().for_each(|node| cluster.kill(*node)),
            3 => {
                cluster.weather.lost = 20;
                some.iter().for_each(|node| cluster.kill(*node));
            }
            _ => {
                let others: Vec<_> = all.iter().filter(|node| !some.contains(node)).copied().collect();
                cluster.part(&some, &others);
            }
        }
        let took = cluster.run_until(ms(10_000), |cluster| {
            if cluster.time.as_millis() % 10 != 0 {
                return false;
            }
            if kind == 4 {
                cluster.view(0).len() == n / 3 && cluster.view(n - 1).len() == n - n / 3
            } else {
                cluster.all_agree()
            }
        });
        let times = sorted(cluster.deaths().iter().map(|(at, ..)| *at - struck).collect());
        println!(
            "{schedule} kind {kind}: {} gone, all agree after {took:?}; deaths {} p50 {:?} max {:?} {:?}",
            some.len(),
            times.len(),
            times.get(times.len() / 2),
            times.last(),
            began.elapsed()
        );
        cluster.weather.lost = 0;
        cluster.cut.clear();
        if kind != 4 {
            some.iter().for_each(|node| cluster.start(*node));
        }
        let healed = cluster
            .run_until(ms(20_000), |cluster| cluster.time.as_millis() % 10 == 0 && cluster.all_agree());
        println!("   healed after {healed:?} {:?}", began.elapsed());
    }
}
