//! The rules of allocation: single cases by topic, upstream's own cases, then random histories against a naive model.
//!
//! Here: a small cluster to try them in.

mod catalogue;
mod choosing;
mod dual_stack;
mod histories;
mod model;
mod pools;
mod requests;
mod reservations;
mod sharing;
mod statuses;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::*;
use crate::address::{AddressRange, Family, from_number, to_number};
use crate::config::{Pool, Pools, ServiceAllocation};
use crate::labels::{Labels, Requirement, Selector};
use crate::names::ServiceKey;
use crate::refusal::{AllocationRefusal, Refusal};

/// The books, the pools, and the status of every service as the API server would hold it.
#[derive(Default)]
struct Cluster {
    books: Books,
    pools: Pools,
    namespaces: Namespaces,
    status: BTreeMap<String, Vec<IpAddr>>,
}

/// `name`, or `namespace/name`.
fn key(name: &str) -> ServiceKey {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    ServiceKey::new(namespace, name)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// A selector of objects with that label.
fn with_label(key: &str, value: &str) -> Selector {
    Selector::from_iter([Requirement::In(key.into(), [value.to_owned()].into())])
}

/// The same pool, pinned.
fn pinned(mut pool: Pool, allocation: ServiceAllocation) -> Pool {
    pool.allocation = Some(allocation);
    pool
}

fn pool(name: &str, ranges: &[&str]) -> Pool {
    Pool::new(name.into(), ranges.iter().map(|text| AddressRange::parse(text).unwrap()).collect()).unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn port(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

/// A service that wants one IPv4 address and shares with nobody.
fn claim() -> Claim {
    Claim {
        created: 0,
        is_load_balancer: true,
        is_marked: true,
        labels: Labels::new(),
        held: Ok(Vec::new()),
        families: Ok(FamilyDemand::Only(Family::V4)),
        requested: Ok(None),
        requested_pool: None,
        sharing: SharingTerms::default(),
        ports: BTreeSet::from([port(80)]),
    }
}

fn sharing(key: &str, ports: &[u16]) -> Claim {
    let sharing = SharingTerms { key: key.into(), backend: String::new() };
    Claim { sharing, ports: ports.iter().map(|number| port(*number)).collect(), ..claim() }
}

fn asking_for(texts: &[&str]) -> Claim {
    Claim { requested: Ok(Some(Vips::try_from(addresses(texts).as_slice()).unwrap())), ..claim() }
}

fn wanting(families: FamilyDemand) -> Claim {
    Claim { families: Ok(families), ..claim() }
}

impl Cluster {
    fn with(pools: impl IntoIterator<Item = Pool>) -> Self {
        let mut cluster = Self::default();
        cluster.replace_pools(pools);
        cluster
    }

    fn replace_pools(&mut self, pools: impl IntoIterator<Item = Pool>) {
        self.pools = Pools::default();
        for pool in pools {
            self.pools.insert(pool).unwrap();
        }
    }

    /// Settles the service with what its status holds, and writes the outcome there.
    fn settle(&mut self, name: &str, claim: &Claim) -> Settlement {
        let held = self.status.get(name).cloned().unwrap_or_default();
        let claim = Claim { held: Ok(held), ..claim.clone() };
        let settlement = self.books.settle(&key(name), &claim, &self.pools, &self.namespaces);
        self.status.insert(name.into(), settlement.vips.map(Vips::to_vec).unwrap_or_default());
        settlement
    }

    /// The code of the refusal, or the addresses.
    fn outcome(&mut self, name: &str, claim: &Claim) -> Result<Vec<IpAddr>, &'static str> {
        let settlement = self.settle(name, claim);
        match settlement.refusal {
            Some(refusal) => Err(refusal.code()),
            None => Ok(self.status[name].clone()),
        }
    }

    fn delete(&mut self, name: &str) {
        self.books.delete(&key(name));
        self.status.remove(name);
    }

    /// A new process: empty books, every status taken in, and only then every service settled.
    fn restart(&mut self, claims: &BTreeMap<String, Claim>) {
        self.books = Books::default();
        for (name, claim) in claims {
            let claim =
                Claim { held: Ok(self.status.get(name).cloned().unwrap_or_default()), ..claim.clone() };
            self.books.adopt(&key(name), &claim, &self.pools);
        }
        self.settle_all(claims);
    }

    /// Holders first, then those who wait: as the controller does.
    fn settle_all(&mut self, claims: &BTreeMap<String, Claim>) {
        let (holders, waiting): (Vec<_>, Vec<_>) =
            claims.iter().partition(|(name, _)| !self.status[*name].is_empty());
        for (name, claim) in holders.into_iter().chain(waiting) {
            self.settle(name, claim);
        }
    }
}
