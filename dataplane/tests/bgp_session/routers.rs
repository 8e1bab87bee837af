//! What FRR, BIRD and GoBGP make of what a session tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Asn, Community, HoldTime, RemoteAs, RouterId};
use metallb_lab::network::{Host, Network};
use metallb_lab::routers::{BgpState, Config, Make, Neighbour, Remote, Restarting, Router};
use metallb_protocols::bgp::adverts::{Defaults, NextHops, RouteAttributes};
use metallb_protocols::bgp::session::{Ending, Input, Retry, Settings};

use super::driver::Driver;

const NODE: &str = "192.0.2.1";
const V4: &str = "203.0.113.1/32";
const V6: &str = "2001:db8:1::1/128";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings() -> Settings {
    let asn = |number| Asn::new(number).unwrap();
    Settings {
        my_asn: asn(64500),
        local_asn: None,
        remote: RemoteAs::Number(asn(64512)),
        router_id: RouterId::new([192, 0, 2, 1].into()).unwrap(),
        hold_time: HoldTime::try_from(seconds(90)).unwrap(),
        keepalive_time: None,
        families: [Family::V4, Family::V6].into(),
        extended_next_hop: false,
        graceful_restart: true,
        restart_helper: true,
        additional_paths: false,
        host_name: Some("node".into()),
        retry: Retry { first: seconds(1), longest: seconds(2), connect_time: None },
        defaults: Defaults { local_preference: 100, med: None },
        password: false,
    }
}

/// The node and a router of that make, which expects the node to be of that system.
async fn node_and_router(make: Make, asn: u32) -> (Host, Router) {
    let network = Network::new().unwrap();
    let [node, tor] = ["node", "tor"].map(|name| network.host(name).unwrap());
    network.link((&node, "v0"), (&tor, "v0")).unwrap();
    node.addresses("v0", &["192.0.2.1/24", "2001:db8::1/64"]).unwrap();
    tor.addresses("v0", &["192.0.2.2/24", "2001:db8::2/64"]).unwrap();
    let neighbour = Neighbour::at(NODE.parse().unwrap(), Remote::As(asn)).passive();
    let config = Config::new(64512, [192, 0, 2, 2]).neighbour(neighbour);
    let router = Router::start(make, &tor, config.restarting(Restarting::Helper)).await.unwrap();
    (node, router)
}

fn begin(node: &Host, settings: Settings) -> Driver {
    let next_hops =
        NextHops { v4: NODE.parse().ok(), v6: "2001:db8::1".parse().ok(), link_local: None, over_ipv4: true };
    Driver::start(node, "192.0.2.2:179".parse().unwrap(), settings, next_hops)
}

fn all_routes() -> Input<'static> {
    let communities = [Community::Standard { asn: 64500, value: 7 }].into();
    let attributes = Arc::new(RouteAttributes { communities, local_preference: None });
    Input::Routes(BTreeMap::from([V4, V6].map(|prefix| (prefix.parse().unwrap(), Arc::clone(&attributes)))))
}

async fn routers_learn_routes_and_forget_them(make: Make) {
    let (node, router) = node_and_router(make, 64500).await;
    let driver = begin(&node, settings());
    driver.say(all_routes());
    let state = router.established(NODE).await;
    assert_eq!(state.router_id, Some([192, 0, 2, 1].into()));
    for (prefix, next_hop) in [(V4, NODE), (V6, "2001:db8::1")] {
        let paths = router.route(prefix, |paths| paths.len() == 1 && paths[0].best).await;
        assert_eq!(paths[0].as_path, [64500]);
        assert_eq!(paths[0].next_hops.first(), next_hop.parse().ok().as_ref(), "{paths:?}");
        assert_eq!(paths[0].communities, BTreeSet::from(["64500:7".to_owned()]));
    }

    driver.say(Input::Changes(vec![(V4.parse().unwrap(), None)]));
    router.route(V4, <[_]>::is_empty).await;
    assert_eq!(router.paths(V6).await.unwrap().len(), 1, "the other one stays");
    driver.say(Input::Stop(Ending::Leaving { text: "the node leaves".into() }));
    router.neighbour_is(NODE, "down", |state| state.state != BgpState::Established).await;
    router.route(V6, <[_]>::is_empty).await;
    assert_eq!(driver.failures(), ["this node leaves: the node leaves"], "{make}: nothing else went wrong");
}

#[tokio::test]
async fn frr_learns_routes_and_forgets_them() {
    routers_learn_routes_and_forget_them(Make::Frr).await;
}

#[tokio::test]
async fn bird_learns_routes_and_forgets_them() {
    routers_learn_routes_and_forget_them(Make::Bird).await;
}

#[tokio::test]
async fn gobgp_learns_routes_and_forgets_them() {
    routers_learn_routes_and_forget_them(Make::GoBgp).await;
}

#[tokio::test]
async fn every_router_keeps_the_routes_of_a_speaker_that_restarts() {
    for make in Make::ALL {
        let (node, router) = node_and_router(make, 64500).await;
        let driver = begin(&node, settings());
        driver.say(all_routes());
        router.route(V4, |paths| paths.len() == 1 && !paths[0].stale).await;
        driver.say(Input::Stop(Ending::Restarting));
        router.route(V4, |paths| paths.len() == 1 && paths[0].stale).await;

        let successor = begin(&node, settings());
        router.established(NODE).await;
        // Nothing is dropped as long as the successor has not said what it announces.
        assert_eq!(router.paths(V4).await.unwrap().len(), 1, "{make}");
        successor.say(all_routes());
        router.route(V4, |paths| paths.len() == 1 && !paths[0].stale).await;
        router.route(V6, |paths| paths.len() == 1 && !paths[0].stale).await;
    }
}

#[tokio::test]
async fn who_is_refused_for_the_wrong_system_says_which_it_named() {
    for make in Make::ALL {
        let (node, router) = node_and_router(make, 64999).await;
        let driver = begin(&node, settings());
        router
            .eventually(seconds(20), &format!("{make} refuses us, and we say why"), async || {
                let failures = driver.failures();
                let names = |text: &String| text.contains("another AS than ours, 64500");
                if failures.iter().any(names) { Ok(()) } else { Err(format!("{failures:?}")) }
            })
            .await;
    }
}
