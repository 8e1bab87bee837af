//! The decision table of BGP, then properties over random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::address::AddressRange;
use crate::config::{
    Aggregation, Asn, BgpAdvertisement, Community, Config, Endpoint, Peer, Pool, PoolSelection, Pools,
    RemoteAs,
};
use crate::labels::{Labels, Requirement, Selector};
use crate::names::{PeerName, ServiceKey};
use crate::refusal::Refusal;

const EDGE: &str = "edge";

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn label(name: &str) -> Labels {
    Labels::from([(name.to_owned(), String::new())])
}

fn having(name: &str) -> Vec<Selector> {
    vec![Selector::from_iter([Requirement::Exists(name.into())])]
}

fn community(value: u16) -> Community {
    Community::Standard { asn: 64_512, value }
}

fn peer(last: u8) -> Peer {
    Peer::new(
        Asn::new(64_512).unwrap(),
        RemoteAs::External,
        Endpoint::Address(IpAddr::from([192, 0, 2, last])),
    )
}

fn config(advertisements: impl IntoIterator<Item = BgpAdvertisement>) -> Config {
    let mut pools = Pools::default();
    let range = |text| vec![AddressRange::parse(text).unwrap()];
    pools.insert(Pool::new("lab".into(), range("10.0.0.0/24")).unwrap()).unwrap();
    pools.insert(Pool::new("six".into(), range("fd00::/64")).unwrap()).unwrap();
    let numbered = advertisements.into_iter().enumerate();
    Config {
        pools,
        bgp_advertisements: numbered.map(|(n, one)| (n.to_string().into(), one)).collect(),
        peers: [("east".into(), peer(1)), ("west".into(), peer(2))].into(),
        ..Config::default()
    }
}

fn service(addresses: &[&str]) -> Service {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Service { addresses, ..Service::default() }
}

fn here() -> Endpoints {
    Endpoints { anywhere: true, nodes: ["node".into()].into() }
}

/// A node with two peers, and a service that is announced to both.
fn world(advertisements: impl IntoIterator<Item = BgpAdvertisement>) -> World {
    let mut world = World::new("node".into(), false);
    world.set_node("node".into(), Some(Node::default()));
    world.set_config(config(advertisements));
    world.set_service(key("web"), Some(service(&["10.0.0.1"])));
    world.set_endpoints(key("web"), here());
    world
}

type Routes = BTreeMap<PeerName, BTreeMap<IpNet, Arc<RouteAttributes>>>;

fn planned(world: &World) -> RoutePlanner {
    let mut planner = RoutePlanner::default();
    planner.replan(world, &Touched::Everything);
    planner
}

/// The prefixes that each peer hears, as text.
fn heard(world: &World) -> BTreeMap<String, Vec<String>> {
    let planner = planned(world);
    let routes = planner.routes().iter();
    routes
        .map(|(peer, routes)| (peer.to_string(), routes.keys().map(ToString::to_string).collect()))
        .collect()
}

fn both(prefixes: &[&str]) -> BTreeMap<String, Vec<String>> {
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    [("east".to_owned(), prefixes.clone()), ("west".to_owned(), prefixes)].into()
}

/// The verdict on 10.0.0.1 for "web"; "" when it is announced.
fn verdict(world: &World) -> &'static str {
    let planner = planned(world);
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    planner.verdicts()[&address][&key("web")].as_ref().map_or_else(Refusal::code, |_| "")
}

type Arrangement = fn(&mut World);

#[test]
fn an_address_is_announced_to_all_peers_or_says_why_not() {
    assert_eq!(heard(&world([BgpAdvertisement::default()])), both(&["10.0.0.1/32"]));
    let plain = BgpAdvertisement::default;
    let elsewhere = || BgpAdvertisement { node_selectors: having(EDGE), ..plain() };
    let preferred =
        |local_preference| BgpAdvertisement { local_preference, service_selectors: Vec::new(), ..plain() };
    let node = |world: &mut World, node: Node| world.set_node("node".into(), Some(node));
    let cases: [(Vec<BgpAdvertisement>, Arrangement, &str); 12] = [
        (vec![plain()], |_| {}, ""),
        (vec![], |_| {}, "not-advertised"),
        (vec![elsewhere()], |_| {}, "node-not-selected"),
        (vec![BgpAdvertisement { service_selectors: having("db"), ..plain() }], |_| {}, "not-advertised"),
        (vec![BgpAdvertisement { peers: ["north".into()].into(), ..plain() }], |_| {}, "no-peer"),
        (vec![preferred(Some(1)), preferred(Some(2))], |_| {}, "two-local-preferences"),
        (vec![preferred(Some(1)), elsewhere()], |_| {}, ""),
        (vec![plain()], |world| drop(world.set_endpoints(key("web"), Endpoints::default())), "no-endpoints"),
        (
            vec![plain()],
            |world| {
                let local = Service { traffic_policy: TrafficPolicy::Local, ..service(&["10.0.0.1"]) };
                world.set_service(key("web"), Some(local));
                let elsewhere = Endpoints { anywhere: true, nodes: ["other".into()].into() };
                world.set_endpoints(key("web"), elsewhere);
            },
            "no-local-endpoint",
        ),
        (
            vec![plain()],
            |world| {
                let elsewhere = Endpoints { anywhere: true, nodes: ["other".into()].into() };
                world.set_endpoints(key("web"), elsewhere);
            },
            "",
        ),
        (
            vec![plain()],
            |world| {
                let unavailable = Node { network_unavailable: true, ..Node::default() };
                world.set_node("node".into(), Some(unavailable));
            },
            "network-unavailable",
        ),
        (
            vec![plain()],
            |world| drop(world.set_service(key("web"), Some(service(&["10.0.0.1", "10.9.9.9"])))),
            "",
        ),
    ];
    for (n, (advertisements, change, code)) in cases.into_iter().enumerate() {
        let mut world = world(advertisements);
        change(&mut world);
        assert_eq!(verdict(&world), code, "case {n}");
    }
    let mut excluded = world([plain()]);
    let labels = label("node.kubernetes.io/exclude-from-external-load-balancers");
    node(&mut excluded, Node { labels, ..Node::default() });
    assert_eq!(verdict(&excluded), "node-excluded");
}

#[test]
fn a_route_of_an_aggregate_goes_with_the_last_of_its_addresses() {
    let aggregate =
        BgpAdvertisement { aggregation: Aggregation::new(26, 64).unwrap(), ..BgpAdvertisement::default() };
    let mut world = world([aggregate]);
    world.set_service(key("dns"), Some(service(&["10.0.0.2", "fd00::2"])));
    world.set_endpoints(key("dns"), here());
    let mut planner = planned(&world);
    let prefixes = |changes: &RouteChanges| {
        let east = changes.peers.get(&PeerName::from("east"));
        east.into_iter()
            .flat_map(|east| &east.routes)
            .map(|(prefix, now)| (prefix.to_string(), now.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(heard(&world), both(&["10.0.0.0/26", "fd00::/64"]));
    let touched = world.set_service(key("web"), None);
    assert_eq!(prefixes(&planner.replan(&world, &touched)), []);
    let touched = world.set_endpoints(key("dns"), Endpoints::default());
    let changes = planner.replan(&world, &touched);
    assert_eq!(prefixes(&changes), [("10.0.0.0/26".to_owned(), false), ("fd00::/64".to_owned(), false)]);
}

#[test]
fn advertisements_of_one_route_add_up_and_each_peer_hears_its_own() {
    let plain = BgpAdvertisement::default;
    let world = world([
        BgpAdvertisement { communities: [community(1)].into(), ..plain() },
        BgpAdvertisement {
            communities: [community(2)].into(),
            local_preference: None,
            peers: ["east".into()].into(),
            ..plain()
        },
        BgpAdvertisement {
            aggregation: Aggregation::new(24, 64).unwrap(),
            local_preference: Some(300),
            peers: ["west".into()].into(),
            ..plain()
        },
    ]);
    let planner = planned(&world);
    let seen: Vec<_> = planner
        .routes()
        .iter()
        .flat_map(|(peer, routes)| routes.iter().map(move |(prefix, attributes)| (peer, prefix, attributes)))
        .map(|(peer, prefix, attributes)| {
            let RouteAttributes { communities, local_preference } = attributes.as_ref();
            let communities: Vec<_> = communities.iter().map(ToString::to_string).collect();
            (peer.to_string(), prefix.to_string(), communities.join(" "), *local_preference)
        })
        .collect();
    let expected = [
        ("east", "10.0.0.1/32", "64512:1 64512:2", None),
        ("west", "10.0.0.0/24", "", Some(300)),
        ("west", "10.0.0.1/32", "64512:1", None),
    ];
    assert_eq!(
        seen,
        expected.map(|(peer, prefix, communities, preference)| {
            (peer.to_owned(), prefix.to_owned(), communities.to_owned(), preference)
        })
    );
    let addresses = ["10.0.0.1".parse().unwrap()];
    let peers = planner.peers_of(&world, &key("web"), &addresses);
    assert_eq!(peers, ["east".into(), "west".into()].into());
}

#[test]
fn a_peer_of_other_nodes_hears_nothing_from_here() {
    let mut world = world([BgpAdvertisement::default()]);
    let mut config = world.config().clone();
    config.peers.insert("north".into(), Peer { node_selectors: having(EDGE), ..peer(3) });
    world.set_config(config);
    assert_eq!(heard(&world), both(&["10.0.0.1/32"]));
    world.set_node("node".into(), Some(Node { labels: label(EDGE), ..Node::default() }));
    assert_eq!(heard(&world).len(), 3);
}

// ---------------------------------------------------------------------------------------------------------------
// Random histories

#[derive(Clone, Debug)]
enum Change {
    Service(usize, Option<Service>),
    Endpoints(usize, Endpoints),
    Node(Option<Node>),
    Config(Vec<usize>, BTreeSet<u8>),
}

const SERVICES: [&str; 3] = ["s1", "s2", "s3"];

fn any_change() -> impl Strategy<Value = Change> {
    let any_service =
        (btree_set(0_u8..4, 0..3), any::<bool>(), any::<bool>()).prop_map(|(last, local, db)| Service {
            addresses: last.into_iter().map(|n| IpAddr::from([10, 0, 0, n])).collect(),
            traffic_policy: if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster },
            labels: if db { label("db") } else { Labels::new() },
            ..Service::default()
        });
    let any_endpoints = (any::<bool>(), any::<bool>()).prop_map(|(here, elsewhere)| Endpoints {
        anywhere: here || elsewhere,
        nodes: here.then(|| "node".into()).into_iter().collect(),
    });
    let any_node = (any::<bool>(), any::<bool>()).prop_map(|(network_unavailable, edge)| Node {
        network_unavailable,
        labels: if edge { label(EDGE) } else { Labels::new() },
        ..Node::default()
    });
    prop_oneof![
        4 => (0_usize..3, prop::option::of(any_service)).prop_map(|(n, service)| Change::Service(n, service)),
        3 => (0_usize..3, any_endpoints).prop_map(|(n, endpoints)| Change::Endpoints(n, endpoints)),
        1 => prop::option::of(any_node).prop_map(Change::Node),
        2 => (vec(0_usize..6, 0..4), btree_set(1_u8..4, 0..3)).prop_map(|(ads, peers)| Change::Config(ads, peers)),
    ]
}

fn advertisement(n: usize) -> BgpAdvertisement {
    let plain = BgpAdvertisement::default();
    match n {
        0 => plain,
        1 => BgpAdvertisement { aggregation: Aggregation::new(31, 128).unwrap(), ..plain },
        2 => BgpAdvertisement { communities: [community(7)].into(), peers: ["1".into()].into(), ..plain },
        3 => BgpAdvertisement { local_preference: Some(9), service_selectors: having("db"), ..plain },
        4 => BgpAdvertisement { node_selectors: having(EDGE), ..plain },
        _ => BgpAdvertisement {
            pools: PoolSelection { names: ["other".into()].into(), ..PoolSelection::default() },
            ..plain
        },
    }
}

fn apply(world: &mut World, change: &Change) -> Touched {
    match change.clone() {
        Change::Service(n, service) => world.set_service(key(SERVICES[n]), service),
        Change::Endpoints(n, endpoints) => world.set_endpoints(key(SERVICES[n]), endpoints),
        Change::Node(node) => world.set_node("node".into(), node),
        Change::Config(advertisements, peers) => {
            let mut config = config(advertisements.into_iter().map(advertisement));
            config.peers = peers.into_iter().map(|n| (n.to_string().into(), peer(n))).collect();
            world.set_config(config)
        }
    }
}

proptest! {
    #[test]
    fn deciding_what_was_touched_is_deciding_everything(changes in vec(any_change(), 1..40)) {
        let mut world = World::new("node".into(), false);
        let mut incremental = RoutePlanner::default();
        let mut told = Routes::new();
        for change in &changes {
            let touched = apply(&mut world, change);
            let before = incremental.verdicts().clone();
            let news = incremental.replan(&world, &touched);
            let scratch = planned(&world);
            prop_assert_eq!(incremental.verdicts(), scratch.verdicts());
            prop_assert_eq!(incremental.routes(), scratch.routes());
            // What is said of the changes is the whole truth about them.
            told.retain(|peer, _| scratch.routes().contains_key(peer));
            for (peer, PeerChanges { complete, routes }) in news.peers {
                prop_assert_eq!(complete, !told.contains_key(&peer));
                let told = told.entry(peer).or_default();
                for (prefix, now) in routes {
                    match now {
                        Some(attributes) => told.insert(prefix, attributes),
                        None => told.remove(&prefix),
                    };
                }
            }
            prop_assert_eq!(&told, scratch.routes());
            let addresses: BTreeSet<_> = before.keys().chain(scratch.verdicts().keys()).copied().collect();
            let differing = addresses.into_iter().filter(|one| before.get(one) != scratch.verdicts().get(one));
            prop_assert_eq!(news.addresses, differing.collect::<BTreeSet<_>>());
        }
    }
}
