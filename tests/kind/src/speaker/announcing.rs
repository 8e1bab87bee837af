//! How fast a speaker tells a LAN of an address on layer 2, how long who asks waits for its answer while everything is decided anew,
//! and what it needs when nothing happens.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use metallb_lab::eventually;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, interval_at};

use super::figures::Figures;
use super::process::Speaker;
use super::sighting::{Arp, What};
use super::site::{INTERFACE, Passage, Site};
use super::tap::{QUIET, Sighting, Tap, now};
use super::world::{Announced, Endpoints, World, address};

/// Nothing that is waited for here takes this long.
const PATIENCE: Duration = Duration::from_mins(5);
/// Every address is told for five seconds after it came: then there is less to see.
const BURST: Duration = Duration::from_secs(6);
/// How long it is watched doing nothing.
const IDLE: Duration = Duration::from_secs(20);
/// Addresses that are asked for one after the other, before the kernel that asks forgets them all: it keeps no more than a thousand.
const ROUND: usize = 500;
/// Between two questions.
const PACE: Duration = Duration::from_millis(2);
/// Between two changes after which everything is decided anew.
const CHANGE: Duration = Duration::from_millis(100);

/// Measures a speaker with `count` addresses: `samples` times how long it takes to tell of one more; how long answers take while
/// nothing and while everything changes; memory, and processor time when nothing happens.
pub async fn of_speaker(
    site: &Site,
    program: &Path,
    count: usize,
    samples: usize,
    log: Option<&Path>,
) -> Result<Value> {
    eprintln!("bench: layer 2, {count} addresses: preparing services");
    let world = World::with(count, Announced::Layer2).await?;
    let passage = Passage::open(&site.node, &world.url())?;
    let tap = Tap::start(&site.node, passage.port)?;
    eprintln!("bench: layer 2, {count} addresses: starting the speaker");
    let speaker = Speaker::start(program, &site.node, &world, log)?;
    let told = |seen: &[Sighting]| {
        let told = seen.iter().filter(|seen| seen.what == What::Arp(Arp::Told));
        told.map(|seen| (seen.ends.from, seen.at)).collect::<BTreeMap<_, _>>()
    };
    eventually(PATIENCE, "the LAN knows all addresses", async || {
        let known = told(&tap.since(0)).len();
        if known == count { Ok(()) } else { Err(known) }
    })
    .await;
    passes(BURST).await;
    tap.settled().await;
    let pss = speaker.pss()?;
    let before = speaker.busy()?;
    passes(IDLE).await;
    let idle = speaker.busy()?.saturating_sub(before);

    eprintln!("bench: layer 2, {count} addresses: {samples} times one more");
    world.create(count, Endpoints::Unready).await?;
    let mut reactions = Vec::new();
    for _ in 0..samples {
        tap.settled().await;
        let (mark, sent) = (tap.mark(), now());
        world.set(count, Endpoints::Ready).await?;
        reactions.push(
            eventually(PATIENCE, "the LAN is told", async || {
                let seen = tap.since(mark);
                let event = seen.iter().find(|seen| seen.what == What::Api && seen.at >= sent)?;
                let of_it =
                    |seen: &&Sighting| seen.what == What::Arp(Arp::Told) && seen.ends.from == address(count);
                Some(seen.iter().find(of_it)?.at.saturating_sub(event.at))
            })
            .await,
        );
        world.set(count, Endpoints::Unready).await?;
    }
    tap.settled().await;

    eprintln!("bench: layer 2, {count} addresses: asking for them");
    let client = site.routers.first().context("there is a router")?;
    let route = ["ip", "route", "replace", "10.200.0.0/16", "dev", INTERFACE];
    client.run(&route).await?.success()?;
    let quiet = answers(site, &tap, count, samples).await?;
    let changing = {
        let change = async {
            let (mut pace, mut number) = (interval(CHANGE), 0);
            loop {
                pace.tick().await;
                world.relabel(number).await?;
                number += 1;
            }
        };
        tokio::select! {
            ended = change => return ended,
            answers = answers(site, &tap, count, samples) => answers?,
        }
    };
    Ok(json!({
        "addresses": count,
        "event_to_told": Figures::of(reactions).to_json(),
        "answer": Figures::of(quiet).to_json(),
        "answer_while_all_is_decided_anew": Figures::of(changing).to_json(),
        "pss_kib": pss,
        "idle_cpu_percent": idle.as_secs_f64() * 100.0 / IDLE.as_secs_f64(),
    }))
}

/// Lets that much time pass.
async fn passes(time: Duration) {
    interval_at(Instant::now() + time, time).tick().await;
}

/// How long answers took, of ten times as many questions.
async fn answers(site: &Site, tap: &Tap, count: usize, samples: usize) -> Result<Vec<Duration>> {
    let client = site.routers.first().context("there is a router")?;
    let socket = client.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?.context("open a socket")?;
    let mark = tap.mark();
    let mut pace = interval(PACE);
    for question in 0..samples * 10 {
        pace.tick().await;
        if question % ROUND == 0 {
            client.run(&["ip", "neighbour", "flush", "dev", INTERFACE]).await?.success()?;
        }
        // A kernel that does not know where the address is asks. Spread over all, each once a round.
        let asked = address((question * 7919) % count);
        let _ = socket.send_to(&[0], (asked, 9)); // full queues are no matter: the question is out, or the next one is
    }
    passes(QUIET).await;
    let mut asked = BTreeMap::new();
    let mut took = Vec::new();
    for Sighting { at, ends, what } in tap.since(mark) {
        match what {
            What::Arp(Arp::Asked) => {
                asked.entry(ends.to).or_insert(at);
            }
            What::Arp(Arp::Answered) => {
                took.extend(asked.remove(&ends.from).map(|asked| at.saturating_sub(asked)))
            }
            What::Arp(Arp::Told) | What::Api | What::Update | What::Farewell | What::Bfd { .. } => {}
        }
    }
    anyhow::ensure!(took.len() * 2 > samples * 10, "{} answers to {} questions", took.len(), samples * 10);
    Ok(took)
}
