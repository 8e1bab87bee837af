//! What speakers report of addresses on layer 2 (`ServiceL2Status`), and whom that makes the owner of each.
//!
//! Not here: whom the rules name ([`super::announcement`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::jiff::Timestamp;
use metallb_core::address::parse_address;
use metallb_core::names::{NodeName, ServiceKey};
use metallb_crds::{Ownership, ServiceL2Status};
use serde::Serialize;

use super::allocation::Allocation;
use super::inventory::Inventory;

/// By address, the nodes that say they announce it.
#[derive(Debug)]
pub(super) struct Reports<'i> {
    inventory: &'i Inventory,
    /// Addresses that every speaker reports, upstream's too.
    expected: BTreeSet<IpAddr>,
    by_address: BTreeMap<IpAddr, BTreeMap<NodeName, Reported>>,
}

/// A node that says it announces an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reported {
    /// The node.
    pub node: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Since which epoch, where ownership is sticky. Of two addresses of a service on one node only that of the first is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// By which rule the node has it.
    #[serde(skip)]
    ownership: Ownership,
}

/// Who announces an address.
#[derive(Debug)]
pub(super) struct Owner {
    /// The node that reports it, of several the one that took it last; where none does, the one that the rules name.
    pub node: Option<NodeName>,
    /// The node that the rules name, by what is there now.
    pub by_rules: Option<NodeName>,
    /// The nodes that report it. One, if all is well.
    pub reported: Vec<Reported>,
    /// No node does, and it is one that every speaker would report.
    is_unheard_of: bool,
}

impl<'i> Reports<'i> {
    /// Those of services as they are before anything changes.
    pub(super) fn of(inventory: &'i Inventory, allocations: &[Allocation]) -> Self {
        let known: BTreeMap<_, _> = allocations.iter().map(|it| (&it.service, &it.before[..])).collect();
        let mut by_address: BTreeMap<IpAddr, BTreeMap<NodeName, Reported>> = BTreeMap::new();
        for (address, report) in inventory.l2_statuses.iter().flat_map(|object| said(object, &known)) {
            let by_node = by_address.entry(address).or_default();
            let node = report.node.as_str().into();
            by_node.entry(node).and_modify(|known| known.join(&report)).or_insert(report);
        }
        let expected = known.values().filter_map(|addresses| addresses.first().copied()).collect();
        Self { inventory, expected, by_address }
    }

    /// Whom the rules name for an address is `by_rules`; who announces it?
    pub(super) fn owner(&self, address: IpAddr, by_rules: Option<NodeName>) -> Owner {
        let reported = self.by_address.get(&address);
        let latest = self.latest(reported.into_iter().flatten(), by_rules.as_ref());
        Owner {
            node: latest.or(by_rules.as_ref()).cloned(),
            by_rules,
            is_unheard_of: reported.is_none() && self.inventory.is_live() && self.expected.contains(&address),
            reported: reported.into_iter().flat_map(BTreeMap::values).cloned().collect(),
        }
    }

    /// Where ownership is sticky, who has which address: whoever has it keeps it.
    pub(super) fn holders(&self) -> impl Iterator<Item = (IpAddr, &NodeName)> {
        self.by_address.iter().filter_map(|(address, reported)| {
            let sticky = reported.iter().filter(|(_, report)| report.ownership == Ownership::Sticky);
            Some((*address, self.latest(sticky, None)?))
        })
    }

    /// Of several nodes the one that took it last. What a dead node said stays until another one removes it.
    fn latest<'r>(
        &self,
        reported: impl Iterator<Item = (&'r NodeName, &'r Reported)>,
        by_rules: Option<&NodeName>,
    ) -> Option<&'r NodeName> {
        let runs =
            |node: &NodeName| self.inventory.speakers.as_ref().is_some_and(|running| running.contains(node));
        let order = |(node, report): &(&NodeName, &Reported)| {
            (runs(node), report.epoch, report.since, Some(*node) == by_rules)
        };
        reported.max_by_key(order).map(|(node, _)| node)
    }
}

/// What a speaker says of addresses that the service has. It writes an object of its own for each service that it takes over.
fn said(object: &ServiceL2Status, known: &BTreeMap<&ServiceKey, &[IpAddr]>) -> Vec<(IpAddr, Reported)> {
    let Some(status) = &object.status else { return Vec::new() };
    let (Some(node), Some(name), Some(namespace)) =
        (&status.node, &status.service_name, &status.service_namespace)
    else {
        return Vec::new();
    };
    let has = known.get(&ServiceKey::new(namespace.as_str(), name.as_str())).copied().unwrap_or_default();
    // Speakers that name none, such as upstream's, speak of the first.
    let of_first = has.first().copied().into_iter().filter(|_| status.addresses.is_empty());
    let named = status.addresses.iter().filter_map(|address| parse_address(address)).chain(of_first);
    let report = |position| Reported {
        node: node.clone(),
        since: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
        epoch: status.epoch.filter(|_| position == 0),
        ownership: status.epoch.map_or(Ownership::Hash, |_| Ownership::Sticky),
    };
    let all = named.enumerate().map(|(position, address)| (address, report(position)));
    // What the service had once may be another's by now.
    all.filter(|(address, _)| has.contains(address)).collect()
}

impl Reported {
    /// It reports the address for another service too: the two share it.
    fn join(&mut self, other: &Self) {
        self.since = self.since.into_iter().chain(other.since).min();
        self.epoch = self.epoch.max(other.epoch);
        if other.ownership == Ownership::Sticky {
            self.ownership = Ownership::Sticky;
        }
    }
}

impl Owner {
    /// Do speakers say what the rules say? Not all addresses are reported: speakers of upstream do not tell of the second of a
    /// service.
    pub(super) fn is_settled(&self) -> bool {
        match &self.reported[..] {
            [] => true,
            [one] => self.by_rules.as_ref().is_some_and(|node| node.as_str() == one.node),
            [..] => false,
        }
    }

    /// What the owner reports itself.
    pub(super) fn report(&self) -> Option<&Reported> {
        let node = self.node.as_ref()?;
        self.reported.iter().find(|report| report.node == node.as_str())
    }

    /// What speakers report otherwise than the rules say; `None` if nothing.
    pub(super) fn difference(&self) -> Option<String> {
        if self.is_settled() {
            let is_missed = self.is_unheard_of && self.by_rules.is_some();
            return is_missed.then(|| "no node reports it".to_owned());
        }
        let nodes: Vec<&str> = self.reported.iter().map(|reported| reported.node.as_str()).collect();
        let said = format!("reported by {}", nodes.join(" and "));
        if self.node == self.by_rules {
            return Some(said);
        }
        let other = self.by_rules.as_ref().map_or("no node", NodeName::as_str);
        Some(format!("{said}; by the rules {other} would announce it"))
    }
}
