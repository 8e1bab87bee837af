//! The decision table of layer 2.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::*;
use crate::address::AddressRange;
use crate::config::{Config, L2Advertisement, Pool, PoolSelection, Pools};
use crate::labels::{Labels, Requirement, Selector};
use crate::names::{InterfaceName, NodeName, ServiceKey};
use crate::refusal::Refusal;

const VIP: &str = "10.0.0.1"; // of node-a, node-b, node-c it elects node-b, then a, then c

fn vip() -> IpAddr {
    VIP.parse().unwrap()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn label(name: &str) -> Labels {
    Labels::from([(name.to_owned(), String::new())])
}

fn having(name: &str) -> Selector {
    Selector::from_iter([Requirement::Exists(name.into())])
}

fn config(advertisements: impl IntoIterator<Item = L2Advertisement>) -> Config {
    let mut pools = Pools::default();
    pools
        .insert(Pool::new("lab".into(), vec![AddressRange::parse("10.0.0.0/24").unwrap()]).unwrap())
        .unwrap();
    let numbered = advertisements.into_iter().enumerate();
    let l2_advertisements =
        numbered.map(|(n, advertisement)| (n.to_string().into(), advertisement)).collect();
    Config { pools, l2_advertisements, ..Config::default() }
}

fn service() -> Service {
    Service { addresses: vec![vip()], ..Service::default() }
}

fn endpoints_on(nodes: &[&str]) -> Endpoints {
    Endpoints { anywhere: true, nodes: nodes.iter().map(|name| NodeName::from(*name)).collect() }
}

fn alive(nodes: &[&str]) -> Speakers {
    Speakers::Alive(nodes.iter().map(|name| NodeName::from(*name)).collect())
}

/// Three nodes with speakers, one service with an endpoint on each, one advertisement for everything.
fn world(node: &str) -> World {
    let nodes = ["node-a", "node-b", "node-c"];
    let mut world = World::new(node.into(), false);
    for name in nodes {
        world.set_node(name.into(), Some(Node::default()));
    }
    world.set_speakers(alive(&nodes));
    world.set_interfaces([InterfaceName::from("eth0"), InterfaceName::from("eth1")].into());
    world.set_config(config([L2Advertisement::default()]));
    world.set_service(key("web"), Some(service()));
    world.set_endpoints(key("web"), endpoints_on(&nodes));
    world
}

/// What planning from nothing decides about an address.
fn planned(world: &World, address: IpAddr) -> AddressPlan {
    let mut planner = Planner::default();
    planner.replan(world, &Touched::Everything);
    planner[address].clone()
}

/// The owner in every node's opinion, and node-b's verdict on the service "web" ("" when it announces it).
fn decided(change: impl Fn(&mut World)) -> (Option<&'static str>, &'static str) {
    let mut opinions = BTreeSet::new();
    let mut verdict = "";
    for node in ["node-a", "node-b", "node-c"] {
        let mut world = world(node);
        change(&mut world);
        let plan = planned(&world, vip());
        if node == "node-b" {
            verdict = plan.services[&key("web")].as_ref().map_or_else(Refusal::code, |()| "");
        }
        let known = ["node-a", "node-b", "node-c"];
        opinions.insert(plan.owner.map(|owner| *known.iter().find(|name| **name == owner.as_str()).unwrap()));
    }
    assert_eq!(opinions.len(), 1, "the nodes disagree: {opinions:?}");
    (opinions.pop_first().unwrap(), verdict)
}

fn with_node_b(node: Node) -> impl Fn(&mut World) {
    move |world| {
        world.set_node("node-b".into(), Some(node.clone()));
    }
}

fn with_advertisement(advertisement: L2Advertisement) -> impl Fn(&mut World) {
    move |world| {
        world.set_config(config([advertisement.clone()]));
    }
}

#[test]
fn the_elected_node_announces_and_the_others_name_it() {
    assert_eq!(decided(|_| {}), (Some("node-b"), ""));
    let plan = planned(&world("node-a"), vip());
    let refusal = plan.services[&key("web")].as_ref().unwrap_err();
    assert_eq!(refusal.code(), "not-owner");
    assert!(refusal.sentence().contains("node-b"), "{}", refusal.sentence());
}

#[test]
fn a_world_that_goes_from_node_to_node_is_planned_as_each_of_them_would() {
    let prepared = |node: &str| {
        let mut world = world(node);
        world.set_node(
            "node-c".into(),
            Some(Node {
                labels: label("node.kubernetes.io/exclude-from-external-load-balancers"),
                ..Node::default()
            }),
        );
        world
    };
    let (mut visiting, mut planner) = (prepared("node-a"), Planner::default());
    for node in ["node-a", "node-b", "node-c", "node-a"] {
        visiting.set_own_node(node.into());
        planner.replan(&visiting, &Touched::Addresses([vip()].into()));
        assert_eq!(planner[vip()], planned(&prepared(node), vip()), "{node}");
    }
}

#[test]
fn a_node_that_cannot_take_traffic_is_passed_over_and_says_why() {
    let unavailable = Node { network_unavailable: true, ..Node::default() };
    assert_eq!(decided(with_node_b(unavailable)), (Some("node-a"), "network-unavailable"));

    let excluded =
        Node { labels: label("node.kubernetes.io/exclude-from-external-load-balancers"), ..Node::default() };
    assert_eq!(decided(with_node_b(excluded)), (Some("node-a"), "node-excluded"));
    let dead = |world: &mut World| {
        world.set_speakers(alive(&["node-a", "node-c"]));
    };
    assert_eq!(decided(dead).0, Some("node-a"));
}

#[test]
fn a_node_that_is_about_to_go_leaves_its_addresses_to_those_that_stay() {
    for why in [Leaving::Deleted, Leaving::ShuttingDown, Leaving::Tainted, Leaving::Annotated] {
        let going = Node { leaving: Some(why), ..Node::default() };
        assert_eq!(decided(with_node_b(going.clone())), (Some("node-a"), "node-leaving"), "{why:?}");
        let alone = |world: &mut World| {
            with_node_b(going.clone())(world);
            world.set_speakers(alive(&["node-b"]));
        };
        assert_eq!(decided(alone), (Some("node-b"), ""), "{why:?}: better than nobody");
        let the_only_one_with_endpoints = |world: &mut World| {
            with_node_b(going.clone())(world);
            world
                .set_service(key("web"), Some(Service { traffic_policy: TrafficPolicy::Local, ..service() }));
            world.set_endpoints(key("web"), endpoints_on(&["node-b"]));
        };
        assert_eq!(decided(the_only_one_with_endpoints), (Some("node-b"), ""), "{why:?}");
    }
    let deleted = |world: &mut World| drop(world.set_node("node-b".into(), None));
    assert_eq!(decided(deleted).0, Some("node-a"), "a Node that is not there is about to go");
}

#[test]
fn the_exclude_label_is_ignored_when_the_flag_says_so() {
    let mut world = World::new("node-b".into(), true);
    let labels = label("node.kubernetes.io/exclude-from-external-load-balancers");
    world.set_node("node-b".into(), Some(Node { labels, ..Node::default() }));
    world.set_config(config([L2Advertisement::default()]));
    world.set_service(key("web"), Some(service()));
    world.set_endpoints(key("web"), endpoints_on(&["node-b"]));
    assert_eq!(planned(&world, vip()).owner, Some("node-b".into()));
}

#[test]
fn without_liveness_every_node_counts_as_having_a_speaker() {
    assert_eq!(decided(|world| drop(world.set_speakers(Speakers::EveryNode))), (Some("node-b"), ""));
}

#[test]
fn endpoints_decide_whether_and_with_policy_local_where() {
    assert_eq!(
        decided(|world| drop(world.set_endpoints(key("web"), Endpoints::default()))),
        (None, "no-endpoints")
    );
    let local = |nodes: &'static [&'static str]| {
        move |world: &mut World| {
            world
                .set_service(key("web"), Some(Service { traffic_policy: TrafficPolicy::Local, ..service() }));
            world.set_endpoints(key("web"), endpoints_on(nodes));
        }
    };
    assert_eq!(decided(local(&["node-c"])), (Some("node-c"), "no-local-endpoint"));
    assert_eq!(decided(local(&["node-b", "node-c"])), (Some("node-b"), ""));
    assert_eq!(decided(local(&[])), (None, "no-local-endpoint"), "endpoints outside the cluster");
}

#[test]
fn advertisements_choose_pools_services_and_nodes() {
    let other_pool = PoolSelection { names: ["other".into()].into(), ..PoolSelection::default() };
    let by_pool = L2Advertisement { pools: other_pool, ..L2Advertisement::default() };
    assert_eq!(decided(with_advertisement(by_pool)), (None, "not-advertised"));

    let by_service =
        L2Advertisement { service_selectors: vec![having("public")], ..L2Advertisement::default() };
    assert_eq!(decided(with_advertisement(by_service.clone())), (None, "not-advertised"));
    let matching = |world: &mut World| {
        with_advertisement(by_service.clone())(world);
        world.set_service(key("web"), Some(Service { labels: label("public"), ..service() }));
    };
    assert_eq!(decided(matching), (Some("node-b"), ""));

    let by_node = L2Advertisement { node_selectors: vec![having("edge")], ..L2Advertisement::default() };
    let edge = |world: &mut World| {
        with_advertisement(by_node.clone())(world);
        world.set_node("node-c".into(), Some(Node { labels: label("edge"), ..Node::default() }));
    };
    assert_eq!(decided(edge), (Some("node-c"), "node-not-selected"));
    assert_eq!(decided(with_advertisement(by_node.clone())), (None, "node-not-selected"));
}

#[test]
fn preferred_nodes_go_first_and_their_weights_add_up() {
    let preferring = |weights: &'static [(u32, &'static str)]| {
        move |world: &mut World| {
            for (node, name) in [("node-a", "rack-1"), ("node-c", "rack-2")] {
                world.set_node(node.into(), Some(Node { labels: label(name), ..Node::default() }));
            }
            let advertisements = weights.iter().map(|(weight, name)| L2Advertisement {
                preferred_nodes: vec![(*weight, having(name))],
                ..L2Advertisement::default()
            });
            world.set_config(config(advertisements));
        }
    };
    assert_eq!(decided(preferring(&[(10, "rack-2")])), (Some("node-c"), "not-owner"));
    assert_eq!(
        decided(preferring(&[(10, "rack-2"), (6, "rack-1"), (6, "rack-1")])),
        (Some("node-a"), "not-owner")
    );
}

#[test]
fn an_advertisement_prefers_nobody_whom_it_does_not_cover() {
    let covering = |node_selectors: Vec<Selector>| {
        move |world: &mut World| {
            world.set_node("node-a".into(), Some(Node { labels: label("rack-1"), ..Node::default() }));
            let preferring = L2Advertisement {
                node_selectors: node_selectors.clone(),
                preferred_nodes: vec![(10, having("rack-1"))],
                ..L2Advertisement::default()
            };
            world.set_config(config([L2Advertisement::default(), preferring]));
        }
    };
    assert_eq!(decided(covering(vec![])), (Some("node-a"), "not-owner"));
    assert_eq!(decided(covering(vec![having("zone-b")])), (Some("node-b"), ""), "as if it were not there");
}

#[test]
fn a_shared_address_is_not_announced_for_some_of_its_services_only() {
    let advertisement =
        L2Advertisement { service_selectors: vec![Selector::default()], ..L2Advertisement::default() };
    let shared = move |world: &mut World| {
        world.set_config(config([advertisement.clone()]));
        world.set_service(key("web"), Some(Service { shares: true, ..service() }));
    };
    assert_eq!(decided(shared), (None, "shared-with-service-selector"));
}

#[test]
fn interfaces_of_all_matching_advertisements_count_and_one_without_means_all() {
    let on = |name: &str| L2Advertisement {
        interfaces: Interfaces::Only([InterfaceName::from(name)].into()),
        ..L2Advertisement::default()
    };
    let announced = |advertisements: Vec<L2Advertisement>| {
        let mut world = world("node-b");
        world.set_config(config(advertisements));
        planned(&world, vip()).announce
    };
    let both = Interfaces::Only(["eth0".into(), "eth1".into()].into());
    assert_eq!(announced(vec![on("eth0"), on("eth1")]), Some(both));
    assert_eq!(announced(vec![on("eth0"), L2Advertisement::default()]), Some(Interfaces::All));
    assert_eq!(announced(vec![on("nowhere")]), None);

    let verdict = decided(with_advertisement(on("nowhere")));
    assert_eq!(verdict, (Some("node-b"), "no-such-interface"), "still the owner: the others cannot know");
}

#[test]
fn services_that_share_an_address_are_announced_by_one_node_as_long_as_any_can_serve() {
    let shared = |world: &mut World| {
        world.set_service(key("web"), Some(Service { shares: true, ..service() }));
        world.set_service(key("dns"), Some(Service { shares: true, ..service() }));
    };
    assert_eq!(decided(shared), (Some("node-b"), ""), "dns has no endpoints, web has");
    let mut world = world("node-b");
    shared(&mut world);
    let plan = planned(&world, vip());
    assert_eq!(plan.services[&key("dns")].as_ref().unwrap_err().code(), "no-endpoints");
    assert!(plan.announce.is_some());
}

#[test]
fn each_address_of_a_service_has_an_owner_of_its_own_whatever_its_family() {
    let v6 = "fd00::1".parse().unwrap();
    let owners: BTreeSet<_> = ["node-a", "node-b", "node-c"]
        .map(|node| {
            let mut world = world(node);
            let mut config = world.config().clone();
            let more = vec![AddressRange::parse("fd00::/120").unwrap()];
            config.pools.insert(Pool::new("six".into(), more).unwrap()).unwrap();
            world.set_config(config);
            let dual = Service { addresses: vec![vip(), v6], ..service() };
            world.set_service(key("web"), Some(dual));
            let [four, six] = [vip(), v6].map(|address| planned(&world, address));
            assert_eq!(six.announce.is_some(), six.owner == Some(node.into()), "{six:?}");
            (four.owner, six.owner)
        })
        .into();
    assert_eq!(owners, [(Some("node-b".into()), Some("node-c".into()))].into(), "all agree");
}

#[test]
fn an_address_of_an_invalid_pool_stays_announced_also_right_after_a_restart() {
    let mut world = world("node-b");
    let mut broken =
        Config { l2_advertisements: world.config().l2_advertisements.clone(), ..Config::default() };
    broken.pools.set_aside("lab".into(), Labels::new());
    world.set_config(broken);
    world.set_service(key("web"), Some(Service { allocated_from: Some("lab".into()), ..service() }));
    assert!(planned(&world, vip()).announce.is_some());
}

#[test]
fn a_network_is_lost_elsewhere_when_all_others_that_live_and_may_announce_say_so_and_there_is_one() {
    let network = "10.0.0.0/24".parse().unwrap();
    let mut world = world("node-b");
    assert!(!world.is_lost_elsewhere(network));
    world.set_lost("node-a".into(), [network].into());
    assert!(!world.is_lost_elsewhere(network), "node-c reaches it");
    let excluded = [("node.kubernetes.io/exclude-from-external-load-balancers".to_owned(), String::new())];
    world.set_node("node-c".into(), Some(Node { labels: excluded.into(), ..Node::default() }));
    assert!(world.is_lost_elsewhere(network), "node-c may not announce");
    world.set_node("node-c".into(), Some(Node::default()));
    world.set_speakers(Speakers::Alive(["node-a".into(), "node-b".into()].into()));
    assert!(world.is_lost_elsewhere(network), "node-c is dead");
    world.set_speakers(Speakers::Alive(["node-b".into()].into()));
    assert!(!world.is_lost_elsewhere(network), "nobody is heard");
}

#[test]
fn a_node_whose_cable_to_the_network_of_an_address_is_dead_is_no_candidate_for_it() {
    let mut world = world("node-b");
    assert_eq!(planned(&world, vip()).owner, Some("node-b".into()));
    let touched = world.set_lost("node-b".into(), ["10.0.0.0/24".parse().unwrap()].into());
    assert_eq!(touched, Touched::Addresses([vip()].into()));
    let plan = planned(&world, vip());
    assert_eq!(plan.owner, Some("node-a".into()));
    let why: Vec<_> = plan.services.values().map(|verdict| verdict.as_ref().unwrap_err().code()).collect();
    assert_eq!(why, ["network-lost"]);
    for node in ["node-a", "node-c"] {
        world.set_lost(node.into(), ["10.0.0.0/24".parse().unwrap()].into());
    }
    assert_eq!(planned(&world, vip()).owner, Some("node-b".into()), "no other is better off");
    for node in ["node-a", "node-c"] {
        world.set_lost(node.into(), [].into());
    }
    world.set_lost("node-b".into(), ["10.0.1.0/24".parse().unwrap()].into());
    assert_eq!(planned(&world, vip()).owner, Some("node-b".into()), "another network");
}

#[test]
fn a_node_that_lost_a_network_and_all_that_it_heard_announces_nothing_there() {
    let mut world = world("node-b");
    let lost: ipnet::IpNet = "10.0.0.0/24".parse().unwrap();
    world.set_lost("node-b".into(), [lost].into());
    world.set_speakers(Speakers::Alive(["node-b".into()].into()));
    assert!(planned(&world, vip()).announce.is_some(), "it heard nobody before");
    assert_eq!(world.set_missed([lost].into()), Touched::Addresses([vip()].into()));
    let plan = planned(&world, vip());
    assert_eq!((plan.owner, plan.announce), (Some("node-b".into()), None));
    let why: Vec<_> = plan.services.values().map(|verdict| verdict.as_ref().unwrap_err().code()).collect();
    assert_eq!(why, ["network-lost"]);
}

#[test]
fn a_node_that_no_longer_announces_an_address_forwards_what_comes_for_it_unless_it_cannot() {
    let forwards = |change: &dyn Fn(&mut World)| {
        let mut world = world("node-a");
        change(&mut world);
        world.forwards(&"node-b".into(), vip())
    };
    let local = |nodes: &'static [&'static str]| {
        move |world: &mut World| {
            world
                .set_service(key("web"), Some(Service { traffic_policy: TrafficPolicy::Local, ..service() }));
            world.set_endpoints(key("web"), endpoints_on(nodes));
        }
    };
    let excluded =
        Node { labels: label("node.kubernetes.io/exclude-from-external-load-balancers"), ..Node::default() };
    let no_network = Node { network_unavailable: true, ..Node::default() };
    let lost = |world: &mut World| {
        drop(world.set_lost("node-b".into(), ["10.0.0.0/24".parse().unwrap()].into()));
    };
    assert!(forwards(&|_| {}));
    assert!(forwards(&with_node_b(excluded)));
    assert!(
        forwards(&|world| drop(world.set_node("node-b".into(), None))),
        "it is only the object that is gone"
    );
    assert!(forwards(&local(&["node-a", "node-b"])));
    assert!(!forwards(&local(&["node-a"])));
    assert!(!forwards(&with_node_b(no_network)));
    assert!(!forwards(&lost));
}

#[test]
fn where_ownership_is_sticky_an_address_stays_with_who_has_it_and_is_not_less_preferred() {
    let mut world = world("node-c");
    let owner = |world: &World| planned(world, vip()).owner.map(|owner| owner.to_string());
    world.set_holder(vip(), Some("node-c".into()));
    assert_eq!(owner(&world).as_deref(), Some("node-b"), "by hash nobody asks who has it");
    world.set_sticky();
    assert_eq!(owner(&world).as_deref(), Some("node-b"), "nobody has it");
    world.set_holder(vip(), Some("node-c".into()));
    assert_eq!(owner(&world).as_deref(), Some("node-c"));
    world.set_speakers(alive(&["node-a", "node-b"]));
    assert_eq!(owner(&world).as_deref(), Some("node-b"), "its speaker is gone");
    world.set_believed(vip(), true);
    assert_eq!(owner(&world).as_deref(), Some("node-c"), "it is said to have it, and may live");
    world.set_believed(vip(), false);
    world.set_speakers(alive(&["node-a", "node-b", "node-c"]));
    world.set_node("node-a".into(), Some(Node { labels: label("edge"), ..Node::default() }));
    let preferring =
        L2Advertisement { preferred_nodes: vec![(7, having("edge"))], ..L2Advertisement::default() };
    world.set_config(config([preferring]));
    assert_eq!(owner(&world).as_deref(), Some("node-a"), "the preferred one has it back");
}
