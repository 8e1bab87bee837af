//! TCP-MD5 (RFC 2385): what is not signed with the right password is not heard.

use futures::future::join_all;
use metallb_core::config::Peer;
use metallb_lab::routers::{Make, Neighbour, NeighbourState};

use super::node::{Node, password, peer};
use super::site::{NODE, ROUTER, Site, VIP, config, neighbour, with_each};

#[tokio::test]
async fn the_right_password_opens_and_a_changed_one_opens_again() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let mut tor = site.router(make, neighbour().password("first")).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", Peer { password: Some(password("first")), ..peer(ROUTER) });
        node.announce(&[VIP]);
        tor.established(NODE).await;
        tor.route(VIP, |paths| paths.len() == 1).await;
        node.is_up("tor").await;

        node.peer("tor", Peer { password: Some(password("second")), ..peer(ROUTER) });
        let seen = node.until("tor", "went down", |seen| seen.flaps == 1).await;
        let text = &seen.last_failure.as_ref().unwrap().text;
        assert!(text.contains("its password changed"), "{text}");
        tor.reconfigure(config().neighbour(neighbour().password("second"))).await.unwrap();
        tor.established(NODE).await;
        tor.route(VIP, |paths| paths.len() == 1).await;
        node.is_up("tor").await;
    })
    .await;
}

/// Longer than the kernel takes: then nobody is let in, rather than everybody.
#[tokio::test]
async fn where_the_password_is_not_taken_a_router_cannot_connect_by_itself_without_it() {
    let site = Site::new();
    let mut node = Node::listening(&site.node, Some(179));
    node.peer("tor", Peer { password: Some(password(&"x".repeat(81))), ..peer(ROUTER) });
    let bad = site.configured(Make::Frr, config().port(1790).neighbour(neighbour())).await;
    node.fails("tor", "local-socket").await;
    let connects = |it: &NeighbourState| it.sent.is_some_and(|sent| sent.opens > 0);
    bad.neighbour_is(NODE, "has connected", connects).await;
    assert!(node.counted("metallb_bgp_opens_received") < 1.0);
    assert_eq!(node.seen("tor").unwrap().flaps, 0);
}

#[tokio::test]
async fn a_wrong_password_is_among_the_causes_that_are_named() {
    let cases = [(Some("ours"), Some("theirs")), (Some("ours"), None), (None, Some("theirs"))];
    // Nothing shows before the attempt is given up, after ten seconds: all of them at once.
    let all = cases.iter().flat_map(|case| Make::ALL.map(|make| (make, *case)));
    join_all(all.map(async |(make, (ours, theirs))| {
        let site = Site::new();
        let known = theirs.into_iter().fold(neighbour(), Neighbour::password);
        let mut tor = site.router(make, known).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", Peer { password: ours.map(password), ..peer(ROUTER) });
        let expected = match (ours, theirs) {
            (Some(_), _) => "the password is not the one the router has",
            (None, _) => "the router expects a password and the BGPPeer has none",
        };
        let text = node.fails("tor", "no-answer").await;
        assert!(text.contains(expected), "{make}: {text}");
        assert_eq!(node.seen("tor").unwrap().flaps, 0);

        // Set right, it opens: here, without waiting for the next attempt.
        if let Some(theirs) = theirs {
            node.peer("tor", Peer { password: Some(password(theirs)), ..peer(ROUTER) });
        } else {
            tor.reconfigure(config().neighbour(neighbour().password("ours"))).await.unwrap();
        }
        node.is_up("tor").await;
    }))
    .await;
}
