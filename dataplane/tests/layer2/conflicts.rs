//! A station outside the cluster that has an announced address too: its kernel defends it, as every kernel does.

use std::time::{Duration, Instant};

use metallb_dataplane::speaker::lane::Policy;
use metallb_lab::eventually;
use metallb_lab::network::Host;

use super::client::{SOON, believes, forget, mac, reaches};
use super::node::Node;
use super::site::{LINK, Site};

const V4: &str = "192.0.2.200";
const V6: &str = "2001:db8::200";
const NODES: [&str; 1] = ["192.0.2.2"];

async fn takes(host: &Host, address: &str) {
    host.run(&["ip", "address", "add", address, "dev", LINK, "nodad"]).await.unwrap().success().unwrap();
}

async fn is_contested(node: &Node, address: &str, by: &str) {
    eventually(SOON, &format!("{by} is known to have {address} too"), async || {
        let contested = node.contested();
        let conflict = contested.get(&address.parse().unwrap()).cloned();
        conflict.filter(|conflict| conflict.station.to_string() == by).ok_or(contested)
    })
    .await;
}

#[tokio::test]
async fn a_stranger_that_has_an_address_already_is_found_and_told_of_and_the_address_is_announced_all_the_same()
 {
    let site = Site::new();
    for address in ["192.0.2.200/24", "2001:db8::200/64"] {
        takes(&site.stranger, address).await;
    }
    let mut node = Node::start(&site.first);
    node.know_nodes(&NODES);
    node.announce_new(&[V4, V6]);
    let stranger = mac(&site.stranger).await;
    for address in [V4, V6] {
        is_contested(&node, address, &stranger).await;
        assert!(node.counted("gratuitous_sent", address) > 0.0);
    }
    node.announce(&[]);
    eventually(SOON, "what is not here has no conflict", async || node.contested().is_empty()).await;
}

#[tokio::test]
async fn a_stranger_that_takes_an_address_later_is_found_when_it_says_so() {
    let site = Site::new();
    let mut node = Node::start(&site.first);
    node.announce_new(&[V4]);
    eventually(SOON, "it is told of", async || node.counted("gratuitous_sent", V4) > 0.0).await;
    takes(&site.stranger, "192.0.2.200/24").await;
    let claim = ["arping", "-c", "1", "-w", "1", "-U", "-S", V4, "-i", LINK, V4];
    let stranger = mac(&site.stranger).await;
    let say = async || site.stranger.run(&claim).await.unwrap();
    let _ = say().await; // nobody answers: it is no question
    is_contested(&node, V4, &stranger).await;
}

#[tokio::test]
async fn another_node_that_still_answers_is_no_stranger() {
    let site = Site::new();
    let mut second = Node::start(&site.second);
    second.announce(&[V4, V6]);
    let mut first = Node::start(&site.first);
    first.know_nodes(&NODES);
    first.announce(&[V4, V6]);
    // Both think that they have it, and tell each other so for as long as a burst lasts.
    for address in [V4, V6] {
        eventually(SOON, "its burst is over", async || first.counted("gratuitous_sent", address) >= 5.0)
            .await;
    }
    assert!(first.contested().is_empty(), "{:?}", first.contested());
}

#[tokio::test]
async fn under_probe_first_a_new_address_is_silent_until_nobody_has_answered() {
    let site = Site::new();
    let mut node = Node::with(&site.first, None, Policy::ProbeFirst);
    let begun = Instant::now();
    node.announce_new(&[V4]);
    assert!(!reaches(&site.client, V4).await);
    eventually(SOON, "it is told of", async || node.counted("gratuitous_sent", V4) > 0.0).await;
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn under_probe_first_a_strangers_address_stays_the_strangers() {
    let site = Site::new();
    for address in ["192.0.2.200/24", "2001:db8::200/64"] {
        takes(&site.stranger, address).await;
    }
    let mut node = Node::with(&site.first, None, Policy::ProbeFirst);
    node.announce_new(&[V4, V6]);
    let stranger = mac(&site.stranger).await;
    for address in [V4, V6] {
        is_contested(&node, address, &stranger).await;
        forget(&site.client).await;
        assert!(reaches(&site.client, address).await);
        believes(&site.client, address, &stranger).await;
        assert!(node.counted("gratuitous_sent", address) < 1.0);
    }
}
