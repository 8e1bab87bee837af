//! Which of the eligible nodes announces an address on layer 2.
//!
//! Upstream's rule, so that both elect the same node from the same nodes: highest preference first, then the lowest
//! SHA-256 of `node#address`. Elections are per *address*, so services that share one can never split. Beyond upstream, a
//! node that is about to go comes after all that stay.
//!
//! Not here: who is eligible ([`crate::plan`]).

use std::collections::BTreeMap;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::names::NodeName;

/// How much a node is preferred. The greater goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Preference {
    /// It is not about to go.
    pub stays: bool,
    /// The sum of the matching `preferredNodeSelectors` weights. Zero for none.
    pub weight: u32,
}

/// The node that announces `address`, if any is eligible.
pub fn winner(address: IpAddr, eligible: &BTreeMap<NodeName, Preference>) -> Option<&NodeName> {
    eligible.iter().min_by_key(|(node, preference)| rank(address, node, **preference)).map(|(node, _)| node)
}

/// The eligible nodes in the order in which they would announce `address`: the first does, the others follow when it is gone.
pub fn order(address: IpAddr, eligible: &BTreeMap<NodeName, Preference>) -> Vec<&NodeName> {
    let mut order: Vec<_> = eligible.iter().collect();
    order.sort_by_key(|(node, preference)| rank(address, node, **preference));
    order.into_iter().map(|(node, _)| node).collect()
}

/// Among nodes that are preferred alike, the one with the least goes first.
pub fn rank_of(address: IpAddr, node: &NodeName) -> [u8; 32] {
    let address = address.to_canonical(); // its text is RFC 5952, as Go prints it
    Sha256::digest(format!("{node}#{address}")).into()
}

fn rank(
    address: IpAddr,
    node: &NodeName,
    preference: Preference,
) -> (std::cmp::Reverse<Preference>, [u8; 32]) {
    (std::cmp::Reverse(preference), rank_of(address, node))
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn equal(nodes: &[&str]) -> BTreeMap<NodeName, Preference> {
        nodes.iter().map(|node| (NodeName::from(*node), preferred(0))).collect()
    }

    fn preferred(weight: u32) -> Preference {
        Preference { stays: true, weight }
    }

    fn names(order: Vec<&NodeName>) -> Vec<&str> {
        order.into_iter().map(NodeName::as_str).collect()
    }

    #[test]
    fn upstream_and_we_elect_the_same_node() {
        for (address, nodes, expected) in [
            ("10.0.0.1", &["node-a", "node-b", "node-c"][..], &["node-b", "node-a", "node-c"][..]),
            ("10.0.0.2", &["node-a", "node-b", "node-c"], &["node-b", "node-c", "node-a"]),
            ("10.20.30.1", &["node-a", "node-b"], &["node-b", "node-a"]),
            ("10.20.30.1", &["edge-a", "edge-b"], &["edge-b", "edge-a"]),
            ("10.20.30.1", &["worker-a", "worker-b"], &["worker-a", "worker-b"]),
            ("10.20.30.1", &["iris1", "iris2"], &["iris2", "iris1"]),
            ("10.20.30.2", &["iris1", "iris2"], &["iris1", "iris2"]),
            ("::ffff:10.20.30.2", &["iris1", "iris2"], &["iris1", "iris2"]),
        ] {
            assert_eq!(names(order(address.parse().unwrap(), &equal(nodes))), expected, "{address}");
        }
    }

    #[test]
    fn a_preferred_node_goes_before_any_other() {
        let address = "10.0.0.1".parse().unwrap();
        let mut nodes = equal(&["node-a", "node-b", "node-c"]);
        nodes.insert("node-c".into(), preferred(10));
        assert_eq!(names(order(address, &nodes)), ["node-c", "node-b", "node-a"]);
    }

    #[test]
    fn a_node_that_goes_comes_last_however_much_it_is_preferred() {
        let address = "10.0.0.1".parse().unwrap();
        let mut nodes = equal(&["node-a", "node-b", "node-c"]);
        nodes.insert("node-b".into(), Preference { stays: false, weight: 10 });
        assert_eq!(names(order(address, &nodes)), ["node-a", "node-c", "node-b"]);
    }

    #[test]
    fn nobody_eligible_is_nobody_elected() {
        assert_eq!(winner("10.0.0.1".parse().unwrap(), &BTreeMap::new()), None);
    }

    proptest! {
        #[test]
        fn removing_a_non_owner_moves_nothing(names in btree_set("[a-z]{1,4}", 2..8), last: u32, out in 0_usize..8) {
            let address = IpAddr::from(std::net::Ipv4Addr::from(last));
            let nodes: BTreeMap<NodeName, Preference> = names.iter().map(|name| (name.as_str().into(), preferred(0))).collect();
            let owner = winner(address, &nodes).unwrap();
            let mut fewer = nodes.clone();
            let leaving = nodes.keys().nth(out % nodes.len()).unwrap();
            if leaving != owner {
                fewer.remove(leaving);
            }
            prop_assert_eq!(winner(address, &fewer), Some(owner));
        }

        #[test]
        fn the_winner_is_the_first_in_order(names in btree_set("[a-z]{1,4}", 1..8), v6: u128, score in 0_u32..3) {
            let address = IpAddr::from(std::net::Ipv6Addr::from(v6));
            let nodes: BTreeMap<NodeName, Preference> = names
                .iter()
                .enumerate()
                .map(|(i, name)| (name.as_str().into(), preferred(if i % 2 == 0 { score } else { 0 })))
                .collect();
            prop_assert_eq!(winner(address, &nodes), order(address, &nodes).first().copied());
        }
    }
}
