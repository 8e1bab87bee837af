//! Who looks for an announced address finds it.

use metallb_dataplane::net::membership::{Joined, Memberships};
use metallb_lab::eventually;

use super::client::{SOON, forget, mac, neighbour, reaches};
use super::node::{Node, interfaces};
use super::site::{LINK, Site};

const V4: &str = "192.0.2.200";
const V6: &str = "2001:db8::200";
/// The group that hears questions for it, and where that is on Ethernet.
const GROUP: &str = "ff02::1:ff00:200";
const GROUP_STATION: &str = "33:33:ff:00:02:00";

#[tokio::test]
async fn a_kernel_that_looks_for_an_address_finds_it_and_what_is_behind_it() {
    let site = Site::new();
    site.first.addresses("lo", &["192.0.2.200/32", "2001:db8::200/128"]).unwrap();
    let mut node = Node::start(&site.first);
    assert!(!reaches(&site.client, V6).await, "nobody announces it yet");
    node.announce(&[V4, V6]);
    for address in [V4, V6] {
        eventually(SOON, &format!("{address} is looked for and reached"), async || {
            forget(&site.client).await; // or it knows from having been told
            let is_reached = reaches(&site.client, address).await;
            let [asked, answered] =
                ["requests_received", "responses_sent"].map(|name| node.counted(name, address));
            let is_told = asked >= 1.0 && asked.to_bits() == answered.to_bits();
            if is_reached && is_told { Ok(()) } else { Err((is_reached, asked, answered)) }
        })
        .await;
        let (station, _) = neighbour(&site.client, address).await.unwrap();
        assert_eq!(station, mac(&site.first).await);
    }
}

#[tokio::test]
async fn a_kernel_that_makes_sure_by_asking_the_station_itself_is_answered() {
    let site = Site::new();
    let mut node = Node::start(&site.first);
    node.announce(&[V4, V6]);
    let station = mac(&site.first).await;
    for (address, family) in [(V4, "ipv4"), (V6, "ipv6")] {
        // It asks nobody else.
        site.client.sysctl(&[(&format!("net/{family}/neigh/{LINK}/mcast_solicit"), "0")]).unwrap();
        let known = ["ip", "neighbour", "replace", address, "lladdr", &station, "dev", LINK, "nud", "probe"];
        site.client.run(&known).await.unwrap().success().unwrap();
        eventually(SOON, &format!("{address} was made sure of"), async || {
            let known = neighbour(&site.client, address).await;
            if known == Some((station.clone(), "REACHABLE".to_owned())) { Ok(()) } else { Err(known) }
        })
        .await;
        assert!(node.counted("responses_sent", address) >= 1.0);
    }
}

#[tokio::test]
async fn who_is_about_to_take_an_announced_address_is_told_that_it_is_taken() {
    let site = Site::new();
    let mut node = Node::start(&site.first);
    node.announce(&[V4, V6]);
    let joined = async || listens(&site, GROUP_STATION).await;
    eventually(SOON, "the group is heard", joined).await;
    let client = &site.client;
    client.sysctl(&[(&format!("net/ipv6/conf/{LINK}/accept_dad"), "1")]).unwrap();
    let take = ["ip", "address", "add", "2001:db8::200/64", "dev", LINK];
    client.run(&take).await.unwrap().success().unwrap();
    eventually(SOON, "the client's kernel does not use it", async || {
        let show = ["ip", "-6", "address", "show", "dev", LINK, "dadfailed"];
        let said = client.run(&show).await.unwrap().success().unwrap();
        if said.contains(V6) { Ok(()) } else { Err(said) }
    })
    .await;
    let probe = ["arping", "-D", "-I", LINK, "-c", "2", "-w", "5", V4];
    assert!(!client.run(&probe).await.unwrap().is_success(), "somebody has it");
}

#[tokio::test]
async fn an_interface_without_ipv6_answers_arp_alone_and_hears_of_what_is_announced_when_it_gets_it() {
    let site = Site::new();
    let first = &site.first;
    let ipv6 = |disabled| first.sysctl(&[(&format!("net/ipv6/conf/{LINK}/disable_ipv6"), disabled)]).unwrap();
    let on_link = || interfaces(first).into_values().find(|link| link.name == LINK.into()).unwrap();
    ipv6("1");
    let without = on_link();
    assert!(without.arp.is_some() && without.ndp.is_none(), "{without:?}");
    let mut node = Node::start(first);
    node.announce(&[V4, V6]);
    // One question may be lost: the switch's port is new, and may not forward yet.
    eventually(SOON, "it is found by ARP", async || finds_by_arp(&site).await).await;
    assert!(!finds_by_ndp(&site).await);
    ipv6("0");
    eventually(SOON, "IPv6 is in use there", async || on_link().ndp == on_link().arp).await;
    node.look(first);
    eventually(SOON, "it is found", async || finds_by_ndp(&site).await).await;
}

#[tokio::test]
async fn a_group_is_heard_as_long_as_an_address_of_it_is_announced_and_switches_are_told() {
    let site = Site::new();
    let snoop = ["ip", "link", "set", "br0", "type", "bridge", "mcast_snooping", "1"];
    site.switch.host().run(&snoop).await.unwrap().success().unwrap();
    let mut node = Node::start(&site.first);
    node.announce(&[V6, "2001:db8:1::200"]);
    let heard = async || listens(&site, GROUP_STATION).await && listens(&site, GROUP).await;
    eventually(SOON, "the group is heard", heard).await;
    eventually(SOON, "the switch knows", async || {
        let shown = site.switch.host().run(&["bridge", "mdb", "show"]).await.unwrap().success().unwrap();
        if shown.contains(GROUP) { Ok(()) } else { Err(shown) }
    })
    .await;
    node.announce(&["2001:db8:1::200", "2001:db8::201"]);
    let moved = async || listens(&site, "33:33:ff:00:02:01").await;
    eventually(SOON, "the new one's is heard too", moved).await;
    assert!(heard().await, "one address is left");
    node.announce(&["2001:db8::201"]);
    eventually(SOON, "the group is left", async || !listens(&site, GROUP_STATION).await).await;
    assert!(!listens(&site, GROUP).await);
}

#[tokio::test]
async fn a_group_is_let_in_also_where_switches_cannot_be_told() {
    let site = Site::new();
    // Too little for IPv6 (RFC 8200 §5): the kernel has none there.
    site.first.run(&["ip", "link", "set", LINK, "mtu", "1000"]).await.unwrap().success().unwrap();
    let index = *interfaces(&site.first).iter().find(|(_, link)| link.name == LINK.into()).unwrap().0;
    let (memberships, joined) = site
        .first
        .inside(|| {
            let mut memberships = Memberships::on(index).unwrap();
            let joined = memberships.join(GROUP.parse().unwrap()).unwrap();
            (memberships, joined)
        })
        .unwrap();
    assert!(matches!(joined, Joined::Unheard(_)), "{joined:?}");
    assert!(listens(&site, GROUP_STATION).await);
    drop(memberships);
    assert!(!listens(&site, GROUP_STATION).await);
}

/// Does the first node's interface let that group in, by its name or by where it is on Ethernet?
async fn listens(site: &Site, group: &str) -> bool {
    let said = site.first.run(&["ip", "maddress", "show", "dev", LINK]).await.unwrap().success().unwrap();
    said.split_whitespace().any(|word| word == group)
}

async fn finds_by_arp(site: &Site) -> bool {
    site.client.run(&["arping", "-I", LINK, "-c", "1", "-w", "3", V4]).await.unwrap().is_success()
}

async fn finds_by_ndp(site: &Site) -> bool {
    site.client.run(&["ndisc6", "-1", "-r", "1", "-w", "1000", V6, LINK]).await.unwrap().is_success()
}
