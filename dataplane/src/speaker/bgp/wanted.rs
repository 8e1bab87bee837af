//! A BGPPeer as the lane needs it: what the user wrote, and for the rest what the installation it comes from did.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{
    Bfd, Endpoint, HoldTime, Password, Peer, RemoteAs, RouterId, SessionFamilies, Timers,
};
use metallb_core::names::{NodeName, VrfName};
use metallb_protocols::bfd::Hops;
use metallb_protocols::bgp::adverts::Defaults;
use metallb_protocols::bgp::session::{Retry, Settings};

use crate::net::tcp::Reach;

/// Whose defaults hold where a BGPPeer says nothing, so that no router sees a difference (`METALLB_BGP_TYPE`). It selects
/// defaults and nothing else: every feature is there with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Those of MetalLB's own speaker.
    Native,
    /// Those of FRR, run by MetalLB or by frr-k8s.
    #[default]
    Frr,
}

/// A router to talk BGP with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the session goes by.
    pub settings: Settings,
    /// What its connections go by.
    pub transport: Transport,
    /// Watched over by BFD, like that.
    pub bfd: Option<Bfd>,
    /// How far BFD goes, where the configuration says it. `None`: over one hop to a router on a network of this node,
    /// over several to any other.
    pub hops: Option<Hops>,
}

/// How to reach the router. What differs here needs a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// `spec.peerAddress` or `spec.interface`.
    pub endpoint: Endpoint,
    /// `spec.peerPort`.
    pub port: NonZeroU16,
    /// `spec.sourceAddress`.
    pub source_address: Option<IpAddr>,
    /// `spec.vrf`.
    pub vrf: Option<VrfName>,
    /// `spec.password`, or what `spec.passwordSecret` holds.
    pub password: Option<Password>,
    /// By `spec.ebgpMultiHop` and the profile of defaults.
    pub reach: Reach,
}

impl Wanted {
    /// `password` is the one that the peer asks for, from wherever it is.
    pub fn of(
        peer: &Peer,
        password: Option<Password>,
        profile: Profile,
        node: &NodeName,
        node_addresses: &[IpAddr],
    ) -> Self {
        let internal = match peer.remote {
            RemoteAs::Number(asn) => asn == peer.my_asn,
            RemoteAs::Internal => true,
            RemoteAs::External => false,
        };
        let (hold_time, keepalive_time) = peer
            .timers
            .as_ref()
            .map_or_else(|| profile.timers(), |timers| (timers.hold_time(), timers.keepalive_time()));
        let settings = Settings {
            my_asn: peer.my_asn,
            local_asn: peer.local_asn,
            remote: peer.remote,
            router_id: peer.router_id.unwrap_or_else(|| router_id(node, node_addresses)),
            hold_time,
            keepalive_time,
            families: profile.families(peer).into_iter().collect(),
            extended_next_hop: matches!(peer.endpoint, Endpoint::Interface(_)),
            graceful_restart: peer.graceful_restart,
            restart_helper: profile == Profile::Frr,
            additional_paths: !peer.graceful_restart && has_known_next_hop(peer),
            host_name: (profile == Profile::Frr).then(|| node.to_string()),
            retry: Retry { connect_time: peer.connect_time, ..profile.retry() },
            defaults: profile.defaults(),
            password: password.is_some(),
        };
        let transport = Transport {
            endpoint: peer.endpoint.clone(),
            port: peer.port,
            source_address: peer.source_address,
            vrf: peer.vrf.clone(),
            password,
            reach: peer.ttl_security.map_or_else(|| profile.reach(peer.multihop, internal), Reach::Within),
        };
        let hops = profile.hops(peer, internal);
        Self { settings, transport, bfd: peer.bfd.clone(), hops }
    }
}

impl Profile {
    fn timers(self) -> (HoldTime, Option<Duration>) {
        let hold = match self {
            Self::Native => 90,
            Self::Frr => 180,
        };
        // Neither is a time that could be refused.
        let timers = Timers::new(Some(Duration::from_secs(hold)), None).ok().flatten();
        timers.map_or((HoldTime::NONE, None), |timers| (timers.hold_time(), timers.keepalive_time()))
    }

    /// MetalLB's own speaker always offered both, and FRR goes by the address.
    fn families(self, peer: &Peer) -> Vec<Family> {
        let both = vec![Family::V4, Family::V6];
        match (self, &peer.endpoint, peer.families) {
            (Self::Native, _, _) | (_, Endpoint::Interface(_), _) | (_, _, SessionFamilies::Both) => both,
            (Self::Frr, Endpoint::Address(address), SessionFamilies::Own) => vec![Family::of(*address)],
        }
    }

    const fn retry(self) -> Retry {
        let (first, longest) = match self {
            Self::Native => (Duration::ZERO, Duration::from_mins(2)),
            Self::Frr => (Duration::from_secs(1), Duration::from_mins(2)),
        };
        Retry { first, longest, connect_time: None }
    }

    const fn defaults(self) -> Defaults {
        match self {
            Self::Native => Defaults { local_preference: 0, med: None },
            Self::Frr => Defaults { local_preference: 100, med: Some(0) },
        }
    }

    /// As routers decide it, FRR among them, since both ends have to (RFC 5883 has another port): by `spec.ebgpMultiHop`
    /// between systems, also to a router that is next door all the same; inside one by where the router is.
    fn hops(self, peer: &Peer, internal: bool) -> Option<Hops> {
        let next_door = matches!(peer.endpoint, Endpoint::Interface(_))
            || peer.ttl_security.is_some_and(|hops| hops == NonZeroU8::MIN);
        if next_door {
            return Some(Hops::Single);
        }
        if peer.multihop && !internal {
            return Some(Hops::Multi);
        }
        match self {
            // It may be anywhere.
            Self::Native => None,
            Self::Frr => (!internal && peer.ttl_security.is_none()).then_some(Hops::Single),
        }
    }

    const fn reach(self, multihop: bool, internal: bool) -> Reach {
        match (self, multihop || internal) {
            (Self::Native, _) => Reach::Anywhere,
            (Self::Frr, true) => Reach::Far,
            (Self::Frr, false) => Reach::Link,
        }
    }
}

/// Can another node tell what next hop this one's IPv4 routes have at the router? Its InternalIP, where the router is on a network
/// with it; on a session over IPv6, or from an address of the user's choice, it is another.
const fn has_known_next_hop(peer: &Peer) -> bool {
    matches!(peer.endpoint, Endpoint::Address(IpAddr::V4(_)))
        && peer.source_address.is_none()
        && peer.vrf.is_none()
}

/// The identifier of a node that was given none: its first IPv4 address; without one, a number made of its name, as
/// MetalLB's own speaker makes it.
fn router_id(node: &NodeName, addresses: &[IpAddr]) -> RouterId {
    let v4 = addresses.iter().find_map(|address| match address {
        IpAddr::V4(v4) => RouterId::new(*v4),
        IpAddr::V6(_) => None,
    });
    v4.unwrap_or_else(|| {
        let named = crc32fast::hash(node.as_str().as_bytes()).swap_bytes();
        RouterId::from_bits(NonZeroU32::new(named).unwrap_or(NonZeroU32::MIN))
    })
}

#[cfg(test)]
mod tests {
    use metallb_core::config::Asn;

    use super::*;

    fn peer() -> Peer {
        Peer::new(
            Asn::new(64_512).unwrap(),
            RemoteAs::External,
            Endpoint::Address("192.0.2.1".parse().unwrap()),
        )
    }

    fn wanted(peer: &Peer, profile: Profile) -> Wanted {
        Wanted::of(
            peer,
            None,
            profile,
            &"node-1".into(),
            &["fd00::7".parse().unwrap(), "192.0.2.7".parse().unwrap()],
        )
    }

    /// Spec of MetalLB's two kinds of backend: what a router saw of a peer that says nothing.
    #[test]
    fn a_peer_that_says_nothing_looks_as_it_did_before() {
        let seen = |profile| {
            let Wanted { settings, transport, .. } = wanted(&peer(), profile);
            (
                settings.hold_time.get().map(|time| time.as_secs()),
                settings.keepalive_time.map(|time| time.as_secs()),
                settings.families.len(),
                settings.defaults,
                settings.retry.first.as_secs(),
                settings.restart_helper,
                transport.reach,
            )
        };
        let native = Defaults { local_preference: 0, med: None };
        assert_eq!(seen(Profile::Native), (Some(90), Some(30), 2, native, 0, false, Reach::Anywhere));
        let frr = Defaults { local_preference: 100, med: Some(0) };
        assert_eq!(seen(Profile::Frr), (Some(180), Some(60), 1, frr, 1, true, Reach::Link));
    }

    #[test]
    fn only_routers_of_other_systems_have_to_be_next_door() {
        let reach =
            |remote, multihop| wanted(&Peer { remote, multihop, ..peer() }, Profile::Frr).transport.reach;
        let asn = |number| RemoteAs::Number(Asn::new(number).unwrap());
        assert_eq!(reach(asn(64_513), false), Reach::Link);
        assert_eq!(reach(asn(64_513), true), Reach::Far);
        assert_eq!(reach(asn(64_512), false), Reach::Far);
        assert_eq!(reach(RemoteAs::Internal, false), Reach::Far);
        let hops = NonZeroU8::new(1);
        let near = wanted(&Peer { ttl_security: hops, ..peer() }, Profile::Native).transport.reach;
        assert_eq!(Some(near), hops.map(Reach::Within));
    }

    #[test]
    fn bfd_goes_as_far_as_the_configuration_says_and_where_it_does_not_as_the_network() {
        let asn = |number| RemoteAs::Number(Asn::new(number).unwrap());
        let (ours, theirs) = (asn(64_512), asn(64_513));
        let interface = Endpoint::Interface("eth0".into());
        let at = |endpoint: &Endpoint, remote, multihop, ttl: u8| Peer {
            endpoint: endpoint.clone(),
            remote,
            multihop,
            ttl_security: NonZeroU8::new(ttl),
            ..peer()
        };
        let given = peer().endpoint;
        let (single, multi) = (Some(Hops::Single), Some(Hops::Multi));
        for (peer, native, frr) in [
            (at(&given, theirs, false, 0), None, single),
            (at(&given, theirs, true, 0), multi, multi),
            (at(&given, RemoteAs::External, true, 0), multi, multi),
            (at(&given, ours, false, 0), None, None),
            (at(&given, RemoteAs::Internal, false, 0), None, None),
            (at(&given, theirs, false, 1), single, single),
            (at(&given, theirs, false, 2), None, None),
            (at(&interface, theirs, false, 0), single, single),
            (at(&interface, ours, false, 0), single, single),
        ] {
            let hops = [Profile::Native, Profile::Frr].map(|profile| wanted(&peer, profile).hops);
            assert_eq!(hops, [native, frr], "{peer:?}");
        }
    }

    #[test]
    fn a_node_is_identified_by_its_address_and_without_one_by_its_name() {
        let id = |addresses: &[IpAddr]| {
            let wanted = Wanted::of(&peer(), None, Profile::Frr, &"node-1".into(), addresses);
            wanted.settings.router_id.to_string()
        };
        assert_eq!(id(&["fd00::7".parse().unwrap(), "192.0.2.7".parse().unwrap()]), "192.0.2.7");
        // printf node-1 | gzip -c | tail -c8 | od -An -tu1 -N4
        assert_eq!(id(&[]), id(&["fd00::7".parse().unwrap()]));
        assert_eq!(id(&[]), "95.28.242.19");
    }
}
