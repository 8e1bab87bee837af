//! What the speaker thinks, for `/debug/state`: every address of a service, who announces it, and why this node does not.
//! There are no secrets in it.

use metallb_core::config::Interfaces;
use metallb_core::names::PeerName;
use metallb_core::plan::{RouteAttributes, Speakers};
use metallb_core::refusal::{AnnouncementRefusal, Refusal};
use serde_json::{Value, json};

use super::Facts;
use crate::speaker::bgp::seen::{PeerSeen, Seen};
use crate::speaker::lane::{Protocol, Socket, Sockets, Station};

fn refusal(refusal: &AnnouncementRefusal) -> Value {
    json!({ "code": refusal.code(), "text": refusal.explain() })
}

fn session(peer: &PeerName, seen: &PeerSeen) -> Value {
    json!({
        "peer": peer.to_string(),
        "endpoint": seen.endpoint.to_string(),
        "address": seen.address.map(|address| address.to_string()),
        "vrf": seen.vrf.as_ref().map(ToString::to_string),
        "state": seen.state.name(),
        "since": seen.since.to_string(),
        "flaps": seen.flaps,
        "lastFailure": seen.last_failure.as_ref().map(|last| json!({
            "code": last.code, "text": last.text, "at": last.at.to_string(),
        })),
        "agreed": seen.agreed.as_ref().map(|agreed| json!({
            "asn": agreed.asn.get(),
            "routerID": agreed.router_id.to_string(),
            "families": agreed.families.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "gracefulRestart": agreed.graceful_restart,
            "additionalPaths": agreed.additional_paths,
        })),
        "announced": seen.announced,
        "pending": seen.pending,
        "unsendable": seen.unsendable,
        "unsendableNamed": seen.unsendable_named.iter().map(|(prefix, why)| json!({
            "prefix": prefix.to_string(), "text": why.to_string(),
        })).collect::<Vec<_>>(),
        "bfd": seen.bfd.as_ref().map(|bfd| json!({
            "state": bfd.state.to_string(), "since": bfd.since.to_string(), "downs": bfd.downs,
            "profile": bfd.profile.to_string(), "lastDown": bfd.last_down.map(|why| why.to_string()),
        })),
    })
}

impl Facts {
    /// Everything, as JSON. Names are those of the API where it has one.
    pub fn state(&self, sessions: &Seen, sockets: &Sockets) -> Value {
        let plan = self.planner.plan();
        json!({
            "node": self.node().to_string(),
            "ready": self.is_ready(),
            "waitsFor": self.waits_for(),
            "speakers": self.tables.peers.as_ref().map(|peers| {
                peers.iter().map(|(node, address)| (node.to_string(), address.to_string().into())).collect::<serde_json::Map<_, _>>()
            }),
            "alive": match self.world.speakers() {
                Speakers::Alive(nodes) => Some(nodes.iter().map(ToString::to_string).collect::<Vec<_>>()),
                Speakers::EveryNode => None,
            },
            "networksLost": self.surroundings.reach.lost().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "setAside": self.configuration.refusals().map(|(refusal, _)| json!({
                "object": refusal.object.to_string(),
                "code": refusal.code(),
                "text": refusal.explain(),
            })).collect::<Vec<_>>(),
            "addresses": plan.iter().map(|(address, plan)| json!({
                "address": address,
                "owner": plan.owner.as_ref().map(ToString::to_string),
                "epoch": self.tenures.as_ref().zip(plan.owner.as_ref()).and_then(|(tenures, owner)| tenures.epoch_of(*address, owner)),
                "inheritedFrom": self.tables.inherited.get(address).map(|silent| silent.node.to_string()),
                "announcedHere": plan.announce.is_some(),
                "conflict": self.conflicts.on(*address).map(|conflict| conflict.explain(*address)),
                "interfaces": match &plan.announce {
                    Some(Interfaces::Only(names)) => names.iter().map(ToString::to_string).collect(),
                    Some(Interfaces::All) | None => Vec::new(),
                },
                "services": plan.services.iter().map(|(service, verdict)| json!({
                    "service": service.to_string(),
                    "refusal": verdict.as_ref().err().map(refusal),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "layer2": { "sockets": self.sockets(sockets) },
            "bgp": {
                "sessions": sessions.iter().map(|(peer, seen)| session(peer, seen)).collect::<Vec<_>>(),
                "routes": self.routes(),
                "addresses": self.routing.planner().verdicts().iter().map(|(address, verdicts)| json!({
                    "address": address,
                    "services": verdicts.iter().map(|(service, verdict)| json!({
                        "service": service.to_string(),
                        "advertisements": verdict.iter().flatten().map(ToString::to_string).collect::<Vec<_>>(),
                        "refusal": verdict.as_ref().err().map(refusal),
                    })).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
            },
        })
    }

    /// Where neighbours are answered, and why not elsewhere.
    fn sockets(&self, sockets: &Sockets) -> Vec<Value> {
        let socket = |index: u32, station: &Station, protocol: Protocol| {
            station.mac(protocol)?;
            let state = sockets.get(&(index, protocol));
            Some(json!({
                "interface": station.name.to_string(),
                "protocol": protocol.name(),
                "open": state == Some(&Socket::Open),
                "text": match state {
                    Some(Socket::Failed(why)) => Some(why),
                    Some(Socket::Open) | None => None,
                },
            }))
        };
        let stations = self.tables.stations.iter();
        let all = stations.flat_map(|(index, station)| Protocol::ALL.map(|it| socket(*index, station, it)));
        all.flatten().collect()
    }

    /// What each peer is to hear.
    fn routes(&self) -> serde_json::Map<String, Value> {
        let route = |(prefix, attributes): (&ipnet::IpNet, &std::sync::Arc<RouteAttributes>)| {
            json!({
                "prefix": prefix.to_string(),
                "communities": attributes.communities.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "localPref": attributes.local_preference,
            })
        };
        let peers = self.routing.planner().routes().iter();
        peers
            .map(|(peer, routes)| (peer.to_string(), routes.iter().map(route).collect::<Vec<_>>().into()))
            .collect()
    }

    /// What has to arrive before anything is announced.
    pub fn waits_for(&self) -> Vec<&'static str> {
        let arrived = [
            ("Services", self.services.is_listed()),
            ("EndpointSlices", self.slices.is_listed()),
            ("Nodes", self.nodes.is_listed()),
            ("pools and L2Advertisements", self.configuration.is_listed()),
            ("BGPPeers and what they refer to", self.configuration.is_complete()),
            ("the interfaces of this node", self.links.is_some()),
            ("who lives", self.informed),
            ("the Pods of the speakers", !self.heartbeats || self.pods.is_listed()),
        ];
        arrived.into_iter().filter(|(_, arrived)| !arrived).map(|(what, _)| what).collect()
    }
}
