//! Why a service has no address, or lost the one it had.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::Refusal;
use crate::address::Family;
use crate::names::{PoolName, ServiceKey};

/// How many pools a sentence names.
const NAMED: usize = 10;

/// Why a service has no address, or lost the one it had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // callers print refusals; only this file matches on them
pub enum AllocationRefusal {
    /// There is no pool at all.
    NoPools,
    /// No pool may be used for this service without being asked for.
    NoPoolForService,
    /// The pools that may be used have no free address of the family.
    PoolsFull {
        /// The pools, in the order in which they were tried.
        pools: Vec<PoolName>,
        /// What was looked for: one family, or both in one pool.
        families: Vec<Family>,
    },
    /// No pool owns these addresses.
    OutsidePools {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// No valid pool owns these addresses, but some pool is set aside: they are kept until it is known.
    PoolInvalid {
        /// The addresses, which are kept.
        addresses: Vec<IpAddr>,
    },
    /// Another service holds the address, and the two may not share it.
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The holder.
        holder: ServiceKey,
        /// Why the two may not share.
        why: CannotShare,
    },
    /// The address is kept for a service that was deleted, in case it comes back.
    AddressReserved {
        /// The address.
        address: IpAddr,
        /// The name of the service that may have it.
        service: ServiceKey,
    },
    /// The annotation names a pool that cannot be used.
    UnknownPool {
        /// The pool.
        pool: PoolName,
        /// Why it cannot be used.
        why: Unknown,
    },
    /// The pool's `serviceAllocation` does not admit the service.
    NotAdmitted {
        /// The pool.
        pool: PoolName,
    },
    /// The address asked for lies in another pool than the one asked for.
    RequestContradicts {
        /// The pool asked for.
        pool: PoolName,
        /// The pool that owns the address.
        owner: PoolName,
    },
    /// What the service asks for cannot be read.
    BadRequest {
        /// What is wrong, naming the field and the value.
        problem: String,
    },
    /// The addresses asked for are not of the families of the cluster IPs.
    RequestFamilies {
        /// Asked for.
        requested: Vec<IpAddr>,
        /// The families of `spec.clusterIPs`.
        families: Vec<Family>,
    },
    /// The service holds addresses of other families than its cluster IPs.
    HeldFamilies {
        /// Held.
        held: Vec<IpAddr>,
        /// The families of `spec.clusterIPs`.
        families: Vec<Family>,
    },
    /// The service asks for another address or pool than it holds.
    RequestChanged {
        /// Held until now.
        held: Vec<IpAddr>,
    },
    /// `status.loadBalancer.ingress` holds something that is no usable set of addresses.
    BadStatus {
        /// What is wrong with it.
        problem: String,
    },
    /// The service has no cluster IP (yet), so its families are unknown.
    NoClusterIp,
    /// `spec.clusterIPs` cannot be read.
    BadClusterIps {
        /// What is wrong with it.
        problem: String,
    },
    /// RequireDualStack, but fewer than two cluster IPs.
    NotDualStack,
    /// PreferDualStack got one family; its pool has no free address of the other.
    NoSecondFamily {
        /// The pool.
        pool: PoolName,
        /// The family that is missing.
        family: Family,
    },
}

/// Why a pool that was asked for cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// There is one of this name, but it is invalid.
    SetAside,
    /// There is none of this name.
    Missing {
        /// The pools that the service may name instead.
        open: Vec<PoolName>,
    },
}

/// Why two services may not share an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotShare {
    /// At least one of them has no sharing key, or the keys differ.
    Keys,
    /// The keys agree, but with externalTrafficPolicy Local the same pods must be behind both.
    Backends,
    /// Both want the same port.
    Port(String),
}

pub(super) fn list<T: ToString>(items: &[T], and: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(and)
}

impl Refusal for AllocationRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoPools => "no-pools",
            Self::NoPoolForService => "no-pool-for-service",
            Self::PoolsFull { .. } => "pool-full",
            Self::OutsidePools { .. } => "outside-pools",
            Self::PoolInvalid { .. } => "pool-invalid",
            Self::AddressTaken { why: CannotShare::Keys, .. } => "address-taken",
            Self::AddressTaken { why: CannotShare::Backends, .. } => "backends-differ",
            Self::AddressTaken { why: CannotShare::Port(_), .. } => "port-taken",
            Self::AddressReserved { .. } => "address-reserved",
            Self::UnknownPool { .. } => "unknown-pool",
            Self::NotAdmitted { .. } => "not-admitted",
            Self::RequestContradicts { .. } => "request-contradicts",
            Self::BadRequest { .. } => "bad-request",
            Self::RequestFamilies { .. } => "request-families",
            Self::HeldFamilies { .. } => "held-families",
            Self::RequestChanged { .. } => "request-changed",
            Self::BadStatus { .. } => "bad-status",
            Self::NoClusterIp => "no-cluster-ip",
            Self::BadClusterIps { .. } => "bad-cluster-ips",
            Self::NotDualStack => "not-dual-stack",
            Self::NoSecondFamily { .. } => "no-second-family",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::NoPools => "there is no IPAddressPool".to_owned(),
            Self::NoPoolForService => {
                "no available IPs: no pool with autoAssign admits this service".to_owned()
            }
            Self::PoolsFull { pools, families } => {
                let mut text = format!("no available IPs: no free {} address", list(families, " and "));
                let together = if families.len() > 1 { " together" } else { "" };
                let _ = write!(text, "{together} in {}", pool_list(pools));
                text
            }
            Self::OutsidePools { addresses } => match addresses.len() {
                1 => format!("{} is not allowed in config: no pool owns it", list(addresses, ", ")),
                _ => format!("{} are not allowed in config: no pool owns both", list(addresses, ", ")),
            },
            Self::PoolInvalid { addresses } => format!(
                "no valid pool owns {}, and at least one pool is invalid: the service keeps what it has until all pools are valid",
                list(addresses, ", ")
            ),
            Self::AddressTaken { address, holder, why } => {
                let why = match why {
                    CannotShare::Keys => "and the two have no sharing key in common".to_owned(),
                    CannotShare::Backends => {
                        "and with externalTrafficPolicy Local only services with equal selectors may share"
                            .to_owned()
                    }
                    CannotShare::Port(port) => format!("which uses port {port} of it too"),
                };
                format!("{address} is held by service {holder}, {why}")
            }
            Self::AddressReserved { address, service } => {
                format!(
                    "{address} is reserved for service {service}, which was deleted, in case it comes back"
                )
            }
            Self::UnknownPool { pool, why: Unknown::Missing { .. } } => format!("unknown pool {pool:?}"),
            Self::UnknownPool { pool, why: Unknown::SetAside } => {
                format!("pool {pool:?} is invalid and set aside")
            }
            Self::NotAdmitted { pool } => {
                format!("pool {pool} is not open to this service (its serviceAllocation)")
            }
            Self::RequestContradicts { pool, owner } => {
                format!(
                    "the address asked for belongs to pool {owner}, not to pool {pool}, which is asked for too"
                )
            }
            Self::BadRequest { problem } => problem.clone(),
            Self::RequestFamilies { requested, families } => format!(
                "{} asked for, but the cluster IPs are {}",
                list(requested, ", "),
                list(families, " and ")
            ),
            Self::HeldFamilies { held, families } => {
                format!("{} held, but the cluster IPs are {}", list(held, ", "), list(families, " and "))
            }
            Self::RequestChanged { held } => {
                format!(
                    "the service asks for another address or pool than {}, which it held",
                    list(held, ", ")
                )
            }
            Self::BadStatus { problem } => format!("status.loadBalancer.ingress: {problem}"),
            Self::NoClusterIp => "the service has no cluster IP".to_owned(),
            Self::BadClusterIps { problem } => format!("spec.clusterIPs: {problem}"),
            Self::NotDualStack => {
                "ipFamilyPolicy is RequireDualStack, but the service has fewer than two cluster IPs"
                    .to_owned()
            }
            Self::NoSecondFamily { pool, family } => format!("pool {pool} has no free {family} address"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoPools => "create an IPAddressPool".to_owned(),
            Self::NoPoolForService => {
                "create a pool with autoAssign that admits it, or name a pool with the annotation metallb.io/address-pool"
                    .to_owned()
            }
            Self::PoolsFull { families, .. } if families.len() > 1 => {
                "add addresses of both families to one pool (a service never gets its two from different pools)".to_owned()
            }
            Self::PoolsFull { .. } => "add addresses to a pool, or delete a service that uses one".to_owned(),
            Self::OutsidePools { .. } => "ask for an address of a pool, or add a pool that holds it".to_owned(),
            Self::PoolInvalid { .. } => "correct the invalid pool, which has an event saying what is wrong".to_owned(),
            Self::AddressTaken { why: CannotShare::Port(_), .. } => "use another port or another address".to_owned(),
            Self::AddressTaken { .. } => {
                "ask for another address, or give both services the same metallb.io/allow-shared-ip".to_owned()
            }
            Self::AddressReserved { .. } => {
                "ask for another address, or wait: the ConfigMap metallb-reservations says until when; removing \
                 metallb.io/reserve-for from the pool ends its reservations"
                    .to_owned()
            }
            Self::UnknownPool { why: Unknown::Missing { open }, .. } if open.is_empty() => {
                "create it; no other pool is open to this service".to_owned()
            }
            Self::UnknownPool { why: Unknown::Missing { open }, .. } => {
                format!("create it, or name a pool that is open to this service: {}", some_of(open))
            }
            Self::UnknownPool { why: Unknown::SetAside, .. } => "correct the pool, which has an event saying what is wrong".to_owned(),
            Self::NotAdmitted { .. } => "change the pool's serviceAllocation, or use another pool".to_owned(),
            Self::RequestContradicts { .. } => "ask for an address of that pool, or remove one of the two requests".to_owned(),
            Self::BadRequest { .. } => "correct the annotation or field".to_owned(),
            Self::RequestFamilies { .. } => "ask for one address of each family that the cluster IPs have".to_owned(),
            Self::HeldFamilies { .. } | Self::RequestChanged { .. } | Self::BadStatus { .. } => {
                "nothing: the service is given an address anew".to_owned()
            }
            Self::NoClusterIp => "headless services get no address: remove clusterIP None".to_owned(),
            Self::BadClusterIps { .. } => "correct spec.clusterIPs".to_owned(),
            Self::NotDualStack => "use a dual-stack cluster, or PreferDualStack".to_owned(),
            Self::NoSecondFamily { family, .. } => format!("add {family} addresses to the pool, or set SingleStack"),
        }
    }
}

/// Names of pools, and how many more there are: an event has no room for all of a large cluster.
fn some_of(pools: &[PoolName]) -> String {
    let named = list(&pools[..pools.len().min(NAMED)], ", ");
    match pools.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn pool_list(pools: &[PoolName]) -> String {
    match pools {
        [one] => format!("pool {one}"),
        many => format!("any of the pools {}", list(many, ", ")),
    }
}
