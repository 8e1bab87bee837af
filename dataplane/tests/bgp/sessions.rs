//! Sessions that come up, and what routes look like on the other side.

use std::sync::Arc;
use std::time::Duration;

use metallb_core::config::{Community, Peer, RemoteAs, SessionFamilies};
use metallb_core::plan::RouteAttributes;
use metallb_lab::eventually;
use metallb_lab::routers::{Config, Distance, Family, Make, Neighbour, Path, Remote};

use super::fake::{Fake, Manner};
use super::node::{Node, OURS, TOR, leaving, peer};
use super::site::{NODE, NODE_V6, ROUTER, ROUTER_V6, Site, VIP, asn, config, ip, neighbour, with_each};
use metallb_dataplane::speaker::bgp::seen::Seen;

#[tokio::test]
async fn an_external_session_carries_routes_with_all_that_advertisements_say() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        let attributes = RouteAttributes {
            communities: [
                Community::Standard { asn: 64500, value: 7 },
                Community::Large { global: 64500, local_1: 1, local_2: 2 },
            ]
            .into(),
            local_preference: Some(300),
        };
        // The second is an aggregate: one route for 64 addresses.
        node.announce_with(&[VIP, "203.0.113.64/26"], &attributes);
        node.is_up("tor").await;
        tor.established(NODE).await;
        for prefix in [VIP, "203.0.113.64/26"] {
            let paths = tor.route(prefix, |paths| paths.len() == 1).await;
            let path = &paths[0];
            assert_eq!(path.as_path, [OURS]);
            assert_eq!(path.next_hops, [ip(NODE)]);
            assert_eq!(path.med, Some(0));
            assert_eq!(path.communities, ["64500:7".to_owned()].into());
            assert_eq!(path.large_communities, ["64500:1:2".to_owned()].into());
        }
        let seen = node.until("tor", "has told all", |seen| seen.announced == 2 && seen.pending == 0).await;
        assert_eq!(seen.agreed.as_ref().unwrap().asn.get(), TOR);
        node.announce(&[VIP]);
        tor.route("203.0.113.64/26", <[_]>::is_empty).await;
        let bare = |paths: &[Path]| paths.iter().all(|path| path.communities.is_empty());
        assert_eq!(tor.route(VIP, bare).await.len(), 1);
        // Of two routes with equal attributes one message, of one that goes and one that changed two more; and End-of-RIB.
        assert!(node.counted("metallb_bgp_updates_total") <= 4.0);
        node.leave(leaving());
        tor.route(VIP, <[_]>::is_empty).await;
    })
    .await;
}

#[tokio::test]
async fn an_internal_session_carries_local_preferences_and_no_as_path() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = Config::new(OURS, [192, 0, 2, 2]).neighbour(neighbour());
        let tor = site.configured(make, tor).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", Peer { remote: RemoteAs::Number(asn(OURS)), ..peer(ROUTER) });
        let preferred = RouteAttributes { local_preference: Some(300), ..RouteAttributes::default() };
        let [preferred, other] = [preferred, RouteAttributes::default()].map(Arc::new);
        node.announce_all([(VIP.parse().unwrap(), preferred), ("203.0.113.2/32".parse().unwrap(), other)]);
        for (prefix, preference) in [(VIP, 300), ("203.0.113.2/32", 100)] {
            let paths = tor.route(prefix, |paths| paths.len() == 1).await;
            assert_eq!(paths[0].as_path, [0_u32; 0]);
            assert_eq!(paths[0].local_pref, Some(preference), "{make}");
            assert_eq!(paths[0].next_hops, [ip(NODE)]);
        }
    })
    .await;
}

/// Of the two kinds of defaults the one without FRR: preference 0, no MED, both families, and a shorter hold time.
#[tokio::test]
async fn defaults_of_the_native_kind_are_kept() {
    for remote in [OURS, TOR] {
        let site = Site::new();
        let long = Duration::from_mins(3);
        let tor = Config::new(remote, [192, 0, 2, 2]).neighbour(neighbour().timers(long / 3, long));
        let tor = site.configured(Make::Frr, tor).await;
        let mut node = Node::start(&site.node).native();
        node.peer("tor", Peer { remote: RemoteAs::Number(asn(remote)), ..peer(ROUTER) });
        node.announce(&[VIP]);
        let paths = tor.route(VIP, |paths| paths.len() == 1).await;
        let preference = (remote == OURS).then_some(0);
        assert_eq!((paths[0].local_pref, paths[0].med), (preference, None));
        assert_eq!(tor.established(NODE).await.hold_time, Some(long / 2));
        assert_eq!(node.is_up("tor").await.agreed.as_ref().unwrap().families.len(), 2);
    }
}

#[tokio::test]
async fn both_families_go_over_one_session_of_either() {
    with_each(Make::ALL, async |make| {
        for (address, from) in [(ROUTER, NODE), (ROUTER_V6, NODE_V6)] {
            let site = Site::new();
            let neighbour = Neighbour::at(ip(from), Remote::As(OURS)).families(Family::ALL);
            // IPv4 routes with IPv4 next hops, that is.
            let tor = site.router(make, neighbour).await;
            let mut node = Node::start(&site.node);
            node.peer("tor", Peer { families: SessionFamilies::Both, ..peer(address) });
            node.announce(&[VIP, "2001:db8:1::1/128"]);
            let v4 = tor.route(VIP, |paths| paths.len() == 1).await;
            assert_eq!(v4[0].next_hops, [ip(NODE)], "{make} {address}");
            let v6 = tor.route("2001:db8:1::1/128", |paths| paths.len() == 1).await;
            assert!(v6[0].next_hops.contains(&ip(NODE_V6)), "{make} {address} {v6:?}");
        }
    })
    .await;
}

/// An address of the loopback that is no loopback address leads to the node; `::1` leads the router to itself.
#[tokio::test]
async fn a_session_from_an_address_of_the_loopback_names_one_of_the_interface_for_the_other_family() {
    with_each([Make::Frr, Make::Bird], async |make| {
        let site = Site::new();
        site.node.addresses("lo", &["10.255.0.1/32"]).unwrap();
        site.tor.route("10.255.0.1/32", NODE).unwrap();
        let known = Neighbour::at(ip("10.255.0.1"), Remote::As(OURS)).distance(Distance::Multihop(5));
        let tor = site.router(make, known.source(ip(ROUTER)).families(Family::ALL)).await;
        let mut node = Node::start(&site.node);
        let source_address = Some(ip("10.255.0.1"));
        let families = SessionFamilies::Both;
        node.peer("tor", Peer { multihop: true, source_address, families, ..peer(ROUTER) });
        node.announce(&[VIP, "2001:db8:1::1/128"]);
        let v4 = tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(v4[0].next_hops, [ip("10.255.0.1")], "{make}");
        let v6 = tor.route("2001:db8:1::1/128", |paths| paths.len() == 1).await;
        assert!(v6[0].next_hops.contains(&ip(NODE_V6)), "{make} {v6:?}");
    })
    .await;
}

#[tokio::test]
async fn an_ipv6_session_carries_ipv6_routes_and_says_which_it_cannot_carry() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, Neighbour::at(ip(NODE_V6), Remote::As(OURS))).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER_V6));
        node.announce(&["2001:db8:1::1/128", "2001:db8:2::/64"]);
        for prefix in ["2001:db8:1::1/128", "2001:db8:2::/64"] {
            let paths = tor.route(prefix, |paths| paths.len() == 1).await;
            assert_eq!(paths[0].as_path, [OURS]);
            assert_eq!(paths[0].next_hops.first(), Some(&ip(NODE_V6)), "{make}");
        }
        node.leave(leaving());
        tor.route("2001:db8:1::1/128", <[_]>::is_empty).await;
    })
    .await;
}

#[tokio::test]
async fn a_route_of_a_family_that_the_node_has_no_address_of_is_named_and_the_others_go() {
    let site = Site::bare();
    site.node.addresses("v0", &["192.0.2.1/24"]).unwrap();
    site.tor.addresses("v0", &["192.0.2.2/24"]).unwrap();
    // Not even a link-local one.
    site.node.sysctl(&[("net/ipv6/conf/v0/disable_ipv6", "1")]).unwrap();
    let tor = site.router(Make::Frr, neighbour().families(Family::ALL)).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { families: SessionFamilies::Both, ..peer(ROUTER) });
    node.announce(&[VIP, "2001:db8:1::1/128"]);
    tor.route(VIP, |paths| paths.len() == 1).await;
    let seen = node.until("tor", "names what it cannot tell", |seen| seen.unsendable == 1).await;
    let text = seen.unsendable_named[0].1.to_string();
    assert!(text.contains("no IPv6 address") && text.contains("give it one"), "{text}");
    assert_eq!((seen.announced, seen.pending), (1, 0));
}

#[tokio::test]
async fn our_system_is_the_local_one_where_that_is_set() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, Neighbour::at(ip(NODE), Remote::As(64999))).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", Peer { local_asn: Some(asn(64999)), ..peer(ROUTER) });
        node.announce(&[VIP]);
        let paths = tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(paths[0].as_path, [64999], "the other one shows nowhere");
        assert_eq!(node.is_up("tor").await.local_asn, asn(64999));
    })
    .await;
}

#[tokio::test]
async fn systems_of_four_octets_are_systems_like_others() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let (ours, theirs) = (4_200_000_000, 4_200_000_001);
        let tor = Config::new(theirs, [192, 0, 2, 2]).neighbour(Neighbour::at(ip(NODE), Remote::As(ours)));
        let tor = site.configured(make, tor).await;
        let mut node = Node::start(&site.node);
        let wanted = Peer { my_asn: asn(ours), remote: RemoteAs::Number(asn(theirs)), ..peer(ROUTER) };
        node.peer("tor", wanted);
        node.announce(&[VIP]);
        assert_eq!(tor.route(VIP, |paths| paths.len() == 1).await[0].as_path, [ours]);
    })
    .await;
}

#[tokio::test]
async fn the_router_is_found_at_another_port() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.configured(make, config().port(1790).neighbour(neighbour().passive())).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        let text = node.fails("tor", "connection-refused").await;
        assert!(text.contains("spec.peerPort"), "{text}");
        node.peer("tor", Peer { port: 1790.try_into().unwrap(), ..peer(ROUTER) });
        tor.established(NODE).await;
        assert_eq!(node.is_up("tor").await.address.unwrap().port(), 1790);
    })
    .await;
}

#[tokio::test]
async fn the_session_comes_from_the_source_address_and_a_missing_one_is_named() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, Neighbour::at(ip("192.0.2.7"), Remote::As(OURS)).passive()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", Peer { source_address: Some(ip("192.0.2.7")), ..peer(ROUTER) });
        node.announce(&[VIP]);
        let text = node.fails("tor", "local-socket").await;
        assert!(text.contains("192.0.2.7 (spec.sourceAddress) cannot be used"), "{text}");
        site.node.addresses("v0", &["192.0.2.7/24"]).unwrap();
        tor.established("192.0.2.7").await;
        let paths = tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(paths[0].next_hops, [ip("192.0.2.7")]);
    })
    .await;
}

/// What a process before this one said of its sessions is wrong, and whoever keeps it has to hear of it.
#[tokio::test]
async fn a_node_without_peers_tells_that_it_has_no_session() {
    let site = Site::new();
    let mut node = Node::start(&site.node);
    node.talk_to_nobody();
    assert_eq!(node.tells().await, Seen::new());
}

/// A rate of announced to pending routes is what dashboards of upstream's speaker show.
#[tokio::test]
async fn what_a_router_is_to_know_is_counted_beside_what_it_knows_and_what_waits() {
    let site = Site::new();
    let _good = Fake::start(&site.tor, "192.0.2.60", Manner::Good);
    let mut node = Node::start(&site.node);
    node.peer("tor", peer("192.0.2.60"));
    node.announce(&[VIP, "203.0.113.2/32"]);
    let counted = || {
        let names = ["announced_prefixes_total", "pending_prefixes_total", "queued_prefixes"];
        names.map(|name| node.counted(&format!("metallb_bgp_{name}")).to_string())
    };
    eventually(Duration::from_secs(20), "both are announced", async || {
        let counted = counted();
        if counted == ["2", "2", "0"] { Ok(()) } else { Err(format!("{counted:?}")) }
    })
    .await;
}
