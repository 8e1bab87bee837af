//! BGPPeers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU8, NonZeroU16};

use metallb_core::address::{Family, parse_address};
use metallb_core::config::{
    Asn, Bfd, Config, ConnectTime, Endpoint, Password, PasswordSource, Peer, PeerConflict, RemoteAs,
    RouterId, SessionFamilies, Timers, may_share_a_node,
};
use metallb_core::labels::any_matches;
use metallb_core::names::{NamespaceName, PeerName, SecretName};
use metallb_core::refusal::{AnyRefusal, BadRouterId, ConfigRefusal, Kind, PeerRefusal, TTL_SECURITY};

use super::faults::{Faults, read};
use super::objects::by_age;
use super::{Node, Objects, Parsed, duration, selector};
use crate::{BGPPeer, BGPPeerSpec, DynamicASN};

/// The highest port that the API's schema lets through.
const HIGHEST_PORT: u16 = 16384;

/// Older peers first: of two that contradict each other the older one stays.
///
/// One that only misses something counts all the same: what it misses may come at any moment, and then it must not
/// throw out a younger one that is in force by then.
pub(super) fn parse_all(objects: &Objects, parsed: &mut Parsed) {
    let mut older: Vec<Older<'_>> = Vec::new();
    for (name, stored) in by_age(&objects.bgp_peers) {
        let (mut peer, wanted_bfd) = match read(stored, one) {
            Ok(read) => read,
            Err(refusals) => {
                parsed.refuse_all(Kind::BgpPeer, name, refusals);
                continue;
            }
        };
        let nodes = nodes_of(&peer, objects);
        let conflicts = conflicts(&peer, nodes.as_ref(), &older);
        let mut missing = Vec::new();
        if let Some(profile) = wanted_bfd {
            let found = bfd(&profile, &parsed.config, objects);
            peer.bfd = found.map_err(|refusal| missing.push(refusal)).ok();
        }
        if let Some(PasswordSource::Secret(secret)) = &peer.password {
            let namespace = stored.metadata().namespace.as_deref().unwrap_or_default();
            missing.extend(missing_password(secret, namespace, objects));
        }
        let warnings = match stored {
            super::Stored::Readable(object) if object.spec.disable_mp => vec![PeerRefusal::DisableMp],
            _ => Vec::new(),
        };
        let in_force = conflicts.is_empty() && missing.is_empty();
        let is_free = conflicts.is_empty();
        for refusal in conflicts.into_iter().chain(missing).chain(warnings) {
            parsed.refuse(Kind::BgpPeer, name, refusal);
        }
        if is_free {
            older.push(Older { name: name.into(), peer: peer.clone(), nodes });
        }
        if in_force {
            parsed.config.peers.insert(name.into(), peer);
        }
    }
}

/// The peer by itself, and the name of the BFD profile it wants.
///
/// Empty texts and a `peerASN` of 0 are "not set", as in Go.
fn one(object: &BGPPeer) -> Result<(Peer, Option<String>), Vec<ConfigRefusal>> {
    let BGPPeerSpec {
        my_asn,
        peer_asn,
        local_asn,
        dynamic_asn,
        peer_address,
        interface,
        source_address,
        peer_port,
        hold_time,
        keepalive_time,
        connect_time,
        router_id,
        node_selectors,
        password,
        password_secret,
        bfd_profile,
        enable_graceful_restart,
        ebgp_multi_hop,
        vrf,
        disable_mp: _, // see `parse_all`: it is only warned about
        dual_stack_address_family,
    } = &object.spec;
    let mut faults = Faults::default();
    let my_asn = faults.take(Asn::new(*my_asn).ok_or(PeerRefusal::NoOwnAsn));
    let remote = faults.take(remote(peer_asn.and_then(Asn::new), *dynamic_asn));
    let multihop = ebgp_multi_hop.unwrap_or_default();
    if let (Some(asn), Some(RemoteAs::Number(theirs)), true) = (my_asn, remote, multihop)
        && asn == theirs
    {
        faults.add(PeerRefusal::InternalMultihop { asn });
    }
    let endpoint = faults.take(endpoint(set(peer_address.as_ref()), set(interface.as_ref())));
    let source = set(source_address.as_ref()).map(|text| source(text, endpoint.as_ref()));
    let source_address = source.and_then(|source| faults.take(source));
    let port = NonZeroU16::new(*peer_port).filter(|port| port.get() <= HIGHEST_PORT);
    let port = faults.take(port.ok_or(AnyRefusal::OutOfRange {
        field: "spec.peerPort",
        value: i64::from(*peer_port),
        min: 1,
        max: i64::from(HIGHEST_PORT),
    }));
    let router_id = set(router_id.as_ref()).and_then(|text| faults.take(identifier(text)));
    let timers = timers(hold_time.as_ref(), keepalive_time.as_ref(), &mut faults);
    let connect_time = connect_time.as_ref().and_then(|text| faults.take(connect(text)));
    let secret = password_secret.as_ref().and_then(|secret| set(secret.name.as_ref()));
    let password = match (set(password.as_ref()), secret) {
        (None, None) => None,
        (Some(password), None) => Some(PasswordSource::Inline(Password::new(password))),
        (None, Some(secret)) => Some(PasswordSource::Secret(secret.into())),
        (Some(_), Some(_)) => {
            faults.add(PeerRefusal::TwoPasswords);
            None
        }
    };
    let node_selectors = faults.take(selector::list("spec.nodeSelectors", node_selectors));
    let hops = object.metadata.annotations.as_ref().and_then(|all| all.get(TTL_SECURITY));
    let ttl_security = hops.and_then(|text| faults.take(ttl_security(text)));
    let families = if *dual_stack_address_family { SessionFamilies::Both } else { SessionFamilies::Own };
    let complete = my_asn.zip(remote).zip(endpoint).zip(port).zip(node_selectors);
    let peer = complete.map(|((((my_asn, remote), endpoint), port), node_selectors)| Peer {
        my_asn,
        local_asn: local_asn.and_then(Asn::new),
        remote,
        endpoint,
        port,
        source_address,
        router_id,
        vrf: set(vrf.as_ref()).map(Into::into),
        timers,
        connect_time,
        password,
        bfd: None,
        graceful_restart: enable_graceful_restart.unwrap_or_default(),
        multihop,
        ttl_security,
        families,
        node_selectors,
    });
    let wanted_bfd = set(bfd_profile.as_ref()).map(str::to_owned);
    faults.unless(peer.map(|peer| (peer, wanted_bfd)))
}

fn set(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn remote(asn: Option<Asn>, dynamic: Option<DynamicASN>) -> Result<RemoteAs, PeerRefusal> {
    match (asn, dynamic) {
        (Some(asn), None) => Ok(RemoteAs::Number(asn)),
        (None, Some(DynamicASN::Internal)) => Ok(RemoteAs::Internal),
        (None, Some(DynamicASN::External)) => Ok(RemoteAs::External),
        (None, None) => Err(PeerRefusal::NoPeerAsn),
        (Some(_), Some(_)) => Err(PeerRefusal::TwoPeerAsns),
    }
}

fn endpoint(address: Option<&str>, interface: Option<&str>) -> Result<Endpoint, PeerRefusal> {
    match (address, interface) {
        (Some(text), None) => {
            let address = parse_address(text);
            address.map(Endpoint::Address).ok_or_else(|| PeerRefusal::BadAddress { text: text.to_owned() })
        }
        (None, Some(interface)) => Ok(Endpoint::Interface(interface.into())),
        (None, None) => Err(PeerRefusal::NoEndpoint),
        (Some(_), Some(_)) => Err(PeerRefusal::TwoEndpoints),
    }
}

fn source(text: &str, endpoint: Option<&Endpoint>) -> Result<IpAddr, PeerRefusal> {
    let source = parse_address(text).ok_or_else(|| PeerRefusal::BadSource { text: text.to_owned() })?;
    match endpoint {
        Some(Endpoint::Address(address)) if Family::of(*address) != Family::of(source) => {
            Err(PeerRefusal::SourceFamily { source, address: *address })
        }
        Some(Endpoint::Address(_) | Endpoint::Interface(_)) | None => Ok(source),
    }
}

fn identifier(text: &str) -> Result<RouterId, PeerRefusal> {
    let refused = |cause| PeerRefusal::RouterId { text: text.to_owned(), cause };
    let id: Ipv4Addr = text.trim().parse().map_err(|_| refused(BadRouterId::NotFourOctets))?;
    RouterId::new(id).ok_or_else(|| refused(BadRouterId::Zero))
}

fn timers(hold: Option<&String>, keepalive: Option<&String>, faults: &mut Faults) -> Option<Timers> {
    let hold = hold.map(|text| duration::read("spec.holdTime", text));
    let keepalive = keepalive.map(|text| duration::read("spec.keepaliveTime", text));
    if let (Some(Err(_)), _) | (_, Some(Err(_))) = (&hold, &keepalive) {
        faults.take_all([hold, keepalive].into_iter().flatten());
        return None;
    }
    let timers = Timers::new(hold.and_then(Result::ok), keepalive.and_then(Result::ok));
    faults.take(timers.map_err(|cause| PeerRefusal::Timers { cause })).flatten()
}

fn ttl_security(text: &str) -> Result<NonZeroU8, PeerRefusal> {
    let hops: Option<NonZeroU8> = text.trim().parse().ok();
    let hops = hops.filter(|hops| *hops < NonZeroU8::MAX);
    hops.ok_or_else(|| PeerRefusal::TtlSecurity { text: text.to_owned() })
}

fn connect(text: &str) -> Result<ConnectTime, PeerRefusal> {
    let time = duration::read("spec.connectTime", text)?;
    ConnectTime::new(time).ok_or_else(|| PeerRefusal::ConnectTime { text: text.to_owned() })
}

/// A peer that stays if a younger one contradicts it.
struct Older<'o> {
    name: PeerName,
    peer: Peer,
    nodes: Option<BTreeSet<&'o str>>,
}

/// The nodes that `peer` selects, by name; `None` while they are not known. Looked up once: of 1,000 peers there are
/// half a million pairs.
fn nodes_of<'o>(peer: &Peer, objects: &'o Objects) -> Option<BTreeSet<&'o str>> {
    let selects =
        |node: &Node| peer.node_selectors.is_empty() || any_matches(&peer.node_selectors, &node.labels);
    let nodes = objects.nodes.as_ref()?.iter().filter(|(_, node)| selects(node));
    Some(nodes.map(|(name, _)| name.as_str()).collect())
}

fn share_a_node(peer: &Peer, nodes: Option<&BTreeSet<&str>>, older: &Older<'_>) -> bool {
    match (nodes, &older.nodes) {
        (Some(ours), Some(theirs)) => !ours.is_disjoint(theirs),
        (None, _) | (_, None) => may_share_a_node(&peer.node_selectors, &older.peer.node_selectors),
    }
}

/// Why `peer` cannot be in force beside each of the `older` ones; of each reason once.
fn conflicts(peer: &Peer, nodes: Option<&BTreeSet<&str>>, older: &[Older<'_>]) -> Vec<PeerRefusal> {
    let mut seen = Vec::new();
    let mut refusals = Vec::new();
    for older in older {
        let conflicts = peer.conflicts(&older.peer);
        if conflicts.is_empty() || !share_a_node(peer, nodes, older) {
            continue;
        }
        for conflict in conflicts {
            if !seen.contains(&conflict) {
                seen.push(conflict);
                refusals.push(conflicting(conflict, peer, older.name.clone(), &older.peer));
            }
        }
    }
    refusals
}

fn conflicting(conflict: PeerConflict, peer: &Peer, other: PeerName, theirs: &Peer) -> PeerRefusal {
    let id = |peer: &Peer| peer.router_id.map(|id| id.to_string());
    match conflict {
        PeerConflict::SameEndpoint => PeerRefusal::SameEndpoint { identity: peer.identity(), other },
        PeerConflict::RouterIds => PeerRefusal::RouterIdsDiffer { ours: id(peer), other, theirs: id(theirs) },
        PeerConflict::OwnAsns => {
            PeerRefusal::OwnAsnsDiffer { ours: peer.my_asn, other, theirs: theirs.my_asn }
        }
    }
}

fn bfd(profile: &str, config: &Config, objects: &Objects) -> Result<Bfd, PeerRefusal> {
    match config.bfd_profiles.get_key_value(profile) {
        Some((name, profile)) => Ok(Bfd { name: name.clone(), profile: *profile }),
        None => Err(PeerRefusal::UnknownBfdProfile {
            profile: profile.into(),
            set_aside: objects.bfd_profiles.contains_key(profile),
        }),
    }
}

/// What keeps the password from being read, as far as Secrets are known.
fn missing_password(secret: &SecretName, namespace: &str, objects: &Objects) -> Option<PeerRefusal> {
    let namespace = NamespaceName::from(namespace);
    let secrets = objects.secrets.as_ref()?;
    let secret = secret.clone();
    let Some(found) = secrets.get(secret.as_str()) else {
        return Some(PeerRefusal::UnknownSecret { namespace, secret });
    };
    if found.kind != PeerRefusal::SECRET_TYPE {
        return Some(PeerRefusal::SecretType { namespace, secret, found: found.kind.clone() });
    }
    let has_password = found.keys.contains("password");
    (!has_password).then_some(PeerRefusal::SecretWithoutPassword { namespace, secret })
}
