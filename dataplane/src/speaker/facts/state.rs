//! What the speaker thinks, for `/debug/state`: every address of a service, who announces it, and why this node does not.
//! There are no secrets in it.

use metallb_core::config::Interfaces;
use metallb_core::refusal::Refusal;
use serde_json::{Value, json};

use super::Facts;

impl Facts {
    /// Everything, as JSON. Names are those of the API where it has one.
    pub fn state(&self) -> Value {
        let plan = self.planner.plan();
        json!({
            "node": self.node().to_string(),
            "ready": self.is_ready(),
            "waitsFor": self.waits_for(),
            "speakers": self.tables.peers.as_ref().map(|peers| {
                peers.iter().map(|(node, address)| (node.to_string(), address.to_string().into())).collect::<serde_json::Map<_, _>>()
            }),
            "setAside": self.configuration.refusals().map(|(refusal, _)| json!({
                "object": refusal.object.to_string(),
                "code": refusal.code(),
                "text": refusal.explain(),
            })).collect::<Vec<_>>(),
            "addresses": plan.iter().map(|(address, plan)| json!({
                "address": address,
                "owner": plan.owner.as_ref().map(ToString::to_string),
                "announcedHere": plan.announce.is_some(),
                "interfaces": match &plan.announce {
                    Some(Interfaces::Only(names)) => names.iter().map(ToString::to_string).collect(),
                    Some(Interfaces::All) | None => Vec::new(),
                },
                "services": plan.services.iter().map(|(service, verdict)| json!({
                    "service": service.to_string(),
                    "refusal": verdict.as_ref().err().map(|refusal| json!({
                        "code": refusal.code(),
                        "text": refusal.explain(),
                    })),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        })
    }

    /// What has to arrive before anything is announced.
    fn waits_for(&self) -> Vec<&'static str> {
        let arrived = [
            ("Services", self.services.is_listed()),
            ("EndpointSlices", self.slices.is_listed()),
            ("Nodes", self.nodes.is_listed()),
            ("the configuration", self.configuration.is_listed()),
            ("the interfaces of this node", self.links.is_some()),
            ("who lives", self.informed),
            ("the Pods of the speakers", !self.heartbeats || self.pods.is_listed()),
        ];
        arrived.into_iter().filter(|(_, arrived)| !arrived).map(|(what, _)| what).collect()
    }
}
