//! From peers and routes to the object. Pure, and always the same for the same: everything is sorted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metallb_core::config::{
    BfdInterval, BfdProfile, Community, Endpoint, Password, PasswordSource, Peer, RemoteAs, SessionFamilies,
};
use metallb_core::names::{NodeName, PeerName};
use metallb_core::plan::RouteAttributes;
use metallb_core::refusal::{FrrRefusal, HOSTNAME};

use super::api;
use super::wanted::{Neighbour, Wanted};

/// RFC 8326: whoever hears it looks for another way before this one goes.
const GRACEFUL_SHUTDOWN: Community = Community::Standard { asn: 0xffff, value: 0 };

/// How passwords are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passwords {
    /// frr-k8s reads the Secret itself.
    Named,
    /// frr-k8s is in another namespace and does not see the Secret: in clear, as upstream.
    Clear,
}

/// For whom an object is made.
#[derive(Clone, Debug)]
pub(super) struct Frame<'f> {
    pub(super) node: &'f NodeName,
    /// That of frr-k8s.
    pub(super) namespace: &'f str,
    pub(super) passwords: Passwords,
}

/// An object, and what did not find its way into it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Built {
    pub(super) spec: api::Written,
    /// Who stands where: the peers of each router's neighbours.
    pub(super) places: Vec<Vec<PeerName>>,
    pub(super) refusals: Vec<FrrRefusal>,
}

/// The object for `wanted`, without the peers of `left_out`.
pub(super) fn build(wanted: &Wanted, left_out: &BTreeSet<PeerName>, frame: &Frame<'_>) -> Built {
    let mut refusals = Vec::new();
    let hostname = wanted.neighbours.hostname.clone().unwrap_or_else(|| {
        refusals.push(FrrRefusal::NoHostname { node: frame.node.clone() });
        frame.node.to_string()
    });
    // Peers of one VRF have one system and one identifier: others are set aside where the configuration is read.
    let mut routers: BTreeMap<_, (api::Router, BTreeSet<IpNet>, Vec<PeerName>)> = BTreeMap::new();
    let mut profiles = BTreeMap::new();
    for (name, neighbour) in wanted.neighbours.peers.iter().filter(|(name, _)| !left_out.contains(*name)) {
        let peer = &neighbour.peer;
        let Some(password) = password(name, neighbour, frame, &mut refusals) else { continue };
        if peer.ttl_security.is_some() {
            refusals.push(FrrRefusal::TtlSecurity { peer: name.clone() });
        }
        let heard = wanted.routes.get(name);
        let id = peer.router_id.map(|id| id.to_string());
        let key = (peer.vrf.clone(), peer.my_asn, id.clone());
        let (router, prefixes, places) = routers.entry(key).or_insert_with(|| {
            let vrf = peer.vrf.as_ref().map(ToString::to_string);
            let router = api::Router { asn: peer.my_asn.get(), id, vrf, ..api::Router::default() };
            (router, BTreeSet::new(), Vec::new())
        });
        let mark = wanted.draining.then_some(GRACEFUL_SHUTDOWN);
        prefixes.extend(heard.into_iter().flat_map(BTreeMap::keys));
        router.neighbors.push(neighbor(peer, password, advertise(heard, mark)));
        places.push(name.clone());
        profiles.extend(peer.bfd.as_ref().map(|bfd| (bfd.name.clone(), bfd.profile)));
    }
    let (routers, places) = routers
        .into_values()
        .map(|(router, prefixes, places)| (api::Router { prefixes: texts(&prefixes), ..router }, places))
        .unzip();
    let bfd_profiles =
        profiles.into_iter().map(|(name, profile)| bfd_profile(name.to_string(), &profile)).collect();
    let spec = api::Written {
        bgp: api::Bgp { bfd_profiles, routers },
        node_selector: api::NodeSelector { match_labels: BTreeMap::from([(HOSTNAME, hostname)]) },
    };
    Built { spec, places, refusals }
}

/// In clear, or where it is.
#[derive(Default)]
struct Secrecy {
    clear: Option<String>,
    reference: Option<api::SecretReference>,
}

/// `None` where the peer cannot be talked to for want of its password.
fn password(
    name: &PeerName,
    neighbour: &Neighbour,
    frame: &Frame<'_>,
    refusals: &mut Vec<FrrRefusal>,
) -> Option<Secrecy> {
    let mut text = |password: &Password| {
        let text = std::str::from_utf8(password.reveal()).ok().map(str::to_owned);
        if text.is_none() {
            refusals.push(FrrRefusal::PasswordNotText { peer: name.clone() });
        }
        text.map(|text| Secrecy { clear: Some(text), reference: None })
    };
    match (&neighbour.peer.password, frame.passwords) {
        (None, Passwords::Named | Passwords::Clear) => Some(Secrecy::default()),
        (Some(PasswordSource::Inline(password)), Passwords::Named | Passwords::Clear) => text(password),
        (Some(PasswordSource::Secret(secret)), Passwords::Named) => {
            let (name, namespace) = (secret.to_string(), frame.namespace.to_owned());
            Some(Secrecy { clear: None, reference: Some(api::SecretReference { name, namespace }) })
        }
        // Without its Secret it is set aside already, and that was told.
        (Some(PasswordSource::Secret(_)), Passwords::Clear) => text(neighbour.password.as_ref()?),
    }
}

fn neighbor(peer: &Peer, password: Secrecy, to_advertise: api::Advertise) -> api::Neighbor {
    let Peer {
        my_asn: _, // the router's
        local_asn,
        remote,
        endpoint,
        port,
        source_address,
        router_id: _, // the router's
        vrf: _,       // the router's
        timers,
        connect_time,
        password: _, // as `password` says
        bfd,
        graceful_restart,
        multihop,
        ttl_security: _, // the API cannot say it, and that is told
        families,
        node_selectors: _, // the object is of one node
    } = peer;
    let (asn, dynamic_asn) = match remote {
        RemoteAs::Number(asn) => (Some(asn.get()), None),
        RemoteAs::Internal => (None, Some("internal")),
        RemoteAs::External => (None, Some("external")),
    };
    let (address, interface) = match endpoint {
        Endpoint::Address(address) => (Some(address.to_string()), None),
        Endpoint::Interface(interface) => (None, Some(interface.to_string())),
    };
    let time = |time: Option<Duration>| seconds(time.unwrap_or_default());
    api::Neighbor {
        asn,
        dynamic_asn,
        local_asn: local_asn.map(metallb_core::config::Asn::get),
        address,
        interface,
        port: port.get(),
        source_address: source_address.map(|address| address.to_string()),
        password: password.clear,
        password_secret: password.reference,
        // Both or neither: the API refuses one without the other.
        hold_time: timers.map(|timers| time(timers.hold_time().get())),
        keepalive_time: timers.map(|timers| time(timers.keepalive_time())),
        connect_time: connect_time.map(|time| seconds(time.get())),
        ebgp_multi_hop: *multihop,
        bfd_profile: bfd.as_ref().map(|bfd| bfd.name.to_string()),
        enable_graceful_restart: *graceful_restart,
        dual_stack_address_family: *families == SessionFamilies::Both,
        to_advertise,
    }
}

fn advertise(
    routes: Option<&BTreeMap<IpNet, Arc<RouteAttributes>>>,
    mark: Option<Community>,
) -> api::Advertise {
    let mut by_community: BTreeMap<Community, Vec<String>> = BTreeMap::new();
    let mut by_preference: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (prefix, attributes) in routes.into_iter().flatten() {
        let RouteAttributes { communities, local_preference } = attributes.as_ref();
        for community in communities.iter().copied().chain(mark) {
            let prefixes = by_community.entry(community).or_default();
            prefixes.push(prefix.to_string());
            prefixes.dedup(); // the mark may be there already
        }
        if let Some(preference) = local_preference {
            by_preference.entry(*preference).or_default().push(prefix.to_string());
        }
    }
    api::Advertise {
        allowed: api::Allowed {
            mode: api::Mode::Filtered,
            prefixes: texts(routes.into_iter().flat_map(BTreeMap::keys)),
        },
        with_local_pref: by_preference
            .into_iter()
            .map(|(local_pref, prefixes)| api::WithLocalPref { local_pref, prefixes })
            .collect(),
        with_community: by_community
            .into_iter()
            .map(|(community, prefixes)| api::WithCommunity { community: community.to_string(), prefixes })
            .collect(),
    }
}

fn texts<'p>(prefixes: impl IntoIterator<Item = &'p IpNet>) -> Vec<String> {
    prefixes.into_iter().map(ToString::to_string).collect()
}

/// What is FRR's default is left to it: a profile of that name in another FRRConfiguration has to say the same.
fn bfd_profile(name: String, profile: &BfdProfile) -> api::BfdProfile {
    let BfdProfile {
        receive_interval,
        transmit_interval,
        detect_multiplier,
        echo_interval,
        echo_mode,
        passive_mode,
        minimum_ttl,
    } = *profile;
    let default = BfdProfile::default();
    let millis = |interval: BfdInterval, default: BfdInterval| {
        (interval != default).then(|| u32::try_from(interval.get().as_millis()).unwrap_or(BfdInterval::MAX))
    };
    api::BfdProfile {
        name,
        receive_interval: millis(receive_interval, default.receive_interval),
        transmit_interval: millis(transmit_interval, default.transmit_interval),
        detect_multiplier: (detect_multiplier != default.detect_multiplier).then(|| detect_multiplier.get()),
        echo_interval: millis(echo_interval, default.echo_interval),
        echo_mode,
        passive_mode,
        minimum_ttl: (minimum_ttl != default.minimum_ttl).then(|| minimum_ttl.get()),
    }
}

/// As Go writes durations. FRR knows whole seconds.
fn seconds(time: Duration) -> String {
    let all = time.as_secs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        (_, _) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
