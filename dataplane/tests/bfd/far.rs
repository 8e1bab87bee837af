//! A router behind another one (RFC 5883).

use std::net::IpAddr;
use std::time::Duration;

use metallb_core::config::{BfdProfile, MinimumTtl};
use metallb_lab::eventually;
use metallb_lab::network::Forwarding;
use metallb_lab::routers::{Bfd, BfdPeer};
use metallb_protocols::bfd::{Hops, Path, State, Why};

use super::node::{Node, every};
use super::router::Frr;
use super::site::Site;

/// The far system's side: the node as its peer.
fn node() -> BfdPeer {
    let every = Bfd::every(Duration::from_millis(100), 3);
    BfdPeer::far(IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 2]), every)
}

fn far() -> Path {
    Path::to(IpAddr::from([198, 51, 100, 2]), Hops::Multi)
}

#[tokio::test]
async fn a_router_behind_another_one_is_watched() {
    let site = Site::new();
    let frr = Frr::watching(&site.far, node()).await;
    let node = Node::watch(&site, far(), every(100));
    node.is(State::Up).await;
    frr.says("status", "up").await;
    // The path breaks in the middle: neither end's link does.
    site.forward(Forwarding::Off);
    assert_eq!(node.is(State::Down).await.why, Some(Why::Silence));
    frr.says("status", "down").await;
    site.forward(Forwarding::On);
    node.is(State::Up).await;
}

#[tokio::test]
async fn packets_over_more_routers_than_the_profile_allows_are_not_taken() {
    let site = Site::new();
    let _rule = site.lower_ttl(252);
    let frr = Frr::watching(&site.far, node()).await;
    let node = Node::watch(&site, far(), every(100));
    eventually(Duration::from_secs(10), "packets are dropped for their TTL", async || {
        node.counted("metallb_bfd_packets_dropped") > 1.0
    })
    .await;
    assert_eq!(node.is(State::Down).await.ups, 0);
    node.publish(BfdProfile { minimum_ttl: MinimumTtl::new(252).unwrap(), ..every(100) });
    node.is(State::Up).await;
    frr.says("status", "up").await;
}
