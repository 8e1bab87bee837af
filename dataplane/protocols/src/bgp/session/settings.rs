//! What the configuration says of a session.

use std::collections::BTreeSet;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Asn, HoldTime, RemoteAs, RouterId};

use super::pace::Retry;
use crate::bgp::adverts::Defaults;

/// What the configuration, and the profile of defaults, say of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // as the configuration has them
pub struct Settings {
    /// `spec.myASN`.
    pub my_asn: Asn,
    /// `spec.localASN`.
    pub local_asn: Option<Asn>,
    /// `spec.peerASN` or `spec.dynamicASN`.
    pub remote: RemoteAs,
    /// `spec.routerID`, or what the node chose.
    pub router_id: RouterId,
    /// `spec.holdTime`: what to propose.
    pub hold_time: HoldTime,
    /// `spec.keepaliveTime`; `None` goes by the hold time alone.
    pub keepalive_time: Option<Duration>,
    /// Which routes to carry.
    pub families: BTreeSet<Family>,
    /// Offer IPv6 next hops for IPv4 routes (RFC 8950): for unnumbered sessions.
    pub extended_next_hop: bool,
    /// `spec.enableGracefulRestart`.
    pub graceful_restart: bool,
    /// Say that we keep routes of a peer that restarts, of which there are none. FRR always says so; upstream's own
    /// speaker never did.
    pub restart_helper: bool,
    /// Offer several routes to one IPv4 prefix (RFC 7911): so that others can announce this node's while its speaker restarts.
    pub additional_paths: bool,
    /// The node's name, for the router's operator.
    pub host_name: Option<String>,
    /// When to try again.
    pub retry: Retry,
    /// What routes say where nobody said anything.
    pub defaults: Defaults,
    /// Is there a password? For what to suspect when nobody answers.
    pub password: bool,
}

impl Settings {
    /// Our system as the router is to know it.
    pub fn shown_asn(&self) -> Asn {
        self.local_asn.unwrap_or(self.my_asn)
    }

    /// Must the session begin anew to become like that? What counts from the next OPEN only can wait for it.
    pub fn needs_reset(&self, other: &Self) -> bool {
        let Self {
            my_asn,
            local_asn,
            remote,
            router_id,
            hold_time: _,
            keepalive_time: _,
            families,
            extended_next_hop,
            graceful_restart,
            restart_helper,
            additional_paths,
            host_name: _,
            retry: _,
            defaults,
            password: _, // its own connection settings: the transport closes the session for them
        } = self;
        (my_asn, local_asn, remote, router_id)
            != (&other.my_asn, &other.local_asn, &other.remote, &other.router_id)
            || (families, extended_next_hop) != (&other.families, &other.extended_next_hop)
            || (graceful_restart, restart_helper) != (&other.graceful_restart, &other.restart_helper)
            || *additional_paths != other.additional_paths
            || *defaults != other.defaults
    }
}
