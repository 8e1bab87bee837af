//! Routers behind an interface, known by nothing else.

use metallb_core::config::{Endpoint, Peer};
use metallb_lab::routers::{Make, Neighbour, Remote};

use super::node::{Node, OURS, bfd_every, peer};
use super::site::{Site, VIP, config, ip, with_each};

const VIP_V6: &str = "2001:db8:1::1/128";

fn unnumbered() -> Peer {
    Peer { endpoint: Endpoint::Interface("v0".into()), ..peer("192.0.2.2") }
}

#[tokio::test]
async fn both_families_go_to_a_router_behind_an_interface_also_after_its_link_was_replaced() {
    // GoBGP advertises no router.
    with_each([Make::Frr, Make::Bird], async |make| {
        let site = Site::bare();
        let tor = site.router(make, Neighbour::unnumbered("v0", Remote::As(OURS))).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", unnumbered());
        node.announce(&[VIP, VIP_V6]);
        let first = site.node.link_local("v0").unwrap();
        for prefix in [VIP, VIP_V6] {
            let paths = tor.route(prefix, |paths| paths.len() == 1).await;
            assert!(paths[0].next_hops.contains(&first.into()), "{make} {paths:?}");
        }
        let seen = node.is_up("tor").await;
        assert_eq!(seen.address.unwrap().ip(), site.tor.link_local("v0").unwrap());
        assert!(seen.agreed.as_ref().unwrap().families.len() == 2);

        site.link.replace().unwrap();
        node.until("tor", "went down", |seen| seen.flaps == 1).await;
        node.is_up("tor").await;
        let second = site.node.link_local("v0").unwrap();
        assert_ne!(first, second);
        for prefix in [VIP, VIP_V6] {
            let is_new = |path: &metallb_lab::routers::Path| path.next_hops.contains(&second.into());
            tor.route(prefix, |paths| paths.iter().any(is_new)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn bfd_watches_a_router_behind_an_interface() {
    let site = Site::bare();
    let bfd = metallb_lab::routers::Bfd::every(std::time::Duration::from_millis(100), 3);
    let tor = site.router(Make::Frr, Neighbour::unnumbered("v0", Remote::As(OURS)).bfd(bfd)).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { bfd: Some(bfd_every(100)), ..unnumbered() });
    node.announce(&[VIP]);
    tor.route(VIP, |paths| paths.len() == 1).await;
    node.is_watched("tor").await;
    tor.freeze();
    let seen = node.until("tor", "is lost", |seen| seen.flaps == 1).await;
    assert_eq!(seen.last_failure.as_ref().unwrap().text, "BFD lost the router");
    tor.thaw();
    node.is_up("tor").await;
}

#[tokio::test]
async fn in_an_ipv4_network_for_two_the_other_end_is_the_router() {
    with_each(Make::ALL, async |make| {
        let site = Site::bare();
        // No router advertisement could be sent: there is no IPv6.
        for host in [&site.node, &site.tor] {
            host.sysctl(&[("net/ipv6/conf/v0/disable_ipv6", "1")]).unwrap();
        }
        site.node.addresses("v0", &["198.51.100.1/30"]).unwrap();
        site.tor.addresses("v0", &["198.51.100.2/30"]).unwrap();
        let known = Neighbour::at(ip("198.51.100.1"), Remote::As(OURS));
        let tor = site.configured(make, config().neighbour(known)).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", unnumbered());
        node.announce(&[VIP]);
        let paths = tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(paths[0].next_hops, [ip("198.51.100.1")], "{make}");
        assert_eq!(node.is_up("tor").await.address.unwrap().ip(), ip("198.51.100.2"));
    })
    .await;
}

#[tokio::test]
async fn it_is_said_why_no_router_is_found() {
    let site = Site::bare();
    let mut node = Node::start(&site.node);
    for (interface, why) in
        [("v0", "no router has advertised itself"), ("v7", "there is no interface of this name")]
    {
        node.peer(interface, Peer { endpoint: Endpoint::Interface(interface.into()), ..peer("192.0.2.2") });
        let said = |seen: &metallb_dataplane::speaker::bgp::seen::PeerSeen| {
            seen.last_failure.as_ref().is_some_and(|last| last.text.contains(why))
        };
        let seen = node.until(interface, why, said).await;
        let last = seen.last_failure.as_ref().unwrap();
        assert_eq!(last.code, "local-socket");
        assert!(last.text.contains(&format!("interface {interface} (spec.interface)")), "{}", last.text);
        assert_eq!(seen.address, None);
    }
}
