//! Autonomous systems that match, and those that do not: who is told what.

use std::time::Duration;

use metallb_core::config::{Peer, RemoteAs};
use metallb_lab::routers::{Config, Make, Neighbour, Remote};

use super::node::{Node, OURS, TOR, peer};
use super::site::{NODE, ROUTER, Site, asn, ip, neighbour, with_each};

/// What a BGPPeer says of the router's system, which one that is, and what comes of it.
#[tokio::test]
async fn the_system_of_the_router_is_as_the_peer_says_or_both_are_named() {
    let cases = [
        (RemoteAs::Internal, OURS, None),
        (RemoteAs::External, TOR, None),
        (RemoteAs::Number(asn(TOR)), TOR, None),
        (
            RemoteAs::Internal,
            TOR,
            Some("the router is in AS 64512, and spec.dynamicASN internal wants it in spec.myASN"),
        ),
        (
            RemoteAs::External,
            OURS,
            Some("the router is in AS 64500, which is spec.myASN, and spec.dynamicASN is external"),
        ),
        (RemoteAs::Number(asn(64999)), TOR, Some("the router is in AS 64512, and the BGPPeer says AS 64999")),
    ];
    with_each(Make::ALL, async |make| {
        for (remote, theirs, wrong) in cases {
            let site = Site::new();
            let tor = Config::new(theirs, [192, 0, 2, 2]).neighbour(neighbour());
            let tor = site.configured(make, tor).await;
            let mut node = Node::start(&site.node);
            node.peer("tor", Peer { remote, ..peer(ROUTER) });
            match wrong {
                None => {
                    assert_eq!(node.is_up("tor").await.agreed.as_ref().unwrap().asn.get(), theirs);
                    tor.established(NODE).await;
                }
                Some(wrong) => {
                    let text = node.fails("tor", "wrong-asn").await;
                    assert!(text.contains(wrong), "{text}");
                    // FRR alone says so; it does not remember it for its neighbour, which it took no OPEN of.
                    let told = async || make != Make::Frr || tor.last_words().contains("Bad Peer AS");
                    tor.eventually(Duration::from_secs(10), "the router is told", told).await;
                    assert_eq!(node.seen("tor").unwrap().flaps, 0);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_router_that_has_another_system_for_us_is_quoted_with_what_to_correct() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let _tor = site.router(make, Neighbour::at(ip(NODE), Remote::As(64999))).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        let text = node.fails("tor", "notification-received").await;
        assert!(text.contains("another AS than ours, 64500"), "{make}: {text}");
        assert!(text.contains("spec.myASN"), "{make}: {text}");
    })
    .await;
}

#[tokio::test]
async fn a_router_with_our_identifier_in_our_system_is_refused_by_that_name() {
    let site = Site::new();
    let tor = Config::new(OURS, [192, 0, 2, 1]).neighbour(neighbour());
    let _tor = site.configured(Make::Frr, tor).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { remote: RemoteAs::Internal, ..peer(ROUTER) });
    node.until("tor", "names the identifier", |seen| {
        seen.last_failure.as_ref().is_some_and(|last| last.text.contains("spec.routerID"))
    })
    .await;
    let router_id = metallb_core::config::RouterId::new([192, 0, 2, 77].into());
    node.peer("tor", Peer { remote: RemoteAs::Internal, router_id, ..peer(ROUTER) });
    node.is_up("tor").await;
}
