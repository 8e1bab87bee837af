//! Three nodes, one service, and what the command says of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use metallb_crds::ServiceL2StatusStatus;

use super::*;
use crate::cli::documents;

/// Of n1, n2 and n3 the rule elects n2 for 10.0.0.1, then n3.
const CLUSTER: &str = "
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lab}, spec: {addresses: [10.0.0.1-10.0.0.9]}}
---
{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: {name: lab}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}}
---
{apiVersion: v1, kind: Node, metadata: {name: n3}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 10.0.0.1}]}}}
";

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn cluster() -> Inventory {
    let mut all = Vec::new();
    documents::parse("x.yaml", CLUSTER, &mut all).unwrap();
    Inventory::of(&all, "metallb-system").unwrap()
}

fn told(inventory: &Inventory, address: Option<&str>) -> anyhow::Result<Owners> {
    let address = address.map(super::address).transpose()?;
    owners(inventory, address, &LoadBalancerClass::default(), now())
}

fn reported_by(node: &str, minutes: i64) -> ServiceL2Status {
    let since = Timestamp::from_second(now().as_second() - 60 * minutes).unwrap();
    let status = ServiceL2StatusStatus {
        node: Some(node.to_owned()),
        service_name: Some("web".to_owned()),
        service_namespace: Some("default".to_owned()),
        ..ServiceL2StatusStatus::default()
    };
    ServiceL2Status {
        metadata: ObjectMeta { creation_timestamp: Some(Time(since)), ..ObjectMeta::default() },
        status: Some(status),
        ..ServiceL2Status::default()
    }
}

/// The cluster with speakers that are ready, and these reports of theirs.
fn reporting(reports: &[ServiceL2Status]) -> Inventory {
    let mut inventory = cluster();
    inventory.speakers = Some(["n1", "n2", "n3"].map(NodeName::from).into());
    inventory.l2_statuses = reports.to_vec();
    let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: [10.1.0.1], nodeName: n3}]}";
    let mut documents = Vec::new();
    documents::parse("x.yaml", slice, &mut documents).unwrap();
    inventory.apply(&documents, "metallb-system").unwrap();
    inventory
}

#[test]
fn an_address_has_an_owner_and_a_successor_and_others_say_why_not() {
    let all = told(&cluster(), None).unwrap();
    let [row] = &all.addresses[..] else { panic!("{all:?}") };
    assert_eq!(
        (row.owner.as_deref(), &row.candidates[..]),
        (Some("n2"), &["n2".to_owned(), "n3".to_owned()][..])
    );
    assert_eq!(row.services, ["default/web"]);
    assert_eq!(row.others, [], "not asked for");
    let one = told(&cluster(), Some("10.0.0.1")).unwrap();
    let why: Vec<_> = one.addresses[0]
        .others
        .iter()
        .map(|other| (other.node.as_str(), other.refusal.as_ref().unwrap().code.as_str()))
        .collect();
    assert_eq!(why, [("n1", "node-excluded"), ("n3", "not-owner")]);
    assert!(one.text().contains("remove the label"), "{}", one.text());
}

#[test]
fn since_when_is_what_the_owner_reports() {
    let all = told(&reporting(&[reported_by("n2", 5)]), None).unwrap();
    assert!(all.settled);
    assert!(all.text().contains("10.0.0.1   n2      5m0s    n3"), "{}", all.text());
}

#[test]
fn an_owner_that_the_rules_do_not_elect_and_two_at_once_are_told() {
    for (reports, note) in [
        (vec![reported_by("n3", 5)], "reported by n3"),
        (vec![reported_by("n2", 5), reported_by("n3", 9)], "reported by n2 and n3"),
    ] {
        let mut all = told(&reporting(&reports), None).unwrap();
        assert!(!all.settled && all.text().contains(note) && all.wide().contains(note), "{}", all.text());
        assert_eq!(all.exit(), ExitCode::SUCCESS);
        all.check = true;
        assert_eq!(all.exit(), ExitCode::FAILURE);
    }
}

#[test]
fn where_ownership_is_sticky_the_owner_is_who_has_it() {
    let mut report = reported_by("n3", 5);
    report.status.as_mut().unwrap().epoch = Some(4);
    let all = told(&reporting(&[report.clone()]), Some("10.0.0.1")).unwrap();
    let row = &all.addresses[0];
    assert_eq!((row.owner.as_deref(), row.epoch, all.settled), (Some("n3"), Some(4), true));
    assert!(all.wide().contains("10.0.0.1   n3      4"), "{}", all.wide());
    assert!(all.text().contains("10.0.0.1   n3      5m0s    n2"), "{}", all.text());
    report.status.as_mut().unwrap().node = Some("n1".to_owned());
    let all = told(&reporting(&[report]), None).unwrap();
    assert_eq!((all.addresses[0].owner.as_deref(), all.settled), (Some("n2"), false), "n1 may not have it");
}

#[test]
fn what_is_no_address_or_nobodys_is_an_error() {
    assert!(told(&cluster(), Some("web")).unwrap_err().to_string().contains("is not an IP address"));
    let error = told(&cluster(), Some("10.0.0.2")).unwrap_err();
    assert_eq!(error.to_string(), "no service of type LoadBalancer has the address 10.0.0.2");
}

#[test]
fn a_station_outside_the_cluster_that_has_the_address_too_is_named() {
    let mut report = reported_by("n2", 5);
    let conflict = AddressConflict {
        address: "10.0.0.1".to_owned(),
        hardware_address: "02:00:00:00:00:09".to_owned(),
        interface: Some("eth0".to_owned()),
    };
    report.status.as_mut().unwrap().conflicts = vec![conflict];
    let all = told(&reporting(&[report]), None).unwrap();
    assert!(all.text().contains("station 02:00:00:00:00:09 on eth0 has it too"), "{}", all.text());
}
