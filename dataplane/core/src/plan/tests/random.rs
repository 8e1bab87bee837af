//! Properties over random worlds, seen from every node at once.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Change {
    Service(usize, Option<Service>),
    Endpoints(usize, Endpoints),
    Node(usize, Option<Node>),
    Speakers(BTreeSet<usize>),
    Config(usize),
    Holder(u8, Option<usize>),
    Believed(u8, bool),
    Lost(usize, u8),
    Missed(u8),
    Sticky(bool),
}

const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];
const SERVICES: [&str; 3] = ["s1", "s2", "s3"];

fn any_change() -> impl Strategy<Value = Change> {
    let any_service =
        (btree_set(0_u8..4, 0..3), any::<bool>(), any::<bool>()).prop_map(|(last, local, shares)| Service {
            addresses: last.into_iter().map(|n| IpAddr::from([10, 0, 0, n])).collect(),
            traffic_policy: if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster },
            shares,
            ..Service::default()
        });
    let any_endpoints = btree_set(0_usize..4, 0..4).prop_map(|nodes| Endpoints {
        anywhere: !nodes.is_empty(),
        nodes: nodes.into_iter().map(|n| NODES[n].into()).collect(),
    });
    let any_node =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(unavailable, edge, leaving)| Node {
            network_unavailable: unavailable,
            leaving: leaving.then_some(Leaving::Tainted),
            labels: if edge { label("edge") } else { Labels::new() },
            ..Node::default()
        });
    prop_oneof![
        4 => (0_usize..3, prop::option::of(any_service)).prop_map(|(n, service)| Change::Service(n, service)),
        3 => (0_usize..3, any_endpoints).prop_map(|(n, endpoints)| Change::Endpoints(n, endpoints)),
        2 => (0_usize..4, prop::option::of(any_node)).prop_map(|(n, node)| Change::Node(n, node)),
        2 => btree_set(0_usize..4, 1..5).prop_map(Change::Speakers),
        1 => (0_usize..4).prop_map(Change::Config),
        2 => (0_u8..4, prop::option::of(0_usize..4)).prop_map(|(last, holder)| Change::Holder(last, holder)),
        1 => (0_u8..4, any::<bool>()).prop_map(|(last, is)| Change::Believed(last, is)),
        1 => (0_usize..4, 28_u8..34).prop_map(|(n, length)| Change::Lost(n, length)),
        1 => (28_u8..34).prop_map(Change::Missed),
        1 => any::<bool>().prop_map(Change::Sticky),
    ]
}

/// One with some of the addresses; none, beyond 32.
fn networks(length: u8) -> BTreeSet<ipnet::IpNet> {
    ipnet::IpNet::new(IpAddr::from([10, 0, 0, 0]), length).into_iter().collect()
}

fn apply(world: &mut World, change: &Change) -> Touched {
    match change.clone() {
        Change::Service(n, service) => world.set_service(key(SERVICES[n]), service),
        Change::Endpoints(n, endpoints) => world.set_endpoints(key(SERVICES[n]), endpoints),
        Change::Node(n, node) => world.set_node(NODES[n].into(), node),
        Change::Speakers(nodes) => {
            world.set_speakers(Speakers::Alive(nodes.into_iter().map(|n| NODES[n].into()).collect()))
        }
        Change::Holder(last, holder) => {
            world.set_holder(IpAddr::from([10, 0, 0, last]), holder.map(|n| NODES[n].into()))
        }
        Change::Believed(last, is) => world.set_believed(IpAddr::from([10, 0, 0, last]), is),
        Change::Sticky(true) => world.set_sticky(),
        Change::Sticky(false) => world.set_hash(),
        Change::Lost(n, length) => world.set_lost(NODES[n].into(), networks(length)),
        Change::Missed(length) => world.set_missed(networks(length)),
        Change::Config(0) => world.set_config(Config::default()),
        Change::Config(1) => world.set_config(config([L2Advertisement::default()])),
        Change::Config(2) => world.set_config(config([L2Advertisement {
            preferred_nodes: vec![(7, having("edge"))],
            ..L2Advertisement::default()
        }])),
        Change::Config(_) => world.set_config(config([L2Advertisement {
            node_selectors: vec![having("edge")],
            interfaces: Interfaces::Only(["eth0".into()].into()),
            ..L2Advertisement::default()
        }])),
    }
}

proptest! {
    #[test]
    fn planning_what_was_touched_is_planning_everything(changes in vec(any_change(), 1..30), sticky: bool) {
        let mut world = World::new("n1".into(), false);
        if sticky {
            world.set_sticky();
        }
        world.set_interfaces(["eth0".into()].into());
        let mut incremental = Planner::default();
        for change in &changes {
            let touched = apply(&mut world, change);
            let before = incremental.plan().clone();
            let changed = incremental.replan(&world, &touched);
            let mut scratch = Planner::default();
            scratch.replan(&world, &Touched::Everything);
            prop_assert_eq!(incremental.plan(), scratch.plan());
            let addresses: BTreeSet<_> = before.keys().chain(scratch.plan().keys()).copied().collect();
            let differing = addresses.into_iter().filter(|address| before.get(address) != scratch.plan().get(address));
            prop_assert_eq!(changed, differing.collect::<BTreeSet<_>>());
        }
    }

    #[test]
    fn at_most_one_node_announces_an_address(changes in vec(any_change(), 1..30), sticky: bool) {
        let mut worlds = NODES.map(|node| World::new(node.into(), false));
        for world in &mut worlds {
            if sticky {
                world.set_sticky();
            }
            world.set_speakers(alive(&NODES));
        }
        for change in &changes {
            let mut announcers: BTreeMap<IpAddr, usize> = BTreeMap::new();
            for world in &mut worlds {
                world.set_interfaces(["eth0".into()].into());
                apply(world, change);
                for address in world.addresses().collect::<Vec<_>>() {
                    let plan = planned(world, address);
                    *announcers.entry(address).or_default() += usize::from(plan.announce.is_some());
                    prop_assert!(plan.announce.is_none() || plan.owner.as_ref() == Some(world.node()));
                }
            }
            prop_assert!(announcers.values().all(|announcers| *announcers <= 1), "{:?}", announcers);
        }
    }
}
