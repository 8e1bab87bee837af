//! VRFs, as far as a kernel without them goes: a socket is bound to a device, whatever device that is.
//!
//! Where these tests were written `ip link add vrf0 type vrf table 10` says `Error: Unknown device type.`

use metallb_core::config::Peer;
use metallb_lab::routers::Make;

use super::node::{Node, peer};
use super::site::{NODE, ROUTER, Site, VIP, neighbour};

#[tokio::test]
async fn a_vrf_that_is_not_there_is_named() {
    let site = Site::new();
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { vrf: Some("red".into()), ..peer(ROUTER) });
    let text = node.fails("tor", "local-socket").await;
    assert!(
        text.contains("VRF red (spec.vrf) cannot be used; is there such a device on this node?"),
        "{text}"
    );
}

#[tokio::test]
async fn the_connection_of_a_peer_in_a_vrf_is_bound_to_its_device() {
    let site = Site::new();
    let tor = site.router(Make::Frr, neighbour()).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { vrf: Some("v0".into()), ..peer(ROUTER) });
    node.announce(&[VIP]);
    tor.established(NODE).await;
    tor.route(VIP, |paths| paths.len() == 1).await;
    let sockets = site.node.run(&["ss", "-Htn"]).await.unwrap().success().unwrap();
    assert!(sockets.contains("192.0.2.1%v0:"), "{sockets}");
}
