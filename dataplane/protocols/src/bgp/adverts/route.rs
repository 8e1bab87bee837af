//! A route as the plan wants it, and as it looks to one router.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use metallb_core::address::Family;
use metallb_core::config::{Asn, Community};
use metallb_core::plan::RouteAttributes;

use crate::bgp::wire::{AsPath, Attributes, MpReach, NextHop, Origin, PathId, Prefixes, TooLong, Update};

/// "Please take another way, this one is about to go" (RFC 8326).
const GRACEFUL_SHUTDOWN: Community = Community::Standard { asn: 65_535, value: 0 };

/// What routes say where nobody said anything: it differs by the backend that an installation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// LOCAL_PREF, inside our own system.
    pub local_preference: u32,
    /// MULTI_EXIT_DISC; `None` leaves it out.
    pub med: Option<u32>,
}

/// The addresses of this node that a session's router can send to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHops {
    /// For IPv4 routes.
    pub v4: Option<Ipv4Addr>,
    /// For IPv6 routes, and for IPv4 routes where the router takes that (RFC 8950).
    pub v6: Option<Ipv6Addr>,
    /// The same for who is on the same link. On an unnumbered link it is all there is.
    pub link_local: Option<Ipv6Addr>,
    /// Does the session itself go over IPv4? Then IPv4 routes do, too, whatever the two could agree on.
    pub over_ipv4: bool,
}

impl NextHops {
    fn v6(&self) -> Option<NextHop> {
        match (self.v6, self.link_local) {
            (Some(global), link_local) => Some(NextHop::V6 { global, link_local }),
            (None, Some(link_local)) => Some(NextHop::V6 { global: link_local, link_local: None }),
            (None, None) => None,
        }
    }
}

/// Why a route cannot be told to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// This node has no address of the family that the router could send to.
    #[error(
        "this node has no {0} address on the way to the router; give it one, or leave {0} out of the session"
    )]
    NoNextHop(Family),
    /// Its communities fill a message.
    #[error("its communities do not fit a message ({0}); announce it with fewer")]
    TooLong(TooLong),
}

/// Which of several routes to a prefix these are, for the families of which a session carries several (RFC 7911).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// To IPv4 prefixes.
    pub v4: Option<PathId>,
    /// To IPv6 prefixes.
    pub v6: Option<PathId>,
}

impl Paths {
    /// Those of `family`.
    pub const fn of(self, family: Family) -> Option<PathId> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// How routes look on one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // four things that were negotiated one by one
pub struct Outlook {
    /// Our system as the router knows it.
    pub asn: Asn,
    /// Is the router in it?
    pub internal: bool,
    /// Does the router know systems of four octets?
    pub four_octet_as: bool,
    /// Does it take IPv6 next hops for IPv4 routes?
    pub extended_next_hop: bool,
    /// Which of several they are.
    pub paths: Paths,
    /// Octets of the longest message.
    pub limit: usize,
    /// Where to send what matches.
    pub next_hops: NextHops,
    /// What routes say by default.
    pub defaults: Defaults,
    /// Is this node about to leave (RFC 8326)?
    pub draining: bool,
}

impl Outlook {
    /// An UPDATE with these routes, and none that goes.
    pub fn announcement(&self, route: &RouteAttributes, prefixes: Prefixes) -> Result<Update, Unsendable> {
        let mut attributes = self.attributes(route);
        let family = prefixes.family();
        let none = Unsendable::NoNextHop(family);
        match (prefixes, self.extended_next_hop && !self.next_hops.over_ipv4) {
            (Prefixes::V4(announced), false) => {
                attributes.next_hop = Some(self.next_hops.v4.ok_or(none)?);
                Ok(Update { attributes, announced, ..Update::default() })
            }
            (prefixes @ Prefixes::V4(_), true) | (prefixes @ Prefixes::V6(_), true | false) => {
                let next_hop = self.next_hops.v6().ok_or(none)?;
                let mp_announced = Some(MpReach { next_hop, prefixes });
                Ok(Update { mp_announced, attributes, ..Update::default() })
            }
        }
    }

    /// An UPDATE that takes these routes back.
    pub fn withdrawal(&self, prefixes: Prefixes) -> Update {
        match (prefixes, self.extended_next_hop && !self.next_hops.over_ipv4) {
            (Prefixes::V4(withdrawn), false) => Update { withdrawn, ..Update::default() },
            (prefixes @ Prefixes::V4(_), true) | (prefixes @ Prefixes::V6(_), true | false) => {
                Update { mp_withdrawn: Some(prefixes), ..Update::default() }
            }
        }
    }

    /// The message with these routes of `family`.
    pub(super) fn emit(&self, update: &Update, family: Family) -> Result<Vec<u8>, TooLong> {
        update.emit_with(self.paths.of(family), self.four_octet_as, self.limit)
    }

    /// The octets that `prefix` takes in a message.
    pub(super) fn octets(&self, prefix: IpNet) -> usize {
        let path = self.paths.of(Family::of(prefix.addr()));
        Prefixes::octets(prefix) + path.map_or(0, |_| PathId::OCTETS)
    }

    fn attributes(&self, route: &RouteAttributes) -> Attributes {
        let mut communities = route.communities.clone();
        // RFC 8326 §4.1: the community for all; and inside our system the preference, which outweighs everything.
        communities.extend(self.draining.then_some(GRACEFUL_SHUTDOWN));
        let wanted = route.local_preference.unwrap_or(self.defaults.local_preference);
        let preference = if self.draining { 0 } else { wanted };
        Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(if self.internal { AsPath::default() } else { AsPath::origin(self.asn) }),
            med: self.defaults.med,
            local_preference: self.internal.then_some(preference),
            communities,
            ..Attributes::default()
        }
    }
}
