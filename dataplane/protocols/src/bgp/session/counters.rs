//! What a session counts, for the metrics.

use std::collections::BTreeMap;

use crate::bgp::wire::Kind;

/// What a session has counted since it was configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages to the router.
    pub sent: BTreeMap<Kind, u64>,
    /// Messages from the router.
    pub received: BTreeMap<Kind, u64>,
    /// Routes that it announced to us. They are dropped: a speaker has no use for them.
    pub routes_announced: u64,
    /// Routes that it took back.
    pub routes_withdrawn: u64,
    /// UPDATEs of which an attribute was set aside (RFC 7606).
    pub attributes_set_aside: u64,
    /// UPDATEs whose routes were taken for withdrawn (RFC 7606).
    pub treated_as_withdraw: u64,
    /// Times that the session came up.
    pub established: u64,
    /// Times that it went down again.
    pub dropped: u64,
}

impl Counters {
    pub(super) fn sent(&mut self, kind: Kind) {
        *self.sent.entry(kind).or_default() += 1;
    }

    pub(super) fn received(&mut self, kind: Kind) {
        *self.received.entry(kind).or_default() += 1;
    }
}
