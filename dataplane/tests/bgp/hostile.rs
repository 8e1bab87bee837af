//! Routers that misbehave, each beside one that does not: nothing of its session or its updates may suffer.

use std::time::{Duration, Instant};

use metallb_core::config::Peer;
use metallb_lab::eventually;
use metallb_lab::routers::{Make, Router};

use super::fake::{Fake, Manner, message};
use super::node::{Node, peer};
use super::site::{NODE, ROUTER, Site, VIP, neighbour};

/// Where the ones that misbehave are.
const BAD: &str = "198.51.100.66";
const UPDATE: u8 = 2;

/// A healthy session with FRR, and one with a router of that manner.
struct Beside {
    node: Node,
    tor: Router,
    bad: Fake,
    _site: Site,
}

impl Beside {
    async fn of(manner: Manner) -> Self {
        let site = Site::new();
        let tor = site.router(Make::Frr, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP]);
        node.is_up("tor").await;
        let bad = Fake::start(&site.other(), BAD, manner);
        node.peer("bad", peer(BAD));
        node.announce(&[VIP]);
        Self { node, tor, bad, _site: site }
    }

    /// The healthy one never noticed, and hears what is new.
    async fn nothing_happened_to_the_other(&self) {
        let fresh = "203.0.113.99/32";
        self.node.add(&[fresh]);
        self.tor.route(fresh, |paths| paths.len() == 1).await;
        self.tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(self.node.is_up("tor").await.flaps, 0);
        assert_eq!(self.tor.established(NODE).await.dropped, Some(0));
    }
}

#[tokio::test]
async fn what_cannot_be_read_costs_the_session_it_came_on_and_no_other() {
    // Withdrawn routes longer than the message; a prefix of 33 bits; a length that no message has; a broken marker.
    let mut marker = message(UPDATE, &[0, 0, 0, 0]);
    marker[3] = 0;
    let cases = [
        (message(UPDATE, &[0, 9, 0, 0]), "bad-message"),
        (message(UPDATE, &[0, 6, 33, 1, 2, 3, 4, 5, 0, 0]), "bad-message"),
        ([&[0xff; 16][..], &[0, 18, UPDATE]].concat(), "bad-message"),
        (marker, "bad-message"),
    ];
    for (bytes, code) in cases {
        let beside = Beside::of(Manner::Sends(bytes.clone())).await;
        let text = beside.node.fails("bad", code).await;
        assert!(text.contains("the router sent what cannot be"), "{bytes:?}: {text}");
        beside.nothing_happened_to_the_other().await;
    }
}

/// RFC 7606: an attribute that cannot be is no reason to lose a session.
#[tokio::test]
async fn an_update_with_abad_attribute_is_taken_for_a_withdrawal() {
    // ORIGIN 9, and a route.
    let update = message(UPDATE, &[0, 0, 0, 4, 0x40, 1, 1, 9, 32, 10, 0, 0, 1]);
    let beside = Beside::of(Manner::Sends(update)).await;
    eventually(Duration::from_secs(10), "it is counted", async || {
        beside.node.counted("metallb_bgp_updates_mended") >= 1.0
    })
    .await;
    assert_eq!(beside.node.is_up("bad").await.flaps, 0);
    beside.nothing_happened_to_the_other().await;
}

#[tokio::test]
async fn half_a_header_holds_up_nobody() {
    let beside = Beside::of(Manner::Sends(vec![0xff; 11])).await;
    beside.node.is_up("bad").await;
    beside.nothing_happened_to_the_other().await;
    // What follows belongs to the header that never ends.
    let text = beside.node.fails("bad", "bad-message").await;
    assert!(text.contains("the router sent what cannot be"), "{text}");
    beside.nothing_happened_to_the_other().await;
}

#[tokio::test]
async fn routers_of_another_system_and_those_that_say_too_little_touch_no_other_session() {
    for (manner, code, words) in [
        (Manner::Foreign, "wrong-asn", "the router is in AS 64513"),
        (Manner::Mute, "hold-timer-expired", "said nothing for 6 s"),
    ] {
        let beside = Beside::of(manner).await;
        let text = beside.node.fails("bad", code).await;
        assert!(text.contains(words), "{text}");
        beside.nothing_happened_to_the_other().await;
    }
}

#[tokio::test]
async fn one_that_takes_connections_and_says_nothing_holds_up_nobody() {
    let beside = Beside::of(Manner::Silent).await;
    eventually(Duration::from_secs(10), "it was connected to", async || !beside.bad.connections().is_empty())
        .await;
    beside.nothing_happened_to_the_other().await;
    assert_eq!(beside.node.seen("bad").unwrap().flaps, 0);
}

/// The kernel's buffers fill, and then nothing is made for it any more: what changes meanwhile is told as it is in the
/// end, once.
#[tokio::test]
async fn for_a_router_that_never_reads_nothing_piles_up() {
    let site = Site::new();
    // Small buffers, so that they are full soon.
    site.node.sysctl(&[("net/ipv4/tcp_wmem", "4096 16384 32768")]).unwrap();
    let other = site.other();
    other.sysctl(&[("net/ipv4/tcp_rmem", "4096 16384 32768")]).unwrap();
    let _deaf = Fake::start(&other, BAD, Manner::Deaf);
    let mut node = Node::start(&site.node);
    // No hold time: the session lasts however long nothing is heard.
    let timers = metallb_core::config::Timers::new(Some(Duration::ZERO), Some(Duration::ZERO)).unwrap();
    node.peer("bad", Peer { timers, ..peer(BAD) });
    node.is_up("bad").await;
    let routes: Vec<String> = (0..5000).map(|n| format!("10.1.{}.{}/32", n / 256, n % 256)).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let mut sent = Vec::new();
    for round in 0..60_u16 {
        let mark = metallb_core::config::Community::Standard { asn: 64500, value: round };
        let attributes =
            metallb_core::plan::RouteAttributes { communities: [mark].into(), local_preference: None };
        node.announce_with(&routes, &attributes);
        let before = sent.last().copied().unwrap_or_default();
        // A round that is written takes some messages. One that is not takes none, and counts as pending.
        let written = async || {
            let updates = node.counted("metallb_bgp_updates_total");
            let seen = node.seen("bad").unwrap();
            (updates > before + 3.0 || seen.pending >= routes.len() - 1000).then_some(updates)
        };
        sent.push(eventually(Duration::from_secs(20), "the round was taken up", written).await);
    }
    let seen = node.until("bad", "waits", |seen| seen.pending > 0).await;
    assert!(seen.pending <= routes.len(), "{}", seen.pending);
    assert_eq!((seen.flaps, seen.is_up()), (0, true));
    let (half, end) = (sent[30], *sent.last().unwrap());
    assert!(end - half < 1.0, "after {half} messages {end}");
}

/// Each request could be answered with all routes: one read of them would be worth millions.
#[tokio::test]
async fn a_router_that_asks_for_all_routes_without_end_holds_up_nobody() {
    let site = Site::new();
    let other = site.other();
    let good = Fake::start(&other, "198.51.100.60", Manner::Good);
    let mut node = Node::start(&site.node);
    node.peer("good", peer("198.51.100.60"));
    node.peer("bad", peer(BAD));
    let routes: Vec<String> = (0..5000).map(|n| format!("10.1.{}.{}/32", n / 256, n % 256)).collect();
    node.announce(&routes.iter().map(String::as_str).collect::<Vec<_>>());
    node.until("good", "has heard all", |seen| seen.announced == routes.len()).await;
    let bad = Fake::start(&other, BAD, Manner::Refreshes);
    eventually(Duration::from_secs(20), "it asks", async || {
        node.counted("metallb_bgp_route_refresh_received") >= 10_000.0
    })
    .await;
    assert!(!bad.updates().is_empty(), "it is answered");
    for round in 0..5 {
        let (before, began) = (good.updates().len(), Instant::now());
        node.add(&[&format!("203.0.113.{round}/32")]);
        let came = async || good.updates().get(before).copied();
        let came = eventually(Duration::from_secs(10), "the update is there", came).await;
        let took = came.duration_since(began);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(node.is_up("good").await.flaps, 0);
    assert_eq!(node.is_up("bad").await.flaps, 0);
}

#[tokio::test]
async fn a_million_routes_are_counted_and_none_is_kept() {
    const ROUTES: u32 = 1_000_000;
    let beside = Beside::of(Manner::Floods(ROUTES)).await;
    let before = resident();
    let counted = async || {
        let counted = beside.node.counted("metallb_bgp_received_prefixes_total");
        if counted >= f64::from(ROUTES) { Ok(()) } else { Err(counted) }
    };
    eventually(Duration::from_mins(1), "all are counted", counted).await;
    beside.nothing_happened_to_the_other().await;
    assert_eq!(beside.node.is_up("bad").await.flaps, 0);
    // Kept, they would take a hundred; other tests run in this process, too.
    let grown = resident().saturating_sub(before);
    assert!(grown < 60, "{grown} MiB more");
}

/// The memory of this process, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() / 1024
}

/// How long an UPDATE takes from the order to the router, in the median of twenty.
async fn latency(node: &Node, good: &Fake) -> Duration {
    let mut took = Vec::new();
    for number in 0..20 {
        let before = good.updates().len();
        let began = Instant::now();
        node.announce(&[&format!("203.0.113.{number}/32")]);
        let came = async || good.updates().get(before).copied();
        took.push(
            eventually(Duration::from_secs(10), "the update is there", came).await.duration_since(began),
        );
        // The other message of the two, the withdrawal, belongs to this round.
        let all = async || node.seen("good").is_some_and(|seen| seen.pending == 0 && seen.announced == 1);
        eventually(Duration::from_secs(10), "all is told", all).await;
    }
    took.sort_unstable();
    took[took.len() / 2]
}

#[tokio::test]
async fn updates_are_as_fast_beside_routers_that_hang_and_reset() {
    let site = Site::new();
    let other = site.other();
    let good = Fake::start(&other, "198.51.100.60", Manner::Good);
    let mut node = Node::start(&site.node);
    node.peer("good", peer("198.51.100.60"));
    node.announce(&[VIP]);
    node.is_up("good").await;
    let alone = latency(&node, &good).await;

    // One hangs as a whole, one resets each second, one never reads, one never answers.
    let tor = site.router(Make::Bird, neighbour()).await;
    node.peer("tor", peer(ROUTER));
    node.is_up("tor").await;
    tor.freeze();
    let manners = [Manner::Resets, Manner::Deaf, Manner::Silent];
    let mut others = Vec::new();
    for (number, manner) in manners.into_iter().enumerate() {
        let address = format!("198.51.100.{}", 61 + number);
        others.push(Fake::start(&other, &address, manner));
        node.peer(&format!("bad{number}"), peer(&address));
    }
    node.until("bad0", "was reset", |seen| seen.flaps >= 2).await;
    let beside = latency(&node, &good).await;
    assert!(beside <= alone * 5 + Duration::from_millis(20), "alone {alone:?}, beside these {beside:?}");
    assert_eq!(node.is_up("good").await.flaps, 0);
}
