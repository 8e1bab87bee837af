//! What happens to routers: they stand still, they are lost, and some come by themselves.

use std::time::{Duration, Instant};

use futures::future::join_all;
use metallb_core::config::Peer;
use metallb_lab::eventually;
use metallb_lab::network::Hook;
use metallb_lab::routers::{Make, Neighbour, Router};

use super::node::{Node, bfd_every, password, peer};
use super::site::{NODE, ROUTER, Site, VIP, config, neighbour, with_each};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_router_that_stands_still_loses_its_session_when_the_hold_time_ends() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour().timers(seconds(1), seconds(3))).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP]);
        tor.route(VIP, |paths| paths.len() == 1).await;
        let frozen = Instant::now();
        tor.freeze();
        let seen = node.until("tor", "is lost", |seen| seen.flaps == 1).await;
        let took = frozen.elapsed();
        assert!(took > seconds(1) && took < seconds(6), "{make}: {took:?}");
        let last = seen.last_failure.as_ref().unwrap();
        assert_eq!(last.code, "hold-timer-expired", "{make}");
        assert!(last.text.contains("3 s, the hold time"), "{}", last.text);
        tor.thaw();
        tor.established(NODE).await;
        node.is_up("tor").await;
    })
    .await;
}

#[tokio::test]
async fn our_silence_costs_the_routes_when_the_routers_hold_time_ends() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour().timers(seconds(1), seconds(3))).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP]);
        tor.route(VIP, |paths| paths.len() == 1).await;
        let mute = site.tor.lose(Hook::Input, "ip saddr 192.0.2.1", 100).unwrap();
        tor.route(VIP, <[_]>::is_empty).await;
        drop(mute);
        tor.route(VIP, |paths| paths.len() == 1).await;
        node.is_up("tor").await;
    })
    .await;
}

/// A router that connects, and that no connection gets to.
async fn active(site: &Site, make: Make, neighbour: Neighbour) -> Router {
    site.configured(make, config().port(1790).neighbour(neighbour)).await
}

#[tokio::test]
async fn a_router_may_connect_by_itself_where_we_listen() {
    let all = [None, Some("secret")].into_iter().flat_map(|secret| Make::ALL.map(|make| (make, secret)));
    join_all(all.map(async |(make, secret)| {
        let site = Site::new();
        let known = secret.into_iter().fold(neighbour(), Neighbour::password);
        let mut node = Node::listening(&site.node, Some(179));
        node.peer("tor", Peer { password: secret.map(password), ..peer(ROUTER) });
        node.announce(&[VIP]);
        let tor = active(&site, make, known).await;
        tor.established(NODE).await;
        let paths = tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(paths[0].next_hops, [NODE.parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(node.is_up("tor").await.flaps, 0, "{make}");
    }))
    .await;
}

#[tokio::test]
async fn a_router_with_the_wrong_password_cannot_connect_by_itself() {
    let site = Site::new();
    let mut node = Node::listening(&site.node, Some(179));
    node.peer("tor", Peer { password: Some(password("ours")), ..peer(ROUTER) });
    let _tor = active(&site, Make::Frr, neighbour().password("theirs")).await;
    node.fails("tor", "no-answer").await;
    assert!(node.counted("metallb_bgp_opens_received") < 1.0);
    assert_eq!(node.seen("tor").unwrap().flaps, 0);
}

#[tokio::test]
async fn two_that_connect_to_each_other_at_once_end_up_with_one_session() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour()).await;
        for round in 0..3 {
            let mut node = Node::listening(&site.node, Some(179));
            node.peer("tor", peer(ROUTER));
            node.announce(&[VIP]);
            tor.established(NODE).await;
            tor.route(VIP, |paths| paths.len() == 1).await;
            let seen = node.until("tor", "has told all", |seen| seen.is_up() && seen.pending == 0).await;
            assert!(seen.flaps <= 1, "{make}, round {round}: {seen:?}");
            drop(node);
            tor.route(VIP, <[_]>::is_empty).await;
        }
    })
    .await;
}

#[tokio::test]
async fn strangers_are_hung_up_on() {
    use std::io::Read as _;
    let site = Site::new();
    site.tor.addresses("v0", &["192.0.2.99/24"]).unwrap();
    let mut node = Node::listening(&site.node, Some(179));
    node.peer("tor", peer(ROUTER));
    eventually(seconds(10), "the peer is there", async || node.seen("tor").is_some()).await;
    let read = site.tor.inside(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"192.0.2.99:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        socket.connect(&"192.0.2.1:179".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        socket.set_read_timeout(Some(seconds(10))).unwrap();
        std::net::TcpStream::from(socket).read(&mut [0; 64])
    });
    // Closed with what was in it unread, it may also be reset.
    let read = read.unwrap();
    assert!(
        matches!(read, Ok(0))
            || read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset),
        "{read:?}"
    );
}

/// Also if the next attempt is two minutes away.
#[tokio::test]
async fn the_way_back_does_not_wait_for_the_next_attempt_where_bfd_watches() {
    let site = Site::new();
    let bfd = metallb_lab::routers::Bfd::every(Duration::from_millis(100), 3);
    let tor = site.router(Make::Frr, neighbour().bfd(bfd)).await;
    let mut node = Node::start(&site.node);
    let connect_time = metallb_core::config::ConnectTime::new(seconds(120));
    node.peer("tor", Peer { bfd: Some(bfd_every(100)), connect_time, ..peer(ROUTER) });
    node.is_watched("tor").await;
    let mute = site.tor.lose(Hook::Input, "ip saddr 192.0.2.1", 100).unwrap();
    node.until("tor", "is lost", |seen| seen.flaps == 1).await;
    node.fails("tor", "no-answer").await;
    drop(mute);
    // What is waited for here is less than those two minutes.
    tor.established(NODE).await;
    node.is_up("tor").await;
}
