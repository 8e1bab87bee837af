//! What the commands answer about files.

use std::path::PathBuf;

use clap::CommandFactory as _;
use metallb_crds::cluster::service::LoadBalancerClass;
use serde_json::{Value, json};

use super::args::{Cli, Common, Format};
use super::documents::{self, Document};
use super::explain;
use super::inventory::Inventory;
use super::output::{Answer, render};
use super::plan::{self, Plan};
use super::validate::{Verdict, validate};
use crate::generate::EXTERNAL_FRRK8S_NAMESPACE;

const NAMESPACE: &str = "metallb-system";

fn common() -> Common {
    Common {
        namespace: NAMESPACE.to_owned(),
        lb_class: String::new(),
        kubeconfig: None,
        output: Format::Json,
    }
}

fn documents(text: &str) -> Vec<Document> {
    let mut documents = Vec::new();
    documents::parse("x.yaml", text, &mut documents).unwrap();
    documents
}

fn verdict(text: &str) -> Verdict {
    validate(&documents(text), Some(EXTERNAL_FRRK8S_NAMESPACE), &common()).unwrap()
}

#[test]
fn where_an_external_frr_k8s_is_may_be_left_to_the_operator_that_reads_the_file() {
    let metallb = "{apiVersion: metallb.io/v1beta1, kind: MetalLB, metadata: {name: metallb}, \
                   spec: {bgpBackend: frr-k8s-external}}";
    assert!(verdict(metallb).valid, "the manifest's operator knows");
    let without = validate(&documents(metallb), None, &common()).unwrap();
    assert_eq!(without.findings[0].code, "no-external-namespace");
}

fn planned(text: &str) -> Plan {
    let inventory = Inventory::of(&documents(text), NAMESPACE).unwrap();
    plan::plan(&inventory, &LoadBalancerClass::default())
}

/// Name, change, addresses and owner of every service.
fn outline(plan: &Plan) -> Vec<Value> {
    let plan = serde_json::to_value(plan).unwrap();
    let rows = plan["services"].as_array().unwrap().iter();
    rows.map(|row| json!([row["name"], row["change"], row["addresses"], row["owner"], row["code"]])).collect()
}

const POOL: &str = "
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lab}
spec: {addresses: [10.0.0.1-10.0.0.2]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: lab}
";

fn service(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer}}\n{more}\n"
    )
}

fn holding(name: &str, address: &str) -> String {
    service(name, &format!("status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}"))
}

fn node(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n")
}

#[test]
fn the_arguments_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn sound_manifests_are_valid_and_everything_that_is_not_ours_is_passed_over() {
    let verdict = verdict(&format!("{POOL}{}---\napiVersion: v1\nkind: ConfigMap\n", service("web", "")));
    assert!(verdict.valid);
    assert_eq!((verdict.objects, verdict.exit()), (2, std::process::ExitCode::SUCCESS));
}

#[test]
fn a_refusal_names_object_place_code_and_fix_and_fails() {
    let bad = "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: bad}\nspec: {addresses: [10.9.0.1]}\n";
    let verdict = verdict(&format!("{POOL}{bad}"));
    assert!(!verdict.valid);
    assert_eq!(verdict.exit(), std::process::ExitCode::FAILURE);
    let finding = verdict.findings.iter().find(|finding| finding.denied).unwrap();
    assert_eq!(finding.object, "IPAddressPool bad");
    assert_eq!(finding.source, "x.yaml (document 3)");
    assert_eq!(finding.code, "pool-bad-addresses");
    assert!(finding.fix.contains("10.9.0.1/32"), "{finding:?}");
}

#[test]
fn a_metallb_is_checked_too() {
    let bad = "apiVersion: metallb.io/v1beta1\nkind: MetalLB\nmetadata: {name: metallb}\nspec: {bgpBackend: quagga}\n";
    let verdict = verdict(bad);
    assert_eq!((verdict.valid, verdict.findings.len()), (false, 1), "{verdict:?}");
}

#[test]
fn fields_that_the_api_server_would_drop_are_warned_of() {
    let typo = POOL.replace("spec: {addresses", "spec: {autoAsign: false, addresses");
    let metallb = "---\napiVersion: metallb.io/v1beta1\nkind: MetalLB\nmetadata: {name: metallb}\nspec: {loglevel: all}\n";
    let verdict = verdict(&format!("{typo}{metallb}"));
    assert!(verdict.valid, "as in the cluster, they are no reason to refuse");
    let found: Vec<_> = verdict.findings.iter().map(|it| (it.object.as_str(), it.code.as_str())).collect();
    assert_eq!(found, [("IPAddressPool lab", "unknown-field"), ("MetalLB metallb", "unknown-field")]);
    let finding = &verdict.findings[0];
    assert!(finding.sentence.contains("spec.autoAsign") && finding.fix.contains("autoAssign"), "{finding:?}");
}

#[test]
fn an_object_in_another_namespace_is_refused_as_admission_does() {
    let verdict = verdict(&POOL.replace("{name: lab}", "{name: lab, namespace: default}"));
    assert_eq!(verdict.findings.len(), 2);
    assert!(verdict.findings[0].sentence.contains("must be created in metallb-system namespace"));
}

#[test]
fn the_samples_are_valid() {
    let samples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples"));
    let verdict = validate(&documents::read_all(&[samples]).unwrap(), None, &common()).unwrap();
    assert!(verdict.valid && verdict.objects >= 13, "{verdict:?}");
    assert!(verdict.findings.iter().all(|finding| finding.code != "unknown-field"), "{verdict:?}");
}

#[test]
fn services_are_served_in_the_order_of_the_file_and_holders_keep_what_they_hold() {
    let plan = planned(&format!(
        "{POOL}{}{}{}{}{}",
        service("a", ""),
        holding("b", "10.0.0.1"),
        service("c", ""),
        node("n1"),
        node("n2"),
    ));
    assert_eq!(
        outline(&plan),
        [
            json!(["a", "gets", ["10.0.0.2"], "n1", null]),
            json!(["b", "keeps", ["10.0.0.1"], "n2", null]),
            json!(["c", "waits", [], null, "pool-full"]),
        ]
    );
}

#[test]
fn a_service_whose_address_no_pool_owns_changes_and_one_of_another_class_is_not_listed() {
    let other = "---\napiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {type: LoadBalancer, loadBalancerClass: other}\n";
    let plan = planned(&format!("{POOL}{}{other}", holding("a", "192.0.2.7")));
    assert_eq!(outline(&plan), [json!(["a", "changes", ["10.0.0.1"], null, "outside-pools"])]);
}

#[test]
fn without_pools_a_holder_loses_its_address_and_is_told_why() {
    let ours = holding("a", "192.0.2.7")
        .replace("{name: a}", "{name: a, annotations: {metallb.io/ip-allocated-from-pool: gone}}");
    let plan = planned(&ours);
    let text = plan.text();
    assert_eq!(outline(&plan)[0][1], "loses");
    assert!(text.contains("default/a") && text.contains("loses"), "{text}");
    assert!(plan.services[0].fix.as_ref().is_some_and(|fix| !fix.is_empty()));
}

#[test]
fn an_address_of_a_pool_that_is_set_aside_is_kept_and_the_pool_is_listed() {
    let pool = POOL.replace("10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2, 10.9.0.1");
    let plan = planned(&format!("{pool}{}", holding("a", "10.0.0.1")));
    assert_eq!(plan.set_aside.len(), 1);
    assert_eq!(outline(&plan)[0][1], "keeps");
}

#[test]
fn a_change_on_top_of_what_is_there_keeps_the_status_of_what_it_changes() {
    let mut inventory =
        Inventory::of(&documents(&format!("{POOL}{}", holding("a", "10.0.0.2"))), NAMESPACE).unwrap();
    inventory.apply(&documents(&service("a", "")), NAMESPACE).unwrap();
    let smaller = POOL.replace("10.0.0.1-10.0.0.2", "10.0.0.1/32");
    let class = LoadBalancerClass::default();
    assert_eq!(outline(&plan::plan(&inventory, &class))[0][1], "keeps");
    inventory.apply(&documents(&smaller), NAMESPACE).unwrap();
    assert_eq!(
        outline(&plan::plan(&inventory, &class)),
        [json!(["a", "changes", ["10.0.0.1"], null, "outside-pools"])]
    );
}

#[test]
fn a_story_says_what_each_node_does_and_why() {
    let excluded = node("n2").replace(
        "{name: n2}",
        "{name: n2, labels: {node.kubernetes.io/exclude-from-external-load-balancers: \"\"}}",
    );
    let text = format!("{POOL}{}{}{excluded}", holding("a", "10.0.0.2"), node("n1"));
    let inventory = Inventory::of(&documents(&text), NAMESPACE).unwrap();
    let story = explain::service(&inventory, "default/a", &LoadBalancerClass::default()).unwrap();
    assert_eq!(story.layer2[0].owner.as_deref(), Some("n1"));
    let codes: Vec<_> = story.layer2[0]
        .nodes
        .iter()
        .map(|on| (on.node.as_str(), on.refusal.as_ref().map(|why| why.code.as_str())))
        .collect();
    assert_eq!(codes, [("n1", None), ("n2", Some("node-excluded"))]);
    let text = story.text();
    assert!(text.contains("10.0.0.2 is announced by n1") && text.contains("announces it"), "{text}");
    let absent = explain::service(&inventory, "nowhere/a", &LoadBalancerClass::default()).unwrap_err();
    assert!(absent.to_string().contains("nowhere/a"));
}

#[test]
fn a_story_says_which_routers_hear_of_it_from_each_node() {
    let bgp = "---\napiVersion: metallb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {name: lab, namespace: metallb-system}\n\
        ---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: tor, namespace: metallb-system}\n\
        spec: {myASN: 64500, peerASN: 64512, peerAddress: 192.0.2.1, nodeSelectors: [{matchLabels: {rack: a}}]}\n";
    let racked = node("n2").replace("{name: n2}", "{name: n2, labels: {rack: a}}");
    let text = format!("{POOL}{}{}{racked}{bgp}", holding("a", "10.0.0.2"), node("n1"));
    let inventory = Inventory::of(&documents(&text), NAMESPACE).unwrap();
    let story = explain::service(&inventory, "default/a", &LoadBalancerClass::default()).unwrap();
    let nodes = story.bgp[0].nodes.iter();
    let said: Vec<_> = nodes
        .map(|from| {
            (from.node.as_str(), from.peers.join(","), from.refusal.as_ref().map(|why| why.code.as_str()))
        })
        .collect();
    assert_eq!(said, [("n1", String::new(), Some("no-peer")), ("n2", "tor".to_owned(), None)]);
    assert!(story.text().contains("announces it to tor"), "{}", story.text());
}

#[test]
fn lists_are_taken_apart_and_json_is_read_too() {
    let list = json!({ "apiVersion": "v1", "kind": "ServiceList", "items": [
        { "metadata": { "name": "a" }, "spec": { "type": "LoadBalancer" } },
    ]});
    let found = documents(&list.to_string());
    assert_eq!(found[0].object["kind"], "Service");
    assert_eq!(found[0].object["apiVersion"], "v1");
}

#[test]
fn what_is_no_object_is_an_error_that_names_the_file() {
    let mut found = Vec::new();
    let error = documents::parse("x.yaml", "a: 1", &mut found).unwrap_err();
    assert!(error.to_string().contains("x.yaml"), "{error}");
    let error = documents::parse("x.yaml", "a: [", &mut found).unwrap_err();
    assert!(error.to_string().contains("x.yaml"), "{error}");
}

#[test]
fn programs_are_answered_in_json() {
    let plan = planned(&format!("{POOL}{}", service("a", "")));
    let answer: Value = serde_json::from_str(&render(&plan, Format::Json).unwrap()).unwrap();
    assert_eq!(answer["services"][0]["namespace"], "default");
    assert_eq!(answer["services"][0]["pool"], "lab");
}

#[test]
fn what_stands_where_an_object_belongs_is_named_and_no_panic() {
    for text in [
        "{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: lab}",
        "{apiVersion: metallb.io/v1beta1, kind: L2Advertisement}",
        "{apiVersion: metallb.io/v1beta1, kind: MetalLB, metadata: [lab]}",
    ] {
        let error = validate(&documents(text), None, &common()).unwrap_err();
        assert!(
            error.to_string().starts_with("x.yaml: ") && error.to_string().contains("metadata"),
            "{error}"
        );
    }
    let list = "{apiVersion: metallb.io/v1beta1, kind: IPAddressPoolList, items: [lab]}";
    let error = documents::parse("x.yaml", list, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "x.yaml: an item of IPAddressPoolList is no object");
}

#[test]
fn raw_configuration_for_frr_is_told_to_have_no_effect() {
    let extras = |more: &str| {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bgpextras{more}}}\n");
        verdict(&format!("{text}data: {{extras: router bgp 64512}}\n"))
    };
    let told = extras("");
    let [finding] = &told.findings[..] else { panic!("{told:?}") };
    assert_eq!(
        (finding.object.as_str(), finding.code.as_str()),
        ("ConfigMap bgpextras", "raw-frr-configuration")
    );
    assert!(told.valid, "it disables nothing");
    assert_eq!(extras(", namespace: other").findings, []);
    let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: [not, a, map]\n";
    assert_eq!(verdict(broken).findings, [], "another's is another's business");
}
