//! The addresses of one service: one, or one of each family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::Family;

/// One address, or one of each family. IPv4 comes first when listed, whatever the order they were given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vips {
    /// A single address.
    One(IpAddr),
    /// One of each family.
    Both(Ipv4Addr, Ipv6Addr),
}

/// Why a list of addresses is no [`Vips`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVips {
    /// None at all.
    #[error("no address")]
    Empty,
    /// Two of one family.
    #[error("{0} and {1} are both {family}", family = Family::of(*.0))]
    SameFamily(IpAddr, IpAddr),
    /// More than two.
    #[error("{0} addresses, where one of each family is the most")]
    TooMany(usize),
}

impl Vips {
    /// The addresses, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> + Clone {
        let (first, second) = match self {
            Self::One(address) => (address, None),
            Self::Both(v4, v6) => (IpAddr::V4(v4), Some(IpAddr::V6(v6))),
        };
        std::iter::once(first).chain(second)
    }

    /// The addresses, IPv4 first.
    pub fn to_vec(self) -> Vec<IpAddr> {
        self.iter().collect()
    }

    /// Is `address` one of them?
    pub fn contains(self, address: IpAddr) -> bool {
        self.iter().any(|ours| ours == address)
    }

    /// Both of `one` and `other`, which are of different families.
    pub(super) fn pair(one: IpAddr, other: IpAddr) -> Result<Self, BadVips> {
        match (one, other) {
            (IpAddr::V4(v4), IpAddr::V6(v6)) | (IpAddr::V6(v6), IpAddr::V4(v4)) => Ok(Self::Both(v4, v6)),
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                Err(BadVips::SameFamily(one, other))
            }
        }
    }
}

impl From<IpAddr> for Vips {
    fn from(address: IpAddr) -> Self {
        Self::One(address)
    }
}

impl TryFrom<&[IpAddr]> for Vips {
    type Error = BadVips;

    fn try_from(addresses: &[IpAddr]) -> Result<Self, BadVips> {
        match addresses {
            [] => Err(BadVips::Empty),
            [one] => Ok(Self::One(*one)),
            [one, other] => Self::pair(*one, *other),
            more => Err(BadVips::TooMany(more.len())),
        }
    }
}

impl fmt::Display for Vips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(address) => write!(f, "{address}"),
            Self::Both(v4, v6) => write!(f, "{v4}, {v6}"),
        }
    }
}
