//! Sessions that come up, carry routes, and go.

use std::net::IpAddr;

use metallb_core::config::{Community, SessionFamilies};
use metallb_core::plan::RouteAttributes;
use metallb_dataplane::speaker::bgp::Ending;
use metallb_lab::network::{Host, Network};
use metallb_lab::routers::{Config, Make, Neighbour, Remote, Router};

use super::node::{Node, OURS, ROUTER_ID, TOR, peer};

/// A node and a router on one link.
pub fn next_door() -> (Network, Host, Host) {
    let network = Network::new().unwrap();
    let (node, tor) = (network.host("node").unwrap(), network.host("tor").unwrap());
    network.link((&node, "v0"), (&tor, "v0")).unwrap();
    node.addresses("v0", &["192.0.2.1/24", "2001:db8::1/64"]).unwrap();
    tor.addresses("v0", &["192.0.2.2/24", "2001:db8::2/64"]).unwrap();
    (network, node, tor)
}

pub fn neighbour() -> Neighbour {
    Neighbour::at(IpAddr::from([192, 0, 2, 1]), Remote::As(OURS))
}

#[tokio::test]
async fn an_external_session_carries_routes_with_all_that_advertisements_say() {
    let (_network, node, tor) = next_door();
    let tor =
        Router::start(Make::Frr, &tor, Config::new(TOR, ROUTER_ID).neighbour(neighbour())).await.unwrap();
    let mut node = Node::start(&node);
    node.peer("tor", peer("192.0.2.2"));
    let attributes = RouteAttributes {
        communities: [
            Community::Standard { asn: 64500, value: 7 },
            Community::Large { global: 64500, local_1: 1, local_2: 2 },
        ]
        .into(),
        local_preference: Some(300),
    };
    node.announce_with(&["203.0.113.1/32", "203.0.113.64/26"], &attributes);
    node.is_up("tor").await;
    tor.established("192.0.2.1").await;
    for prefix in ["203.0.113.1/32", "203.0.113.64/26"] {
        let paths = tor.route(prefix, |paths| paths.len() == 1).await;
        let path = &paths[0];
        assert_eq!(path.as_path, [OURS]);
        assert_eq!(path.next_hops, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(path.med, Some(0));
        assert_eq!(path.communities, ["64500:7".to_owned()].into());
        assert_eq!(path.large_communities, ["64500:1:2".to_owned()].into());
    }
    let seen = node.until("tor", "has told all", |seen| seen.announced == 2 && seen.pending == 0).await;
    assert_eq!(seen.agreed.as_ref().unwrap().asn.get(), TOR);
    node.announce(&["203.0.113.1/32"]);
    tor.route("203.0.113.64/26", <[_]>::is_empty).await;
    let paths =
        tor.route("203.0.113.1/32", |paths| paths.iter().all(|path| path.communities.is_empty())).await;
    assert_eq!(paths.len(), 1);
    // Of two routes with equal attributes one message, of one that goes and one that changed two more; and End-of-RIB.
    assert!(node.counted("metallb_bgp_updates_total") <= 4.0);
    node.leave(Ending::Leaving { text: "test".to_owned() });
    tor.route("203.0.113.1/32", <[_]>::is_empty).await;
}

#[tokio::test]
async fn both_families_go_over_one_session() {
    let (_network, node, tor) = next_door();
    for (address, from) in [("192.0.2.2", "192.0.2.1"), ("2001:db8::2", "2001:db8::1")] {
        let neighbour = Neighbour::at(from.parse().unwrap(), Remote::As(OURS))
            .families([metallb_lab::routers::Family::V4, metallb_lab::routers::Family::V6]);
        let tor =
            Router::start(Make::Frr, &tor, Config::new(TOR, ROUTER_ID).neighbour(neighbour)).await.unwrap();
        let mut node = Node::start(&node);
        node.peer("tor", metallb_core::config::Peer { families: SessionFamilies::Both, ..peer(address) });
        node.announce(&["203.0.113.1/32", "2001:db8:1::1/128"]);
        let v4 = tor.route("203.0.113.1/32", |paths| paths.len() == 1).await;
        assert_eq!(v4[0].next_hops, [IpAddr::from([192, 0, 2, 1])]);
        let v6 = tor.route("2001:db8:1::1/128", |paths| paths.len() == 1).await;
        assert!(v6[0].next_hops.contains(&"2001:db8::1".parse().unwrap()), "{v6:?}");
        node.leave(Ending::Leaving { text: "test".to_owned() });
    }
}
