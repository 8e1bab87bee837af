//! Who knows where an address was is told where it is now.

use std::time::Duration;

use metallb_lab::eventually;

use super::client::{SOON, believes, mac, reaches};
use super::node::Node;
use super::site::Site;

const V4: &str = "192.0.2.200";
const V6: &str = "2001:db8::200";

#[tokio::test]
async fn neighbours_that_ask_nothing_are_told_that_an_address_has_moved() {
    let site = Site::new();
    for host in [&site.first, &site.second] {
        host.addresses("lo", &["192.0.2.200/32", "2001:db8::200/128"]).unwrap();
    }
    let (mut first, mut second) = (Node::start(&site.first), Node::start(&site.second));
    first.announce(&[V4, V6]);
    let (at_first, at_second) = (mac(&site.first).await, mac(&site.second).await);
    for address in [V4, V6] {
        let what = format!("{address} is reached");
        eventually(SOON, &what, async || reaches(&site.client, address).await).await;
        believes(&site.client, address, &at_first).await;
    }
    first.announce(&[]);
    second.announce(&[V4, V6]);
    for (address, frames) in [(V4, 2.0), (V6, 1.0)] {
        believes(&site.client, address, &at_second).await;
        assert!(reaches(&site.client, address).await);
        assert!(second.counted("gratuitous_sent", address) >= frames);
    }
}

#[tokio::test]
async fn an_address_that_stays_is_told_of_again_and_again() {
    let site = Site::new();
    let mut node = Node::refreshing(&site.first, Some(Duration::from_secs(1)));
    node.announce(&[V4, V6]);
    // A burst is five times.
    for (address, burst) in [(V4, 10.0), (V6, 5.0)] {
        eventually(SOON, &format!("{address} is told of after its burst"), async || {
            let sent = node.counted("gratuitous_sent", address);
            if sent >= burst * 1.6 { Ok(()) } else { Err(sent) }
        })
        .await;
    }
}
