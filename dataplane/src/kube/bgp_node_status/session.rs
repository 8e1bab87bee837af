//! What is said of a session: plain values, for whoever holds the sessions to fill in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;

use k8s_openapi::jiff::Timestamp;
use metallb_core::address::Family;
use metallb_core::config::{Asn, RouterId};
use metallb_core::names::{BfdProfileName, InterfaceName, PeerName, VrfName};
use metallb_protocols::{bfd, bgp};

/// The sessions of a node, by BGPPeer.
pub type Sessions = BTreeMap<PeerName, Session>;

/// A session with one router, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where the router is. `None` while one behind an interface has not been found.
    pub address: Option<IpAddr>,
    /// The interface that it is behind, if that is how the BGPPeer names it.
    pub interface: Option<InterfaceName>,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// The VRF; `None` is the default one.
    pub vrf: Option<VrfName>,
    /// Where the session stands.
    pub state: bgp::session::State,
    /// Since when it is established, or since when it is not: going from Connect to Active begins nothing new.
    pub since: Timestamp,
    /// How often it was established and ended, since the process started.
    pub flaps: u64,
    /// Why it, or an attempt at it, last failed.
    pub last_error: Option<SessionError>,
    /// What there is to announce.
    pub prefixes: Prefixes,
    /// Our system, as the router is shown it.
    pub local_asn: Asn,
    /// The router's system: configured, or as its OPEN said.
    pub remote_asn: Option<Asn>,
    /// Our identifier, once one is chosen.
    pub router_id: Option<RouterId>,
    /// The families that both agreed on; empty while the session is not established.
    pub families: BTreeSet<Family>,
    /// Did both agree that the router keeps our routes over a restart?
    pub graceful_restart: bool,
    /// The BFD session that watches over it.
    pub bfd: Option<BfdSession>,
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionError {
    /// [`bgp::session::Failure::code`].
    pub code: &'static str,
    /// The failure in words; too long a text is cut when it is written.
    pub message: String,
    /// When it happened last.
    pub time: Timestamp,
}

/// How many prefixes there are for a router. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// The router has been told of them.
    pub announced: u32,
    /// They wait: for the session, or for the router to read.
    pub pending: u32,
    /// The session does not carry their family.
    pub unsendable: u32,
}

/// The BFD session that watches over a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdSession {
    /// Where it stands.
    pub state: bfd::State,
    /// Since when.
    pub since: Timestamp,
    /// The BFDProfile that it is run by.
    pub profile: BfdProfileName,
    /// Why it last went down; `None` while it never did.
    pub last_down: Option<bfd::Why>,
}

#[cfg(test)]
pub(in crate::kube) mod examples {
    //! Sessions as they are met.

    use super::*;

    pub(in crate::kube) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// All is well, and watched by BFD.
    pub(in crate::kube) fn established() -> Session {
        Session {
            address: Some("192.0.2.1".parse().unwrap()),
            interface: None,
            port: NonZeroU16::new(179).unwrap(),
            vrf: None,
            state: bgp::session::State::Established,
            since: at(0),
            flaps: 3,
            last_error: None,
            prefixes: Prefixes { announced: 1000, pending: 0, unsendable: 0 },
            local_asn: Asn::new(64512).unwrap(),
            remote_asn: Asn::new(64513),
            router_id: RouterId::new("10.0.0.1".parse().unwrap()),
            families: [Family::V4, Family::V6].into(),
            graceful_restart: true,
            bfd: Some(BfdSession {
                state: bfd::State::Up,
                since: at(0),
                profile: "fast".into(),
                last_down: None,
            }),
        }
    }

    /// The router does not answer.
    pub(in crate::kube) fn failing() -> Session {
        let why = bgp::session::Unconnected::NoAnswer;
        let failure = bgp::session::Failure::Unconnected { why, password: true };
        Session {
            address: Some("192.0.2.2".parse().unwrap()),
            state: bgp::session::State::Active,
            last_error: Some(SessionError {
                code: failure.code(),
                message: failure.to_string(),
                time: at(5),
            }),
            prefixes: Prefixes { announced: 0, pending: 1000, unsendable: 0 },
            families: BTreeSet::new(),
            graceful_restart: false,
            bfd: None,
            ..established()
        }
    }
}
