//! One path attribute: flags, type, length, value (RFC 4271 §4.3).

use super::reader::Reader;

/// Attribute type codes.
pub(super) mod code {
    pub const ORIGIN: u8 = 1;
    pub const AS_PATH: u8 = 2;
    pub const NEXT_HOP: u8 = 3;
    pub const MULTI_EXIT_DISC: u8 = 4;
    pub const LOCAL_PREF: u8 = 5;
    pub const ATOMIC_AGGREGATE: u8 = 6;
    pub const AGGREGATOR: u8 = 7;
    pub const COMMUNITIES: u8 = 8;
    pub const ORIGINATOR_ID: u8 = 9;
    pub const CLUSTER_LIST: u8 = 10;
    pub const MP_REACH_NLRI: u8 = 14;
    pub const MP_UNREACH_NLRI: u8 = 15;
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    pub const AS4_PATH: u8 = 17;
    pub const AS4_AGGREGATOR: u8 = 18;
    pub const LARGE_COMMUNITIES: u8 = 32;
}

const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0x40;
const PARTIAL: u8 = 0x20;
const EXTENDED_LENGTH: u8 = 0x10;

/// How far an attribute travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    WellKnown,
    OptionalTransitive,
    OptionalNonTransitive,
}

impl Category {
    const fn flags(self) -> u8 {
        match self {
            Self::WellKnown => TRANSITIVE,
            Self::OptionalTransitive => OPTIONAL | TRANSITIVE,
            Self::OptionalNonTransitive => OPTIONAL,
        }
    }

    /// That of the attributes we know.
    pub const fn of(code: u8) -> Option<Self> {
        Some(match code {
            code::ORIGIN | code::AS_PATH | code::NEXT_HOP | code::LOCAL_PREF | code::ATOMIC_AGGREGATE => {
                Self::WellKnown
            }
            code::AGGREGATOR
            | code::COMMUNITIES
            | code::EXTENDED_COMMUNITIES
            | code::AS4_PATH
            | code::AS4_AGGREGATOR
            | code::LARGE_COMMUNITIES => Self::OptionalTransitive,
            code::MULTI_EXIT_DISC
            | code::ORIGINATOR_ID
            | code::CLUSTER_LIST
            | code::MP_REACH_NLRI
            | code::MP_UNREACH_NLRI => Self::OptionalNonTransitive,
            _ => return None,
        })
    }
}

/// An optional attribute that we do not know, or whose routes are of a family that we do not speak: as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecognised {
    pub(super) transitive: bool,
    pub(super) partial: bool,
    pub(super) code: u8,
    pub(super) value: Vec<u8>,
}

impl Unrecognised {
    /// Its type code.
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// Its value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        let transitive = if self.transitive { TRANSITIVE } else { 0 };
        let partial = if self.partial { PARTIAL } else { 0 };
        write(OPTIONAL | transitive | partial, self.code, &self.value, out);
    }
}

/// An attribute whose length is right, and nothing else is known of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    flags: u8,
    pub code: u8,
    pub value: Reader<'a>,
}

impl<'a> Raw<'a> {
    /// The next of the attributes; `None` if its length says that it goes on behind their end.
    pub fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [flags, code] = reader.array()?;
        let value = if flags & EXTENDED_LENGTH != 0 { reader.sized_u16()? } else { reader.sized_u8()? };
        Some(Self { flags, code, value })
    }

    pub const fn is_optional(&self) -> bool {
        self.flags & OPTIONAL != 0
    }

    /// RFC 7606 §3c: are the flags those of an attribute of this category?
    pub const fn is(&self, category: Category) -> bool {
        self.flags & (OPTIONAL | TRANSITIVE) == category.flags()
    }

    pub fn unrecognised(&self) -> Unrecognised {
        Unrecognised {
            transitive: self.flags & TRANSITIVE != 0,
            partial: self.flags & PARTIAL != 0,
            code: self.code,
            value: self.value.rest().to_vec(),
        }
    }

    /// What a NOTIFICATION about it carries: the attribute.
    pub fn octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(self.flags & !EXTENDED_LENGTH, self.code, self.value.rest(), &mut out);
        out
    }
}

/// Writes an attribute we know.
pub(super) fn emit(category: Category, code: u8, value: &[u8], out: &mut Vec<u8>) {
    write(category.flags(), code, value, out);
}

fn write(flags: u8, code: u8, value: &[u8], out: &mut Vec<u8>) {
    if let Ok(length) = u8::try_from(value.len()) {
        out.extend([flags, code, length]);
    } else {
        out.extend([flags | EXTENDED_LENGTH, code]);
        // Longer than this fits no message: `Update::emit` refuses it.
        out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    out.extend(value);
}
