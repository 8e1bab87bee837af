//! The rules once more, in the most naive way: lists, looked through from end to end. No intervals, no indexes.

use super::*;

/// Who holds what, and on which claim.
#[derive(Default)]
pub(super) struct Model(pub BTreeMap<String, (Vec<IpAddr>, Claim)>);

impl Model {
    /// What `name` should hold, given what it and everybody else holds now.
    pub(super) fn decide(
        &self,
        name: &str,
        claim: &Claim,
        pools: &Pools,
        namespaces: &Namespaces,
    ) -> Vec<IpAddr> {
        let nothing = Vec::new();
        if !claim.is_load_balancer || pools.is_empty() {
            return nothing;
        }
        let demand = claim.families.clone().unwrap();
        let requested = claim.requested.clone().unwrap().map(|vips| vips.iter().collect::<Vec<_>>());
        let mut held = self.0.get(name).map_or(&nothing, |(held, _)| held).clone();
        let usable = |address: &IpAddr| self.usable(*address, name, claim);
        let admits = |pool: &Pool| admits(pool, name, claim, namespaces);
        let owner = |addresses: &[IpAddr]| pools.iter().find(|pool| addresses.iter().all(|a| has(pool, *a)));

        if !fits(demand, &held) || !held.iter().all(usable) {
            held = nothing.clone();
        }
        if !held.is_empty() {
            match owner(&held) {
                None if pools.any_set_aside() => return held,
                Some(pool) if admits(pool) => {
                    if claim.requested_pool.as_ref().is_some_and(|wanted| *wanted != pool.name) {
                        if pools.is_set_aside(claim.requested_pool.as_ref().unwrap()) {
                            return held;
                        }
                        held = nothing.clone();
                    }
                }
                None | Some(_) => held = nothing.clone(),
            }
        }
        if requested.as_ref().is_some_and(|requested| *requested != held) {
            held = nothing.clone();
        }
        if let ([one], FamilyDemand::Prefer(_), None) = (held.as_slice(), demand, &requested) {
            let second = owner(&held).and_then(|pool| first(pool, Family::of(*one).other(), usable));
            held.extend(second);
            held.sort();
        }
        if !held.is_empty() {
            return held;
        }

        let wanted = claim.requested_pool.as_ref();
        if let Some(requested) = requested {
            let pool = owner(&requested).filter(|pool| wanted.is_none_or(|wanted| *wanted == pool.name));
            let may = fits(demand, &requested) && pool.is_some_and(admits) && requested.iter().all(usable);
            return if may && wanted.is_none_or(|wanted| pools.get(wanted).is_some()) {
                requested
            } else {
                nothing
            };
        }
        if let Some(wanted) = wanted {
            let pool = pools.get(wanted).filter(|pool| admits(pool));
            return best(&pool.into_iter().collect::<Vec<_>>(), demand, usable);
        }
        let open: Vec<_> =
            pools.iter().filter(|pool| pool.auto_assign && pool.allocation.is_none()).collect();
        let mut pinned: Vec<_> = pools
            .iter()
            .filter(|pool| pool.auto_assign && pool.allocation.is_some() && admits(pool))
            .collect();
        let rank = |pool: &Pool| match pool.allocation.as_ref().unwrap().priority {
            0 => i64::MAX,
            priority => priority,
        };
        pinned.sort_by(|one, other| rank(one).cmp(&rank(other)).then(one.name.cmp(&other.name)));
        let from_pinned = best(&pinned, demand, usable);
        if from_pinned.is_empty() { best(&open, demand, usable) } else { from_pinned }
    }

    /// Nobody else is on it, or everybody else who is agrees.
    fn usable(&self, address: IpAddr, name: &str, claim: &Claim) -> bool {
        self.0.iter().filter(|(other, (held, _))| *other != name && held.contains(&address)).all(
            |(_, (_, theirs))| {
                !claim.sharing.key.is_empty()
                    && claim.sharing == theirs.sharing
                    && claim.ports.iter().all(|port| !theirs.ports.contains(port))
            },
        )
    }
}

fn admits(pool: &Pool, name: &str, claim: &Claim, namespaces: &Namespaces) -> bool {
    let Some(allocation) = &pool.allocation else { return true };
    let namespace = key(name).namespace.clone();
    let named = allocation.namespaces.contains(&namespace);
    let labelled = namespaces
        .get(&namespace)
        .is_some_and(|labels| allocation.namespace_selectors.iter().any(|it| it.matches(labels)));
    let any_namespace = allocation.namespaces.is_empty() && allocation.namespace_selectors.is_empty();
    let by_label = allocation.service_selectors.iter().any(|it| it.matches(&claim.labels));
    (any_namespace || named || labelled) && (allocation.service_selectors.is_empty() || by_label)
}

/// Every address of the pool, in its order.
fn all(pool: &Pool) -> impl Iterator<Item = IpAddr> {
    let numbers = |range: &AddressRange| {
        let family = range.family();
        (to_number(range.first())..=to_number(range.last())).map(move |number| from_number(family, number))
    };
    let avoided = |address: &IpAddr| match address {
        IpAddr::V4(v4) => pool.avoid_buggy_ips && (v4.octets()[3] == 0 || v4.octets()[3] == 255),
        IpAddr::V6(_) => false,
    };
    pool.ranges().iter().flat_map(numbers).filter(move |address| !avoided(address))
}

fn has(pool: &Pool, address: IpAddr) -> bool {
    all(pool).any(|ours| ours == address)
}

fn first(pool: &Pool, family: Family, usable: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
    all(pool).find(|address| Family::of(*address) == family && usable(address))
}

fn fits(demand: FamilyDemand, addresses: &[IpAddr]) -> bool {
    let families: Vec<_> = addresses.iter().map(|address| Family::of(*address)).collect();
    match demand {
        FamilyDemand::Only(family) => families == [family],
        FamilyDemand::Both => families == [Family::V4, Family::V6],
        FamilyDemand::Prefer(_) => !families.is_empty(),
    }
}

fn best(pools: &[&Pool], demand: FamilyDemand, usable: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
    let (mut both, mut v4, mut v6) = (Vec::new(), Vec::new(), Vec::new());
    for pool in pools {
        let one = first(pool, Family::V4, &usable);
        let other = first(pool, Family::V6, &usable);
        if both.is_empty() && one.is_some() && other.is_some() {
            both.extend(one.into_iter().chain(other));
        }
        if v4.is_empty() {
            v4.extend(one);
        }
        if v6.is_empty() {
            v6.extend(other);
        }
    }
    let order = match demand {
        FamilyDemand::Only(Family::V4) => [v4].to_vec(),
        FamilyDemand::Only(Family::V6) => [v6].to_vec(),
        FamilyDemand::Both => [both].to_vec(),
        FamilyDemand::Prefer(Family::V4) => [both, v4, v6].to_vec(),
        FamilyDemand::Prefer(Family::V6) => [both, v6, v4].to_vec(),
    };
    order.into_iter().find(|addresses| !addresses.is_empty()).unwrap_or_default()
}
