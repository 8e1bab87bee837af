//! Which node announces each address on layer 2, since when, who follows, and why the others do not.
//!
//! The owner is who speakers report (`ServiceL2Status`); what the rules say stands beside it, so that a difference shows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use k8s_openapi::jiff::Timestamp;
use metallb_core::names::ServiceKey;
use metallb_crds::AddressConflict;
use metallb_crds::cluster::service::LoadBalancerClass;
use metallb_crds::config::parse;
use serde::Serialize;

use super::allocation::{Allocation, settle_all};
use super::announcement::{Announcements, Verdicts};
use super::explain::{OnNode, Why};
use super::inventory::Inventory;
use super::output::{Answer, age, or_dash, table};
use super::reports::Reported;

/// Who announces what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owners {
    /// What speakers report is what the rules say.
    pub settled: bool,
    /// By address.
    pub addresses: Vec<Row>,
    /// What times are told from.
    #[serde(skip)]
    now: Timestamp,
    /// Is the status of the process the verdict?
    #[serde(skip)]
    pub check: bool,
}

/// An address.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// The address.
    pub address: IpAddr,
    /// The services that have it.
    pub services: Vec<String>,
    /// The node that announces it: as speakers report, or else by the rules.
    pub owner: Option<String>,
    /// The node that the rules name, by what is there now.
    pub by_rules: Option<String>,
    /// Where ownership is sticky, since which epoch, as the owner reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// The nodes that say they announce it. One, if all is well; none, where speakers only tell of the first address of a service.
    pub reported: Vec<Reported>,
    /// Stations outside the cluster that have it too, as the owner reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<AddressConflict>,
    /// The nodes that may announce it, in the order in which they would; the first is the one that the rules name.
    pub candidates: Vec<String>,
    /// Why the other nodes do not announce it. Only told of an address that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OnNode>,
    /// Do speakers say what the rules say?
    #[serde(skip)]
    is_settled: bool,
    /// What they say otherwise.
    #[serde(skip)]
    difference: Option<String>,
}

/// The owners of all addresses, or of `address` alone.
pub(super) fn owners(
    inventory: &Inventory,
    address: Option<IpAddr>,
    class: &LoadBalancerClass,
    now: Timestamp,
) -> anyhow::Result<Owners> {
    let parsed = parse(&inventory.objects);
    let allocations = settle_all(inventory, class, &parsed.config.pools);
    let announcements = Announcements::after(inventory, &parsed.config, &allocations, class);
    let services = services(&allocations);
    let mut rows: Vec<Row> = Vec::new();
    let candidates = announcements.candidates();
    for (its, candidates) in candidates.into_iter().filter(|(its, _)| address.is_none_or(|only| only == *its))
    {
        let owner = announcements.owner(its, candidates.first().cloned());
        rows.push(Row {
            address: its,
            services: services.get(&its).into_iter().flatten().map(ToString::to_string).collect(),
            epoch: owner.report().and_then(|report| report.epoch),
            conflicts: conflicts(inventory, its),
            candidates: candidates.iter().map(ToString::to_string).collect(),
            others: address.map(|_| others(&announcements, its)).unwrap_or_default(),
            is_settled: owner.is_settled(),
            difference: owner.difference(),
            owner: owner.node.map(|node| node.to_string()),
            by_rules: owner.by_rules.map(|node| node.to_string()),
            reported: owner.reported,
        });
    }
    if let Some(address) = address {
        ensure!(!rows.is_empty(), "no service of type LoadBalancer has the address {address}");
    }
    let settled = !inventory.is_live() || rows.iter().all(|row| row.is_settled);
    Ok(Owners { settled, addresses: rows, now, check: false })
}

/// Reads the address that is asked for.
pub(super) fn address(text: &str) -> anyhow::Result<IpAddr> {
    metallb_core::address::parse_address(text)
        .with_context(|| format!("{text:?} is not an IP address; name one as `kubectl get service` shows it"))
}

fn services(allocations: &[Allocation]) -> BTreeMap<IpAddr, BTreeSet<&ServiceKey>> {
    let mut services: BTreeMap<IpAddr, BTreeSet<&ServiceKey>> = BTreeMap::new();
    for allocation in allocations {
        for address in &allocation.after {
            services.entry(*address).or_default().insert(&allocation.service);
        }
    }
    services
}

fn conflicts(inventory: &Inventory, address: IpAddr) -> Vec<AddressConflict> {
    let statuses = inventory.l2_statuses.iter().filter_map(|object| object.status.as_ref());
    let all = statuses.flat_map(|status| &status.conflicts);
    let its: BTreeSet<_> = all.filter(|conflict| conflict.address == address.to_string()).collect();
    its.into_iter().cloned().collect()
}

fn others(announcements: &Announcements<'_>, address: IpAddr) -> Vec<OnNode> {
    let Verdicts { owner, by_node } = announcements.verdicts(address);
    let others = by_node.into_iter().filter(|(node, _)| Some(node) != owner.node.as_ref());
    let refused = others.filter_map(|(node, services)| {
        let refusal = services.into_values().find_map(Result::err)?;
        Some(OnNode { node: node.to_string(), refusal: Some(Why::of(&refusal)) })
    });
    refused.collect()
}

impl Row {
    fn since(&self, now: Timestamp) -> String {
        let reported = self.reported.iter().find(|reported| Some(&reported.node) == self.owner.as_ref());
        or_dash(reported.and_then(|reported| reported.since).map(|since| age(since, now)))
    }

    fn note(&self) -> String {
        let mut said: Vec<String> = self.difference.iter().cloned().collect();
        for AddressConflict { hardware_address, interface, .. } in &self.conflicts {
            let on = interface.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
            said.push(format!("station {hardware_address}{on} has it too"));
        }
        said.join("; ")
    }
}

impl Answer for Owners {
    fn text(&self) -> String {
        let rows = self.addresses.iter().map(|row| {
            [
                row.address.to_string(),
                or_dash(row.owner.clone()),
                row.since(self.now),
                or_dash(row.candidates.iter().find(|node| Some(*node) != row.owner.as_ref()).cloned()),
                row.services.join(","),
                row.note(),
            ]
        });
        let text = table(["ADDRESS", "OWNER", "SINCE", "NEXT", "SERVICES", "NOTE"], rows);
        self.with_others(text)
    }

    fn wide(&self) -> String {
        let rows = self.addresses.iter().map(|row| {
            [
                row.address.to_string(),
                or_dash(row.owner.clone()),
                or_dash(row.epoch.map(|epoch| epoch.to_string())),
                row.since(self.now),
                row.services.join(","),
                or_dash(Some(row.candidates.join(","))),
                row.note(),
            ]
        });
        let text = table(["ADDRESS", "OWNER", "EPOCH", "SINCE", "SERVICES", "CANDIDATES", "NOTE"], rows);
        self.with_others(text)
    }

    fn exit(&self) -> ExitCode {
        if self.settled || !self.check { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Owners {
    fn with_others(&self, mut text: String) -> String {
        if text.is_empty() {
            return "no service of type LoadBalancer has an address, or there is no Node\n".to_owned();
        }
        for row in self.addresses.iter().filter(|row| !row.others.is_empty()) {
            let others = row.others.iter().map(|other| {
                let why = other.refusal.as_ref();
                [other.node.clone(), or_dash(why.map(|why| format!("{}; {}", why.sentence, why.fix)))]
            });
            text.push('\n');
            text.push_str(&table(["NODE", "WHY NOT, AND WHAT TO DO"], others));
        }
        text
    }
}

#[cfg(test)]
mod tests;
