//! What a router says, in the words of BGP and not of one make.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::config::Family;

/// The state of a session (RFC 4271 §8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BgpState {
    /// Nothing is tried.
    Idle,
    /// A connection is being made.
    Connect,
    /// It waits for a connection.
    Active,
    /// An OPEN has been sent.
    OpenSent,
    /// An OPEN has been taken.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

/// What a router says of a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighbourState {
    /// The router's name for it: its address, or the interface of an unnumbered one.
    pub name: String,
    /// Its address, once known.
    pub address: Option<IpAddr>,
    /// The state of the session.
    pub state: BgpState,
    /// Its AS: as configured, or as it said.
    pub remote_asn: Option<u32>,
    /// Its BGP identifier.
    pub router_id: Option<Ipv4Addr>,
    /// Why the last session ended, or the last attempt failed, in the router's words. FRR has words for the beginning, too.
    pub last_error: Option<String>,
    /// How long the session has been up.
    pub uptime: Option<Duration>,
    /// How often a session ended; BIRD does not tell.
    pub dropped: Option<u32>,
    /// The hold time that both agreed on.
    pub hold_time: Option<Duration>,
    /// What it sent; BIRD does not tell.
    pub received: Option<Messages>,
    /// What was sent to it; BIRD does not tell.
    pub sent: Option<Messages>,
    /// How many prefixes were taken from it.
    pub prefixes: BTreeMap<Family, u64>,
    /// What it said of restarts, if it did.
    pub graceful_restart: Option<GracefulRestart>,
}

/// What a neighbour said of restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GracefulRestart {
    /// How long its routes shall be kept; not known from a neighbour that only helps others.
    pub time: Option<Duration>,
    /// Families whose routes it keeps over its restart.
    pub preserved: BTreeSet<Family>,
    /// Families of which it has sent everything (End-of-RIB); BIRD does not tell.
    pub complete: BTreeSet<Family>,
}

/// Messages by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Messages {
    /// OPEN.
    pub opens: u64,
    /// UPDATE.
    pub updates: u64,
    /// KEEPALIVE.
    pub keepalives: u64,
    /// NOTIFICATION.
    pub notifications: u64,
    /// ROUTE-REFRESH.
    pub refreshes: u64,
}

/// The paths to every prefix that a router knows, its own included.
pub type Routes = BTreeMap<IpNet, Vec<Path>>;

/// A path to a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Path {
    /// The global next hop first, a link-local one after it. None, or unspecified, for a route of the router's own.
    pub next_hops: Vec<IpAddr>,
    /// The AS numbers, the nearest first.
    pub as_path: Vec<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Communities in `a:b` notation, well-known ones too.
    pub communities: BTreeSet<String>,
    /// Large communities in `a:b:c` notation.
    pub large_communities: BTreeSet<String>,
    /// Kept over the restart of its neighbour.
    pub stale: bool,
    /// The best one.
    pub best: bool,
    /// Used beside the best one, or it itself; BIRD tells of the best one only.
    pub multipath: bool,
    /// The neighbour it came from; none for a route of the router's own.
    pub from: Option<IpAddr>,
}

/// What a router says of a BFD session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BfdState {
    /// The other end.
    pub peer: IpAddr,
    /// Whether the session is up.
    pub up: bool,
    /// All the router says of it, field by field and in its own words.
    pub said: serde_json::Map<String, serde_json::Value>,
}
