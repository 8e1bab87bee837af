//! BFD over the sessions: what a lost way means, and what it does not.

use std::time::{Duration, Instant};

use futures::future::join_all;
use metallb_core::config::Peer;
use metallb_dataplane::speaker::bgp::seen::PeerSeen;
use metallb_lab::eventually;
use metallb_lab::routers::{Administration, Bfd, Echo, Family, Initiative, Make, Router};
use metallb_protocols::bfd::Why;

use super::node::{Node, bfd_every, peer};
use super::site::{NODE, ROUTER, Site, VIP, neighbour, with_each};

/// Three times 300 ms: shorter ones fail on a machine with other work, and the benchmark measures those.
const DETECTION: Duration = Duration::from_millis(900);
/// How often a router stands still in a row.
const ROUNDS: u64 = 6;
/// It takes one to three seconds.
const BACK: Duration = Duration::from_secs(15);
/// What a machine may take that does other work too.
const SLACK: Duration = Duration::from_millis(1500);

fn every_300_ms() -> Bfd {
    Bfd::every(Duration::from_millis(300), 3)
}

/// A node and a router that watch each other, and a route of the node.
async fn watched(site: &Site, make: Make, bfd: Bfd, ours: Peer) -> (Router, Node) {
    // A hold time far beyond the detection time, as users have it.
    let known = neighbour().bfd(bfd).timers(Duration::from_secs(30), Duration::from_secs(90));
    let tor = site.router(make, known).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", ours);
    node.announce(&[VIP]);
    tor.route(VIP, |paths| paths.len() == 1).await;
    let up = async || tor.bfd_with(NODE).await.ok().flatten().filter(|bfd| bfd.up);
    tor.eventually(Duration::from_secs(20), "the router watches us", up).await;
    // When BFD was there before BGP, FRR begins it anew as soon as it knows its own address, takes that for a loss, and ends the
    // session that has just come up: once, and before it watches us with that address.
    tor.route(VIP, |paths| paths.len() == 1).await;
    node.is_watched("tor").await;
    (tor, node)
}

#[tokio::test]
async fn a_router_that_stands_still_loses_its_session_within_the_detection_time_and_gets_it_back() {
    let waiting = Bfd { initiative: Initiative::Passive, ..every_300_ms() };
    let modes = [
        (Make::Frr, every_300_ms(), bfd_every(300)),
        (Make::Bird, every_300_ms(), bfd_every(300)),
        (Make::Frr, Bfd { echo: Echo::On, ..every_300_ms() }, echoing()),
        (Make::Frr, every_300_ms(), passive()),
        (Make::Bird, every_300_ms(), passive()),
        (Make::Frr, waiting, bfd_every(300)),
        (Make::Bird, waiting, bfd_every(300)),
    ];
    join_all(modes.map(async |(make, theirs, ours)| {
        let mode = format!("{make}, {theirs:?}, {ours:?}");
        // By then it has BFD before BGP.
        let frr_waits = make == Make::Frr && matches!(theirs.initiative, Initiative::Passive);
        let site = Site::new();
        let (tor, node) = watched(&site, make, theirs, Peer { bfd: Some(ours), ..peer(ROUTER) }).await;
        let flaps = node.is_up("tor").await.flaps;
        assert!(flaps <= u64::from(frr_waits), "{mode}: {flaps}");
        let frozen = Instant::now();
        tor.freeze();
        let seen = node.until("tor", "is lost", |seen| seen.flaps == flaps + 1).await;
        let took = frozen.elapsed();
        assert!(took < DETECTION + SLACK, "{mode}: {took:?}");
        assert_eq!(seen.last_failure.as_ref().unwrap().text, "BFD lost the router", "{mode}: {took:?}");
        tor.thaw();
        node.is_up("tor").await;
        tor.route(VIP, |paths| paths.len() == 1).await;
    }))
    .await;
}

/// Sessions that fail again and again wait longer each time. Not those that BFD brings back: it knows when to try.
#[tokio::test]
async fn a_router_that_stands_still_time_and_again_is_back_soon_each_time() {
    with_each([Make::Frr, Make::Bird], async |make| {
        let site = Site::new();
        let ours = Peer { bfd: Some(bfd_every(300)), ..peer(ROUTER) };
        let (tor, node) = watched(&site, make, every_300_ms(), ours).await;
        for round in 1..=ROUNDS {
            let flaps = node.is_up("tor").await.flaps;
            tor.freeze();
            node.until("tor", "is lost", |seen| seen.flaps > flaps).await;
            let thawed = Instant::now();
            tor.thaw();
            node.is_up("tor").await;
            tor.route(VIP, |paths| paths.len() == 1).await;
            let took = thawed.elapsed();
            assert!(took < BACK, "{make}, round {round}: {took:?}");
            node.is_watched("tor").await;
        }
    })
    .await;
}

fn echoing() -> metallb_core::config::Bfd {
    let mut bfd = bfd_every(300);
    bfd.profile.echo_mode = true;
    bfd.profile.echo_interval = bfd.profile.transmit_interval;
    bfd
}

fn passive() -> metallb_core::config::Bfd {
    let mut bfd = bfd_every(300);
    bfd.profile.passive_mode = true;
    bfd
}

/// What a second router of the network would see too: the kernel of the first one has no way any more.
#[tokio::test]
async fn a_node_that_falls_silent_is_out_of_the_routers_kernel_within_the_detection_time() {
    with_each([Make::Frr, Make::Bird], async |make| {
        let site = Site::new();
        let (tor, node) =
            watched(&site, make, every_300_ms(), Peer { bfd: Some(bfd_every(300)), ..peer(ROUTER) }).await;
        let has_it = || site.tor.kernel_routes(Family::V4).unwrap().contains_key(&VIP.parse().unwrap());
        eventually(Duration::from_secs(10), "the router's kernel knows the way", async || has_it()).await;
        let silent = Instant::now();
        let mute = site.tor.lose(metallb_lab::network::Hook::Input, "ip saddr 192.0.2.1", 100).unwrap();
        eventually(Duration::from_secs(20), "the router's kernel forgets the way", async || !has_it()).await;
        let took = silent.elapsed();
        assert!(took < DETECTION + SLACK, "{make}: {took:?}");
        drop(mute);
        eventually(Duration::from_secs(30), "it is back", async || has_it()).await;
        node.is_up("tor").await;
        drop(tor);
    })
    .await;
}

/// RFC 5882 §3.2: somebody wants it quiet for a while, and the way is as it was.
#[tokio::test]
async fn a_router_that_switches_bfd_off_keeps_its_session() {
    let site = Site::new();
    let ours = Peer { bfd: Some(bfd_every(300)), ..peer(ROUTER) };
    let (mut tor, node) = watched(&site, Make::Frr, every_300_ms(), ours).await;
    let on = tor.config().clone();
    let mut off = on.clone();
    off.neighbours[0].bfd = Some(Bfd { administration: Administration::Down, ..every_300_ms() });
    tor.reconfigure(off).await.unwrap();
    let is_off =
        |seen: &PeerSeen| seen.bfd.as_ref().is_some_and(|bfd| bfd.last_down == Some(Why::NeighborAdminDown));
    let seen = node.until("tor", "has its BFD switched off", is_off).await;
    assert_eq!((seen.flaps, seen.is_up()), (0, true), "{seen:?}");
    tor.reconfigure(on).await.unwrap();
    node.is_watched("tor").await;
    assert_eq!(node.is_up("tor").await.flaps, 0);
    tor.established(NODE).await;
}

#[tokio::test]
async fn a_changed_profile_resets_no_session() {
    let site = Site::new();
    let (tor, mut node) =
        watched(&site, Make::Frr, every_300_ms(), Peer { bfd: Some(bfd_every(300)), ..peer(ROUTER) }).await;
    node.peer("tor", Peer { bfd: Some(bfd_every(500)), ..peer(ROUTER) });
    eventually(Duration::from_secs(10), "we send less often", async || {
        node.bfd().is_some_and(|status| status.transmit_interval == Duration::from_millis(500))
    })
    .await;
    assert_eq!(node.bfd().unwrap().downs, 0);
    assert_eq!(node.is_up("tor").await.flaps, 0);
    tor.established(NODE).await;
}

/// One session of BFD watches for two peers, and does not change when one of them does without it for a while.
#[tokio::test]
async fn a_peer_learns_how_bfd_stands_also_when_nothing_changes() {
    let site = Site::new();
    let ours = Peer { bfd: Some(bfd_every(300)), ..peer(ROUTER) };
    let (_tor, mut node) = watched(&site, Make::Frr, every_300_ms(), ours.clone()).await;
    let nobody_listens = 1790.try_into().unwrap();
    node.peer("second", Peer { port: nobody_listens, ..ours.clone() });
    node.is_watched("second").await;
    node.peer("tor", peer(ROUTER));
    node.until("tor", "is not watched", |seen| seen.bfd.is_none()).await;
    node.peer("tor", ours);
    node.is_watched("tor").await;
    assert_eq!(node.is_up("tor").await.flaps, 0);
}

/// FRR takes our farewell for a loss, against RFC 5882; the session is back without BFD, and with it when it returns.
#[tokio::test]
async fn bfd_is_taken_off_a_peer_and_put_on_again() {
    let site = Site::new();
    let ours = Peer { bfd: Some(bfd_every(300)), ..peer(ROUTER) };
    let (tor, mut node) = watched(&site, Make::Frr, every_300_ms(), ours.clone()).await;
    node.peer("tor", peer(ROUTER));
    node.until("tor", "is not watched", |seen| seen.bfd.is_none()).await;
    let by_router = |seen: &PeerSeen| seen.last_failure.as_ref().is_none_or(|last| last.code != "ended");
    node.until("tor", "is up", |seen| seen.is_up() && by_router(seen)).await;
    node.peer("tor", ours);
    node.is_watched("tor").await;
    tor.established(NODE).await;
    tor.route(VIP, |paths| paths.len() == 1).await;
}
