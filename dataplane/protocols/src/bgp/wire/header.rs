//! The frame of every message: marker, length, type (RFC 4271 §4.1).

use super::notification::Notification;
use super::reader::Reader;
use super::reason::Reason;

/// Octets before the body.
pub const HEADER: usize = 19;
/// The longest message there is without RFC 8654. OPEN and KEEPALIVE never get longer.
pub const LARGEST: usize = 4096;
/// The longest message between two that agreed on RFC 8654.
pub const LARGEST_EXTENDED: usize = 65_535;

const MARKER: [u8; 16] = [0xff; 16];

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Who I am, and what I can do.
    Open,
    /// Routes that came and went.
    Update,
    /// Why this is the end.
    Notification,
    /// I am still here.
    Keepalive,
    /// Tell me your routes again (RFC 2918).
    RouteRefresh,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Update, Self::Notification, Self::Keepalive, Self::RouteRefresh];

    const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }

    /// The lengths that a message of this kind may have.
    const fn lengths(self, limit: usize) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Open => 29..=LARGEST,
            Self::Update | Self::RouteRefresh => 23..=limit,
            Self::Notification => 21..=limit,
            Self::Keepalive => HEADER..=HEADER,
        }
    }
}

/// A whole message at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// What follows the header.
    pub body: &'a [u8],
    /// How many octets of the stream it is.
    pub length: usize,
}

impl<'a> Frame<'a> {
    /// Finds the message that `stream` starts with; `None` until all of it is there. A message that cannot be one is
    /// refused as soon as its header shows it, so no more than `limit` octets ever need to be kept.
    pub fn split(stream: &'a [u8], limit: usize) -> Result<Option<Self>, Notification> {
        let mut reader = Reader::new(stream);
        let marker = stream.get(..MARKER.len()).unwrap_or(stream);
        if marker.iter().any(|octet| *octet != 0xff) {
            return Err(Reason::NOT_SYNCHRONISED.into());
        }
        let (Some(_), Some(octets), Some(code)) =
            (reader.array::<16>(), reader.array::<2>(), reader.array::<1>())
        else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(octets));
        let bad_length = || Notification::new(Reason::BAD_MESSAGE_LENGTH, octets);
        if !(HEADER..=limit).contains(&length) {
            return Err(bad_length());
        }
        let Some(kind) = Kind::ALL.into_iter().find(|kind| [kind.code()] == code) else {
            return Err(Notification::new(Reason::BAD_MESSAGE_TYPE, code));
        };
        if !kind.lengths(limit).contains(&length) {
            return Err(bad_length());
        }
        Ok(stream.get(HEADER..length).map(|body| Self { kind, body, length }))
    }
}

/// A KEEPALIVE: a header and nothing else.
pub fn keepalive() -> Vec<u8> {
    message(Kind::Keepalive, &[]).unwrap_or_default()
}

/// The message with that body; `None` if no length field can hold its length.
pub(super) fn message(kind: Kind, body: &[u8]) -> Option<Vec<u8>> {
    let length = body.len().checked_add(HEADER)?;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(MARKER);
    bytes.extend(u16::try_from(length).ok()?.to_be_bytes());
    bytes.push(kind.code());
    bytes.extend(body);
    Some(bytes)
}
