//! Routers behind routers, and the TTL that keeps sessions on the link.
//!
//! ```text
//!   node ── 192.0.2.0/24 ── gate ── 198.51.100.0/24 ── far
//!    .1                   .254  .254                    .2
//! ```

use metallb_core::config::{MinimumTtl, Peer, RemoteAs};
use metallb_lab::network::{Forwarding, Hook, Host, Network};
use metallb_lab::routers::{Bfd, Config, Distance, Make, Neighbour, Remote, Router};

use super::node::{Node, OURS, TOR, bfd_every, peer};
use super::site::{NODE, ROUTER, Site, VIP, asn, ip, neighbour, with_each};

const FAR: &str = "198.51.100.2";

struct FarSite {
    node: Host,
    far: Host,
    _gate: Host,
    _network: Network,
}

impl FarSite {
    fn new() -> Self {
        let network = Network::new().unwrap();
        let [node, gate, far] = ["node", "gate", "far"].map(|name| network.host(name).unwrap());
        network.link((&node, "v0"), (&gate, "v0")).unwrap();
        network.link((&gate, "v1"), (&far, "v0")).unwrap();
        node.addresses("v0", &["192.0.2.1/24"]).unwrap();
        gate.addresses("v0", &["192.0.2.254/24"]).unwrap();
        gate.addresses("v1", &["198.51.100.254/24"]).unwrap();
        far.addresses("v0", &["198.51.100.2/24"]).unwrap();
        gate.forward(Forwarding::On).unwrap();
        node.route("default", "192.0.2.254").unwrap();
        far.route("default", "198.51.100.254").unwrap();
        Self { node, far, _gate: gate, _network: network }
    }

    async fn router(&self, make: Make, neighbour: Neighbour) -> Router {
        let config = Config::new(TOR, [198, 51, 100, 2]).neighbour(neighbour);
        Router::start(make, &self.far, config).await.unwrap()
    }
}

#[tokio::test]
async fn a_router_behind_a_router_needs_multihop_and_the_failure_says_so() {
    with_each(Make::ALL, async |make| {
        let site = FarSite::new();
        let tor = site.router(make, neighbour().distance(Distance::Multihop(5))).await;
        let mut node = Node::start(&site.node);
        node.peer("far", peer(FAR));
        node.announce(&[VIP]);
        let text = node.until("far", "fails", |seen| seen.last_failure.is_some()).await;
        let text = &text.last_failure.as_ref().unwrap().text;
        assert!(text.contains("spec.ebgpMultiHop"), "{make}: {text}");

        node.peer("far", Peer { multihop: true, ..peer(FAR) });
        tor.established(NODE).await;
        let paths = tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(paths[0].next_hops, [ip(NODE)]);
    })
    .await;
}

/// Inside our own system a router may be anywhere; so it may with the defaults of the native kind.
#[tokio::test]
async fn multihop_needs_saying_only_of_external_routers_and_only_with_the_defaults_of_frr() {
    let site = FarSite::new();
    let internal = Config::new(OURS, [198, 51, 100, 2]).neighbour(neighbour());
    let tor = Router::start(Make::Frr, &site.far, internal).await.unwrap();
    let mut node = Node::start(&site.node);
    node.peer("far", Peer { remote: RemoteAs::Number(asn(OURS)), ..peer(FAR) });
    tor.established(NODE).await;
    drop((node, tor));

    let tor = site.router(Make::Frr, neighbour().distance(Distance::Multihop(5))).await;
    let mut node = Node::start(&site.node).native();
    node.peer("far", peer(FAR));
    tor.established(NODE).await;
}

#[tokio::test]
async fn bfd_goes_over_several_hops_where_the_session_does() {
    with_each([Make::Frr, Make::Bird], async |make| {
        let site = FarSite::new();
        let bfd = Bfd::every(std::time::Duration::from_millis(100), 3);
        let neighbour = neighbour().distance(Distance::Multihop(5)).source(ip(FAR)).bfd(bfd);
        let tor = site.router(make, neighbour).await;
        let mut node = Node::start(&site.node);
        let mut watched = bfd_every(100);
        if make == Make::Bird {
            // BIRD sends with the kernel's default of 64, of which one hop is gone; FRR with 255.
            watched.profile.minimum_ttl = MinimumTtl::new(63).unwrap();
        }
        node.peer("far", Peer { multihop: true, bfd: Some(watched), ..peer(FAR) });
        node.announce(&[VIP]);
        tor.established(NODE).await;
        node.is_watched("far").await;
        tor.route(VIP, |paths| paths.len() == 1).await;
        tor.freeze();
        let seen = node.until("far", "is lost to BFD", |seen| seen.flaps == 1).await;
        assert_eq!(seen.last_failure.as_ref().unwrap().text, "BFD lost the router");
        tor.thaw();
        tor.established(NODE).await;
        node.is_watched("far").await;
    })
    .await;
}

/// A router that was told of several hops speaks so also over one: port and all (RFC 5883).
#[tokio::test]
async fn bfd_goes_over_several_hops_to_a_router_next_door_where_the_session_may() {
    let site = Site::new();
    let bfd = Bfd::every(std::time::Duration::from_millis(100), 3);
    let known = neighbour().distance(Distance::Multihop(5)).source(ip(ROUTER)).bfd(bfd);
    let tor = site.router(Make::Frr, known).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { multihop: true, bfd: Some(bfd_every(100)), ..peer(ROUTER) });
    tor.established(NODE).await;
    node.is_watched("tor").await;
}

/// Inside our own system both ends go by the network, which may come later than the BGPPeer.
#[tokio::test]
async fn bfd_goes_over_one_hop_once_the_node_is_on_the_network_of_the_router() {
    let site = Site::bare();
    site.tor.addresses("v0", &["192.0.2.2/24"]).unwrap();
    let bfd = Bfd::every(std::time::Duration::from_millis(100), 3);
    let tor = Config::new(OURS, [192, 0, 2, 2]).neighbour(neighbour().bfd(bfd));
    let tor = site.configured(Make::Frr, tor).await;
    let mut node = Node::start(&site.node);
    node.peer("tor", Peer { remote: RemoteAs::Number(asn(OURS)), bfd: Some(bfd_every(100)), ..peer(ROUTER) });
    let text = node.until("tor", "finds no way", |seen| seen.last_failure.is_some()).await;
    assert!(text.bfd.as_ref().is_none_or(|bfd| bfd.downs == 0), "{text:?}");
    site.node.addresses("v0", &["192.0.2.1/24"]).unwrap();
    tor.established(NODE).await;
    node.is_watched("tor").await;
}

/// What leaves the node for a router next door dies on the next router; of the native kind it does not.
#[tokio::test]
async fn packets_to_an_external_router_have_a_ttl_of_one_and_of_the_native_kind_any() {
    for native in [false, true] {
        let site = Site::new();
        let _drop = site.tor.rule(Hook::Input, "tcp dport 179 ip ttl 1 drop").unwrap();
        let tor = site.router(Make::Frr, neighbour().passive()).await;
        let node = Node::start(&site.node);
        let mut node = if native { node.native() } else { node };
        node.peer("tor", peer(ROUTER));
        if native {
            tor.established(NODE).await;
        } else {
            node.fails("tor", "no-answer").await;
        }
    }
}

/// RFC 5082 on the router's side: it drops whatever has crossed a router.
#[tokio::test]
async fn a_router_that_wants_proof_of_distance_gets_it() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site
            .router(make, Neighbour::at(ip(NODE), Remote::As(OURS)).distance(Distance::TtlSecurity(1)))
            .await;
        let mut node = Node::start(&site.node);
        node.peer("tor", Peer { multihop: true, ..peer(ROUTER) });
        tor.established(NODE).await;
    })
    .await;
}
