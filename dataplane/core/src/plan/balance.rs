//! Sticky ownership leaves a node without addresses that comes back or is new. So a node that has far more than another one
//! hands over, one address after the other, until it has not.
//!
//! Not here: when (each move breaks the connections of one address, so not at once and not in haste).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Ownership, Planner, World};
use crate::election;
use crate::names::NodeName;

/// A node hands over what it has beyond this many times what the other one has ...
const TIMES: usize = 2;
/// ... and these: with few addresses, nothing is gained.
const SLACK: usize = 4;

impl Planner {
    /// An address that this node should hand over, and to whom. `None`: it has not too many.
    pub fn surplus(&self, world: &World) -> Option<(IpAddr, NodeName)> {
        let Ownership::Sticky { holders, .. } = world.ownership() else { return None };
        let mut owned: BTreeMap<&NodeName, Vec<IpAddr>> = BTreeMap::new();
        for (address, plan) in self.plan() {
            if let Some(owner) = &plan.owner {
                owned.entry(owner).or_default().push(*address);
            }
        }
        let load = |node: &NodeName| owned.get(node).map_or(0, Vec::len);
        let own = load(world.node());
        if own <= SLACK {
            return None;
        }
        let mut fewest_of: BTreeMap<usize, usize> = BTreeMap::new();
        let mut given_by = |giver: &NodeName| {
            // What it has not claimed yet may go back to where it was, or is held back.
            let claimed = owned.get(giver).into_iter().flatten();
            let mut claimed = claimed.filter(|address| holders.get(*address) == Some(giver));
            claimed.find_map(|address| {
                let candidates = self.elected_from.get(address)?;
                // Most addresses have the same candidates.
                let fewest = || candidates.most_preferred().map(load).min().unwrap_or(usize::MAX);
                let fewest = *fewest_of.entry(candidates.id()).or_insert_with(fewest);
                if load(giver) <= fewest.saturating_mul(TIMES).saturating_add(SLACK) {
                    return None;
                }
                let least = candidates.most_preferred().filter(|node| load(node) == fewest);
                let least = least.min_by_key(|node| election::rank_of(*address, node))?;
                Some((*address, least.clone()))
            })
        };
        // One gives at a time: all at once would give too much to one that has nothing yet. Who has more, and nothing that another
        // node may have, holds up nobody.
        let mut heavier = owned.keys().copied().filter(|node| (load(node), *node) > (own, world.node()));
        if heavier.any(|node| given_by(node).is_some()) {
            return None;
        }
        given_by(world.node())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::address::AddressRange;
    use crate::config::{Config, L2Advertisement, Pool, Pools};
    use crate::names::ServiceKey;
    use crate::plan::{Endpoints, Node, Service, Speakers, Touched, TrafficPolicy};

    const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// So many addresses, all of which `holder` has.
    fn world(node: &str, count: u8, holder: &str, sticky: bool) -> World {
        let mut pools = Pools::default();
        pools
            .insert(Pool::new("lab".into(), vec![AddressRange::parse("10.0.0.0/24").unwrap()]).unwrap())
            .unwrap();
        let l2_advertisements = [("all".into(), L2Advertisement::default())].into();
        let mut world = World::new(node.into(), false);
        world.set_config(Config { pools, l2_advertisements, ..Config::default() });
        world.set_speakers(Speakers::Alive(NODES.map(NodeName::from).into()));
        for node in NODES {
            world.set_node(node.into(), Some(Node::default()));
        }
        if sticky {
            world.set_sticky();
        }
        for last in 0..count {
            let key = ServiceKey::new("default", last.to_string());
            world.set_service(
                key.clone(),
                Some(Service { addresses: vec![address(last)], ..Service::default() }),
            );
            world.set_endpoints(key, Endpoints { anywhere: true, nodes: [].into() });
            world.set_holder(address(last), Some(holder.into()));
        }
        world
    }

    fn planned(world: &World) -> Planner {
        let mut planner = Planner::default();
        planner.replan(world, &Touched::Everything);
        planner
    }

    /// What each node has after all have handed over what they should.
    fn balanced(count: u8) -> (BTreeMap<NodeName, usize>, usize) {
        settled(NODES.map(|node| world(node, count, "node-a", true)))
    }

    fn settled(mut worlds: [World; 3]) -> (BTreeMap<NodeName, usize>, usize) {
        let mut moves = 0;
        loop {
            let surplus: Vec<_> = worlds.iter().filter_map(|world| planned(world).surplus(world)).collect();
            if surplus.is_empty() {
                break;
            }
            moves += surplus.len();
            for (address, to) in surplus {
                for world in &mut worlds {
                    world.set_holder(address, Some(to.clone()));
                }
            }
        }
        let mut loads: BTreeMap<NodeName, usize> = BTreeMap::new();
        for plan in planned(&worlds[0]).plan().values() {
            *loads.entry(plan.owner.clone().unwrap()).or_default() += 1;
        }
        (loads, moves)
    }

    #[test]
    fn who_has_far_more_than_another_hands_over_until_it_has_not() {
        let (loads, moves) = balanced(60);
        let (least, most) = (loads.values().min().unwrap(), loads.values().max().unwrap());
        assert_eq!(loads.values().sum::<usize>(), 60);
        assert!(*most <= TIMES * least + SLACK, "{loads:?}");
        assert!(moves <= 60 - most, "nothing goes twice: {moves}");
    }

    #[test]
    fn who_has_most_and_can_give_nothing_does_not_keep_others_from_giving() {
        // Of 200 only node-a may have the first 100; the others are node-b's.
        let worlds = NODES.map(|node| {
            let mut world = world(node, 200, "node-b", true);
            for last in 0..100 {
                let key = ServiceKey::new("default", last.to_string());
                let traffic_policy = TrafficPolicy::Local;
                let local = Service { traffic_policy, addresses: vec![address(last)], ..Service::default() };
                world.set_service(key.clone(), Some(local));
                world.set_endpoints(key, Endpoints { anywhere: true, nodes: ["node-a".into()].into() });
                world.set_holder(address(last), Some("node-a".into()));
            }
            world
        });
        let (loads, moves) = settled(worlds);
        assert_eq!(loads.values().sum::<usize>(), 200);
        assert_eq!(loads[&NodeName::from("node-a")], 100);
        let (some, others) = (loads[&NodeName::from("node-b")], loads[&NodeName::from("node-c")]);
        assert!(some <= TIMES * others + SLACK && moves <= others, "{loads:?} after {moves} moves");
    }

    #[test]
    fn a_few_addresses_stay_where_they_are() {
        assert_eq!(balanced(4), ([("node-a".into(), 4)].into(), 0));
    }

    #[test]
    fn by_hash_nothing_is_handed_over() {
        let world = world("node-a", 60, "node-a", false);
        assert_eq!(planned(&world).surplus(&world), None);
    }

    #[test]
    fn nothing_goes_to_a_node_that_is_about_to_go() {
        let mut world = world("node-a", 60, "node-a", true);
        let given: BTreeSet<_> = planned(&world).surplus(&world).map(|(_, to)| to).into_iter().collect();
        for node in given {
            world.set_node(
                node,
                Some(Node { leaving: Some(crate::plan::Leaving::Tainted), ..Node::default() }),
            );
        }
        let again = planned(&world).surplus(&world).map(|(_, to)| to);
        world.set_node("node-b".into(), Some(Node { network_unavailable: true, ..Node::default() }));
        world.set_node("node-c".into(), Some(Node { network_unavailable: true, ..Node::default() }));
        assert!(again.is_some_and(|to| world.node_of(&to).is_some_and(|node| node.leaving.is_none())));
        assert_eq!(planned(&world).surplus(&world), None);
    }
}
