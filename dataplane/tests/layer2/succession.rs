//! Whose speaker is silent, and who goes: no client loses what works.

use std::time::{Duration, Instant};

use metallb_lab::eventually;
use metallb_lab::network::Host;

use super::client::{SOON, believes, forget, mac, reaches};
use super::node::{GRACE, Node};
use super::site::{LINK, Site};

const V4: &str = "192.0.2.200";
const V6: &str = "2001:db8::200";
const FIRST: &str = "192.0.2.1";

/// Two nodes whose kernels take what arrives for the addresses, as with kube-proxy on both.
fn site() -> Site {
    let site = Site::new();
    for host in [&site.first, &site.second] {
        host.addresses("lo", &["192.0.2.200/32", "2001:db8::200/128"]).unwrap();
    }
    site
}

async fn is_reached(client: &Host, address: &str) {
    eventually(SOON, &format!("{address} is reached"), async || reaches(client, address).await).await;
}

#[tokio::test]
async fn a_node_without_its_speaker_keeps_its_addresses_until_the_speaker_has_had_time_to_come_back() {
    let site = site();
    let mut first = Node::start(&site.first);
    let mut second = Node::start(&site.second);
    first.announce(&[V4, V6]);
    for address in [V4, V6] {
        is_reached(&site.client, address).await;
    }
    let (at_first, at_second) = (mac(&site.first).await, mac(&site.second).await);
    first.leave();
    let silent = Instant::now();
    second.inherit(&[V4, V6], "first", FIRST);
    // Who asks anew is told of the first one, by the second one.
    forget(&site.client).await;
    for address in [V4, V6] {
        is_reached(&site.client, address).await;
        believes(&site.client, address, &at_first).await;
        // Who knows the address is told of the first one too, before it gives up asking there.
        eventually(SOON, "it is told of", async || second.counted("gratuitous_sent", address) >= 1.0).await;
        believes(&site.client, address, &at_first).await;
    }
    assert!(silent.elapsed() < GRACE, "the machine is too slow for this test");
    for address in [V4, V6] {
        believes(&site.client, address, &at_second).await;
    }
    assert!(silent.elapsed() >= GRACE);
}

#[tokio::test]
async fn a_node_that_is_dead_loses_its_addresses_without_delay() {
    let site = site();
    let mut second = Node::start(&site.second);
    let at_second = mac(&site.second).await;
    site.first.run(&["ip", "link", "set", LINK, "down"]).await.unwrap().success().unwrap();
    let dead = Instant::now();
    second.inherit(&[V4, V6], "first", FIRST);
    for address in [V4, V6] {
        eventually(SOON, "it is told of", async || second.counted("gratuitous_sent", address) > 0.0).await;
    }
    assert!(dead.elapsed() < GRACE, "{:?}", dead.elapsed());
    for address in [V4, V6] {
        is_reached(&site.client, address).await;
        believes(&site.client, address, &at_second).await;
    }
}

#[tokio::test]
async fn a_speaker_that_is_back_in_time_goes_on_as_if_nothing_had_been() {
    let site = site();
    let mut second = Node::start(&site.second);
    second.inherit(&[V4], "first", FIRST);
    is_reached(&site.client, V4).await;
    let mut first = Node::start(&site.first);
    first.announce(&[V4]);
    second.yield_all();
    let at_first = mac(&site.first).await;
    believes(&site.client, V4, &at_first).await;
    forget(&site.client).await;
    is_reached(&site.client, V4).await;
    believes(&site.client, V4, &at_first).await;
}

/// The client knows nobody, and the new owner is not there yet.
#[tokio::test]
async fn who_gave_an_address_up_answers_for_it_a_little_longer() {
    let site = site();
    let mut first = Node::start(&site.first);
    first.announce(&[V4, V6]);
    for address in [V4, V6] {
        is_reached(&site.client, address).await;
    }
    forget(&site.client).await;
    first.yield_all();
    for address in [V4, V6] {
        assert!(reaches(&site.client, address).await, "{address}");
    }
    let answered = first.counted("responses_sent", V4);
    let later = async || {
        forget(&site.client).await;
        !reaches(&site.client, V4).await
    };
    eventually(SOON, "it stops", later).await;
    assert!(answered >= 1.0);
}

#[tokio::test]
async fn who_gave_an_address_up_is_silent_once_the_next_owner_has_told_of_it() {
    let site = site();
    let (mut first, mut second) = (Node::start(&site.first), Node::start(&site.second));
    first.know_nodes(&["192.0.2.2"]);
    second.know_nodes(&[FIRST]);
    first.announce(&[V4]);
    is_reached(&site.client, V4).await;
    first.yield_all();
    second.announce(&[V4]);
    believes(&site.client, V4, &mac(&site.second).await).await;
    let answered = first.counted("responses_sent", V4);
    forget(&site.client).await;
    assert!(reaches(&site.client, V4).await);
    assert!(first.counted("responses_sent", V4) <= answered, "only the second answers");
}

#[tokio::test]
async fn a_speaker_that_leaves_answers_until_others_have_heard_of_it() {
    let site = site();
    let mut first = Node::start(&site.first);
    first.announce(&[V4]);
    is_reached(&site.client, V4).await;
    forget(&site.client).await;
    let ended = std::thread::spawn(move || first.leave());
    assert!(reaches(&site.client, V4).await);
    let before = Instant::now();
    ended.join().unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
}
