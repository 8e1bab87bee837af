//! Sessions in columns.

use k8s_openapi::jiff::Timestamp;
use metallb_crds::{BFDSession, BFDState, BGPFamily, BGPPrefixes, BGPSession, BGPSessionError, BGPState};

use super::super::output::{age, or_dash, table};
use super::{Peers, Row};

/// Room for an error where nothing is to wrap on a common screen.
const SHORT: usize = 60;
/// What is not said in the columns of most sessions.
const BGP_PORT: u16 = 179;

/// How much to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Narrow,
    Wide,
}

/// What fits a screen.
pub(super) fn narrow(peers: &Peers) -> String {
    let headings = ["NODE", "PEER", "ADDRESS", "STATE", "SINCE", "FLAPS", "PREFIXES", "BFD", "LAST ERROR"];
    let now = peers.now;
    let rows = peers.sessions.iter().map(|row| {
        let session = row.session.as_ref();
        [
            or_dash(row.node.clone()),
            row.peer.clone(),
            address(row),
            or_dash(session.map(|session| session.state.name().to_owned())),
            or_dash(session.map(|session| age(session.since.0, now))),
            or_dash(session.map(|session| session.flaps.to_string())),
            or_dash(session.map(|session| prefixes(&session.prefixes))),
            or_dash(session.and_then(|session| session.bfd.as_ref()).map(|bfd| bfd.state.name().to_owned())),
            trouble(row, now, Width::Narrow),
        ]
    });
    table(headings, rows) + &summary(peers)
}

/// Everything.
pub(super) fn wide(peers: &Peers) -> String {
    let headings = [
        "NODE",
        "PEER",
        "ADDRESS",
        "VRF",
        "LOCAL AS",
        "REMOTE AS",
        "ROUTER ID",
        "FAMILIES",
        "GR",
        "STATE",
        "SINCE",
        "FLAPS",
        "PREFIXES",
        "BFD",
        "LAST ERROR",
    ];
    let now = peers.now;
    let rows = peers.sessions.iter().map(|row| {
        let session = row.session.as_ref();
        [
            or_dash(row.node.clone()),
            row.peer.clone(),
            address(row),
            or_dash(session.and_then(|session| session.vrf.clone())),
            or_dash(session.map(|session| session.local_asn.to_string())),
            or_dash(session.and_then(|session| session.remote_asn).map(|asn| asn.to_string())),
            or_dash(session.and_then(|session| session.router_id.clone())),
            or_dash(session.map(families)),
            or_dash(session.filter(|session| session.graceful_restart).map(|_| "yes".to_owned())),
            or_dash(session.map(|session| session.state.name().to_owned())),
            or_dash(session.map(|session| age(session.since.0, now))),
            or_dash(session.map(|session| session.flaps.to_string())),
            or_dash(session.map(|session| prefixes(&session.prefixes))),
            or_dash(session.and_then(|session| session.bfd.as_ref()).map(|bfd| watched(bfd, now))),
            trouble(row, now, Width::Wide),
        ]
    });
    table(headings, rows) + &summary(peers)
}

fn summary(peers: &Peers) -> String {
    if peers.sessions.is_empty() {
        return format!(
            "there is no BGPPeer in namespace {}, and no node reports a session\n",
            peers.namespace
        );
    }
    let expected = peers.sessions.iter().filter(|row| row.expected);
    let up = expected.clone().filter(|row| row.up).count();
    format!("sessions that should be up: {}, up: {up}\n", expected.count())
}

fn address(row: &Row) -> String {
    let Some(session) = &row.session else { return or_dash(row.configured_address.clone()) };
    let host = match (&session.address, &session.interface) {
        (Some(address), Some(interface)) => format!("{address}%{interface}"),
        (Some(address), None) => address.clone(),
        (None, Some(interface)) => interface.clone(),
        (None, None) => return "-".to_owned(),
    };
    match session.port {
        BGP_PORT => host,
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

fn families(session: &BGPSession) -> String {
    let name = |family: &BGPFamily| match family {
        BGPFamily::Ipv4 => "ipv4",
        BGPFamily::Ipv6 => "ipv6",
    };
    session.families.iter().map(name).collect::<Vec<_>>().join(",")
}

fn prefixes(prefixes: &BGPPrefixes) -> String {
    let BGPPrefixes { announced, pending, unsendable } = *prefixes;
    let mut rest = Vec::new();
    if pending > 0 {
        rest.push(format!("{pending} pending"));
    }
    if unsendable > 0 {
        rest.push(format!("{unsendable} unsendable"));
    }
    if rest.is_empty() { announced.to_string() } else { format!("{announced} ({})", rest.join(", ")) }
}

fn watched(bfd: &BFDSession, now: Timestamp) -> String {
    format!("{} for {} ({})", bfd.state.name(), age(bfd.since.0, now), bfd.profile)
}

/// What is wrong, first where the session is missing, and the last errors of one that is there. Of a session that is up
/// again the code and the age of its last error will do.
fn trouble(row: &Row, now: Timestamp, width: Width) -> String {
    let mut all = Vec::new();
    if let Some(why) = &row.problem {
        all.push(match (width, &row.session) {
            (Width::Narrow, Some(_)) => why.sentence.clone(),
            (Width::Narrow | Width::Wide, None) | (Width::Wide, Some(_)) => {
                format!("{}; {}", why.sentence, why.fix)
            }
        });
    }
    if let Some(session) = &row.session {
        all.extend(session.last_error.as_ref().map(|error| told(session, error, now, width)));
        if width == Width::Wide {
            all.extend(session.bfd.as_ref().and_then(last_down));
        }
    }
    or_dash(Some(all.join("; ")))
}

fn told(session: &BGPSession, error: &BGPSessionError, now: Timestamp, width: Width) -> String {
    let BGPSessionError { code, message, time } = error;
    let head = format!("{code} {} ago", age(time.0, now));
    match (width, session.state) {
        (Width::Narrow, BGPState::Established) => head,
        _ if message.is_empty() => head,
        (Width::Narrow, _) => format!("{head}: {}", cut(message)),
        (Width::Wide, _) => format!("{head}: {message}"),
    }
}

/// Why BFD is down, while it is.
fn last_down(bfd: &BFDSession) -> Option<String> {
    match bfd.state {
        BFDState::Down | BFDState::Init => Some(format!("BFD: {}", bfd.last_down.as_ref()?)),
        BFDState::AdminDown | BFDState::Up => None,
    }
}

fn cut(message: &str) -> String {
    if message.chars().count() <= SHORT {
        return message.to_owned();
    }
    let kept: String = message.chars().take(SHORT - 1).collect();
    format!("{}…", kept.trim_end())
}
