//! BGP communities, as users write them and as routes carry them.

use std::fmt;
use std::str::FromStr;

/// A mark on a route, for routers to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Community {
    /// RFC 1997: an autonomous system and a value, 16 bits each.
    Standard {
        /// By convention, whose it is.
        asn: u16,
        /// What it says.
        value: u16,
    },
    /// RFC 8092: three numbers of 32 bits.
    Large {
        /// Global administrator: whose it is.
        global: u32,
        /// Local data, part 1.
        local_1: u32,
        /// Local data, part 2.
        local_2: u32,
    },
}

/// Why a text is no [`Community`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCommunity {
    /// Neither two nor four parts.
    Format,
    /// Four parts, and the first is not `large`.
    Marker,
    /// A part that is no number, or too large for its place.
    Section {
        /// The part as written.
        section: String,
        /// The bits it may have.
        bits: u32,
    },
}

impl FromStr for Community {
    type Err = BadCommunity;

    fn from_str(text: &str) -> Result<Self, BadCommunity> {
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [asn, value] => Ok(Self::Standard { asn: short(asn)?, value: short(value)? }),
            ["large", global, local_1, local_2] => {
                Ok(Self::Large { global: long(global)?, local_1: long(local_1)?, local_2: long(local_2)? })
            }
            [_, _, _, _] => Err(BadCommunity::Marker),
            _ => Err(BadCommunity::Format),
        }
    }
}

fn short(section: &str) -> Result<u16, BadCommunity> {
    digits(section).and_then(|digits| digits.parse().ok()).ok_or_else(|| bad(section, u16::BITS))
}

fn long(section: &str) -> Result<u32, BadCommunity> {
    digits(section).and_then(|digits| digits.parse().ok()).ok_or_else(|| bad(section, u32::BITS))
}

/// Rust reads `+1` as a number; users' tools do not.
fn digits(section: &str) -> Option<&str> {
    section.bytes().all(|byte| byte.is_ascii_digit()).then_some(section)
}

fn bad(section: &str, bits: u32) -> BadCommunity {
    BadCommunity::Section { section: section.to_owned(), bits }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard { asn, value } => write!(f, "{asn}:{value}"),
            Self::Large { global, local_1, local_2 } => write!(f, "large:{global}:{local_1}:{local_2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_community_is_told_apart() {
        let section = |section: &str, bits| Err(BadCommunity::Section { section: section.to_owned(), bits });
        for (text, wrong) in [
            ("1234", Err(BadCommunity::Format)),
            ("", Err(BadCommunity::Format)),
            ("1:2:3", Err(BadCommunity::Format)),
            ("large:1:2:3:4", Err(BadCommunity::Format)),
            ("lar:123:9999:123", Err(BadCommunity::Marker)),
            ("99999999:1", section("99999999", 16)),
            ("1:65536", section("65536", 16)),
            ("1:", section("", 16)),
            ("+1:2", section("+1", 16)),
            ("large:1:wrong:3", section("wrong", 32)),
            ("large:1:2:4294967296", section("4294967296", 32)),
        ] {
            assert_eq!(text.parse::<Community>(), wrong, "{text}");
        }
    }

    fn community() -> impl Strategy<Value = Community> {
        prop_oneof![
            any::<(u16, u16)>().prop_map(|(asn, value)| Community::Standard { asn, value }),
            any::<(u32, u32, u32)>().prop_map(|(global, local_1, local_2)| Community::Large {
                global,
                local_1,
                local_2
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(community in community()) {
            prop_assert_eq!(community.to_string().parse(), Ok(community));
        }
    }
}
