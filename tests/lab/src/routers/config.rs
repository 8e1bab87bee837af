//! What a router is told to be, in the words of BGP and not of one make.
//!
//! In all of them it takes every route, passes on every route, and spreads over up to 64 equal paths whatever their AS
//! paths say.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;

/// A router.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its AS.
    pub asn: u32,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// The TCP port it listens on.
    pub port: u16,
    /// With whom it speaks.
    pub neighbours: Vec<Neighbour>,
    /// Prefixes that it announces as its own.
    pub originates: Vec<IpNet>,
    /// What it does about restarts (RFC 4724).
    pub restarting: Restarting,
    /// BFD without BGP.
    pub bfd_peers: Vec<BfdPeer>,
}

/// With whom a router speaks, and how.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Where it is.
    pub at: Peer,
    /// Its AS.
    pub remote: Remote,
    /// The port to connect to.
    pub port: u16,
    /// The AS to pretend to be.
    pub local_asn: Option<u32>,
    /// The key of TCP-MD5 (RFC 2385).
    pub password: Option<String>,
    /// Who connects.
    pub initiative: Initiative,
    /// How far away it is.
    pub distance: Distance,
    /// How often is what done.
    pub timers: Timers,
    /// Which routes are exchanged.
    pub families: BTreeSet<Family>,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Several routes to one prefix are taken from it (RFC 7911). FRR does so in any case.
    pub additional_paths: bool,
    /// The address to speak from.
    pub source: Option<IpAddr>,
    /// BFD for the session.
    pub bfd: Option<Bfd>,
}

/// Where a neighbour is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// At an address.
    Address(IpAddr),
    /// At a link-local address behind an interface.
    LinkLocal(std::net::Ipv6Addr, String),
    /// Whoever is behind an interface (unnumbered).
    Interface(String),
    /// Whoever comes from there; the router waits for them.
    Range(IpNet),
}

/// A neighbour's AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// That one.
    As(u32),
    /// The router's own.
    Internal,
    /// Any but the router's own.
    External,
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiative {
    /// Both may.
    Active,
    /// The router waits for the neighbour.
    Passive,
}

/// How far away a neighbour may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// On the same link, if it is external (RFC 4271); anywhere, if internal.
    Default,
    /// So many hops at most.
    Multihop(u8),
    /// So many hops at most, and it must prove it (RFC 5082).
    TtlSecurity(u8),
}

/// How often things are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// How often a KEEPALIVE is sent.
    pub keepalive: Duration,
    /// How long silence is borne.
    pub hold: Duration,
    /// How long after a vain attempt to connect comes the next one.
    pub connect_retry: Duration,
}

/// An address family, always unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a router does about restarts (RFC 4724).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restarting {
    /// Nothing: the capability is not announced.
    Off,
    /// It keeps routes of neighbours that restart.
    Helper,
    /// That, and it asks its neighbours to keep its own for so long.
    Graceful(Duration),
}

/// How BFD is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bfd {
    /// `RequiredMinRxInterval`.
    pub receive: Duration,
    /// `DesiredMinTxInterval`.
    pub transmit: Duration,
    /// The detection multiplier.
    pub multiplier: u8,
    /// Whether echo packets are sent.
    pub echo: Echo,
    /// Who begins.
    pub initiative: Initiative,
    /// The least TTL of packets over several hops.
    pub minimum_ttl: Option<u8>,
    /// Whether it is wanted just now.
    pub administration: Administration,
}

/// Whether something is wanted just now by who runs the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administration {
    /// It is.
    Up,
    /// It is switched off, and says so: `AdminDown` of RFC 5880.
    Down,
}

/// Whether BFD echo packets are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// A system that is watched without BGP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdPeer {
    /// Where it is.
    pub address: IpAddr,
    /// Behind which interface; none for one over several hops (RFC 5883).
    pub interface: Option<String>,
    /// The address to speak from. FRR needs it over several hops and with link-local addresses.
    pub source: Option<IpAddr>,
    /// How.
    pub bfd: Bfd,
}

impl Config {
    /// A router that listens on port 179, helps those that restart, and knows nobody.
    pub fn new(asn: u32, router_id: impl Into<Ipv4Addr>) -> Self {
        Self {
            asn,
            router_id: router_id.into(),
            port: 179,
            neighbours: Vec::new(),
            originates: Vec::new(),
            restarting: Restarting::Helper,
            bfd_peers: Vec::new(),
        }
    }

    /// Whether there is anything for BGP to do; else BFD may run alone.
    pub(super) fn speaks_bgp(&self) -> bool {
        !(self.neighbours.is_empty() && self.originates.is_empty())
    }

    /// Listening there.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// With one more neighbour.
    pub fn neighbour(mut self, neighbour: Neighbour) -> Self {
        self.neighbours.push(neighbour);
        self
    }

    /// With one more prefix of its own.
    pub fn originates(mut self, prefix: impl Into<IpNet>) -> Self {
        self.originates.push(prefix.into());
        self
    }

    /// Doing that about restarts.
    pub fn restarting(self, restarting: Restarting) -> Self {
        Self { restarting, ..self }
    }

    /// Watching one more system.
    pub fn bfd_peer(mut self, peer: BfdPeer) -> Self {
        self.bfd_peers.push(peer);
        self
    }
}

impl Neighbour {
    /// A neighbour with both families (IPv4 alone would be FRR's default), short timers, and nothing special.
    pub fn new(at: Peer, remote: Remote) -> Self {
        Self {
            at,
            remote,
            port: 179,
            local_asn: None,
            password: None,
            initiative: Initiative::Active,
            distance: Distance::Default,
            timers: Timers {
                keepalive: Duration::from_secs(3),
                hold: Duration::from_secs(9),
                connect_retry: Duration::from_secs(1),
            },
            families: BTreeSet::from([Family::V4, Family::V6]),
            extended_next_hop: false,
            additional_paths: false,
            source: None,
            bfd: None,
        }
    }

    /// One at an address.
    pub fn at(address: IpAddr, remote: Remote) -> Self {
        Self::new(Peer::Address(address), remote)
    }

    /// Whoever is behind that interface, with IPv6 next hops for IPv4 routes.
    pub fn unnumbered(interface: &str, remote: Remote) -> Self {
        Self::new(Peer::Interface(interface.to_owned()), remote).extended_next_hop()
    }

    /// Whoever comes from there.
    pub fn range(prefix: impl Into<IpNet>, remote: Remote) -> Self {
        Self::new(Peer::Range(prefix.into()), remote)
    }

    /// Listening there.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// To which the router pretends to be of that AS.
    pub fn local_asn(self, asn: u32) -> Self {
        Self { local_asn: Some(asn), ..self }
    }

    /// With TCP-MD5.
    pub fn password(self, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..self }
    }

    /// Which has to connect.
    pub fn passive(self) -> Self {
        Self { initiative: Initiative::Passive, ..self }
    }

    /// Several of whose routes to one prefix are taken.
    pub fn additional_paths(self) -> Self {
        Self { additional_paths: true, ..self }
    }

    /// So far away at most.
    pub fn distance(self, distance: Distance) -> Self {
        Self { distance, ..self }
    }

    /// With these timers.
    pub fn timers(self, keepalive: Duration, hold: Duration) -> Self {
        Self { timers: Timers { keepalive, hold, ..self.timers }, ..self }
    }

    /// Exchanging these routes only.
    pub fn families(self, families: impl IntoIterator<Item = Family>) -> Self {
        Self { families: families.into_iter().collect(), ..self }
    }

    /// With IPv6 next hops for IPv4 routes.
    pub fn extended_next_hop(self) -> Self {
        Self { extended_next_hop: true, ..self }
    }

    /// Spoken to from this address.
    pub fn source(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Watched by BFD.
    pub fn bfd(self, bfd: Bfd) -> Self {
        Self { bfd: Some(bfd), ..self }
    }
}

impl Bfd {
    /// The same interval in both directions, without echo.
    pub fn every(interval: Duration, multiplier: u8) -> Self {
        Self {
            receive: interval,
            transmit: interval,
            multiplier,
            echo: Echo::Off,
            initiative: Initiative::Active,
            minimum_ttl: None,
            administration: Administration::Up,
        }
    }
}

impl BfdPeer {
    /// A system on the link of that interface.
    pub fn next_door(address: IpAddr, interface: &str, bfd: Bfd) -> Self {
        Self { address, interface: Some(interface.to_owned()), source: None, bfd }
    }

    /// A system behind other routers (RFC 5883).
    pub fn far(address: IpAddr, source: IpAddr, bfd: Bfd) -> Self {
        Self { address, interface: None, source: Some(source), bfd }
    }
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of a prefix.
    pub fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }
}
