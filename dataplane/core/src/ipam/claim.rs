//! What a service claims: everything about it that decides its address.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::Vips;
use crate::address::Family;
use crate::labels::Labels;
use crate::names::PoolName;
use crate::refusal::AllocationRefusal;

/// What a service claims, read from its spec, annotations and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// `metadata.creationTimestamp`, seconds since 1970. Of two services on one address the older keeps it.
    pub created: i64,
    /// `spec.type` is LoadBalancer, and the class is ours.
    pub is_load_balancer: bool,
    /// An annotation says from which pool it got what it holds, so it got it from a MetalLB.
    pub is_marked: bool,
    /// `metadata.labels`.
    pub labels: Labels,
    /// The addresses in `status.loadBalancer.ingress`, or what is wrong with them.
    pub held: Result<Vec<IpAddr>, String>,
    /// Which families are wanted, or why that is unknown ([`AllocationRefusal::NoClusterIp`] and its like).
    pub families: Result<FamilyDemand, AllocationRefusal>,
    /// Addresses asked for by annotation or `spec.loadBalancerIP`, or what is wrong with the request.
    pub requested: Result<Option<Vips>, String>,
    /// The pool asked for by annotation.
    pub requested_pool: Option<PoolName>,
    /// With whom an address may be shared.
    pub sharing: SharingTerms,
    /// `spec.ports`.
    pub ports: BTreeSet<Port>,
}

/// Which address families a service wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyDemand {
    /// One address of this family: the one cluster IP's.
    Only(Family),
    /// Both when one pool has them, else one; this family rather than the other (PreferDualStack, two cluster IPs).
    Prefer(Family),
    /// Both or nothing (RequireDualStack).
    Both,
}

impl FamilyDemand {
    /// The families of the cluster IPs.
    pub fn families(self) -> Vec<Family> {
        match self {
            Self::Only(family) => vec![family],
            Self::Prefer(_) | Self::Both => vec![Family::V4, Family::V6],
        }
    }

    /// Do `vips` meet it?
    pub fn accepts(self, vips: Vips) -> bool {
        match (self, vips) {
            (Self::Only(family), Vips::One(address)) => Family::of(address) == family,
            (Self::Prefer(_), Vips::One(_) | Vips::Both(..)) | (Self::Both, Vips::Both(..)) => true,
            (Self::Only(_), Vips::Both(..)) | (Self::Both, Vips::One(_)) => false,
        }
    }
}

/// Under which terms services share an address: both parts must be equal, and the key not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharingTerms {
    /// The annotation `allow-shared-ip`; empty means "with nobody".
    pub key: String,
    /// With externalTrafficPolicy Local the selector, since the same pods must be behind all sharers; else empty.
    pub backend: String,
}

/// A layer 4 protocol of a service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its protocol; the same number of another protocol is another port.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        };
        write!(f, "{}/{protocol}", self.number)
    }
}
