//! Speakers that hear each other: who has the Secret, who says goodbye, and who has neither.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metallb_core::config::Interfaces;
use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_dataplane::speaker::lane::{Heartbeats, Lane, Pace, Phase, Policy, Predecessor, Tables};
use metallb_dataplane::speaker::metrics::Metrics;
use metallb_lab::eventually;
use metallb_lab::network::{Hook, Host};
use metallb_protocols::liveness::{Key, Timing};
use metallb_protocols::sighting::PATIENCE;
use prometheus::Registry;

use super::client::SOON;
use super::node::{GRACE, stations};
use super::site::{LINK, Site};

const PORT: u16 = 7946;
const NODES: [(&str, &str); 2] = [("first", "192.0.2.1"), ("second", "192.0.2.2")];

struct Speaker {
    lane: Lane,
    registry: Registry,
    metrics: Metrics,
    tables: Tables,
}

impl Speaker {
    /// On one of the nodes, with this Secret, if any. The API server knows both, and calls `ready` ready.
    fn start(host: &Host, number: usize, secret: Option<&str>, ready: &[&str]) -> Self {
        Self::with(host, number, secret, ready, false)
    }

    /// The same, where a node that has an address keeps it.
    fn sticky(host: &Host, number: usize) -> Self {
        Self::with(host, number, Some("one"), &[], true)
    }

    fn with(host: &Host, number: usize, secret: Option<&str>, ready: &[&str], keeps: bool) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry, "node".into()).unwrap();
        let (name, address) = NODES[number];
        let heartbeats = Heartbeats {
            address: address.parse().unwrap(),
            port: PORT,
            seed: u64::try_from(number).unwrap(),
            timing: Timing::LAN,
            keeps,
        };
        let pace = Pace { refresh: None, restart_grace: GRACE, policy: Policy::Announce };
        let start = || Lane::start(name.into(), Some(heartbeats), pace, metrics.clone()).unwrap();
        let lane = host.inside(start).unwrap();
        let peers = NODES.map(|(name, address)| (NodeName::from(name), address.parse::<IpAddr>().unwrap()));
        let tables = Tables {
            peers: Some(Arc::new(BTreeMap::from(peers))),
            ready: Arc::new(names(ready)),
            phase: Phase::Serving,
            ..Tables::default()
        };
        let speaker = Self { lane, registry, metrics, tables };
        if let Some(secret) = secret {
            speaker.take(secret);
        }
        speaker.lane.publish(speaker.tables.clone());
        speaker
    }

    fn take(&self, secret: &str) {
        self.lane.keys.put(Key::from_secret(secret.as_bytes()).unwrap());
    }

    /// The API server says that these are ready, from now on.
    fn hear_of(&mut self, ready: &[&str]) {
        self.tables.ready = Arc::new(names(ready));
        self.lane.publish(self.tables.clone());
    }

    /// Announces this address, which was the other node's if it is `inherited`; `None`: nothing.
    fn announce(&mut self, address: Option<(IpAddr, bool)>) {
        let (name, asked_at) = NODES[1];
        let predecessor = Predecessor { node: name.into(), address: asked_at.parse().unwrap() };
        let inherited =
            address.filter(|(_, inherited)| *inherited).map(|(address, _)| (address, predecessor));
        self.tables.inherited = Arc::new(inherited.into_iter().collect());
        let announced = address.map(|(address, _)| (address, Interfaces::All));
        self.tables.announced = announced.into_iter().collect();
        self.lane.publish(self.tables.clone());
    }

    async fn counts_on(&self, alive: &[&str]) {
        let expected = Some(Speakers::Alive(names(alive)));
        eventually(SOON, &format!("{alive:?} are alive"), async || {
            self.lane.membership.borrow().speakers == expected
        })
        .await;
    }

    /// So many others are shown as ready, and as heard.
    async fn shows(&self, peers: [Option<f64>; 2]) {
        eventually(SOON, &format!("{peers:?} are shown"), async || {
            let shown = shown(&self.registry);
            if shown == peers { Ok(()) } else { Err(format!("{shown:?}")) }
        })
        .await;
    }

    /// Does a node that has an address keep it?
    async fn keeps(&self, keeps: bool) {
        eventually(SOON, &format!("sticky: {keeps}"), async || {
            self.lane.membership.borrow().all_keep == keeps
        })
        .await;
    }

    async fn drops(&self, reason: &str) {
        let counter = self.metrics.heartbeats_dropped.with_label_values(&[reason]);
        eventually(SOON, &format!("some are dropped as {reason}"), async || counter.get() > 0).await;
    }
}

/// What the two gauges say, `None` where one has no sample.
fn shown(registry: &Registry) -> [Option<f64>; 2] {
    ["metallb_speaker_peers_ready", "metallb_speaker_peers_heard"].map(|name| {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        Some(family.get_metric().first()?.get_gauge().get_value())
    })
}

fn names(names: &[&str]) -> BTreeSet<NodeName> {
    names.iter().map(|name| NodeName::from(*name)).collect()
}

#[tokio::test]
async fn who_shares_the_secret_is_heard_and_so_is_its_goodbye_and_its_silence() {
    let site = Site::new();
    let first = Speaker::start(&site.first, 0, Some("one"), &[]);
    let second = Speaker::start(&site.second, 1, Some("one"), &[]);
    first.counts_on(&["first", "second"]).await;
    second.counts_on(&["first", "second"]).await;
    let left = Instant::now();
    let leaving = std::thread::spawn(move || second.lane.leave());
    first.counts_on(&["first"]).await;
    let heard = left.elapsed();
    leaving.join().unwrap();
    assert!(heard < Duration::from_millis(500), "its silence would be long enough later: {heard:?}");

    let _again = Speaker::start(&site.second, 1, Some("one"), &[]);
    first.counts_on(&["first", "second"]).await;
    site.second.run(&["ip", "link", "set", LINK, "down"]).await.unwrap().success().unwrap();
    first.counts_on(&["first"]).await;
}

#[tokio::test]
async fn a_ready_speaker_that_is_not_heard_is_missing_in_the_gauges() {
    let site = Site::new();
    let mut first = Speaker::start(&site.first, 0, None, &["first", "second"]);
    first.counts_on(&["first", "second"]).await;
    assert_eq!(shown(&first.registry), [None, None], "there are no heartbeats yet");
    first.take("one");
    let _second = Speaker::start(&site.second, 1, Some("one"), &["first", "second"]);
    first.shows([Some(1.0), Some(1.0)]).await;
    let cut = [Hook::Input, Hook::Output].map(|hook| site.second.rule(hook, "udp dport 7946 drop").unwrap());
    first.shows([Some(1.0), Some(0.0)]).await;
    // Its pod is gone, too: nothing is wrong with the heartbeats.
    first.hear_of(&["first"]);
    first.shows([Some(0.0), Some(0.0)]).await;
    first.hear_of(&["first", "second"]);
    drop(cut);
    first.shows([Some(1.0), Some(1.0)]).await;
}

/// Two speakers that hear each other, and the second announces an address.
async fn second_announces(site: &Site, address: IpAddr) -> [Speaker; 2] {
    let mut first = Speaker::start(&site.first, 0, Some("one"), &[]);
    let mut second = Speaker::start(&site.second, 1, Some("one"), &[]);
    for (speaker, host) in [(&mut first, &site.first), (&mut second, &site.second)] {
        speaker.tables.stations = Arc::new(stations(host));
    }
    first.announce(None);
    second.announce(Some((address, false)));
    first.counts_on(&["first", "second"]).await;
    [first, second]
}

#[tokio::test]
async fn who_is_not_heard_and_answers_for_its_addresses_counts_for_as_long_as_it_does() {
    for address in ["192.0.2.200", "2001:db8::200"] {
        let site = Site::new();
        let address: IpAddr = address.parse().unwrap();
        let [mut first, second] = second_announces(&site, address).await;
        let cut =
            [Hook::Input, Hook::Output].map(|hook| site.second.rule(hook, "udp dport 7946 drop").unwrap());
        first.counts_on(&["first"]).await;
        first.announce(Some((address, true)));
        first.counts_on(&["first", "second"]).await;
        first.announce(None);
        let seen = Instant::now();
        eventually(SOON, "time passes", async || seen.elapsed() > 3 * PATIENCE).await;
        first.counts_on(&["first", "second"]).await;
        second.lane.leave(); // nobody hears its goodbye
        first.counts_on(&["first"]).await;
        drop(cut);
    }
}

#[tokio::test]
async fn who_said_goodbye_does_not_count_though_it_goes_on_to_answer_for_a_moment() {
    for address in ["192.0.2.200", "2001:db8::200"] {
        let site = Site::new();
        let address: IpAddr = address.parse().unwrap();
        let [mut first, second] = second_announces(&site, address).await;
        let leaving = std::thread::spawn(move || second.lane.leave());
        first.counts_on(&["first"]).await;
        first.announce(Some((address, true)));
        let heard = Instant::now();
        let alone = Some(Speakers::Alive(names(&["first"])));
        eventually(SOON, "time passes", async || {
            assert_eq!(first.lane.membership.borrow().speakers, alone, "after {:?}", heard.elapsed());
            heard.elapsed() > PATIENCE
        })
        .await;
        leaving.join().unwrap();
    }
}

#[tokio::test]
async fn routes_that_a_speaker_gave_are_in_others_hands_while_its_node_answers_and_no_longer() {
    let site = Site::new();
    let mut first = Speaker::start(&site.first, 0, Some("one"), &[]);
    let second = Speaker::start(&site.second, 1, Some("one"), &[]);
    let (name, address) = (NodeName::from(NODES[1].0), NODES[1].1.parse::<IpAddr>().unwrap());
    first.tables.stations = Arc::new(stations(&site.first));
    first.tables.nodes = Arc::new([(address, name.clone())].into());
    first.lane.publish(first.tables.clone());
    first.counts_on(&["first", "second"]).await;
    second.lane.hand_routes_over();
    let given = |speaker: &Speaker| speaker.lane.membership.borrow().handovers.contains_key(&name);
    eventually(SOON, "its routes are given", async || given(&first)).await;

    second.lane.leave();
    first.counts_on(&["first"]).await;
    first.tables.absent = Arc::new([Predecessor { node: name.clone(), address }].into());
    first.lane.publish(first.tables.clone());
    let silent = Instant::now();
    eventually(SOON, "time passes", async || silent.elapsed() > GRACE / 2).await;
    assert!(given(&first), "its kernel answers");
    let died = Instant::now();
    site.second.run(&["ip", "link", "set", LINK, "down"]).await.unwrap().success().unwrap();
    eventually(SOON, "they are forgotten", async || !given(&first)).await;
    assert!(died.elapsed() < GRACE / 2, "at once, and not when the time for a restart is over");
}

#[tokio::test]
async fn two_that_keep_an_address_each_and_never_hear_each_other_go_by_the_rule_until_they_do() {
    let address: IpAddr = "192.0.2.200".parse().unwrap();
    let site = Site::new();
    let cut = [Hook::Input, Hook::Output].map(|hook| site.second.rule(hook, "udp dport 7946 drop").unwrap());
    let mut speakers = [Speaker::sticky(&site.first, 0), Speaker::sticky(&site.second, 1)];
    for (number, (speaker, host)) in speakers.iter_mut().zip([&site.first, &site.second]).enumerate() {
        let other = NODES[1 - number];
        speaker.tables.stations = Arc::new(stations(host));
        speaker.tables.nodes = Arc::new([(other.1.parse().unwrap(), other.0.into())].into());
        speaker.announce(Some((address, false)));
    }
    for speaker in &speakers {
        speaker.counts_on(&["first", "second"]).await;
        speaker.keeps(false).await;
    }
    drop(cut);
    for speaker in &speakers {
        speaker.keeps(true).await;
    }
}

#[tokio::test]
async fn who_has_another_secret_is_not_heard_until_it_has_the_same() {
    let site = Site::new();
    let first = Speaker::start(&site.first, 0, Some("one"), &["first", "second"]);
    let second = Speaker::start(&site.second, 1, Some("another"), &["first", "second"]);
    first.counts_on(&["first"]).await;
    second.counts_on(&["second"]).await;
    first.drops("unproven").await;
    second.take("one");
    first.counts_on(&["first", "second"]).await;
    second.counts_on(&["first", "second"]).await;
}

#[tokio::test]
async fn without_a_secret_the_api_server_says_who_is_ready_until_there_is_one() {
    let site = Site::new();
    let mut first = Speaker::start(&site.first, 0, None, &["first", "second"]);
    first.counts_on(&["first", "second"]).await;
    first.hear_of(&[]);
    first.counts_on(&["first"]).await;
    first.hear_of(&["second"]);
    first.counts_on(&["first", "second"]).await;
    first.take("one");
    first.counts_on(&["first"]).await;
    let _second = Speaker::start(&site.second, 1, Some("one"), &[]);
    first.counts_on(&["first", "second"]).await;
}

#[tokio::test]
async fn upstreams_speakers_count_as_long_as_the_api_server_says_that_they_are_ready() {
    let site = Site::new();
    let mut first = Speaker::start(&site.first, 0, Some("one"), &[]);
    first.counts_on(&["first"]).await;
    for (upstreams, alive) in [(&["second"][..], &["first", "second"][..]), (&[], &["first"])] {
        first.tables.upstream = Arc::new(names(upstreams));
        first.lane.publish(first.tables.clone());
        first.counts_on(alive).await;
    }
}

#[tokio::test]
async fn what_upstreams_memberlist_sends_is_counted_and_nothing_else() {
    let site = Site::new();
    let first = Speaker::start(&site.first, 0, Some("one"), &[]);
    let send = || {
        let socket = std::net::UdpSocket::bind(("192.0.2.2", 0)).unwrap();
        socket.send_to(b"\x00\x01ping", ("192.0.2.1", PORT)).unwrap()
    };
    site.second.inside(send).unwrap();
    first.drops("foreign").await;
    first.counts_on(&["first"]).await;
}
