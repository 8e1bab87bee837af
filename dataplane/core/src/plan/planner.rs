//! The plan, kept up to date: what a change touches is decided anew, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::candidates::{Registry, Shared};
use super::layer2::{self, Offers};
use super::{AddressPlan, Ownership, Plan, Touched, World};
use crate::election;
use crate::names::NodeName;
use crate::pack::Pack;

/// The plan of a world, and what helps to bring it up to date.
#[derive(Clone, Debug, Default)]
pub struct Planner {
    plan: Plan,
    /// The candidates from which the owner of an address was elected.
    pub(super) elected_from: BTreeMap<IpAddr, Shared>,
    registry: Registry,
    /// Owners were found by the hash alone: only then one follows from the one before.
    by_hash: bool,
}

impl Planner {
    /// Decides the touched addresses anew; those that came out different. The outcome is the one that planning
    /// everything from nothing would have.
    pub fn replan(&mut self, world: &World, touched: &Touched) -> BTreeSet<IpAddr> {
        let by_hash = matches!(world.ownership(), Ownership::Hash);
        if std::mem::replace(&mut self.by_hash, by_hash) != by_hash {
            self.elected_from.clear();
        }
        match touched {
            Touched::Everything => {
                self.registry.begin(true);
                let known = self.plan.keys().copied();
                let addresses: BTreeSet<IpAddr> = world.addresses().chain(known).collect();
                let changed =
                    addresses.into_iter().filter(|address| self.plan_address(world, *address)).collect();
                self.registry.forget_unused();
                changed
            }
            Touched::Addresses(addresses) => {
                self.registry.begin(false);
                addresses.iter().copied().filter(|address| self.plan_address(world, *address)).collect()
            }
        }
    }

    /// What was decided.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The nodes that may announce an address, in the order in which they would: the first does, unless another one keeps it.
    pub fn candidates(&self, address: IpAddr) -> Vec<&NodeName> {
        self.elected_from.get(&address).map(|from| election::order(address, from.get())).unwrap_or_default()
    }

    /// Is that node among them?
    pub fn is_candidate(&self, address: IpAddr, node: &NodeName) -> bool {
        self.elected_from.get(&address).is_some_and(|from| from.get().contains_key(node))
    }

    /// Did it come out different?
    fn plan_address(&mut self, world: &World, address: IpAddr) -> bool {
        let offers = Offers::of(world, address);
        if offers.is_empty() {
            self.elected_from.remove(&address);
            return self.plan.remove(&address).is_some();
        }
        let candidates = offers.candidates(&mut self.registry);
        let before = self.plan.get(&address);
        let owner = match world.ownership() {
            Ownership::Hash => {
                let seated = before.and_then(|before| before.owner.as_ref());
                let before_from = self.elected_from.get(&address).map(|from| (from, seated));
                self.registry.elect(address, before_from, &candidates)
            }
            Ownership::Sticky { holders, believed } => {
                let may = |holder: &&NodeName| {
                    candidates.is_most_preferred(holder)
                        || believed.contains(&address) && !world.has_speaker(holder)
                };
                let holder = holders.get(&address).filter(may);
                holder.or_else(|| election::winner(address, candidates.get())).cloned()
            }
        };
        let plan = layer2::verdict(offers, owner);
        self.elected_from.insert(address, candidates);
        if before == Some(&plan) {
            return false;
        }
        self.plan.insert(address, plan);
        true
    }
}

impl Pack for Planner {
    fn pack(&mut self) {
        let Self { plan, elected_from, registry: _, by_hash: _ } = self;
        plan.pack();
        elected_from.pack();
    }
}

impl std::ops::Index<IpAddr> for Planner {
    type Output = AddressPlan;

    /// The plan of an address that a service has.
    fn index(&self, address: IpAddr) -> &AddressPlan {
        &self.plan[&address]
    }
}
