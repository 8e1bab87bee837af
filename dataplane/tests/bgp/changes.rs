//! A BGPPeer that is changed while its session is up: what needs a new session gets one, and nothing else does.

use std::time::{Duration, Instant};

use metallb_core::config::{ConnectTime, Peer, SessionFamilies, Timers};
use metallb_lab::eventually;
use metallb_lab::routers::{Make, Neighbour, Remote};

use super::fake::{Fake, Manner};
use super::node::{Node, OURS, bfd_every, leaving, peer};
use super::site::{NODE, ROUTER, Site, VIP, asn, config, ip, neighbour};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn timers_and_bfd_change_without_a_new_session_and_the_rest_with_one() {
    let site = Site::new();
    let v4_and_v6 = neighbour().families(metallb_lab::routers::Family::ALL);
    let mut known = config().neighbour(v4_and_v6);
    known.neighbours.push(Neighbour::at(ip("192.0.2.7"), Remote::As(OURS)));
    site.node.addresses("v0", &["192.0.2.7/24"]).unwrap();
    let tor = site.configured(Make::Frr, known).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", peer(ROUTER));
    node.announce(&[VIP]);
    tor.established(NODE).await;
    tor.route(VIP, |paths| paths.len() == 1).await;

    let timers = Timers::new(Some(seconds(6)), Some(seconds(1))).unwrap();
    let connect_time = ConnectTime::new(seconds(3));
    for changed in [
        Peer { timers, ..peer(ROUTER) },
        Peer { timers, connect_time, ..peer(ROUTER) },
        // Which FRR does not answer: it changes nothing.
        Peer { timers, connect_time, bfd: Some(bfd_every(100)), ..peer(ROUTER) },
    ] {
        node.peer("tor", changed);
        node.add(&["203.0.113.2/32"]);
        tor.route("203.0.113.2/32", |paths| paths.len() == 1).await;
        node.announce(&[VIP]);
        tor.route("203.0.113.2/32", <[_]>::is_empty).await;
        assert_eq!(node.is_up("tor").await.flaps, 0);
    }
    // What timers it has shows in the next session.
    tor.clear(&tor.config().neighbours[0].at).await.unwrap();
    node.until("tor", "was cleared", |seen| seen.flaps == 1).await;
    node.is_up("tor").await;
    let agreed = tor.neighbour_is(NODE, "another hold time", |it| it.hold_time == Some(seconds(6)));
    agreed.await;

    let base = Peer { timers, connect_time, ..peer(ROUTER) };
    let both = Peer { families: SessionFamilies::Both, ..base.clone() };
    node.peer("tor", both.clone());
    node.until("tor", "carries both", |seen| {
        seen.agreed.as_ref().is_some_and(|agreed| agreed.families.len() == 2) && seen.flaps == 2
    })
    .await;
    node.peer("tor", Peer { source_address: Some(ip("192.0.2.7")), ..both });
    let seen = node.until("tor", "comes from another address", |seen| seen.is_up() && seen.flaps == 3).await;
    let text = &seen.last_failure.as_ref().unwrap().text;
    assert!(text.contains("its source address changed"), "{text}");
    tor.established("192.0.2.7").await;
    node.leave(leaving());
}

#[tokio::test]
async fn a_peer_that_moves_to_another_router_is_counted_there() {
    let site = Site::new();
    let [_first, _second] =
        ["192.0.2.61", "192.0.2.62"].map(|address| Fake::start(&site.tor, address, Manner::Good));
    let mut node = Node::start(&site.node);
    node.peer("tor", peer("192.0.2.61"));
    node.announce(&[VIP]);
    node.is_up("tor").await;
    assert_eq!(node.counted_of("metallb_bgp_session_up"), [("192.0.2.61:179".to_owned(), 1.0)].into());
    node.peer("tor", peer("192.0.2.62"));
    let there = async || {
        let counted = node.counted_of("metallb_bgp_session_up");
        if counted == [("192.0.2.62:179".to_owned(), 1.0)].into() { Ok(()) } else { Err(counted) }
    };
    eventually(seconds(20), "the other one is counted, and it alone", there).await;
    let downs = node.counted_of("metallb_bgp_session_down_events");
    assert!(!downs.contains_key("192.0.2.61:179"), "{downs:?}");
}

#[tokio::test]
async fn a_new_system_begins_a_new_session_with_it() {
    let site = Site::new();
    let range: ipnet::Ipv4Net = "192.0.2.0/24".parse().unwrap();
    let tor = site.router(Make::Frr, Neighbour::range(range, Remote::External)).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", peer(ROUTER));
    node.announce(&[VIP]);
    tor.route(VIP, |paths| paths.iter().any(|path| path.as_path == [OURS])).await;
    node.peer("tor", Peer { my_asn: asn(64777), ..peer(ROUTER) });
    tor.route(VIP, |paths| paths.iter().any(|path| path.as_path == [64777])).await;
    assert_eq!(node.is_up("tor").await.flaps, 1);
}

/// Without it the waits between attempts double: five of them take 15 seconds.
#[tokio::test]
async fn a_connect_time_is_the_time_between_attempts() {
    let site = Site::new();
    let mut node = Node::start(&site.node);
    let began = Instant::now();
    node.peer("tor", Peer { connect_time: ConnectTime::new(seconds(1)), ..peer(ROUTER) });
    let attempts = async || {
        let attempts = node.counted("metallb_bgp_session_failures");
        if attempts >= 6.0 { Ok(()) } else { Err(attempts) }
    };
    eventually(seconds(20), "six attempts", attempts).await;
    let took = began.elapsed();
    assert!(took > seconds(3) && took < seconds(11), "{took:?}");
}
