//! BGPAdvertisements: which pools are announced over BGP, to whom, from where, and how the routes look.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Community, Pool, PoolSelection};
use crate::address::{AddressRange, Family};
use crate::labels::{Labels, Selector, any_matches};
use crate::names::{PeerName, PoolName};

/// A BGPAdvertisement. Its communities are resolved: one that is in force needs nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpAdvertisement {
    /// Which pools it announces.
    pub pools: PoolSelection,
    /// Pools among these that it must not announce, each for a reason that is a refusal of the advertisement.
    pub withheld: BTreeSet<PoolName>,
    /// `spec.nodeSelectors`: nodes that announce; empty means all.
    pub node_selectors: Vec<Selector>,
    /// `spec.serviceSelectors`: services by label; empty means all.
    pub service_selectors: Vec<Selector>,
    /// `spec.peers`: who hears of it; empty means all.
    pub peers: BTreeSet<PeerName>,
    /// `spec.aggregationLength` and `spec.aggregationLengthV6`.
    pub aggregation: Aggregation,
    /// `spec.localPref`; `None` for 0, which is "not set".
    pub local_preference: Option<u32>,
    /// `spec.communities`, aliases resolved.
    pub communities: BTreeSet<Community>,
}

impl BgpAdvertisement {
    /// Does it announce the pool `name` with these labels?
    pub fn covers_pool(&self, name: &PoolName, labels: &Labels) -> bool {
        self.pools.selects(name, labels) && !self.withheld.contains(name)
    }

    /// Does it cover a node with these labels?
    pub fn covers_node(&self, node: &Labels) -> bool {
        self.node_selectors.is_empty() || any_matches(&self.node_selectors, node)
    }

    /// Does it cover a service with these labels?
    pub fn covers_service(&self, service: &Labels) -> bool {
        self.service_selectors.is_empty() || any_matches(&self.service_selectors, service)
    }

    /// Is it for this peer?
    pub fn covers_peer(&self, peer: &PeerName) -> bool {
        self.peers.is_empty() || self.peers.contains(peer)
    }

    /// Do the two give one route of `pool` different local preferences at the peers they share? A route has one.
    ///
    /// Routes of different lengths are different routes. What is selected service by service is judged service by
    /// service, when it is announced. That they share a node, and both announce `pool`, is for the caller to know.
    pub fn contradicts(&self, other: &Self, pool: &Pool) -> bool {
        let all_services = self.service_selectors.is_empty() && other.service_selectors.is_empty();
        let disputes = |family| pool.ranges_of(family).next().is_some() && self.disputes(other, family);
        all_services && (disputes(Family::V4) || disputes(Family::V6))
    }

    /// Do the two, where both announce an address of `family`, give one route different local preferences at a peer?
    pub fn disputes(&self, other: &Self, family: Family) -> bool {
        let share_a_peer =
            self.peers.is_empty() || other.peers.is_empty() || !self.peers.is_disjoint(&other.peers);
        self.local_preference != other.local_preference
            && share_a_peer
            && self.aggregation.length(family) == other.aggregation.length(family)
    }
}

/// The lengths of announced prefixes: 1 to 32, and 0 to 128. The default announces each address by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    v4: u8,
    v6: u8,
}

impl Default for Aggregation {
    fn default() -> Self {
        Self { v4: 32, v6: 128 }
    }
}

impl Aggregation {
    /// `None` when a length is outside its range.
    pub fn new(v4: i32, v6: i32) -> Option<Self> {
        Self::allowed(Family::V4).contains(&v4).then_some(())?;
        Self::allowed(Family::V6).contains(&v6).then_some(())?;
        Some(Self { v4: u8::try_from(v4).ok()?, v6: u8::try_from(v6).ok()? })
    }

    /// The lengths that there are. (A default route for IPv4 is nothing that the API's schema lets through.)
    pub const fn allowed(family: Family) -> std::ops::RangeInclusive<i32> {
        match family {
            Family::V4 => 1..=32,
            Family::V6 => 0..=128,
        }
    }

    /// The length for addresses of `family`.
    pub const fn length(&self, family: Family) -> u8 {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Is each address announced by itself?
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The route that `address` is announced in.
    pub fn route(&self, address: IpAddr) -> IpNet {
        let length = self.length(Family::of(address));
        IpNet::new(address, length).map_or_else(|_| IpNet::from(address), |net| net.trunc())
    }
}

/// The length of the largest aligned block of addresses inside `range`: what an aggregate must not be wider than, or
/// it would attract traffic for addresses that are not the pool's.
pub fn widest_block(range: &AddressRange) -> u8 {
    let (first, last) = (crate::address::to_number(range.first()), crate::address::to_number(range.last()));
    let bits = range.family().bits();
    // A block of 2^n addresses begins at a multiple of 2^n.
    let fits = |host_bits: &u32| {
        let Some(size) = 1_u128.checked_shl(*host_bits) else { return first == 0 && last == u128::MAX };
        let Some(start) = first.checked_next_multiple_of(size) else { return false };
        start.checked_add(size - 1).is_some_and(|end| end <= last)
    };
    let host_bits = (0..=bits).rev().find(fits).unwrap_or_default();
    u8::try_from(bits - host_bits).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_block_of_a_range_is_aligned_and_lies_inside() {
        for (range, length) in [
            ("10.0.0.0/28", 28),
            ("0.0.0.0/0", 0),
            ("::/0", 0),
            ("10.0.0.7/32", 32),
            ("3.3.3.2-3.3.3.254", 26),
            ("10.0.0.1-10.0.0.2", 32),
            ("10.0.0.255-10.0.1.255", 24),
            ("fd00::1-fd00::ffff", 113),
            ("255.255.255.255/32", 32),
        ] {
            assert_eq!(widest_block(&AddressRange::parse(range).unwrap()), length, "{range}");
        }
    }

    #[test]
    fn an_address_is_announced_in_the_prefix_of_its_family() {
        let aggregation = Aggregation::new(24, 64).unwrap();
        assert_eq!(aggregation.route("10.1.2.3".parse().unwrap()), "10.1.2.0/24".parse().unwrap());
        assert_eq!(aggregation.route("fd00::1".parse().unwrap()), "fd00::/64".parse().unwrap());
        assert_eq!(Aggregation::default().route("10.1.2.3".parse().unwrap()), "10.1.2.3/32".parse().unwrap());
    }

    #[test]
    fn lengths_outside_their_range_are_none() {
        for (v4, v6) in [(0, 128), (33, 128), (-1, 128), (32, 129), (32, -1)] {
            assert_eq!(Aggregation::new(v4, v6), None, "{v4} {v6}");
        }
        assert!(Aggregation::new(32, 128).is_some_and(|aggregation| aggregation.is_none()));
        assert!(Aggregation::new(1, 0).is_some());
    }

    #[test]
    fn a_pool_that_is_withheld_is_not_covered_even_where_it_is_selected() {
        let advertisement =
            BgpAdvertisement { withheld: ["lab".into()].into(), ..BgpAdvertisement::default() };
        assert!(!advertisement.covers_pool(&"lab".into(), &Labels::new()));
        assert!(advertisement.covers_pool(&"other".into(), &Labels::new()));
    }
}
