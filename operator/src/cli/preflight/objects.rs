//! Configuration and services, by the rules of admission and allocation; and the `MetalLB` that is to be acted on.

use metallb_core::refusal::{Effect, ObjectRefusal, Refusal as _};
use metallb_crds::cluster::service::LoadBalancerClass;
use metallb_crds::config::parse;
use serde_json::Value;

use super::cluster::Cluster;
use super::installation::{Installation, Installer};
use super::{Level, Remark};
use crate::cli::inventory::Inventory;
use crate::cli::plan::{Change, Row, list, plan};
use crate::cli::validate;
use crate::generate::EXTERNAL_FRRK8S_NAMESPACE;
use crate::reconcile::METALLB;

/// Services that are told of one by one.
const TOLD: usize = 20;

pub(super) fn remarks(cluster: &Cluster, installation: Option<&Installation>) -> Vec<Remark> {
    let mut remarks = metallb(cluster, installation);
    if let Some(inventory) = &cluster.inventory {
        remarks.extend(configuration(inventory));
        let class = installation.and_then(|it| it.load_balancer_class.as_deref()).unwrap_or_default();
        remarks.extend(addresses(inventory, &LoadBalancerClass::from_flag(class)));
    }
    remarks
}

fn configuration(inventory: &Inventory) -> Vec<Remark> {
    let refusals = parse(&inventory.objects).refusals;
    let remark = |refusal: &ObjectRefusal| {
        let finding = validate::Finding::of_object(refusal);
        let level = match refusal.effect() {
            Effect::SetsAside => Level::NoGo,
            Effect::Dangling | Effect::Warning => Level::Note,
        };
        Remark::new(level, &finding.code, finding.object, finding.sentence, finding.fix)
    };
    refusals.iter().map(remark).collect()
}

/// Services that would not keep what they have.
fn addresses(inventory: &Inventory, class: &LoadBalancerClass) -> Vec<Remark> {
    let services = plan(inventory, class).services;
    let (mut remarks, mut others) = (Vec::new(), 0);
    for row in &services {
        let sentence = match row.change {
            Change::Keeps | Change::Gets | Change::Waits => continue,
            Change::Changes => {
                format!("it would get {} in place of {}", list(&row.addresses), list(&row.before))
            }
            Change::Loses => format!("it would lose {}", list(&row.before)),
        };
        if remarks.len() < TOLD {
            remarks.push(service(row, &sentence));
        } else {
            others += 1;
        }
    }
    if others > 0 {
        let sentence = format!("{others} more services would not keep their addresses");
        let fix = "`kubectl metallb plan --live` names all of them";
        remarks.push(Remark::new(Level::NoGo, "addresses-change", "Services", sentence, fix));
    }
    remarks
}

fn service(row: &Row, sentence: &str) -> Remark {
    let why = row.sentence.as_deref().unwrap_or("its pools do not have it");
    let fix = row.fix.as_deref().unwrap_or("add a pool that has it");
    let object = format!("Service {}/{}", row.namespace, row.name);
    Remark::new(Level::NoGo, "addresses-change", object, format!("{sentence}: {why}"), fix)
}

fn metallb(cluster: &Cluster, installation: Option<&Installation>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut is_there = false;
    for metallb in &cluster.metallbs {
        let text = |field: &str| metallb["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let object = format!("MetalLB {namespace}/{name}");
        if namespace != cluster.namespace || name != METALLB {
            let sentence = "it has no effect there, or by that name";
            let fix =
                format!("create it as {METALLB} in namespace {}, and delete this one", cluster.namespace);
            remarks.push(Remark::new(Level::Step, "metallb-misplaced", object, sentence, fix));
            continue;
        }
        is_there = true;
        let refusals = validate::metallb(metallb, Some(EXTERNAL_FRRK8S_NAMESPACE));
        remarks.extend(refusals.iter().map(|refusal| {
            let object = object.clone();
            Remark::new(Level::NoGo, refusal.code(), object, refusal.sentence(), refusal.fix())
        }));
        let theirs = installation.filter(|it| it.by != Installer::Ourselves);
        remarks.extend(theirs.into_iter().flat_map(|it| differences(metallb, &object, it)));
    }
    if !is_there {
        remarks.push(absent(cluster, installation));
    }
    remarks
}

fn absent(cluster: &Cluster, installation: Option<&Installation>) -> Remark {
    let mut spec = Vec::new();
    if let Some(installation) = installation {
        spec.push(format!("spec.bgpBackend {}", installation.bgp_backend));
        let class = installation.load_balancer_class.as_ref();
        spec.extend(class.map(|class| format!("spec.loadBalancerClass {class}")));
    }
    let with = if spec.is_empty() { String::new() } else { format!(" with {}", spec.join(" and ")) };
    Remark::new(
        Level::Step,
        "metallb-missing",
        format!("MetalLB {}/{METALLB}", cluster.namespace),
        "the operator installs nothing until there is one",
        format!("apply one{with} when the operator runs"),
    )
}

/// Where the resource asks for something else than what runs: sessions and classes would change with the take-over.
fn differences(metallb: &Value, object: &str, installation: &Installation) -> Vec<Remark> {
    let spec = &metallb["spec"];
    let wanted = spec["bgpBackend"].as_str().filter(|it| !it.is_empty()).unwrap_or("frr");
    let class = spec["loadBalancerClass"].as_str().filter(|it| !it.is_empty());
    let mut remarks = Vec::new();
    let runs = installation.bgp_backend;
    // That one is chosen to keep an frr-k8s.
    if wanted != runs && wanted != "frr-k8s-external" {
        remarks.push(Remark::new(
            Level::Step,
            "backend-differs",
            object,
            format!(
                "its bgpBackend is {wanted}, and {runs} runs: timers and attributes of BGP sessions would change"
            ),
            format!("set spec.bgpBackend to {runs} for the take-over"),
        ));
    }
    if class != installation.load_balancer_class.as_deref() {
        let runs = installation.load_balancer_class.as_deref().unwrap_or("none");
        remarks.push(Remark::new(
            Level::NoGo,
            "load-balancer-class-differs",
            object,
            format!(
                "its loadBalancerClass is {}, and that of what runs is {runs}",
                class.unwrap_or("not set")
            ),
            "make them equal, or services of the other class are let go of",
        ));
    }
    remarks
}
