//! An example of every code that a service can meet, for the document that lists them.
//!
//! Those of the configuration come from objects that bring them about, and are made where objects are read.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{
    AllocationRefusal, AnnouncementRefusal, CannotShare, FrrRefusal, HeartbeatRefusal, Kind, Unknown,
};
use crate::address::Family;
use crate::names::ServiceKey;
use crate::plan::Leaving;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NETWORK: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24));

/// Why a service has no address: every code.
pub fn allocation() -> Vec<AllocationRefusal> {
    let lab = || "lab".into();
    let taken = |why| AllocationRefusal::AddressTaken {
        address: ADDRESS,
        holder: ServiceKey::new("default", "web"),
        why,
    };
    vec![
        AllocationRefusal::NoPools,
        AllocationRefusal::NoPoolForService,
        AllocationRefusal::PoolsFull { pools: vec![lab()], families: vec![Family::V4] },
        AllocationRefusal::OutsidePools { addresses: vec![ADDRESS] },
        AllocationRefusal::PoolInvalid { addresses: vec![ADDRESS] },
        taken(CannotShare::Keys),
        taken(CannotShare::Backends),
        taken(CannotShare::Port("TCP 80".to_owned())),
        AllocationRefusal::AddressReserved { address: ADDRESS, service: ServiceKey::new("default", "web") },
        AllocationRefusal::UnknownPool {
            pool: lab(),
            why: Unknown::Missing { open: vec!["far".into(), "near".into()] },
        },
        AllocationRefusal::NotAdmitted { pool: lab() },
        AllocationRefusal::RequestContradicts { pool: lab(), owner: "other".into() },
        AllocationRefusal::BadRequest {
            problem: "metallb.io/loadBalancerIPs: \"192.0.2\" is not an IP address".to_owned(),
        },
        AllocationRefusal::RequestFamilies { requested: vec![ADDRESS], families: vec![Family::V6] },
        AllocationRefusal::HeldFamilies { held: vec![ADDRESS], families: vec![Family::V6] },
        AllocationRefusal::RequestChanged { held: vec![ADDRESS] },
        AllocationRefusal::BadStatus { problem: "three addresses".to_owned() },
        AllocationRefusal::NoClusterIp,
        AllocationRefusal::BadClusterIps { problem: "\"10.96.0\" is not an IP address".to_owned() },
        AllocationRefusal::NotDualStack,
        AllocationRefusal::NoSecondFamily { pool: lab(), family: Family::V6 },
    ]
}

/// Why a node does not announce an address: every code.
pub fn announcement() -> Vec<AnnouncementRefusal> {
    let lab = || "lab".into();
    vec![
        AnnouncementRefusal::NoPool { address: ADDRESS },
        AnnouncementRefusal::NoEndpoints,
        AnnouncementRefusal::NotAdvertised { pool: lab(), kind: Kind::L2Advertisement },
        AnnouncementRefusal::NodeNotSelected { pool: lab(), kind: Kind::L2Advertisement },
        AnnouncementRefusal::TwoLocalPreferences { first: "east".into(), second: "west".into() },
        AnnouncementRefusal::NoPeer { pool: lab() },
        AnnouncementRefusal::SharedWithServiceSelector,
        AnnouncementRefusal::NetworkUnavailable,
        AnnouncementRefusal::NetworkLost { network: NETWORK },
        AnnouncementRefusal::NodeExcluded,
        AnnouncementRefusal::NodeLeaving { why: Leaving::ShuttingDown },
        AnnouncementRefusal::NoLocalEndpoint,
        AnnouncementRefusal::NotOwner { owner: "node-2".into() },
        AnnouncementRefusal::NobodyEligible,
        AnnouncementRefusal::NoSuchInterface { interfaces: vec!["eth7".into()] },
    ]
}

/// Why something does not reach FRR: every code.
pub fn frr() -> Vec<FrrRefusal> {
    let (namespace, name) = (|| "frr-k8s-system".to_owned(), || "metallb-node-1".to_owned());
    vec![
        FrrRefusal::RawConfiguration,
        FrrRefusal::NotInstalled,
        FrrRefusal::NoNamespace { namespace: namespace() },
        FrrRefusal::Forbidden {
            namespace: namespace(),
            error: "cannot list resource \"frrconfigurations\"".to_owned(),
        },
        FrrRefusal::Rejected { name: name(), error: "different asns specified for same vrf".to_owned() },
        FrrRefusal::PeerRejected { peer: "spine".into(), error: "address: Required value".to_owned() },
        FrrRefusal::UnknownField { peer: Some("spine".into()), field: "localASN".to_owned() },
        FrrRefusal::PasswordNotText { peer: "spine".into() },
        FrrRefusal::TtlSecurity { peer: "spine".into() },
        FrrRefusal::NoHostname { node: "node-1".into() },
    ]
}

/// Why heartbeats are not as somebody wants them: every code.
pub fn heartbeat() -> Vec<HeartbeatRefusal> {
    let names = ["EnableCompression", "GossipNodes"].map(str::to_owned).into();
    vec![HeartbeatRefusal::NoKey, HeartbeatRefusal::Settings { names }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::refusal::{ConfigRefusal, Refusal};

    /// The codes in the text of `fn code`.
    fn codes(source: &'static str) -> BTreeSet<&'static str> {
        let (_, after) = source.split_once("fn code(").unwrap();
        let (body, _) = after.split_once("fn sentence(").unwrap();
        body.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next()).collect()
    }

    #[test]
    fn every_code_that_a_service_can_meet_has_an_example() {
        let examples: BTreeSet<_> = allocation().iter().map(Refusal::code).collect();
        assert_eq!(examples, codes(include_str!("allocation.rs")));
        let examples: BTreeSet<_> = announcement().iter().map(Refusal::code).collect();
        assert_eq!(examples, codes(include_str!("announcement.rs")));
        let examples: BTreeSet<_> = frr().iter().map(Refusal::code).collect();
        assert_eq!(examples, codes(include_str!("frr.rs")));
        let examples: BTreeSet<_> = heartbeat().iter().map(Refusal::code).collect();
        assert_eq!(examples, codes(include_str!("heartbeat.rs")));
    }

    #[test]
    fn no_code_stands_for_two_things() {
        let mut seen = BTreeSet::new();
        let (allocation, announcement, frr, heartbeat) = (allocation(), announcement(), frr(), heartbeat());
        let of_services = allocation.iter().map(Refusal::code).chain(announcement.iter().map(Refusal::code));
        let of_services =
            of_services.chain(frr.iter().map(Refusal::code)).chain(heartbeat.iter().map(Refusal::code));
        for code in of_services.chain(ConfigRefusal::codes()) {
            assert!(seen.insert(code), "{code}");
        }
    }
}
