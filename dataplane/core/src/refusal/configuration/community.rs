//! What is wrong with a Community, and how a bad community is told wherever it stands.

use super::codes;
use crate::config::BadCommunity;
use crate::refusal::Refusal;

/// What is wrong with a Community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommunityRefusal {
    /// The value of an alias is no community.
    BadValue {
        /// The alias.
        alias: String,
        /// The value as written.
        value: String,
        /// What is wrong with it.
        cause: BadCommunity,
    },
    /// An alias is defined twice. The older definition stays in force.
    DuplicateAlias {
        /// The alias.
        alias: String,
        /// The Community that defines it already; `None` when it is this one.
        other: Option<String>,
    },
}

codes!(CommunityRefusal {
    BadValue => "community-bad-value",
    DuplicateAlias => "community-duplicate-alias",
});

impl Refusal for CommunityRefusal {
    fn code(&self) -> &'static str {
        self.own_code()
    }

    fn sentence(&self) -> String {
        match self {
            Self::BadValue { alias, value, cause } => {
                format!("alias {alias:?} in spec.communities: {}", told(value, cause))
            }
            Self::DuplicateAlias { alias, other } => {
                let place = match other {
                    None => "it stands twice in spec.communities".to_owned(),
                    Some(other) => format!("Community {other} defines it too"),
                };
                format!("duplicate definition of community {alias:?}: {place}")
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::BadValue { .. } => fix().to_owned(),
            Self::DuplicateAlias { other: None, .. } => "remove or rename one of the two".to_owned(),
            Self::DuplicateAlias { other: Some(other), .. } => {
                format!("remove or rename one of the two; {other} is older and stays in force")
            }
        }
    }
}

/// What is wrong with a community written as `value`. Tools look for the beginnings of these sentences.
pub(super) fn told(value: &str, cause: &BadCommunity) -> String {
    match cause {
        BadCommunity::Format => format!("invalid community format: {value}"),
        BadCommunity::Marker => {
            format!(
                "invalid community value: expected community to be of format large:1234:5678:9012, not {value}"
            )
        }
        BadCommunity::Section { section, bits } => {
            format!(
                "invalid community value: invalid section {section:?} of {value}, which has room for {bits} bits"
            )
        }
    }
}

pub(super) const fn fix() -> &'static str {
    "write two numbers of 16 bits such as 64512:100, or three of 32 bits such as large:64512:1:2"
}
