//! The whole story of one service.

use std::fmt::Write as _;
use std::net::IpAddr;

use anyhow::Context as _;
use metallb_core::names::ServiceKey;
use metallb_core::refusal::Refusal;
use metallb_crds::cluster::service::{LoadBalancerClass, key};
use metallb_crds::config::parse;
use serde::Serialize;

use super::allocation::settle_all;
use super::announcement::{Announcements, Verdicts};
use super::inventory::Inventory;
use super::output::{Answer, table};
use super::plan::list;

/// The story of a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Story {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The addresses its status shows.
    pub addresses: Vec<IpAddr>,
    /// The addresses it should have, by the rules and what is there now.
    pub expected: Vec<IpAddr>,
    /// The pool they come from.
    pub pool: Option<String>,
    /// Why it has not all that it asks for.
    pub refusal: Option<Why>,
    /// For each of its addresses, what each node does.
    pub layer2: Vec<OnLayer2>,
    /// For each of its addresses, to which BGP peers each node announces it; empty without any BGPAdvertisement.
    pub bgp: Vec<OverBgp>,
    /// What speakers have written: the node that says it announces the service on layer 2.
    pub reported_nodes: Vec<String>,
}

/// A refusal, said in full.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Why {
    /// Its code.
    pub code: String,
    /// What is the case.
    pub sentence: String,
    /// What to do about it.
    pub fix: String,
}

/// An address on layer 2.
#[derive(Debug, Serialize)]
pub(super) struct OnLayer2 {
    /// The address.
    pub address: IpAddr,
    /// The node that announces it: as speakers report, or else by the rules.
    pub owner: Option<String>,
    /// The node that the rules name, by what is there now.
    pub by_rules: Option<String>,
    /// What each node does about it.
    pub nodes: Vec<OnNode>,
    /// What speakers report otherwise than the rules say.
    #[serde(skip)]
    difference: Option<String>,
}

/// An address over BGP.
#[derive(Debug, Serialize)]
pub(super) struct OverBgp {
    /// The address.
    pub address: IpAddr,
    /// What each node does about it.
    pub nodes: Vec<FromNode>,
}

/// What a node tells its BGP peers about an address.
#[derive(Debug, Serialize)]
pub(super) struct FromNode {
    /// The node.
    pub node: String,
    /// The peers that it announces the address to.
    pub peers: Vec<String>,
    /// Why it announces it to none; absent where it does.
    pub refusal: Option<Why>,
}

/// What a node does about an address.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct OnNode {
    /// The node.
    pub node: String,
    /// Why it does not announce the address for the service, or, of an owner that the rules do not name, why it should not; absent
    /// where it announces it.
    pub refusal: Option<Why>,
}

impl Why {
    pub(super) fn of(refusal: &impl Refusal) -> Self {
        Self { code: refusal.code().to_owned(), sentence: refusal.sentence(), fix: refusal.fix() }
    }
}

/// Tells the story of `service`, a `NAMESPACE/NAME` or a name in the namespace `default`.
pub(super) fn service(
    inventory: &Inventory,
    service: &str,
    class: &LoadBalancerClass,
) -> anyhow::Result<Story> {
    let (namespace, name) = service.split_once('/').unwrap_or(("default", service));
    let wanted = ServiceKey::new(namespace, name);
    anyhow::ensure!(
        inventory.services.iter().any(|service| key(service) == wanted),
        "there is no Service {wanted}"
    );
    let parsed = parse(&inventory.objects);
    let allocations = settle_all(inventory, class, &parsed.config.pools);
    let allocation =
        allocations.iter().find(|allocation| allocation.service == wanted).with_context(|| {
            format!(
                "Service {wanted} is none of MetalLB's: it is not of type LoadBalancer, or of another class"
            )
        })?;
    let announcements = Announcements::after(inventory, &parsed.config, &allocations, class);
    let layer2 =
        allocation.after.iter().map(|address| on_layer2(&announcements, *address, &wanted)).collect();
    let bgp = allocation.after.iter().filter_map(|address| over_bgp(&announcements, *address, &wanted));
    let bgp = bgp.collect();
    Ok(Story {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        addresses: allocation.before.clone(),
        expected: allocation.after.clone(),
        pool: allocation.pool.as_ref().map(ToString::to_string),
        refusal: allocation.refusal.as_ref().map(Why::of),
        layer2,
        bgp,
        reported_nodes: inventory.announcers_of(&wanted),
    })
}

fn on_layer2(announcements: &Announcements<'_>, address: IpAddr, service: &ServiceKey) -> OnLayer2 {
    let Verdicts { owner, by_node } = announcements.verdicts(address);
    let nodes = by_node.iter().map(|(node, services)| {
        let refusal = services.get(service).and_then(|verdict| verdict.as_ref().err()).map(Why::of);
        OnNode { node: node.to_string(), refusal }
    });
    OnLayer2 {
        address,
        nodes: nodes.collect(),
        difference: owner.difference(),
        owner: owner.node.map(|node| node.to_string()),
        by_rules: owner.by_rules.map(|node| node.to_string()),
    }
}

fn over_bgp(announcements: &Announcements<'_>, address: IpAddr, service: &ServiceKey) -> Option<OverBgp> {
    let nodes = announcements.routes(address, service).into_iter().map(|(node, heard)| FromNode {
        node: node.to_string(),
        refusal: heard.as_ref().err().map(Why::of),
        peers: heard.iter().flatten().map(ToString::to_string).collect(),
    });
    let nodes: Vec<_> = nodes.collect();
    (!nodes.is_empty()).then_some(OverBgp { address, nodes })
}

impl Answer for Story {
    fn text(&self) -> String {
        let mut text = format!("Service {}/{}\n", self.namespace, self.name);
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "  {label:<12} {value}"); // into a String: cannot fail
        };
        line("address", &list(&self.addresses));
        if self.expected != self.addresses {
            line("should have", &list(&self.expected));
        }
        if let Some(pool) = &self.pool {
            line("pool", pool);
        }
        if let Some(why) = &self.refusal {
            line("because", &format!("{} ({})", why.sentence, why.code));
            line("fix", &why.fix);
        }
        if !self.reported_nodes.is_empty() {
            line("reported by", &self.reported_nodes.join(", "));
        }
        for layer2 in &self.layer2 {
            let by = layer2.owner.clone().unwrap_or_else(|| "no node".to_owned());
            let but = layer2.difference.as_ref().map(|said| format!(" ({said})")).unwrap_or_default();
            line("layer 2", &format!("{} is announced by {by}{but}", layer2.address));
        }
        for layer2 in &self.layer2 {
            let rows = layer2.nodes.iter().map(|on| {
                let said = match &on.refusal {
                    None => "announces it".to_owned(),
                    Some(why) => format!("{}; {}", why.sentence, why.fix),
                };
                [on.node.clone(), said]
            });
            text.push('\n');
            text.push_str(&table(["NODE", &layer2.address.to_string()], rows));
        }
        for bgp in &self.bgp {
            let rows = bgp.nodes.iter().map(|from| {
                let said = match &from.refusal {
                    None => format!("announces it to {}", from.peers.join(", ")),
                    Some(why) => format!("{}; {}", why.sentence, why.fix),
                };
                [from.node.clone(), said]
            });
            text.push('\n');
            text.push_str(&table(["NODE", &format!("{} BY BGP", bgp.address)], rows));
        }
        text
    }
}
