//! Who is found, by whom, and when not.

use std::net::IpAddr;
use std::time::Duration;

use metallb_dataplane::speaker::discovery::Absent;
use metallb_lab::eventually;

use super::node::{Node, ip};
use super::router::Router;
use super::site::{LINK, Site};

/// FRR's zebra as a router that advertises itself every second.
const ADVERTISES: &str = "interface v0\n no ipv6 nd suppress-ra\n ipv6 nd ra-interval 1\n!\n";

/// FRR's bgpd with an unnumbered session; it has zebra advertise, and listen.
const UNNUMBERED: &str =
    "router bgp 64512\n no bgp ebgp-requires-policy\n neighbor v0 interface remote-as external\n!\n";

/// Whether the address is one of the host's, good on its link only.
fn is_link_local_of(site: &Site, host: &str, address: IpAddr) -> bool {
    ip(site, host, "-6 -o address show dev v0 scope link").contains(&format!(" {address}/64 "))
}

#[tokio::test]
async fn a_router_that_advertises_itself_is_found_and_found_again_when_the_link_is_made_anew() {
    let site = Site::new();
    let _frr = Router::start(&site, "router", ADVERTISES, None).await;
    let node = Node::look(&site, "node", &[LINK]);
    let first = node.finds("the router", |_| true).await;
    assert!(is_link_local_of(&site, "router", first.address), "{first:?}");
    assert!(is_link_local_of(&site, "node", first.local), "{first:?}");
    site.replace_link();
    let second = node.finds("the router on the new link", |found| found.interface != first.interface).await;
    assert!(is_link_local_of(&site, "router", second.address), "{second:?}");
}

/// Waits until the router's session is with that address, or with none.
async fn is_known_at(frr: &Router, address: Option<IpAddr>) {
    let address = address.map_or("none".to_owned(), |address| address.to_string());
    eventually(Duration::from_secs(20), &format!("the router knows the node at {address}"), async || {
        let neighbour = frr.bgp_neighbour(LINK).ok_or("no such session".to_owned())?;
        let known = neighbour.get("bgpNeighborAddr").and_then(|known| known.as_str());
        if known == Some(&*address) { Ok(()) } else { Err(neighbour.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_router_with_an_unnumbered_session_finds_this_node_at_the_address_that_is_told() {
    let site = Site::new();
    let frr = Router::start(&site, "router", "", Some(UNNUMBERED)).await;
    is_known_at(&frr, None).await;
    let node = Node::look(&site, "node", &[LINK]);
    let first = node.finds("the router", |_| true).await;
    assert!(is_link_local_of(&site, "router", first.address), "{first:?}");
    is_known_at(&frr, Some(first.local)).await;
    // The kernel takes the address away with it, and makes up one of its own afterwards.
    ip(&site, "node", "link set v0 down");
    is_known_at(&frr, None).await;
    ip(&site, "node", "link set v0 up");
    let second = node.finds("the router again", |_| true).await;
    assert_ne!(second.local, first.local);
    is_known_at(&frr, Some(second.local)).await;
}

#[tokio::test]
async fn two_of_our_nodes_find_each_other() {
    let site = Site::new();
    let nodes = [Node::look(&site, "node", &[LINK]), Node::look(&site, "router", &[LINK])];
    let [left, right] = &nodes;
    let left = left.finds("the right one", |_| true).await;
    let right = right.finds("the left one", |_| true).await;
    assert_eq!((left.address, left.local), (right.local, right.address));
}

#[tokio::test]
async fn a_link_without_a_carrier_has_no_neighbour_until_it_is_back() {
    let site = Site::new();
    let _frr = Router::start(&site, "router", ADVERTISES, None).await;
    let node = Node::look(&site, "node", &[LINK]);
    let found = node.finds("the router", |_| true).await;
    ip(&site, "router", "link set v0 down");
    node.misses(LINK, &Absent::Down).await;
    ip(&site, "router", "link set v0 up");
    let again = node.finds("the router again", |_| true).await;
    assert_eq!(again.interface, found.interface);
}

#[tokio::test]
async fn an_ipv4_network_for_two_names_its_router_without_a_word_of_it() {
    let site = Site::new();
    let node = Node::look(&site, "node", &[LINK]);
    node.misses(LINK, &Absent::Silent).await;
    ip(&site, "node", "address add 203.0.113.5/30 dev v0");
    let found = node.finds("the other end of the /30", |_| true).await;
    assert_eq!(found.address, IpAddr::from([203, 0, 113, 6]));
    assert_eq!(found.local, IpAddr::from([203, 0, 113, 5]));
    ip(&site, "node", "address delete 203.0.113.5/30 dev v0");
    node.misses(LINK, &Absent::Silent).await;
}

#[tokio::test]
async fn it_is_said_why_nobody_is_found_and_nothing_of_interfaces_that_are_not_wanted() {
    let site = Site::new();
    let node = Node::look(&site, "node", &[LINK, "v7"]);
    node.misses("v7", &Absent::NoInterface).await;
    node.misses(LINK, &Absent::Silent).await;
    ip(&site, "node", "-6 address flush dev v0");
    node.misses(LINK, &Absent::NoAddress).await;
    ip(&site, "node", "link set v0 down");
    node.misses(LINK, &Absent::Down).await;
    ip(&site, "node", "link delete v0");
    node.misses(LINK, &Absent::NoInterface).await;
    node.publish(&["v7"]);
    eventually(Duration::from_secs(20), "nothing is said of it", async || !node.knows(LINK)).await;
}
