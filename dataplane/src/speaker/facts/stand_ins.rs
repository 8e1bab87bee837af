//! BGP in the name of nodes whose speakers restart: what they would announce is worked out from their point of view, and told to the
//! routers that are theirs and this node's. So no router has a reason to send packets elsewhere, though a session of it ends.
//!
//! Not here: whether such a node lives (the lane asks it), and whether a router takes such routes (the session knows).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::config::Peer;
use metallb_core::names::{NodeName, PeerName};
use metallb_core::plan::{Departure, Node, RoutePlanner, Touched, World};
use metallb_protocols::liveness::{Handover, NodeId};

use super::succession::asked_at;
use crate::speaker::bgp::{self, StandIn};
use crate::speaker::lane::{Predecessor, Routes};

/// A speaker that takes longer to restart is stood in for no longer. Routers that keep routes themselves wait as long
/// (RFC 4724, by the time that we ask for).
const LONGEST: Duration = Duration::from_mins(2);
/// What a speaker that is back has told routers, they take in first.
const SETTLING: Duration = Duration::from_secs(1);
/// So many of the nodes that share a router with it announce a node's routes to that router: one of them may go, too.
const STAND_INS: usize = 2;

/// The nodes that are stood in for.
#[derive(Debug, Default)]
pub struct StandIns {
    nodes: BTreeMap<NodeName, Restart>,
    /// What is announced is different from what was last decided.
    changed: bool,
}

#[derive(Debug)]
struct Restart {
    /// The life that ends, by its boot id.
    life: u64,
    until: Instant,
    /// It is over, and remembered so that it does not begin again because of the same word.
    is_over: bool,
    /// The node, as it was when its routes were last worked out.
    node: Option<Node>,
    /// Those of its peers that hear them from here.
    peers: BTreeSet<PeerName>,
    /// `None` where that is nobody.
    planner: Option<RoutePlanner>,
}

impl Restart {
    fn new(life: u64, now: Instant) -> Self {
        let until = now + LONGEST;
        Self { life, until, is_over: false, node: None, peers: BTreeSet::new(), planner: None }
    }
}

impl StandIns {
    /// Speakers that restart say this of their routes.
    pub fn follow(&mut self, now: Instant, handovers: &BTreeMap<NodeName, Routes>) {
        for (name, restart) in &mut self.nodes {
            match handovers.get(name).map(|routes| routes.handover) {
                Some(Handover::Given) => {}
                Some(Handover::TakenBack) => restart.until = restart.until.min(now + SETTLING),
                None => restart.until = now,
            }
        }
        self.pass_time(now);
        self.nodes.retain(|name, restart| !restart.is_over || handovers.contains_key(name));
        for (name, Routes { boot_id, .. }) in
            handovers.iter().filter(|(_, routes)| routes.handover == Handover::Given)
        {
            let known = self.nodes.entry(name.clone()).or_insert_with(|| Restart::new(*boot_id, now));
            if known.life != *boot_id {
                self.changed |= known.planner.is_some();
                *known = Restart::new(*boot_id, now);
            }
        }
    }

    /// What time alone brings about.
    pub fn pass_time(&mut self, now: Instant) {
        for (name, restart) in self.nodes.iter_mut().filter(|(_, restart)| restart.until <= now) {
            restart.is_over = true;
            if restart.planner.take().is_some() {
                tracing::info!(event = "routesGivenBack", node = %name, "nothing is announced in its name any more");
                self.changed = true;
            }
        }
    }

    /// Is nobody stood in for, and nothing to be taken back?
    pub fn is_idle(&self) -> bool {
        !self.changed && self.active().next().is_none()
    }

    fn active(&self) -> impl Iterator<Item = (&NodeName, &Restart)> {
        self.nodes.iter().filter(|(_, restart)| !restart.is_over)
    }

    /// When [`Self::pass_time`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.active().map(|(_, restart)| restart.until).min()
    }

    /// All that is announced in the name of others, if that is different now.
    pub fn decide(&mut self, world: &mut World, touched: &Touched) -> Option<bgp::StandIns> {
        if self.is_idle() {
            return None;
        }
        let (own, departure) = (world.node().clone(), world.departure());
        for (name, restart) in self.nodes.iter_mut().filter(|(_, restart)| !restart.is_over) {
            let peers = shared_peers(world, name, &restart.peers);
            self.changed |= peers != restart.peers;
            restart.peers = peers;
            if restart.peers.is_empty() {
                restart.planner = None;
                continue;
            }
            let is_same = restart.planner.is_some() && world.node_of(name) == restart.node.as_ref();
            restart.node = world.node_of(name).cloned();
            let planner = restart.planner.get_or_insert_with(|| {
                tracing::info!(event = "routesStoodInFor", node = %name, "its speaker restarts: its routes are announced from here too");
                RoutePlanner::new()
            });
            world.set_own_node(name.clone());
            world.set_departure(Departure::Staying);
            let changes = planner.replan(world, if is_same { touched } else { &Touched::Everything });
            world.set_own_node(own.clone());
            self.changed |= !is_same || !changes.peers.is_empty();
        }
        world.set_departure(departure);
        std::mem::take(&mut self.changed).then(|| {
            let all = self.active();
            all.filter_map(|(name, restart)| Some((name.clone(), stand_in(restart)?))).collect()
        })
    }

    /// Those of whom this node announces routes, and whose speaker is silent: they are asked whether they live. Not by all nodes that
    /// heard of it, which would be a thousand.
    pub fn absent(&self, world: &World) -> BTreeSet<Predecessor> {
        let announced = self.active().filter(|(_, restart)| restart.planner.is_some());
        let silent = announced.filter(|(node, _)| !world.has_speaker(node));
        silent
            .filter_map(|(node, _)| Some(Predecessor { node: node.clone(), address: asked_at(world, node)? }))
            .collect()
    }
}

/// What is announced in the name of a node; `None` for one without an IPv4 address.
fn stand_in(restart: &Restart) -> Option<StandIn> {
    let next_hop = restart.node.as_ref()?.addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })?;
    let routes = restart.planner.as_ref()?.routes().iter().filter(|(peer, _)| restart.peers.contains(*peer));
    Some(StandIn { next_hop, routes: routes.map(|(peer, routes)| (peer.clone(), routes.clone())).collect() })
}

/// The peers of `absent` that hear its routes from this node: those that are this node's too, where no more than one other node is
/// nearer to it on the ring of all that have a speaker and that peer; and those that heard them before: a nearer node whose speaker
/// started since knows nothing of it.
fn shared_peers(world: &World, absent: &NodeName, before: &BTreeSet<PeerName>) -> BTreeSet<PeerName> {
    let start = NodeId::from(absent).0;
    let distance = |node: &NodeName| NodeId::from(node).0.wrapping_sub(start);
    let own = distance(world.node());
    let has =
        |node: &NodeName, peer: &Peer| world.node_of(node).is_some_and(|node| peer.covers_node(&node.labels));
    let is_nearer = |node: &NodeName| node != absent && distance(node) < own && world.has_speaker(node);
    let peers = world.config().peers.iter().filter(|(name, peer)| {
        let nearer = world.nodes().filter(|node| is_nearer(node) && has(node, peer));
        let is_near = before.contains(*name) || nearer.count() < STAND_INS;
        is_near && has(world.node(), peer) && has(absent, peer)
    });
    peers.map(|(name, _)| name.clone()).collect()
}
