//! What we offer in OPEN, and what of theirs we accept.

use std::collections::BTreeSet;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Asn, RemoteAs, RouterId};

use super::settings::Settings;
use crate::bgp::wire::{
    AddressFamily, Capability, Direction, GracefulRestart, LARGEST, LARGEST_EXTENDED, Notification, Open,
    Reason, RestartTime, Sender, Short,
};

/// What the two sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a capability
pub struct Negotiated {
    /// The router's system.
    pub asn: Asn,
    /// The router's identifier.
    pub router_id: RouterId,
    /// Is the router in our own system?
    pub internal: bool,
    /// Silence of this long ends the session; `None`: never.
    pub hold_time: Option<Duration>,
    /// A sign of life is due after this; `None`: never.
    pub keepalive_time: Option<Duration>,
    /// Which routes flow.
    pub families: BTreeSet<Family>,
    /// Systems have four octets between us.
    pub four_octet_as: bool,
    /// Messages may be long (RFC 8654).
    pub extended_messages: bool,
    /// IPv4 routes have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Of these, several routes to one prefix flow to the router (RFC 7911).
    pub additional_paths: BTreeSet<Family>,
    /// Answers to ROUTE-REFRESH have marks (RFC 7313).
    pub enhanced_refresh: bool,
    /// What the router said of its own restarts (RFC 4724).
    pub peer_restart: Option<GracefulRestart>,
    /// The routes that it keeps while we restart.
    pub kept: BTreeSet<Family>,
    /// A NOTIFICATION keeps routes too, unless it is a hard reset (RFC 8538).
    pub hard_reset: bool,
}

impl Negotiated {
    /// Octets of the longest message.
    pub const fn limit(&self) -> usize {
        if self.extended_messages { LARGEST_EXTENDED } else { LARGEST }
    }

    /// Does the router keep routes of ours when the connection ends without a word?
    pub fn keeps_our_routes(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(super) const fn sender(&self) -> Sender {
        Sender { four_octet_as: self.four_octet_as, internal: self.internal }
    }
}

/// Why we do not accept an OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The router is in another system than it should be.
    Asn {
        /// It should be.
        wanted: RemoteAs,
        /// It is.
        got: Asn,
    },
    /// Its identifier is ours, in one and the same system (RFC 6286 §2.2).
    SameRouterId(RouterId),
    /// It carries none of the routes that we want it to.
    NoCommonFamily(BTreeSet<Family>),
}

impl Settings {
    /// Our OPEN. `bare` is for old routers that refuse whoever has capabilities.
    pub(in crate::bgp) fn offer(&self, restarted: bool, bare: bool) -> Open {
        let asn = self.shown_asn();
        let (hold_time, router_id) = (self.hold_time, self.router_id);
        if bare {
            return Open { asn, four_octet_as: false, hold_time, router_id, capabilities: Vec::new() };
        }
        let families = || self.families.iter().copied().map(AddressFamily::from);
        let mut capabilities: Vec<_> = families().map(Capability::Multiprotocol).collect();
        if self.extended_next_hop {
            capabilities.push(Capability::ExtendedNextHop(vec![(AddressFamily::IPV4_UNICAST, 2)]));
        }
        capabilities.extend([
            Capability::RouteRefresh,
            Capability::EnhancedRouteRefresh,
            Capability::ExtendedMessage,
        ]);
        if self.graceful_restart || self.restart_helper {
            // What survives a restart of the speaker is the forwarding of the node's kernel: F is true of all.
            let families =
                families().map(|family| (family, true)).filter(|_| self.graceful_restart).collect();
            capabilities.push(Capability::GracefulRestart(GracefulRestart {
                restarting: restarted && self.graceful_restart,
                notifications: self.graceful_restart,
                time: RestartTime::default(),
                families,
            }));
        }
        if self.additional_paths && self.families.contains(&Family::V4) {
            let sends = vec![(AddressFamily::IPV4_UNICAST, Direction::Send)];
            capabilities.push(Capability::AdditionalPaths(sends));
        }
        capabilities.extend(self.host_name.clone().and_then(Short::new).map(Capability::HostName));
        Open { asn, four_octet_as: true, hold_time, router_id, capabilities }
    }

    /// What we agree on with the sender of `theirs`, who got `ours`; or why not, and what to answer.
    pub(in crate::bgp) fn negotiate(
        &self,
        ours: &Open,
        theirs: &Open,
    ) -> Result<Negotiated, Box<(Refused, Notification)>> {
        let refuse =
            |refused, reason, data: Vec<u8>| Err(Box::new((refused, Notification::new(reason, data))));
        let internal = theirs.asn == self.shown_asn();
        let right = match self.remote {
            RemoteAs::Number(asn) => theirs.asn == asn,
            RemoteAs::Internal => theirs.asn == self.my_asn,
            RemoteAs::External => theirs.asn != self.my_asn,
        };
        if !right {
            let refused = Refused::Asn { wanted: self.remote, got: theirs.asn };
            return refuse(refused, Reason::BAD_PEER_AS, theirs.asn.get().to_be_bytes().to_vec());
        }
        if internal && theirs.router_id == self.router_id {
            let id = theirs.router_id;
            return refuse(Refused::SameRouterId(id), Reason::BAD_IDENTIFIER, id.get().octets().to_vec());
        }
        let families = self.common_families(ours, theirs);
        if families.is_empty() {
            let mut wanted = Vec::new();
            for family in &self.families {
                let AddressFamily { afi, safi } = (*family).into();
                let [high, low] = afi.to_be_bytes();
                wanted.extend([1, 4, high, low, 0, safi]);
            }
            let refused = Refused::NoCommonFamily(self.families.clone());
            return refuse(refused, Reason::UNSUPPORTED_CAPABILITY, wanted);
        }
        let both = |capability: &Capability| {
            ours.capabilities.contains(capability) && theirs.capabilities.contains(capability)
        };
        let ipv4_over_ipv6 = |capability: &Capability| match capability {
            Capability::ExtendedNextHop(families) => families.contains(&(AddressFamily::IPV4_UNICAST, 2)),
            _ => false,
        };
        let restart = |open: &Open| {
            open.capabilities.iter().find_map(|capability| match capability {
                Capability::GracefulRestart(restart) => Some(restart.clone()),
                _ => None,
            })
        };
        let paths = |open: &Open, wanted: Direction| -> BTreeSet<Family> {
            let all = open.capabilities.iter().filter_map(|capability| match capability {
                Capability::AdditionalPaths(families) => Some(families),
                _ => None,
            });
            let right = |direction: Direction| direction == wanted || direction == Direction::Both;
            all.flatten()
                .filter_map(|(family, direction)| family.unicast().filter(|_| right(*direction)))
                .collect()
        };
        let additional_paths =
            &(&paths(ours, Direction::Send) & &paths(theirs, Direction::Receive)) & &families;
        let (our_restart, peer_restart) = (restart(ours), restart(theirs));
        let hold_time = match (ours.hold_time.get(), theirs.hold_time.get()) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (None, Some(_) | None) | (Some(_), None) => None,
        };
        let third = hold_time.map(|hold| hold / 3);
        let hard_reset = [&our_restart, &peer_restart]
            .into_iter()
            .all(|restart| restart.as_ref().is_some_and(|restart| restart.notifications));
        let kept = match (&our_restart, &peer_restart) {
            (Some(ours), Some(_)) => {
                ours.families.iter().filter_map(|(family, _)| family.unicast()).collect()
            }
            (Some(_) | None, None) | (None, Some(_)) => BTreeSet::new(),
        };
        Ok(Negotiated {
            asn: theirs.asn,
            router_id: theirs.router_id,
            internal,
            hold_time,
            keepalive_time: third.map(|third| self.keepalive_time.map_or(third, |wanted| wanted.min(third))),
            families,
            four_octet_as: ours.four_octet_as && theirs.four_octet_as,
            extended_messages: both(&Capability::ExtendedMessage),
            extended_next_hop: ours.capabilities.iter().any(ipv4_over_ipv6)
                && theirs.capabilities.iter().any(ipv4_over_ipv6),
            additional_paths,
            enhanced_refresh: both(&Capability::EnhancedRouteRefresh),
            peer_restart,
            kept,
            hard_reset,
        })
    }

    /// The families of both. RFC 4760 §8: who names none speaks IPv4, and so does who hears none from us.
    fn common_families(&self, ours: &Open, theirs: &Open) -> BTreeSet<Family> {
        let named = |open: &Open| -> BTreeSet<Family> {
            let families = open.capabilities.iter().filter_map(|capability| match capability {
                Capability::Multiprotocol(family) => Some(*family),
                _ => None,
            });
            let all: Vec<_> = families.collect();
            if all.is_empty() {
                [Family::V4].into()
            } else {
                all.into_iter().filter_map(AddressFamily::unicast).collect()
            }
        };
        let (ours, theirs) = (named(ours), named(theirs));
        self.families
            .iter()
            .copied()
            .filter(|family| ours.contains(family) && theirs.contains(family))
            .collect()
    }
}
