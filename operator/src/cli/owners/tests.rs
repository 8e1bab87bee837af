//! Three nodes, one service, and what the command says of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use metallb_core::names::NodeName;
use metallb_crds::cluster::node::LeavingSigns;
use metallb_crds::{ServiceL2Status, ServiceL2StatusStatus};

use super::*;
use crate::cli::documents;
use crate::cli::explain;
use crate::cli::speakers::Switches;

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
    apply(&mut inventory, slice);
    inventory
}

fn apply(inventory: &mut Inventory, text: &str) {
    let mut documents = Vec::new();
    documents::parse("x.yaml", text, &mut documents).unwrap();
    inventory.apply(&documents, "metallb-system").unwrap();
}

/// The same, where the service has an address of either family.
fn dual_stack(reports: &[ServiceL2Status]) -> Inventory {
    let mut inventory = reporting(reports);
    apply(
        &mut inventory,
        "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lab}, spec: {addresses: [10.0.0.1-10.0.0.9, '2001:db8::1-2001:db8::9']}}",
    );
    apply(
        &mut inventory,
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ipFamilyPolicy: RequireDualStack}, status: {loadBalancer: {ingress: [{ip: 10.0.0.1}, {ip: '2001:db8::1'}]}}}",
    );
    inventory
}

fn in_epoch(mut report: ServiceL2Status, epoch: i64) -> ServiceL2Status {
    report.status.as_mut().unwrap().epoch = Some(epoch);
    report
}

fn why_not(row: &Row) -> Vec<(&str, &str)> {
    row.others
        .iter()
        .map(|other| (other.node.as_str(), other.refusal.as_ref().unwrap().code.as_str()))
        .collect()
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
        (vec![reported_by("n3", 5)], "reported by n3; by the rules n2 would announce it"),
        (vec![reported_by("n2", 5), reported_by("n3", 9)], "reported by n2 and n3"),
        (
            vec![reported_by("n2", 9), reported_by("n3", 5)],
            "reported by n2 and n3; by the rules n2 would announce it",
        ),
    ] {
        let mut all = told(&reporting(&reports), None).unwrap();
        let ends = |text: &str| text.lines().any(|line| line.ends_with(note));
        assert!(!all.settled && ends(&all.text()) && ends(&all.wide()), "{}", all.text());
        assert_eq!(all.exit(), ExitCode::SUCCESS);
        all.check = true;
        assert_eq!(all.exit(), ExitCode::FAILURE);
    }
}

#[test]
fn the_owner_is_who_reports_it_later() {
    let at = |node, minutes, epoch| in_epoch(reported_by(node, minutes), epoch);
    for (reports, owner) in [
        (vec![], "n2"),
        (vec![reported_by("n3", 5)], "n3"),
        (vec![reported_by("n2", 9), reported_by("n3", 5)], "n3"),
        (vec![reported_by("n2", 5), reported_by("n3", 9)], "n2"),
        (vec![reported_by("n2", 5), reported_by("n3", 5)], "n2"),
        (vec![at("n3", 9, 8), at("n2", 5, 7)], "n3"),
        (vec![at("n1", 5, 8)], "n1"),
    ] {
        let all = told(&reporting(&reports), None).unwrap();
        assert_eq!(all.addresses[0].owner.as_deref(), Some(owner), "{reports:?}");
    }
}

/// n2 lost its power. For a while nothing but the other speakers knows; then its kubelet is missed.
#[test]
fn a_dead_node_whose_pod_says_that_it_runs_is_not_the_owner_of_what_another_one_reports() {
    let both = [reported_by("n2", 50), reported_by("n3", 1)];
    let mut inventory = reporting(&both);
    for (running, settled, note) in [
        (&["n1", "n2", "n3"][..], false, "reported by n2 and n3; by the rules n2 would announce it"),
        (&["n1", "n3"], false, "reported by n2 and n3"),
    ] {
        inventory.speakers = Some(running.iter().copied().map(NodeName::from).collect());
        let all = told(&inventory, None).unwrap();
        assert_eq!((all.addresses[0].owner.as_deref(), all.settled), (Some("n3"), settled));
        assert!(all.text().lines().any(|line| line.ends_with(note)), "{}", all.text());
        let story = explain::service(&inventory, "default/web", &LoadBalancerClass::default()).unwrap();
        assert!(story.text().contains(&format!("10.0.0.1 is announced by n3 ({note})")), "{}", story.text());
    }
    inventory.l2_statuses = vec![reported_by("n3", 1)];
    let all = told(&inventory, None).unwrap();
    assert_eq!((all.addresses[0].owner.as_deref(), all.settled), (Some("n3"), true));
    inventory.l2_statuses = vec![reported_by("n2", 1), reported_by("n3", 50)];
    let all = told(&inventory, None).unwrap();
    assert_eq!(all.addresses[0].owner.as_deref(), Some("n3"), "of several one whose speaker runs");
}

#[test]
fn whom_the_rules_name_is_among_the_others_where_another_one_announces() {
    let all = told(&reporting(&[reported_by("n3", 5)]), Some("10.0.0.1")).unwrap();
    assert_eq!(why_not(&all.addresses[0]), [("n1", "node-excluded"), ("n2", "not-owner")]);
    assert!(all.text().contains("node n3 announces it"), "{}", all.text());
    let excluded = told(&reporting(&[reported_by("n1", 5)]), Some("10.0.0.1")).unwrap();
    assert_eq!(why_not(&excluded.addresses[0]), [("n2", "not-owner"), ("n3", "not-owner")]);
    assert!(!excluded.text().contains("node n2 announces it"), "{}", excluded.text());
}

#[test]
fn an_owner_that_nobody_reports_is_told_where_speakers_would() {
    let all = told(&reporting(&[]), None).unwrap();
    assert!(all.settled && all.text().contains("no node reports it"), "{}", all.text());
    assert!(!told(&cluster(), None).unwrap().text().contains("reports"), "files do not say");
}

#[test]
fn where_ownership_is_sticky_the_owner_is_who_has_it() {
    let report = in_epoch(reported_by("n3", 5), 4);
    let inventory = reporting(std::slice::from_ref(&report));
    let all = told(&inventory, Some("10.0.0.1")).unwrap();
    let row = &all.addresses[0];
    assert_eq!((row.owner.as_deref(), row.epoch, all.settled), (Some("n3"), Some(4), true));
    assert_eq!(
        (row.by_rules.as_deref(), &row.candidates[..]),
        (Some("n3"), &["n3".to_owned(), "n2".to_owned()][..])
    );
    assert_eq!(why_not(row), [("n1", "node-excluded"), ("n2", "not-owner")]);
    assert!(all.text().contains("node n3 announces it"), "{}", all.text());
    assert!(all.wide().contains("10.0.0.1   n3      4"), "{}", all.wide());
    assert!(all.text().contains("10.0.0.1   n3      5m0s    n2"), "{}", all.text());
    let story = explain::service(&inventory, "default/web", &LoadBalancerClass::default()).unwrap();
    let told_of = story.text();
    assert!(told_of.contains("10.0.0.1 is announced by n3\n"), "{told_of}");
    assert!(told_of.contains("n2     node n3 announces it"), "{told_of}");
    assert!(told_of.contains("n3     announces it"), "{told_of}");
}

#[test]
fn where_ownership_is_sticky_one_that_may_not_have_it_is_no_holder() {
    let all = told(&reporting(&[in_epoch(reported_by("n1", 5), 4)]), None).unwrap();
    let row = &all.addresses[0];
    assert_eq!((row.owner.as_deref(), row.by_rules.as_deref(), all.settled), (Some("n1"), Some("n2"), false));
    assert_eq!(row.candidates, ["n2", "n3"]);
}

#[test]
fn each_address_of_a_service_has_its_own_owner() {
    // The rules elect n2 for both.
    let named = |mut report: ServiceL2Status, addresses: &[&str]| {
        report.status.as_mut().unwrap().addresses = addresses.iter().map(|it| (*it).to_owned()).collect();
        report
    };
    let (v4, v6) = ("10.0.0.1", "2001:db8::1");
    let owners = |reports: &[ServiceL2Status]| {
        let all = told(&dual_stack(reports), None).unwrap();
        let rows = all.addresses.iter();
        let rows: Vec<_> =
            rows.map(|row| (row.owner.clone().unwrap(), row.epoch, row.reported.len())).collect();
        (rows, all.settled)
    };
    let n2 = || "n2".to_owned();
    let split = [named(reported_by("n2", 5), &[v4]), named(reported_by("n3", 5), &[v6])];
    assert_eq!(owners(&split), (vec![(n2(), None, 1), ("n3".to_owned(), None, 1)], false));
    let split = split.map(|report| in_epoch(report, 7));
    assert_eq!(owners(&split), (vec![(n2(), Some(7), 1), ("n3".to_owned(), Some(7), 1)], true), "holders");
    let both = named(in_epoch(reported_by("n3", 5), 7), &[v4, v6]);
    let n3 = || "n3".to_owned();
    assert_eq!(owners(&[both]), (vec![(n3(), Some(7), 1), (n3(), None, 1)], true), "the epoch of the first");
    assert_eq!(owners(&[reported_by("n2", 5)]), (vec![(n2(), None, 1), (n2(), None, 0)], true), "upstream's");
    let stale = named(reported_by("n3", 5), &["10.0.0.9", "no address"]);
    assert_eq!(owners(&[stale]), (vec![(n2(), None, 0), (n2(), None, 0)], true), "of what it had once");
}

#[test]
fn services_that_share_an_address_are_announced_by_one_node() {
    let mut inventory = reporting(&[]);
    apply(
        &mut inventory,
        "{apiVersion: v1, kind: Service, metadata: {name: dns}, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 10.0.0.1}]}}}",
    );
    for service in &mut inventory.services {
        let annotations = service.metadata.annotations.get_or_insert_default();
        annotations.insert("metallb.io/allow-shared-ip".to_owned(), "x".to_owned());
        let name = service.metadata.name.clone().unwrap();
        let port = if name == "dns" { 53 } else { 80 };
        let port = k8s_openapi::api::core::v1::ServicePort { port, ..Default::default() };
        service.spec.as_mut().unwrap().ports = Some(vec![port]);
    }
    let mut dns = reported_by("n2", 2);
    dns.status.as_mut().unwrap().service_name = Some("dns".to_owned());
    inventory.l2_statuses = vec![reported_by("n2", 5), dns];
    let all = told(&inventory, None).unwrap();
    assert_eq!(all.addresses[0].services, ["default/dns", "default/web"]);
    assert!(all.settled && all.text().contains("10.0.0.1   n2      5m0s"), "{}", all.text());
}

#[test]
fn speakers_are_taken_to_go_by_their_switches() {
    let mut inventory = reporting(&[]);
    let candidates = |inventory: &Inventory| told(inventory, None).unwrap().addresses.remove(0).candidates;
    assert_eq!(candidates(&inventory), ["n2", "n3"]);
    inventory.switches.ignore_exclude_lb = true;
    assert!(candidates(&inventory).contains(&"n1".to_owned()), "excluded, and that does not count");
    inventory.switches = Switches {
        signs: LeavingSigns { annotation: Some("example.org/out".to_owned()), taint: None },
        ..Switches::default()
    };
    let leaving =
        inventory.nodes.iter_mut().find(|node| node.metadata.name.as_deref() == Some("n2")).unwrap();
    leaving.metadata.annotations = Some([("example.org/out".to_owned(), String::new())].into());
    assert_eq!(candidates(&inventory), ["n3", "n2"], "who stays goes first");
    inventory.switches = Switches::default();
    assert_eq!(candidates(&inventory), ["n2", "n3"], "nobody chose that annotation");
}

#[test]
fn of_files_the_switches_are_those_of_the_metallb() {
    for (spec, candidates) in [
        ("{}", &["n2", "n3"][..]),
        ("{ignoreExcludeLB: true}", &["n2", "n3", "n1"]),
        ("{nodeLeaving: {taint: example.org/out}}", &["n3", "n2"]),
        ("{nodeLeaving: {annotation: example.org/out}}", &["n2", "n3"]),
        ("{ignoreExcludeLB: true, bgpListenPort: -1}", &["n2", "n3"]), // the operator does not act on it
    ] {
        let mut inventory = cluster();
        apply(
            &mut inventory,
            "{apiVersion: v1, kind: Node, metadata: {name: n2}, spec: {taints: [{key: example.org/out, effect: NoSchedule}]}}",
        );
        apply(
            &mut inventory,
            &format!(
                "{{apiVersion: metallb.io/v1beta1, kind: MetalLB, metadata: {{name: metallb}}, spec: {spec}}}"
            ),
        );
        assert_eq!(told(&inventory, None).unwrap().addresses[0].candidates, candidates, "{spec}");
    }
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
