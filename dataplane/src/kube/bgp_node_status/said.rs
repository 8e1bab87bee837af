//! How the object says how sessions stand, and how much two such statuses differ.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use metallb_core::address::Family;
use metallb_core::config::Asn;
use metallb_core::names::{NodeName, PeerName};
use metallb_crds::{
    BFDSession, BFDState, BGPFamily, BGPNodeStatusStatus, BGPPrefixes, BGPSession, BGPSessionError, BGPState,
};
use metallb_protocols::{bfd, bgp};

use super::pace::Difference;
use super::session::{BfdSession, Prefixes, Session, SessionError, Sessions};

/// Room for a sentence with its likely cause, and bounded: each session takes some hundred bytes of one object.
pub(super) const LONGEST_MESSAGE: usize = 240;

/// What the object of `node` has to say.
pub(super) fn status(node: &NodeName, sessions: &Sessions) -> BGPNodeStatusStatus {
    let up = sessions.values().filter(|session| session.state == bgp::session::State::Established).count();
    BGPNodeStatusStatus {
        node: Some(node.to_string()),
        established: Some(format!("{up}/{}", sessions.len())),
        sessions: sessions.iter().map(|(peer, session)| said(peer, session)).collect(),
    }
}

fn said(peer: &PeerName, session: &Session) -> BGPSession {
    let Session {
        address,
        interface,
        port,
        vrf,
        state,
        since,
        flaps,
        last_error,
        prefixes: Prefixes { announced, pending, unsendable },
        local_asn,
        remote_asn,
        router_id,
        families,
        graceful_restart,
        bfd,
    } = session;
    BGPSession {
        peer: peer.to_string(),
        address: address.map(|address| address.to_string()),
        interface: interface.as_ref().map(ToString::to_string),
        port: port.get(),
        vrf: vrf.as_ref().map(ToString::to_string),
        state: self::state(*state),
        since: time(*since),
        flaps: *flaps,
        last_error: last_error.as_ref().map(error),
        prefixes: BGPPrefixes { announced: *announced, pending: *pending, unsendable: *unsendable },
        local_asn: local_asn.get(),
        remote_asn: remote_asn.map(Asn::get),
        router_id: router_id.map(|id| id.to_string()),
        families: families.iter().copied().map(family).collect(),
        graceful_restart: *graceful_restart,
        bfd: bfd.as_ref().map(watched),
    }
}

const fn state(state: bgp::session::State) -> BGPState {
    use bgp::session::State;
    match state {
        State::Idle => BGPState::Idle,
        State::Connect => BGPState::Connect,
        State::Active => BGPState::Active,
        State::OpenSent => BGPState::OpenSent,
        State::OpenConfirm => BGPState::OpenConfirm,
        State::Established => BGPState::Established,
    }
}

const fn family(family: Family) -> BGPFamily {
    match family {
        Family::V4 => BGPFamily::Ipv4,
        Family::V6 => BGPFamily::Ipv6,
    }
}

fn error(error: &SessionError) -> BGPSessionError {
    let SessionError { code, message, time: at } = error;
    BGPSessionError { code: (*code).to_owned(), message: cut(message), time: time(*at) }
}

fn cut(message: &str) -> String {
    if message.chars().count() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let kept: String = message.chars().take(LONGEST_MESSAGE - 1).collect();
    format!("{}…", kept.trim_end())
}

fn watched(session: &BfdSession) -> BFDSession {
    let BfdSession { state, since, profile, last_down } = session;
    BFDSession {
        state: match state {
            bfd::State::AdminDown => BFDState::AdminDown,
            bfd::State::Down => BFDState::Down,
            bfd::State::Init => BFDState::Init,
            bfd::State::Up => BFDState::Up,
        },
        since: time(*since),
        profile: profile.to_string(),
        last_down: last_down.map(|why| reason(why).to_owned()),
    }
}

const fn reason(why: bfd::Why) -> &'static str {
    match why {
        bfd::Why::Handshake => "the sides came to hear each other",
        bfd::Why::Silence => "nothing was heard from the router for the detection time",
        bfd::Why::EchoLost => "echo packets did not return",
        bfd::Why::NeighborDown => "the router says that it does not hear this node",
        bfd::Why::NeighborAdminDown => "switched off on the router",
        bfd::Why::SwitchedOff => "switched off on this node",
        bfd::Why::SwitchedOn => "switched on again on this node",
    }
}

/// Times of Kubernetes have no fractions: one with them would never compare equal to what is read back.
fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// How much `found` differs from what has to be said.
pub(super) fn difference(found: Option<&BGPNodeStatusStatus>, wanted: &BGPNodeStatusStatus) -> Difference {
    match found {
        Some(found) if found == wanted => Difference::None,
        Some(found) if without_counts(found) == without_counts(wanted) => Difference::Counts,
        None | Some(_) => Difference::News,
    }
}

/// The status without what changes by itself all the time. A session that cannot be established goes from Connect to
/// Active and back with every attempt, for days, on a thousand nodes: what is new about that is a new reason.
fn without_counts(status: &BGPNodeStatusStatus) -> BGPNodeStatusStatus {
    let mut status = status.clone();
    for session in &mut status.sessions {
        session.flaps = 0;
        if session.state != BGPState::Established {
            session.state = BGPState::Idle;
        }
        if let Some(error) = &mut session.last_error {
            error.message.clear();
            error.time = never();
        }
        if let Some(bfd) = &mut session.bfd {
            match bfd.state {
                BFDState::Down | BFDState::Init => (bfd.state, bfd.since) = (BFDState::Down, never()),
                BFDState::AdminDown | BFDState::Up => {}
            }
        }
    }
    status
}

/// Stands in for times that do not matter.
const fn never() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}
