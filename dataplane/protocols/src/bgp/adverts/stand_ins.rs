//! Routes that are announced in the name of another node, while its speaker restarts and it goes on forwarding: with its next
//! hop, beside our own routes to the same prefixes (RFC 7911). The router has them before the other's session ends, and when it
//! does, nothing about where packets go is different.
//!
//! Not here: who is stood in for (the brain decides that).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::IpNet;
use metallb_core::address::Family;
use metallb_core::names::NodeName;

use super::RouteAttributes;
use super::route::{NextHops, Outlook, Paths};
use super::table::Adverts;
use crate::bgp::wire::PathId;

/// What a router is told in the name of a node whose speaker restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InItsName {
    /// The node's address, as the next hop of its own routes has it.
    pub next_hop: Ipv4Addr,
    /// The routes that it announces to this router. Those to IPv6 prefixes are passed over: of IPv6 next hops routers prefer
    /// link-local ones, which only their node knows.
    pub routes: BTreeMap<IpNet, Arc<RouteAttributes>>,
}

/// All that is told to one router in the name of others.
#[derive(Debug, Default)]
pub struct StandIns {
    /// With their next hops. Those that nobody is stood in for any more are there until the router has heard it.
    nodes: BTreeMap<(NodeName, Ipv4Addr), Node>,
    /// The number that was given last.
    numbered: u32,
    /// The session that is up takes such routes.
    is_possible: bool,
}

#[derive(Debug)]
struct Node {
    path: PathId,
    adverts: Adverts,
}

impl StandIns {
    /// How our own routes are told from these.
    pub const OWN: PathId = PathId(1);

    /// Announces this in the name of these nodes, and nothing else in the name of others.
    pub fn set(&mut self, wanted: BTreeMap<NodeName, InItsName>) {
        let is_wanted = |(name, next_hop): &(NodeName, Ipv4Addr)| {
            wanted.get(name).is_some_and(|wanted| wanted.next_hop == *next_hop)
        };
        for (_, node) in self.nodes.iter_mut().filter(|(key, _)| !is_wanted(key)) {
            node.adverts.want_only(&BTreeMap::new());
        }
        for (name, InItsName { next_hop, routes }) in wanted {
            let node = self.nodes.entry((name, next_hop)).or_insert_with(|| {
                self.numbered = self.numbered.wrapping_add(1).max(Self::OWN.0 + 1);
                let mut adverts = Adverts::default();
                if self.is_possible {
                    adverts.begin(&[Family::V4].into());
                }
                Node { path: PathId(self.numbered), adverts }
            });
            let v4 = routes.into_iter().filter(|(prefix, _)| prefix.addr().is_ipv4());
            node.adverts.want_only(&v4.collect());
        }
        self.tidy();
    }

    /// A session came up that carries several routes to one prefix of these families.
    pub fn begin(&mut self, families: &BTreeSet<Family>) {
        self.is_possible = families.contains(&Family::V4);
        for node in self.nodes.values_mut().filter(|_| self.is_possible) {
            node.adverts.begin(&[Family::V4].into());
        }
    }

    /// The session went down.
    pub fn end(&mut self) {
        self.is_possible = false;
        for node in self.nodes.values_mut() {
            node.adverts.end();
        }
        self.tidy();
    }

    /// The router asks for all routes of `family` again.
    pub fn refresh(&mut self, family: Family) {
        for node in self.nodes.values_mut() {
            node.adverts.refresh(family, false);
        }
    }

    /// Is anybody stood in for, as far as the router knows?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Is there something to tell?
    pub fn has_message(&self) -> bool {
        self.nodes.values().any(|node| node.adverts.has_message())
    }

    /// The next message, which from now on counts as told. `own` is how our own routes look.
    pub fn next_message(&mut self, own: &Outlook) -> Option<Vec<u8>> {
        let message = self.nodes.iter_mut().find_map(|((_, next_hop), node)| {
            let outlook = Outlook {
                paths: Paths { v4: Some(node.path), v6: None },
                next_hops: NextHops { v4: Some(*next_hop), v6: None, link_local: None, over_ipv4: true },
                ..*own
            };
            node.adverts.next_message(&outlook)
        });
        self.tidy();
        message
    }

    /// Forgets those of whom nothing is wanted, and of whom the router knows nothing.
    fn tidy(&mut self) {
        self.nodes.retain(|_, node| node.adverts.wanted() > 0 || node.adverts.announced() > 0);
    }
}
