//! Which service gets, keeps, changes or loses which address, and why.

use std::net::IpAddr;

use metallb_core::config::Config;
use metallb_core::names::NodeName;
use metallb_core::refusal::Refusal;
use metallb_crds::cluster::service::LoadBalancerClass;
use metallb_crds::config::parse;
use serde::Serialize;

use super::allocation::{Allocation, settle_all};
use super::announcement::Announcements;
use super::inventory::Inventory;
use super::output::{Answer, table};
use super::validate::Finding;

/// What comes of all services.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    /// Objects of the configuration that are no part of it.
    pub set_aside: Vec<Finding>,
    /// Every load balancer of ours, in order.
    pub services: Vec<Row>,
}

/// What comes of one service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// The addresses that its status shows now.
    pub before: Vec<IpAddr>,
    /// The addresses it will have.
    pub addresses: Vec<IpAddr>,
    /// The pool they come from.
    pub pool: Option<String>,
    /// The node that announces the first of them on layer 2, if nodes are known and one can.
    pub owner: Option<String>,
    /// Why it has not all that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What happens to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It had no address and is given one.
    Gets,
    /// It keeps what it has.
    Keeps,
    /// It is given another one.
    Changes,
    /// It loses what it has, and is given nothing.
    Loses,
    /// It has none and gets none.
    Waits,
}

/// Settles all services of `inventory`.
pub(super) fn plan(inventory: &Inventory, class: &LoadBalancerClass) -> Plan {
    let parsed = parse(&inventory.objects);
    let allocations = settle_all(inventory, class, &parsed.config.pools);
    let set_aside = parsed.refusals.iter().filter(|refusal| refusal.effect().sets_aside());
    let set_aside = set_aside.map(Finding::of_object).collect();
    Plan { set_aside, services: rows(inventory, &parsed.config, class, allocations) }
}

fn rows(
    inventory: &Inventory,
    config: &Config,
    class: &LoadBalancerClass,
    allocations: Vec<Allocation>,
) -> Vec<Row> {
    let owners = Announcements::after(inventory, config, &allocations, class).owners();
    allocations
        .into_iter()
        .map(|allocation| {
            let owner = allocation.after.first().and_then(|address| owners.get(address));
            Row::of(allocation, owner)
        })
        .collect()
}

impl Row {
    fn of(allocation: Allocation, owner: Option<&NodeName>) -> Self {
        let change = allocation.change();
        let Allocation { service, before, after, pool, refusal } = allocation;
        Self {
            namespace: service.namespace.to_string(),
            name: service.name.to_string(),
            change,
            before,
            addresses: after,
            pool: pool.map(|pool| pool.to_string()),
            owner: owner.map(ToString::to_string),
            code: refusal.as_ref().map(|refusal| refusal.code().to_owned()),
            sentence: refusal.as_ref().map(Refusal::sentence),
            fix: refusal.as_ref().map(Refusal::fix),
        }
    }
}

impl Allocation {
    /// What happens to the service.
    pub(super) fn change(&self) -> Change {
        let same = self.before.len() == self.after.len()
            && self.before.iter().all(|address| self.after.contains(address));
        match (self.before.is_empty(), self.after.is_empty()) {
            (true, true) => Change::Waits,
            (true, false) => Change::Gets,
            (false, true) => Change::Loses,
            (false, false) if same => Change::Keeps,
            (false, false) => Change::Changes,
        }
    }
}

/// Addresses as a column shows them.
pub(super) fn list(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "-".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Answer for Plan {
    fn text(&self) -> String {
        let mut text = table(
            ["SET ASIDE", "WHY, AND WHAT TO DO"],
            self.set_aside
                .iter()
                .map(|finding| [finding.object.clone(), format!("{}; {}", finding.sentence, finding.fix)]),
        );
        if !text.is_empty() {
            text.push('\n');
        }
        let rows = self.services.iter().map(|row| {
            let why = match (&row.sentence, &row.fix) {
                (Some(sentence), Some(fix)) => format!("{sentence}; {fix}"),
                _ => String::new(),
            };
            [
                format!("{}/{}", row.namespace, row.name),
                format!("{:?}", row.change).to_lowercase(),
                list(&row.before),
                list(&row.addresses),
                row.pool.clone().unwrap_or_else(|| "-".to_owned()),
                row.owner.clone().unwrap_or_else(|| "-".to_owned()),
                why,
            ]
        });
        let headings =
            ["SERVICE", "CHANGE", "BEFORE", "AFTER", "POOL", "LAYER 2 FROM", "WHY NOT, AND WHAT TO DO"];
        let services = table(headings, rows);
        text.push_str(if services.is_empty() {
            "no service of type LoadBalancer is ours\n"
        } else {
            &services
        });
        text
    }
}
