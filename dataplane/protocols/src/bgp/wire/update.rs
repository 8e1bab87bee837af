//! UPDATE: routes that came and went (RFC 4271 §4.3, RFC 4760). How one that comes in is read: `received`.

use ipnet::Ipv4Net;
use metallb_core::address::Family;

use super::attribute::{self, Category, code};
use super::attributes::Attributes;
use super::family::AddressFamily;
use super::header::{Kind, message};
use super::next_hop::NextHop;
use super::prefix::{PathId, Prefixes, emit_v4};

/// MP_REACH_NLRI: routes that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpReach {
    /// Their next hop.
    pub next_hop: NextHop,
    /// The routes.
    pub prefixes: Prefixes,
}

/// An UPDATE. Those that come in have no path identifiers: we never say that we take them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// IPv4 routes that went.
    pub withdrawn: Vec<Ipv4Net>,
    /// MP_UNREACH_NLRI: routes that went.
    pub mp_withdrawn: Option<Prefixes>,
    /// MP_REACH_NLRI: routes that came.
    pub mp_announced: Option<MpReach>,
    /// What the routes that came have in common.
    pub attributes: Attributes,
    /// IPv4 routes that came; their next hop is among the attributes.
    pub announced: Vec<Ipv4Net>,
}

/// No message can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an UPDATE of {length} octets, where {limit} are the limit")]
pub struct TooLong {
    /// What it would need.
    pub length: usize,
    /// What there is.
    pub limit: usize,
}

impl Update {
    /// That was all I have of `family` (RFC 4724 §2).
    pub fn end_of_rib(family: Family) -> Self {
        match family {
            Family::V4 => Self::default(),
            Family::V6 => Self { mp_withdrawn: Some(Prefixes::none(family)), ..Self::default() },
        }
    }

    /// The family that this is the end of, if it is one.
    pub fn ends_rib(&self) -> Option<Family> {
        let family = self.mp_withdrawn.as_ref().map_or(Family::V4, Prefixes::family);
        let bare = Self { mp_withdrawn: self.mp_withdrawn.clone(), ..Self::default() };
        let nothing = self.mp_withdrawn.as_ref().is_none_or(Prefixes::is_empty);
        (nothing && *self == bare).then_some(family)
    }

    /// The whole message, of at most `limit` octets.
    pub fn emit(&self, four_octet_as: bool, limit: usize) -> Result<Vec<u8>, TooLong> {
        self.emit_with(None, four_octet_as, limit)
    }

    /// The same, where all its routes are `path` among several (RFC 7911 §3).
    pub fn emit_with(
        &self,
        path: Option<PathId>,
        four_octet_as: bool,
        limit: usize,
    ) -> Result<Vec<u8>, TooLong> {
        let Self { withdrawn, mp_withdrawn, mp_announced, attributes, announced } = self;
        let mut gone = Vec::new();
        emit_v4(withdrawn, path, &mut gone);
        // RFC 7606 §5.1: these first, so that they are found when another attribute cannot be read.
        let mut shared = Vec::new();
        if let Some(prefixes) = mp_withdrawn {
            let mut value = family(prefixes).to_vec();
            prefixes.emit(path, &mut value);
            attribute::emit(Category::OptionalNonTransitive, code::MP_UNREACH_NLRI, &value, &mut shared);
        }
        if let Some(MpReach { next_hop, prefixes }) = mp_announced {
            let mut value = family(prefixes).to_vec();
            next_hop.emit(&mut value);
            value.push(0);
            prefixes.emit(path, &mut value);
            attribute::emit(Category::OptionalNonTransitive, code::MP_REACH_NLRI, &value, &mut shared);
        }
        attributes.emit(four_octet_as, &mut shared);

        let mut body = Vec::new();
        body.extend(length(&gone));
        body.extend(gone);
        body.extend(length(&shared));
        body.extend(shared);
        emit_v4(announced, path, &mut body);
        let too_long = TooLong { length: body.len().saturating_add(super::HEADER), limit };
        if too_long.length > limit {
            return Err(too_long);
        }
        message(Kind::Update, &body).ok_or(too_long)
    }
}

fn family(prefixes: &Prefixes) -> [u8; 3] {
    AddressFamily::from(prefixes.family()).octets()
}

/// What does not fit fits no message either, which is refused as a whole.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}
