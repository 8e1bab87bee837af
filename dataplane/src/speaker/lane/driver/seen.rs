//! Speakers that are seen and not heard: what is made of it, and who counts as alive because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use metallb_core::names::NodeName;
use metallb_core::plan::Speakers;
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{Handover, Tenure};
use metallb_protocols::sighting;

use super::super::members::Members;
use super::super::responder::Heard;
use super::super::{Membership, Routes};
use super::Driver;

impl Driver {
    /// A node that this one stands in for is asked at that address: does its speaker answer for one that it had?
    pub(super) fn look_for_its_speaker(&self, asked_at: IpAddr) {
        if let Some(address) = self.tables.inherited_at(asked_at) {
            self.responders.probe(&self.tables, address);
        }
    }

    /// Whether it shows the speaker of a node of which no heartbeat is heard.
    pub(super) fn sight(&mut self, now: Instant, heard: &Heard) {
        let input = match heard {
            Heard::Answered { address, station, .. } => {
                sighting::Input::Answered { address: *address, station: *station }
            }
            Heard::Contested { interface, address, by, from } if by == from => {
                let stood_in_for = self.succession.predecessor(&self.tables, *address, *interface, *by);
                let Some(node) = stood_in_for.or_else(|| self.conflicts.node_of(*by)) else { return };
                if !matches!(&self.heard, Some(Speakers::Alive(nodes)) if !nodes.contains(node))
                    || self.tables.upstream.contains(node)
                {
                    return;
                }
                let is_here = self.has(*address);
                sighting::Input::Seen { node, address: *address, station: *by, is_here }
            }
            Heard::Contested { .. } | Heard::Given { .. } => return, // somebody speaks in another's name
        };
        self.sightings.handle_input(now, input);
    }

    pub(super) fn settle_sightings(&mut self) {
        let mut changed = false;
        while let Some(output) = self.sightings.poll_output() {
            match output {
                sighting::Output::Ask(address) => self.responders.ask(address),
                sighting::Output::Appeared(node) => {
                    tracing::warn!(
                        event = "speakerSeen", %node,
                        "no heartbeat of it is heard, and it answers for its addresses: they stay there; is UDP between the nodes blocked?"
                    );
                    changed = true;
                }
                sighting::Output::Disputes(node) => {
                    tracing::warn!(
                        event = "addressDisputed", %node,
                        "no heartbeat of it is heard, and it has an address of this node too: until it is heard, the rule decides \
                         who has which"
                    );
                    changed = true;
                }
                sighting::Output::Vanished(node) => {
                    tracing::info!(event = "speakerVanished", %node, "it does not answer either any more");
                    changed = true;
                }
            }
        }
        if changed {
            self.tell_membership(None, None);
        }
    }

    /// A speaker says this of its routes.
    pub(super) fn note_routes(&mut self, now: Instant, node: NodeName, routes: Routes) {
        if !self.shared.membership.borrow().handovers.contains_key(&node) {
            self.succession.ask_again(now, &self.tables, &node);
        }
        self.shared.membership.send_if_modified(|Membership { handovers, .. }| {
            // What was never given needs no taking back, as after each first start; and Nodes come and go.
            if routes.handover == Handover::TakenBack && !handovers.contains_key(&node) {
                return false;
            }
            handovers.retain(|known, _| self.tables.nodes.values().any(|node| node == known));
            handovers.insert(node, routes) != Some(routes)
        });
    }

    /// The node does not live, or its speaker does not come back in time.
    pub(super) fn forget_routes(&self, node: &NodeName) {
        self.shared
            .membership
            .send_if_modified(|Membership { handovers, .. }| handovers.remove(node).is_some());
    }

    /// Who is heard, who is seen, and who is upstream's; and what else is new.
    pub(super) fn tell_membership(
        &self,
        tenures: Option<SharedMap<IpAddr, Tenure>>,
        lost: Option<BTreeMap<NodeName, BTreeSet<IpNet>>>,
    ) {
        let speakers = match &self.heard {
            Some(Speakers::Alive(heard)) => {
                let others = self.sightings.nodes().chain(&*self.tables.upstream);
                Some(Speakers::Alive(heard.iter().chain(others).cloned().collect()))
            }
            Some(Speakers::EveryNode) => Some(Speakers::EveryNode),
            None => None,
        };
        let members = self.members.as_ref();
        self.shared.membership.send_modify(|membership| {
            membership.is_on = members.is_some_and(Members::is_on);
            // Who does not hear what others claim, while both announce it, cannot go by claims.
            let hears_claims = self.tables.upstream.is_empty() && !self.sightings.has_dispute();
            membership.all_keep = hears_claims && members.is_some_and(Members::all_keep);
            membership.speakers = speakers.or(membership.speakers.take());
            membership.tenures = tenures.unwrap_or_else(|| std::mem::take(&mut membership.tenures));
            membership.lost = lost.unwrap_or_else(|| std::mem::take(&mut membership.lost));
        });
    }
}
