//! The attributes that routes of one UPDATE have in common.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use metallb_core::config::{Asn, Community};

use super::as_path::{AS_TRANS, AsPath};
use super::attribute::{Category, Unrecognised, code, emit};
use super::community::{self, ExtendedCommunity};

/// How a route came into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Inside the system it starts in.
    Igp,
    /// Over RFC 904.
    Egp,
    /// In another way.
    Incomplete,
}

impl Origin {
    pub(super) const fn from_octet(octet: u8) -> Option<Self> {
        Some(match octet {
            0 => Self::Igp,
            1 => Self::Egp,
            2 => Self::Incomplete,
            _ => return None,
        })
    }

    const fn octet(self) -> u8 {
        match self {
            Self::Igp => 0,
            Self::Egp => 1,
            Self::Incomplete => 2,
        }
    }
}

/// Who made one route of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregator {
    /// Its system.
    pub asn: Asn,
    /// Its router ID, most often.
    pub address: Ipv4Addr,
}

/// The attributes of routes, save MP_REACH_NLRI and MP_UNREACH_NLRI, which are routes.
///
/// That a well-known one is there where it must be is for the sender to see to, and for [`super::Update::parse`] to
/// check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// AS_PATH, put together from AS4_PATH where that was given.
    pub as_path: Option<AsPath>,
    /// NEXT_HOP: that of the IPv4 routes at the end of the UPDATE.
    pub next_hop: Option<Ipv4Addr>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_preference: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES and LARGE_COMMUNITIES.
    pub communities: BTreeSet<Community>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST (RFC 4456).
    pub cluster_list: Vec<Ipv4Addr>,
    /// EXTENDED_COMMUNITIES.
    pub extended_communities: BTreeSet<ExtendedCommunity>,
    /// What else there is.
    pub unrecognised: Vec<Unrecognised>,
}

impl Attributes {
    /// Writes them in the order of their codes, those we do not know at the end.
    pub(super) fn emit(&self, four_octet_as: bool, out: &mut Vec<u8>) {
        use Category::{OptionalNonTransitive, OptionalTransitive, WellKnown};
        // Named one by one, so that a new attribute cannot be forgotten here.
        let Self {
            origin,
            as_path,
            next_hop,
            med,
            local_preference,
            atomic_aggregate,
            aggregator,
            communities,
            originator_id,
            cluster_list,
            extended_communities,
            unrecognised,
        } = self;
        if let Some(origin) = origin {
            emit(WellKnown, code::ORIGIN, &[origin.octet()], out);
        }
        if let Some(path) = as_path {
            emit(WellKnown, code::AS_PATH, &path.emit(four_octet_as), out);
        }
        if let Some(next_hop) = next_hop {
            emit(WellKnown, code::NEXT_HOP, &next_hop.octets(), out);
        }
        if let Some(med) = med {
            emit(OptionalNonTransitive, code::MULTI_EXIT_DISC, &med.to_be_bytes(), out);
        }
        if let Some(preference) = local_preference {
            emit(WellKnown, code::LOCAL_PREF, &preference.to_be_bytes(), out);
        }
        if *atomic_aggregate {
            emit(WellKnown, code::ATOMIC_AGGREGATE, &[], out);
        }
        if let Some(aggregator) = aggregator {
            emit(OptionalTransitive, code::AGGREGATOR, &aggregator.emit(four_octet_as), out);
        }
        let (standard, large) = community::emit(communities);
        if !standard.is_empty() {
            emit(OptionalTransitive, code::COMMUNITIES, &standard, out);
        }
        if let Some(originator) = originator_id {
            emit(OptionalNonTransitive, code::ORIGINATOR_ID, &originator.octets(), out);
        }
        if !cluster_list.is_empty() {
            let clusters: Vec<_> = cluster_list.iter().flat_map(Ipv4Addr::octets).collect();
            emit(OptionalNonTransitive, code::CLUSTER_LIST, &clusters, out);
        }
        if !extended_communities.is_empty() {
            let extended: Vec<_> = extended_communities.iter().flat_map(|community| community.0).collect();
            emit(OptionalTransitive, code::EXTENDED_COMMUNITIES, &extended, out);
        }
        if !four_octet_as {
            if let Some(path) = as_path.as_ref().and_then(AsPath::as4_path) {
                emit(OptionalTransitive, code::AS4_PATH, &path.emit(true), out);
            }
            if let Some(aggregator) = aggregator.filter(|aggregator| !aggregator.fits_two_octets()) {
                emit(OptionalTransitive, code::AS4_AGGREGATOR, &aggregator.emit(true), out);
            }
        }
        if !large.is_empty() {
            emit(OptionalTransitive, code::LARGE_COMMUNITIES, &large, out);
        }
        for attribute in unrecognised {
            attribute.emit(out);
        }
    }
}

impl Aggregator {
    fn fits_two_octets(self) -> bool {
        u16::try_from(self.asn.get()).is_ok()
    }

    fn emit(self, four_octet_as: bool) -> Vec<u8> {
        let mut out = if four_octet_as {
            self.asn.get().to_be_bytes().to_vec()
        } else {
            u16::try_from(self.asn.get()).unwrap_or(AS_TRANS).to_be_bytes().to_vec()
        };
        out.extend(self.address.octets());
        out
    }
}
