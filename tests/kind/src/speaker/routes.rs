//! How fast routes reach four routers: of a change, of a start, and of a session that comes back; and what FRR, BIRD and
//! GoBGP in the speaker's place take for the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use metallb_lab::eventually;
use metallb_lab::routers::{Config, Family, Make, Neighbour, Remote, Router};
use serde_json::{Value, json};

use super::ear::{Ear, Heard};
use super::figures::{Figures, millis};
use super::process::Speaker;
use super::sighting::What;
use super::site::{NODE, NODE_AS, Passage, ROUTER_AS, ROUTERS, Site};
use super::tap::{Sighting, Tap, now};
use super::world::{Announced, Endpoints, World, address};
use crate::usage;

/// Nothing that is waited for here takes this long.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a session has taken to tell a router everything.
struct Telling {
    /// From the first session that was up to the last prefix at the last router.
    took: Duration,
    /// When that was, since the epoch.
    ended: Duration,
    /// The most UPDATE messages that one router got.
    updates: u64,
}

/// Measures a speaker with `count` prefixes present: its start, sessions that come back, its memory, and `samples` times
/// how long it takes to announce one more and to withdraw it.
pub async fn of_speaker(
    site: &Site,
    program: &Path,
    count: usize,
    samples: usize,
    log: Option<&Path>,
) -> Result<Value> {
    eprintln!("bench: {count} prefixes: preparing services");
    let world = World::with(count, Announced::Bgp(None)).await?;
    let passage = Passage::open(&site.node, &world.url())?;
    let tap = Tap::start(&site.node, passage.port)?;
    let ears = open_ears(site)?;
    eprintln!("bench: {count} prefixes: starting the speaker");
    let speaker = Speaker::start(program, &site.node, &world, log)?;
    let start = all_told(&ears, count).await?;
    tap.settled().await;
    eprintln!("bench: {count} prefixes: breaking all sessions");
    ears.iter().for_each(Ear::hang_up);
    let again = all_told(&ears, count).await?;
    tap.settled().await;
    let pss = speaker.pss()?;

    eprintln!("bench: {count} prefixes: {samples} times one more and one less");
    world.create(count, Endpoints::Unready).await?;
    let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        announced.push(reaction(&world, &tap, &ears, count, Endpoints::Ready).await?);
        withdrawn.push(reaction(&world, &tap, &ears, count, Endpoints::Unready).await?);
    }
    for ear in ears.into_iter().zip(&site.routers) {
        ear.0.close(ear.1)?;
    }
    Ok(json!({
        "prefixes": count,
        "peers": ROUTERS.len(),
        "start_to_all_told_ms": millis(start.ended.saturating_sub(speaker.started)),
        "start_updates_per_peer": start.updates,
        "up_to_all_told_ms": millis(again.took),
        "updates_per_peer": again.updates,
        "pss_kib": pss,
        "announce": reactions(&announced),
        "withdraw": reactions(&withdrawn),
    }))
}

/// Measures what another program in the speaker's place takes to tell `count` prefixes of its own to the same routers.
pub async fn of_router(site: &Site, make: Make, count: usize) -> Result<Value> {
    eprintln!("bench: {make} with {count} prefixes, for comparison");
    let mut config = Config::new(NODE_AS, NODE);
    for router in ROUTERS {
        let neighbour = Neighbour::at(router.into(), Remote::As(ROUTER_AS)).families([Family::V4]);
        config = config.neighbour(neighbour.timers(Duration::from_secs(30), Duration::from_secs(90)));
    }
    for n in 0..count {
        config = config.originates(IpNet::from(std::net::IpAddr::V4(address(n))));
    }
    let router = Router::start(make, &site.node, config).await?;
    // Only now may it connect: it knows all its routes.
    let ears = open_ears(site)?;
    let telling = all_told(&ears, count).await?;
    let shares = router.processes().iter().map(|process| {
        let pid = u32::try_from(process.pid).context("a negative pid")?;
        anyhow::Ok((process.name.clone(), usage::pss_of(pid)?))
    });
    let shares: BTreeMap<String, u64> = shares.collect::<Result<_>>()?;
    drop(router);
    for ear in ears.into_iter().zip(&site.routers) {
        ear.0.close(ear.1)?;
    }
    Ok(json!({
        "make": make.to_string(),
        "prefixes": count,
        "peers": ROUTERS.len(),
        "up_to_all_told_ms": millis(telling.took),
        "updates_per_peer": telling.updates,
        "pss_kib": shares.values().sum::<u64>(),
        "pss_kib_by_process": shares,
    }))
}

fn open_ears(site: &Site) -> Result<Vec<Ear>> {
    let ears = site.routers.iter().zip(ROUTERS).map(|(host, address)| Ear::open(host, address, ROUTER_AS));
    ears.collect()
}

/// Waits until every ear knows that many prefixes.
async fn all_told(ears: &[Ear], count: usize) -> Result<Telling> {
    eventually(PATIENCE, "all routers know all prefixes", async || {
        let known: Vec<_> = ears.iter().map(Ear::prefixes).collect();
        if known.iter().all(|known| *known == count) { Ok(()) } else { Err(format!("{known:?}")) }
    })
    .await;
    let heard: Vec<Heard> = ears.iter().map(Ear::heard).collect();
    let up = heard.iter().filter_map(|heard| heard.up).min().context("no session is up")?;
    let ended = heard.iter().filter_map(|heard| heard.changed).max().context("no prefix has come")?;
    let updates = heard.iter().map(|heard| heard.updates).max().unwrap_or_default();
    Ok(Telling { took: ended.saturating_sub(up), ended, updates })
}

/// What followed from one change of an endpoint.
struct Reaction {
    /// From the first that the node heard of the API server, to the UPDATE to the first router.
    event_to_first: Duration,
    /// To the UPDATE to the last one.
    event_to_last: Duration,
    /// From the moment the change was sent to the API server.
    sent_to_last: Duration,
    /// From the moment it had been answered; zero if the routers knew by then.
    answered_to_last: Duration,
}

async fn reaction(
    world: &World,
    tap: &Tap,
    ears: &[Ear],
    count: usize,
    endpoints: Endpoints,
) -> Result<Reaction> {
    tap.settled().await;
    let mark = tap.mark();
    let sent = now();
    world.set(count, endpoints).await?;
    let answered = now();
    let expected = count + usize::from(endpoints == Endpoints::Ready);
    eventually(PATIENCE, "all routers know of the change", async || {
        ears.iter().all(|ear| ear.prefixes() == expected)
    })
    .await;
    // The tap reads the node's frames with a thread of its own, which may come later than the routers' threads.
    let seen = "the frames are seen that told of the change";
    let (event, updates) = eventually(PATIENCE, seen, async || {
        let seen = tap.since(mark);
        let first = |is: &dyn Fn(&Sighting) -> bool| seen.iter().find(|seen| is(seen)).map(|seen| seen.at);
        // Before, it may have been an answer to what the speaker itself writes.
        let is_event = |seen: &Sighting| seen.what == What::Api && seen.at >= sent;
        let event = first(&is_event).ok_or_else(|| "no event of the API server".to_owned())?;
        let updates = ears.iter().map(|ear| {
            let its = |seen: &Sighting| seen.what == What::Update && seen.ends.to == ear.address();
            first(&its).ok_or_else(|| format!("no UPDATE to {}", ear.address()))
        });
        Ok::<_, String>((event, updates.collect::<Result<Vec<_>, _>>()?))
    })
    .await;
    let one = updates.iter().min().copied().unwrap_or_default();
    let last = updates.iter().max().copied().unwrap_or_default();
    Ok(Reaction {
        event_to_first: one.saturating_sub(event),
        event_to_last: last.saturating_sub(event),
        sent_to_last: last.saturating_sub(sent),
        answered_to_last: last.saturating_sub(answered),
    })
}

fn reactions(all: &[Reaction]) -> Value {
    let figures = |one: fn(&Reaction) -> Duration| Figures::of(all.iter().map(one)).to_json();
    json!({
        "event_to_first_update": figures(|it| it.event_to_first),
        "event_to_last_update": figures(|it| it.event_to_last),
        "write_sent_to_last_update": figures(|it| it.sent_to_last),
        "write_answered_to_last_update": figures(|it| it.answered_to_last),
    })
}
