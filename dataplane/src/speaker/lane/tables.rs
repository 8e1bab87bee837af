//! What the brain tells the lane: complete, immutable, swapped whole.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use metallb_core::config::Interfaces;
use metallb_core::names::{InterfaceName, NodeName};
use metallb_protocols::ethernet::Mac;

/// Everything the lane works from. What did not change is shared with the tables before.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The addresses that this node announces, and on which interfaces.
    pub announced: Arc<BTreeMap<IpAddr, Interfaces>>,
    /// The interfaces that answer, by index.
    pub stations: Arc<BTreeMap<u32, Station>>,
    /// The other nodes with a speaker; `None` until the API server has said so.
    pub peers: Option<Arc<BTreeMap<NodeName, IpAddr>>>,
    /// How far the speaker is.
    pub phase: Phase,
}

/// An interface that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its name, as advertisements call it.
    pub name: InterfaceName,
    /// Its hardware address.
    pub mac: Mac,
}

/// How far a speaker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It does not know yet what to announce: others must not count on it.
    #[default]
    Starting,
    /// It announces what it should, and says so by its heartbeats.
    Serving,
    /// It is about to end.
    Leaving,
}
