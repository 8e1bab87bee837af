//! Who is found, by whom, and when not.

use std::net::IpAddr;
use std::time::Duration;

use metallb_dataplane::speaker::discovery::Absent;
use metallb_lab::eventually;
use metallb_lab::network::{Host, Link, Network};
use metallb_lab::routers::{Config, Make, Neighbour, Remote, Router};

use super::node::{LINK, Node};

/// A node, a router, and the link between them, which has only the addresses that it makes up itself.
fn site() -> (Host, Host, Link) {
    let network = Network::new().unwrap();
    let (node, tor) = (network.host("node").unwrap(), network.host("tor").unwrap());
    let link = network.link((&node, LINK), (&tor, LINK)).unwrap();
    (node, tor, link)
}

/// A router with an unnumbered session, for which it advertises itself and listens.
async fn advertising(tor: &Host) -> Router {
    let config = Config::new(64512, [192, 0, 2, 2]).neighbour(Neighbour::unnumbered(LINK, Remote::External));
    Router::start(Make::Frr, tor, config).await.unwrap()
}

async fn ip(host: &Host, words: &str) {
    let words: Vec<&str> = ["ip"].into_iter().chain(words.split(' ')).collect();
    host.run(&words).await.unwrap().success().unwrap();
}

fn link_local(host: &Host) -> IpAddr {
    host.link_local(LINK).unwrap().into()
}

#[tokio::test]
async fn a_router_that_advertises_itself_is_found_and_found_again_when_the_link_is_made_anew() {
    let (host, tor, link) = site();
    let _frr = advertising(&tor).await;
    let node = Node::look(&host, &[LINK]);
    let first = node.finds("the router", |_| true).await;
    assert_eq!((first.address, first.local), (link_local(&tor), link_local(&host)));
    link.replace().unwrap();
    let second = node.finds("the router on the new link", |found| found.interface != first.interface).await;
    assert_eq!((second.address, second.local), (link_local(&tor), link_local(&host)));
    assert_ne!(second.address, first.address);
}

/// Waits until the router's session is with that address, or with none.
async fn is_known_at(frr: &Router, address: Option<IpAddr>) {
    frr.neighbour_is(LINK, "it knows the node", |state| state.address == address).await;
}

#[tokio::test]
async fn a_router_with_an_unnumbered_session_finds_this_node_at_the_address_that_is_told() {
    let (host, tor, link) = site();
    let frr = advertising(&tor).await;
    is_known_at(&frr, None).await;
    let node = Node::look(&host, &[LINK]);
    let first = node.finds("the router", |_| true).await;
    is_known_at(&frr, Some(first.local)).await;
    link.replace().unwrap();
    let second = node.finds("the router again", |found| found.local != first.local).await;
    is_known_at(&frr, Some(second.local)).await;
}

#[tokio::test]
async fn two_of_our_nodes_find_each_other() {
    let (host, tor, _link) = site();
    let nodes = [Node::look(&host, &[LINK]), Node::look(&tor, &[LINK])];
    let [left, right] = &nodes;
    let left = left.finds("the right one", |_| true).await;
    let right = right.finds("the left one", |_| true).await;
    assert_eq!((left.address, left.local), (right.local, right.address));
}

#[tokio::test]
async fn a_link_without_a_carrier_has_no_neighbour_until_it_is_back() {
    let (host, tor, link) = site();
    let _frr = advertising(&tor).await;
    let node = Node::look(&host, &[LINK]);
    let found = node.finds("the router", |_| true).await;
    link.cut().unwrap();
    node.misses(LINK, &Absent::Down).await;
    link.mend().unwrap();
    let again = node.finds("the router again", |_| true).await;
    assert_eq!(again.interface, found.interface);
}

#[tokio::test]
async fn an_ipv4_network_for_two_names_its_router_without_a_word_of_it() {
    let (host, _tor, _link) = site();
    let node = Node::look(&host, &[LINK]);
    node.misses(LINK, &Absent::Silent).await;
    host.addresses(LINK, &["203.0.113.5/30"]).unwrap();
    let found = node.finds("the other end of the /30", |_| true).await;
    assert_eq!(found.address, IpAddr::from([203, 0, 113, 6]));
    assert_eq!(found.local, IpAddr::from([203, 0, 113, 5]));
    host.remove_address(LINK, "203.0.113.5/30").unwrap();
    node.misses(LINK, &Absent::Silent).await;
}

#[tokio::test]
async fn it_is_said_why_nobody_is_found_and_nothing_of_interfaces_that_are_not_wanted() {
    let (host, _tor, link) = site();
    let node = Node::look(&host, &[LINK, "v7"]);
    node.misses("v7", &Absent::NoInterface).await;
    node.misses(LINK, &Absent::Silent).await;
    ip(&host, "-6 address flush dev v0").await;
    node.misses(LINK, &Absent::NoAddress).await;
    ip(&host, "link set v0 down").await;
    node.misses(LINK, &Absent::Down).await;
    link.remove().unwrap();
    node.misses(LINK, &Absent::NoInterface).await;
    node.publish(&["v7"]);
    eventually(Duration::from_secs(20), "nothing is said of it", async || !node.knows(LINK)).await;
}
