//! How the sessions stand, as the lane tells it to whoever wants to know: status, events, metrics, `/debug/state`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use metallb_core::address::Family;
use metallb_core::config::{Asn, Endpoint, RemoteAs, RouterId};
use metallb_core::names::{BfdProfileName, PeerName, VrfName};
use metallb_protocols::bgp::session::State;
use metallb_protocols::{bfd, bgp};

/// Every peer of this node.
pub type Seen = BTreeMap<PeerName, Arc<PeerSeen>>;

/// Routes that cannot be told to a router, of which each is named; there may be thousands.
pub const NAMED: usize = 20;

/// A session as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSeen {
    /// `spec.peerAddress` or `spec.interface`.
    pub endpoint: Endpoint,
    /// Where the router is, if that is known: an unnumbered one has to be found.
    pub address: Option<SocketAddr>,
    /// `spec.peerPort`.
    pub port: NonZeroU16,
    /// `spec.vrf`.
    pub vrf: Option<VrfName>,
    /// The router's system, as the BGPPeer says.
    pub remote: RemoteAs,
    /// Our system, as the router knows it.
    pub local_asn: Asn,
    /// Who we are to it.
    pub router_id: RouterId,
    /// The state of RFC 4271. A session that is being made goes through several a second; it counts as
    /// [`State::Established`], or as the furthest that the last attempt came.
    pub state: State,
    /// Since when it is up, or not up.
    pub since: Timestamp,
    /// Times that it was up and went down.
    pub flaps: u64,
    /// Why the last session, or the last attempt at one, ended.
    pub last_failure: Option<LastFailure>,
    /// What was agreed on, while it is up.
    pub agreed: Option<Agreed>,
    /// Routes that the router knows from us.
    pub announced: usize,
    /// Routes of which it does not know yet what has become of them.
    pub pending: usize,
    /// It knows all that it should know from us, and that this is all (End-of-RIB).
    pub is_synchronised: bool,
    /// Routes that cannot be told to it.
    pub unsendable: usize,
    /// Some of these, with the reason.
    pub unsendable_named: Vec<(IpNet, bgp::adverts::Unsendable)>,
    /// What BFD says, where it watches.
    pub bfd: Option<BfdSeen>,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// Stable, for scripts.
    pub code: &'static str,
    /// For people.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What two sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The router's system.
    pub asn: Asn,
    /// The router's identifier.
    pub router_id: RouterId,
    /// Which routes flow.
    pub families: BTreeSet<Family>,
    /// The router keeps routes of ours while we restart.
    pub graceful_restart: bool,
    /// The router takes several routes to one prefix from us: others can announce this node's for it (RFC 7911).
    pub additional_paths: bool,
}

/// What BFD says of the way to a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdSeen {
    /// The BFDProfile that it is run by.
    pub profile: BfdProfileName,
    /// Its state.
    pub state: bfd::State,
    /// Why it last went down; `None` while it never did.
    pub last_down: Option<bfd::Why>,
    /// Since when.
    pub since: Timestamp,
    /// Times that it was up and went down.
    pub downs: u64,
}

impl PeerSeen {
    /// Is the session up?
    pub fn is_up(&self) -> bool {
        self.state == State::Established
    }
}

#[cfg(test)]
#[allow(clippy::missing_panics_doc)] // for tests
impl PeerSeen {
    /// A session in that state, whose last attempt ended with that code.
    pub fn example(state: State, flaps: u64, code: Option<&'static str>) -> Self {
        let at = Timestamp::UNIX_EPOCH;
        Self {
            endpoint: Endpoint::Interface("eth1".into()),
            address: None,
            port: NonZeroU16::new(179).unwrap(),
            vrf: None,
            remote: RemoteAs::External,
            local_asn: Asn::new(64_512).unwrap(),
            router_id: RouterId::new([192, 0, 2, 1].into()).unwrap(),
            state,
            since: at,
            flaps,
            last_failure: code.map(|code| LastFailure { code, text: format!("text of {code}"), at }),
            agreed: None,
            announced: 0,
            pending: 0,
            is_synchronised: state == State::Established,
            unsendable: 0,
            unsendable_named: Vec::new(),
            bfd: None,
        }
    }
}
