//! Communities on the wire: standard (RFC 1997), large (RFC 8092), extended (RFC 4360).
//!
//! The first two are the [`Community`] that users write. Nobody writes extended ones here; they are kept as they come.

use std::collections::BTreeSet;

use metallb_core::config::Community;

use super::reader::Reader;

/// An extended community: eight octets, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// The value of COMMUNITIES. RFC 7606 §7.8: at least one, and whole.
pub(super) fn parse_standard(mut reader: Reader<'_>) -> Option<Vec<Community>> {
    let mut communities = Vec::new();
    while communities.is_empty() || !reader.is_empty() {
        communities.push(Community::Standard { asn: reader.u16()?, value: reader.u16()? });
    }
    Some(communities)
}

/// The value of LARGE_COMMUNITIES. RFC 8092 §6: the same.
pub(super) fn parse_large(mut reader: Reader<'_>) -> Option<Vec<Community>> {
    let mut communities = Vec::new();
    while communities.is_empty() || !reader.is_empty() {
        let [global, local_1, local_2] = [reader.u32()?, reader.u32()?, reader.u32()?];
        communities.push(Community::Large { global, local_1, local_2 });
    }
    Some(communities)
}

/// The value of EXTENDED_COMMUNITIES. RFC 7606 §7.14: the same.
pub(super) fn parse_extended(mut reader: Reader<'_>) -> Option<BTreeSet<ExtendedCommunity>> {
    let mut communities = BTreeSet::new();
    while communities.is_empty() || !reader.is_empty() {
        communities.insert(ExtendedCommunity(reader.array()?));
    }
    Some(communities)
}

/// The values of COMMUNITIES and LARGE_COMMUNITIES, each empty if there is nothing for it.
pub(super) fn emit(communities: &BTreeSet<Community>) -> (Vec<u8>, Vec<u8>) {
    let (mut standard, mut large) = (Vec::new(), Vec::new());
    for community in communities {
        match community {
            Community::Standard { asn, value } => {
                standard.extend(asn.to_be_bytes());
                standard.extend(value.to_be_bytes());
            }
            Community::Large { global, local_1, local_2 } => {
                large.extend([global, local_1, local_2].into_iter().flat_map(|part| part.to_be_bytes()));
            }
        }
    }
    (standard, large)
}
