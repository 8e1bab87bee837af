//! A router on the same link (RFC 5881).

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use metallb_core::config::BfdProfile;
use metallb_dataplane::speaker::bfd::Ending;
use metallb_lab::eventually;
use metallb_lab::network::Forwarding;
use metallb_lab::routers::{Bfd, BfdPeer};
use metallb_protocols::bfd::{Hops, Path, State, Why};

use super::node::{Node, every};
use super::router::Frr;
use super::site::{LINK, Site};

/// How much later than it should a thing may happen on a machine that does other work too.
const SLACK: Duration = Duration::from_millis(500);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn router() -> Path {
    Path::to(IpAddr::from([192, 0, 2, 2]), Hops::Single)
}

/// FRR's side: the node as its peer, every 100 ms, three times.
fn peer(address: &str) -> BfdPeer {
    BfdPeer::next_door(address.parse().unwrap(), LINK, Bfd::every(ms(100), 3))
}

/// The same from the router's link-local address.
fn link_local_peer() -> BfdPeer {
    BfdPeer { source: Some("fe80::2".parse().unwrap()), ..peer("fe80::1") }
}

#[tokio::test]
async fn a_router_that_falls_silent_is_found_in_three_intervals_and_found_again() {
    let site = Site::new();
    let frr = Frr::watching(&site.router, peer("192.0.2.1")).await;
    let node = Node::watch(&site, router(), every(100));
    let status = node.is(State::Up).await;
    frr.says("status", "up").await;
    // What both agreed on after the slow start.
    frr.says("remote-transmit-interval", 100).await;
    frr.says("remote-echo-receive-interval", 0).await;
    eventually(ms(5000), "the detection time is agreed on", async || {
        node.status().is_some_and(|status| status.detection_time == Some(ms(300)))
    })
    .await;
    assert_eq!((status.ups, status.downs), (1, 0));

    let frozen = Instant::now();
    frr.freeze();
    let status = node.is(State::Down).await;
    assert_eq!(status.why, Some(Why::Silence));
    let took = status.since.saturating_duration_since(frozen);
    assert!(took <= ms(300) + SLACK, "{took:?}");

    frr.thaw();
    node.is(State::Up).await;
    frr.says("status", "up").await;
    assert!(node.counted("metallb_bfd_session_down_events") >= 1.0);
}

#[tokio::test]
async fn a_changed_profile_is_agreed_on_without_a_flap() {
    let site = Site::new();
    let frr = Frr::watching(&site.router, peer("192.0.2.1")).await;
    let node = Node::watch(&site, router(), every(100));
    node.is(State::Up).await;
    frr.says("remote-transmit-interval", 100).await;
    for millis in [400, 150] {
        node.publish(every(millis));
        frr.says("remote-transmit-interval", millis).await;
        frr.says("remote-receive-interval", millis).await;
        eventually(ms(5000), "we send that often", async || {
            node.status().is_some_and(|status| status.transmit_interval == ms(millis.into()))
        })
        .await;
    }
    assert_eq!(node.is(State::Up).await.downs, 0);
    frr.says("status", "up").await;
}

#[tokio::test]
async fn the_router_finds_our_silence_and_is_told_of_our_leaving() {
    let site = Site::new();
    let frr = Frr::watching(&site.router, peer("192.0.2.1")).await;
    let node = Node::watch(&site, router(), every(100));
    node.is(State::Up).await;
    frr.says("status", "up").await;
    node.leave(Ending::Silence);
    frr.says("diagnostic", "control detection time expired").await;

    let node = Node::watch(&site, router(), every(100));
    node.is(State::Up).await;
    frr.says("status", "up").await;
    node.leave(Ending::AdminDown);
    frr.says("remote-diagnostic", "administratively down").await;
    frr.says("diagnostic", "neighbor signaled session down").await;
}

#[tokio::test]
async fn a_passive_session_comes_up_when_the_router_begins() {
    let site = Site::new();
    let node = Node::watch(&site, router(), BfdProfile { passive_mode: true, ..every(100) });
    let frr = Frr::watching(&site.router, peer("192.0.2.1")).await;
    node.is(State::Up).await;
    frr.says("status", "up").await;
}

#[tokio::test]
async fn ipv6_works_with_global_and_with_link_local_addresses() {
    let link_local =
        Path { interface: Some(LINK.into()), ..Path::to("fe80::2".parse().unwrap(), Hops::Single) };
    let global = Path::to("2001:db8::2".parse().unwrap(), Hops::Single);
    for (path, peer) in [(global, peer("2001:db8::1")), (link_local, link_local_peer())] {
        let site = Site::new();
        let frr = Frr::watching(&site.router, peer).await;
        let source = (path.interface.is_some()).then(|| "fe80::1".parse().unwrap());
        let node = Node::watch(&site, Path { source, ..path }, every(100));
        node.is(State::Up).await;
        frr.says("status", "up").await;
        frr.freeze();
        assert_eq!(node.is(State::Down).await.why, Some(Why::Silence));
    }
}

#[tokio::test]
async fn a_session_survives_its_interface() {
    let interface = Some(LINK.into());
    let v4 = Path { interface: interface.clone(), ..router() };
    let v6 = Path {
        interface,
        source: Some("fe80::1".parse().unwrap()),
        ..Path::to("fe80::2".parse().unwrap(), Hops::Single)
    };
    for (path, peer) in [(v4, peer("192.0.2.1")), (v6, link_local_peer())] {
        let site = Site::new();
        let _frr = Frr::watching(&site.router, peer).await;
        let node = Node::watch(&site, path, every(100));
        node.is(State::Up).await;
        site.replace_link();
        node.is(State::Down).await;
        node.is(State::Up).await;
    }
}

#[tokio::test]
async fn echo_packets_find_a_router_that_speaks_but_no_longer_forwards() {
    let site = Site::new();
    let frr = Frr::watching(&site.router, peer("192.0.2.1")).await;
    let node = Node::watch(&site, router(), BfdProfile { echo_mode: true, ..every(100) });
    node.is(State::Up).await;
    eventually(ms(10_000), "echo packets come back", async || {
        node.counted("metallb_bfd_echo_packet_input") > 20.0
    })
    .await;
    assert_eq!(node.status().unwrap().echo_interval, Some(ms(50)));
    assert_eq!(node.status().unwrap().downs, 0);

    site.forward(Forwarding::Off);
    eventually(ms(5000), "the loss of echo packets is found", async || {
        node.status().is_some_and(|status| status.downs > 0)
    })
    .await;
    // Its own control packets never stopped.
    frr.says("remote-diagnostic", "echo function failed").await;
    site.forward(Forwarding::On);
    node.is(State::Up).await;
}

#[tokio::test]
async fn a_flood_of_forged_packets_takes_no_session_down() {
    let site = Site::new();
    let frr = Frr::watching(&site.router, peer("192.0.2.1")).await;
    let node = Node::watch(&site, router(), every(100));
    node.is(State::Up).await;
    frr.says("remote-transmit-interval", 100).await;
    // "I am down, and know nothing of you", from the router's own address and from a stranger's.
    let mut packet = [0; 24];
    packet[..5].copy_from_slice(&[0x20, 0x40, 3, 24, 9]);
    for from in ["198.51.100.1:0", "192.0.2.2:0"] {
        let flood = site.router.inside(|| {
            let socket = UdpSocket::bind(from).unwrap();
            socket.set_ttl(255).unwrap();
            let until = Instant::now() + ms(1500);
            while Instant::now() < until {
                // The queue of the link may be full: that is what a flood is.
                let _ = socket.send_to(&packet, "192.0.2.1:3784");
            }
        });
        flood.unwrap();
    }
    // None of them took a place in the lane's queue.
    assert!(node.counted("metallb_bfd_packets_dropped") < 1.0);
    assert_eq!(node.is(State::Up).await.downs, 0);
    frr.says("status", "up").await;
}
