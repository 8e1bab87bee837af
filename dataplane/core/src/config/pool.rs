//! IPAddressPools: which addresses there are, and whom they are for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::address::{self, AddressRange, Family};
use crate::ipam::Vips;
use crate::labels::{Labels, Selector, any_matches};
use crate::names::{NamespaceName, PoolName};
use crate::refusal::PoolRefusal;

/// The valid pools, which share no address, and the names of those set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools {
    valid: BTreeMap<PoolName, Pool>,
    set_aside: BTreeMap<PoolName, Labels>,
}

impl Pools {
    /// Adds `pool`. Refused when it shares an address with a pool already there; then the pool is not added.
    pub fn insert(&mut self, pool: Pool) -> Result<(), PoolRefusal> {
        if let Some(refusal) = self.overlaps(&pool).next() {
            return Err(refusal);
        }
        self.valid.insert(pool.name.clone(), pool);
        Ok(())
    }

    /// The pools that `pool` shares an address with, each once.
    pub fn overlaps(&self, pool: &Pool) -> impl Iterator<Item = PoolRefusal> {
        let others = self.valid.values().filter(|other| other.name != pool.name);
        others.filter_map(|other| {
            let pairs =
                pool.ranges.iter().filter_map(|range| Some((range, overlapping(&other.sorted, range)?)));
            let (range, theirs) = pairs.into_iter().next()?;
            let other = other.name.clone();
            Some(PoolRefusal::PoolsOverlap { range: *range, other, theirs: *theirs })
        })
    }

    /// Notes that a pool of this name exists and was refused: what it may own is unknown.
    pub fn set_aside(&mut self, name: PoolName, labels: Labels) {
        self.set_aside.insert(name, labels);
    }

    /// Is there a pool object that was refused? Then "no pool owns this address" is not known to be true.
    pub fn any_set_aside(&self) -> bool {
        !self.set_aside.is_empty()
    }

    /// No pool object at all, valid or not.
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty() && self.set_aside.is_empty()
    }

    /// The valid pool of that name.
    pub fn get(&self, name: &PoolName) -> Option<&Pool> {
        self.valid.get(name)
    }

    /// The labels of the pool object of that name, valid or not.
    pub fn labels_of(&self, name: &PoolName) -> Option<&Labels> {
        self.valid.get(name).map(|pool| &pool.labels).or_else(|| self.set_aside.get(name))
    }

    /// Was the pool of that name refused?
    pub fn is_set_aside(&self, name: &PoolName) -> bool {
        self.set_aside.contains_key(name)
    }

    /// The valid pools by name.
    pub fn iter(&self) -> impl Iterator<Item = &Pool> {
        self.valid.values()
    }

    /// The pool that owns all of `vips`.
    pub fn owner_of(&self, vips: impl Into<Vips>) -> Option<&Pool> {
        let vips = vips.into();
        self.valid.values().find(|pool| vips.iter().all(|address| pool.owns(address)))
    }
}

/// The one of `sorted`, of which no two overlap, that overlaps `range`; the highest if there are several.
fn overlapping<'r>(sorted: &'r [AddressRange], range: &AddressRange) -> Option<&'r AddressRange> {
    let after = sorted.partition_point(|other| other.first() <= range.last());
    sorted.get(after.checked_sub(1)?).filter(|other| other.overlaps(range))
}

/// An IPAddressPool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// `metadata.name`.
    pub name: PoolName,
    /// `metadata.labels`, by which advertisements choose it.
    pub labels: Labels,
    ranges: Vec<AddressRange>,
    /// The same from the lowest up, to find one among very many.
    sorted: Vec<AddressRange>,
    /// `spec.autoAssign`: may it serve services that do not ask for it?
    pub auto_assign: bool,
    /// `spec.avoidBuggyIPs`: addresses ending in .0 and .255 are not part of it.
    pub avoid_buggy_ips: bool,
    /// `spec.serviceAllocation`: whom it is pinned to.
    pub allocation: Option<ServiceAllocation>,
}

impl Pool {
    /// A pool of `ranges`, in the order in which addresses are taken from them, serving everyone.
    pub fn new(name: PoolName, ranges: Vec<AddressRange>) -> Result<Self, PoolRefusal> {
        if let Some(fault) = Self::faults(&ranges).into_iter().next() {
            return Err(fault);
        }
        let mut sorted = ranges.clone();
        sorted.sort_unstable();
        Ok(Self {
            name,
            labels: Labels::new(),
            ranges,
            sorted,
            auto_assign: true,
            avoid_buggy_ips: false,
            allocation: None,
        })
    }

    /// Everything that keeps `ranges` from being a pool.
    pub fn faults(ranges: &[AddressRange]) -> Vec<PoolRefusal> {
        let mut faults = Vec::new();
        if ranges.is_empty() {
            faults.push(PoolRefusal::NoAddresses);
        }
        // Those before that overlap none before them, by their lowest address.
        let mut before: BTreeMap<IpAddr, AddressRange> = BTreeMap::new();
        for range in ranges {
            if let Some(why) = unusable(range) {
                faults.push(PoolRefusal::UnusableRange { range: *range, why });
            }
            let other = before.range(..=range.last()).next_back().map(|(_, other)| *other);
            if let Some(other) = other.filter(|other| other.overlaps(range)) {
                faults.push(PoolRefusal::RangesOverlap { range: *range, other });
            } else {
                before.insert(range.first(), *range);
            }
        }
        faults
    }

    /// The ranges in the order of the spec.
    pub fn ranges(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// The ranges of one family, in the order of the spec.
    pub fn ranges_of(&self, family: Family) -> impl Iterator<Item = &AddressRange> {
        self.ranges.iter().filter(move |range| range.family() == family)
    }

    /// May it give out `address`?
    pub fn owns(&self, address: IpAddr) -> bool {
        let after = self.sorted.partition_point(|range| range.first() <= address);
        let range = after.checked_sub(1).and_then(|last| self.sorted.get(last));
        range.is_some_and(|range| range.contains(address)) && !self.avoids(address)
    }

    /// Is `address` one that this pool leaves alone because of `avoidBuggyIPs`?
    pub fn avoids(&self, address: IpAddr) -> bool {
        self.avoid_buggy_ips && address::is_buggy(address)
    }

    /// Addresses of `family` that it can give out.
    pub fn capacity(&self, family: Family) -> u128 {
        self.ranges_of(family).fold(0, |sum: u128, range| {
            let avoided = if self.avoid_buggy_ips { range.buggy() } else { 0 };
            sum.saturating_add(range.size() - avoided)
        })
    }

    /// May it serve a service with these labels, in this namespace with those?
    pub fn admits(
        &self,
        service: &Labels,
        namespace: &NamespaceName,
        namespace_labels: Option<&Labels>,
    ) -> bool {
        self.allocation
            .as_ref()
            .is_none_or(|allocation| allocation.admits(service, namespace, namespace_labels))
    }
}

/// No network carries these, so no client could ever reach a service there.
fn unusable(range: &AddressRange) -> Option<&'static str> {
    const UNUSABLE: [(&str, &str); 5] = [
        ("127.0.0.0/8", "loopback addresses never leave a host"),
        ("224.0.0.0/4", "multicast addresses belong to groups, not to services"),
        ("0.0.0.0/8", "0.0.0.0/8 means \"this host\" and is not forwarded"),
        ("::/127", ":: and ::1 never leave a host"),
        ("ff00::/8", "multicast addresses belong to groups, not to services"),
    ];
    UNUSABLE.iter().find_map(|(net, why)| {
        let net = AddressRange::parse(net).ok()?;
        net.overlaps(range).then_some(*why)
    })
}

/// `IPAddressPool.spec.serviceAllocation`: whom a pool is pinned to, and how much it is preferred by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAllocation {
    /// Lower goes first; 0 is "unset" and goes last.
    pub priority: i64,
    /// Namespaces by name.
    pub namespaces: BTreeSet<NamespaceName>,
    /// Namespaces by label.
    pub namespace_selectors: Vec<Selector>,
    /// Services by label.
    pub service_selectors: Vec<Selector>,
}

impl ServiceAllocation {
    /// Sort key: priorities from 1 up, then those without.
    pub fn rank(&self) -> (bool, i64) {
        (self.priority == 0, self.priority)
    }

    /// The namespace criterion and the service criterion must both hold; an absent criterion holds.
    ///
    /// A namespace selector that matches no namespace admits nobody. (Upstream takes it for "no restriction", which
    /// opens a pinned pool to everyone.)
    fn admits(&self, service: &Labels, namespace: &NamespaceName, namespace_labels: Option<&Labels>) -> bool {
        let any_namespace = self.namespaces.is_empty() && self.namespace_selectors.is_empty();
        let namespace_fits = any_namespace
            || self.namespaces.contains(namespace)
            || namespace_labels.is_some_and(|labels| any_matches(&self.namespace_selectors, labels));
        let service_fits = self.service_selectors.is_empty() || any_matches(&self.service_selectors, service);
        namespace_fits && service_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Requirement;
    use crate::refusal::Refusal;

    fn pool(name: &str, ranges: &[&str]) -> Result<Pool, PoolRefusal> {
        Pool::new(name.into(), ranges.iter().map(|text| AddressRange::parse(text).unwrap()).collect())
    }

    #[test]
    fn a_pool_needs_addresses_that_a_network_carries() {
        for (ranges, code) in [
            (&[][..], "pool-empty"),
            (&["10.0.0.0/24", "10.0.0.9-10.0.0.12"], "pool-ranges-overlap"),
            (&["127.0.0.0/24"], "pool-unusable-range"),
            (&["0.0.0.0/0"], "pool-unusable-range"),
            (&["239.1.1.0/24"], "pool-unusable-range"),
            (&["::/0"], "pool-unusable-range"),
            (&["ff02::/64"], "pool-unusable-range"),
        ] {
            assert_eq!(pool("lab", ranges).map_err(|refusal| refusal.code()), Err(code), "{ranges:?}");
        }
    }

    #[test]
    fn pools_never_share_an_address() {
        let mut pools = Pools::default();
        pools.insert(pool("first", &["10.0.0.0/24"]).unwrap()).unwrap();
        let refusal =
            pools.insert(pool("second", &["10.1.0.0/24", "10.0.0.255-10.0.1.3"]).unwrap()).unwrap_err();
        assert_eq!(refusal.code(), "pools-overlap");
        assert_eq!(pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>(), ["first"]);
    }

    /// Were they compared with each other, this would take minutes.
    #[test]
    fn a_pool_of_very_many_ranges_is_checked_like_one_of_few() {
        let every_other = |offset: u32| -> Vec<AddressRange> {
            let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + offset + 2 * n));
            (0..100_000).map(|n| AddressRange::new(address(n), address(n)).unwrap()).rev().collect()
        };
        let mut pools = Pools::default();
        pools.insert(Pool::new("even".into(), every_other(0)).unwrap()).unwrap();
        pools.insert(Pool::new("odd".into(), every_other(1)).unwrap()).unwrap();
        let (even, odd) = (pools.get(&"even".into()).unwrap(), pools.get(&"odd".into()).unwrap());
        assert!(even.owns("10.0.0.2".parse().unwrap()) && !odd.owns("10.0.0.2".parse().unwrap()));
        assert!(odd.owns("10.3.13.63".parse().unwrap()) && !odd.owns("10.3.13.65".parse().unwrap()));

        let mut twice = every_other(0);
        twice.push(AddressRange::parse("10.0.0.3-10.0.0.4").unwrap());
        assert_eq!(Pool::faults(&twice).len(), 1);
        assert_eq!(pools.overlaps(&pool("lab", &["10.0.0.0/24"]).unwrap()).count(), 2);
    }

    #[test]
    fn a_pool_may_be_replaced_by_its_own_successor() {
        let mut pools = Pools::default();
        pools.insert(pool("lab", &["10.0.0.0/24"]).unwrap()).unwrap();
        pools.insert(pool("lab", &["10.0.0.0/25"]).unwrap()).unwrap();
        assert!(!pools.get(&"lab".into()).unwrap().owns("10.0.0.200".parse().unwrap()));
    }

    #[test]
    fn buggy_addresses_are_no_part_of_a_pool_that_avoids_them() {
        let mut pool = pool("lab", &["1.2.3.0/24", "1.2.4.0/25", "fd00::/64"]).unwrap();
        pool.avoid_buggy_ips = true;
        assert!(!pool.owns("1.2.3.0".parse().unwrap()));
        assert!(!pool.owns("1.2.3.255".parse().unwrap()));
        assert!(pool.owns("1.2.3.254".parse().unwrap()));
        assert!(pool.owns("fd00::ff".parse().unwrap()));
        assert_eq!(pool.capacity(Family::V4), 381);
        assert_eq!(pool.capacity(Family::V6), 1 << 64);
    }

    #[test]
    fn pinning_wants_both_the_namespace_and_the_service_to_fit() {
        let team = |value: &str| Labels::from([("team".to_owned(), value.to_owned())]);
        let only =
            |value: &str| Selector::from_iter([Requirement::In("team".into(), [value.to_owned()].into())]);
        let mut lab = pool("lab", &["10.0.0.0/24"]).unwrap();
        lab.allocation = Some(ServiceAllocation {
            namespaces: ["named".into()].into(),
            namespace_selectors: vec![only("net")],
            service_selectors: vec![only("web")],
            ..ServiceAllocation::default()
        });
        for (namespace, namespace_labels, service, admitted) in [
            ("named", team("other"), team("web"), true),
            ("labelled", team("net"), team("web"), true),
            ("neither", team("other"), team("web"), false),
            ("named", team("other"), team("db"), false),
        ] {
            assert_eq!(
                lab.admits(&service, &namespace.into(), Some(&namespace_labels)),
                admitted,
                "{namespace}"
            );
        }
    }

    #[test]
    fn a_namespace_selector_that_matches_nothing_opens_the_pool_to_nobody() {
        let mut lab = pool("lab", &["10.0.0.0/24"]).unwrap();
        lab.allocation = Some(ServiceAllocation {
            namespace_selectors: vec![Selector::from_iter([Requirement::Exists("no-such-label".into())])],
            ..ServiceAllocation::default()
        });
        assert!(!lab.admits(&Labels::new(), &"any".into(), Some(&Labels::new())));
    }
}
