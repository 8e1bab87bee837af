//! BGP in the name of nodes whose speakers restart: what they would announce is worked out from their point of view, and told to the
//! routers that are theirs and this node's. So no router has a reason to send packets elsewhere, though a session of it ends.
//!
//! Not here: whether such a node lives (the lane asks it), and whether a router takes such routes (the session knows).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;
use metallb_core::plan::{Node, RoutePlanner, Touched, World};
use metallb_protocols::liveness::Handover;

use super::succession::asked_at;
use crate::speaker::bgp::{self, StandIn};
use crate::speaker::lane::Predecessor;

/// A speaker that takes longer to restart is stood in for no longer. Routers that keep routes themselves wait as long
/// (RFC 4724, by the time that we ask for).
const LONGEST: Duration = Duration::from_mins(2);
/// What a speaker that is back has told routers, they take in first.
const SETTLING: Duration = Duration::from_secs(1);

/// The nodes that are stood in for.
#[derive(Debug, Default)]
pub struct StandIns {
    nodes: BTreeMap<NodeName, Restart>,
    /// What is announced is different from what was last decided.
    changed: bool,
}

#[derive(Debug)]
struct Restart {
    until: Instant,
    /// It has told routers itself.
    is_back: bool,
    /// As it was when its routes were last worked out.
    node: Option<Node>,
    /// `None`: that time is over.
    planner: Option<RoutePlanner>,
}

impl Restart {
    fn begin(&mut self, now: Instant, name: &NodeName) {
        tracing::info!(event = "routesStoodInFor", node = %name, "its speaker restarts: its routes are announced from here too");
        (self.until, self.is_back, self.node) = (now + LONGEST, false, None);
        self.planner = Some(RoutePlanner::new());
    }
}

impl StandIns {
    /// Speakers that restart say this of their routes.
    pub fn follow(&mut self, now: Instant, handovers: &BTreeMap<NodeName, Handover>) {
        for (name, restart) in &mut self.nodes {
            match handovers.get(name) {
                Some(Handover::Given) if restart.is_back => restart.begin(now, name),
                Some(Handover::Given) => {}
                Some(Handover::TakenBack) => {
                    restart.is_back = true;
                    restart.until = restart.until.min(now + SETTLING);
                }
                None => restart.until = now,
            }
        }
        self.pass_time(now);
        // One that took too long is remembered: it is not stood in for again because of the same word.
        self.nodes.retain(|name, restart| restart.planner.is_some() || handovers.contains_key(name));
        for (name, _) in handovers.iter().filter(|(_, handover)| **handover == Handover::Given) {
            if !self.nodes.contains_key(name) {
                let mut restart = Restart { until: now, is_back: false, node: None, planner: None };
                restart.begin(now, name);
                self.nodes.insert(name.clone(), restart);
            }
        }
    }

    /// Is nobody stood in for, and nothing to be taken back?
    pub fn is_idle(&self) -> bool {
        !self.changed && self.nodes.values().all(|restart| restart.planner.is_none())
    }

    fn pass_time(&mut self, now: Instant) {
        for (name, restart) in self.nodes.iter_mut().filter(|(_, restart)| restart.until <= now) {
            if restart.planner.take().is_some() {
                tracing::info!(event = "routesGivenBack", node = %name, "nothing is announced in its name any more");
                self.changed = true;
            }
        }
    }

    /// When [`Self::decide`] is due though nothing has changed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let active = self.nodes.values().filter(|restart| restart.planner.is_some());
        active.map(|restart| restart.until).min()
    }

    /// All that is announced in the name of others, if that is different now.
    pub fn decide(&mut self, now: Instant, world: &mut World, touched: &Touched) -> Option<bgp::StandIns> {
        self.pass_time(now);
        if self.is_idle() {
            return None;
        }
        let own = world.node().clone();
        for (name, Restart { node, planner, .. }) in &mut self.nodes {
            let Some(planner) = planner else { continue };
            let is_other = world.node_of(name) != node.as_ref();
            *node = world.node_of(name).cloned();
            world.set_own_node(name.clone());
            let changes = planner.replan(world, if is_other { &Touched::Everything } else { touched });
            self.changed |= is_other || !changes.peers.is_empty();
        }
        world.set_own_node(own);
        std::mem::take(&mut self.changed).then(|| {
            let stand_in = |(name, restart): (&NodeName, &Restart)| {
                let addresses = &restart.node.as_ref()?.addresses;
                let next_hop = addresses.iter().find_map(|address| match address {
                    IpAddr::V4(address) => Some(*address),
                    IpAddr::V6(_) => None,
                })?;
                let routes = restart.planner.as_ref()?.routes().clone();
                Some((name.clone(), StandIn { next_hop, routes }))
            };
            self.nodes.iter().filter_map(stand_in).collect()
        })
    }

    /// Those whose speaker is silent: they are asked whether they live.
    pub fn absent(&self, world: &World) -> BTreeSet<Predecessor> {
        let active = self.nodes.iter().filter(|(_, restart)| restart.planner.is_some());
        let silent = active.filter(|(node, _)| !world.has_speaker(node));
        silent
            .filter_map(|(node, _)| Some(Predecessor { node: node.clone(), address: asked_at(world, node)? }))
            .collect()
    }
}
