//! Address families on the wire: AFI and SAFI (RFC 4760 §3).

use metallb_core::address::Family;

/// An address family identifier with a subsequent one. Any may come; ours are the two of unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressFamily {
    /// AFI.
    pub afi: u16,
    /// SAFI.
    pub safi: u8,
}

impl AddressFamily {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Self = Self { afi: 1, safi: 1 };
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self { afi: 2, safi: 1 };

    /// The family whose unicast routes it stands for, if it does.
    pub const fn unicast(self) -> Option<Family> {
        match self {
            Self::IPV4_UNICAST => Some(Family::V4),
            Self::IPV6_UNICAST => Some(Family::V6),
            Self { .. } => None,
        }
    }

    pub(super) const fn from_octets([high, low, safi]: [u8; 3]) -> Self {
        Self { afi: u16::from_be_bytes([high, low]), safi }
    }

    pub(super) const fn octets(self) -> [u8; 3] {
        let [high, low] = self.afi.to_be_bytes();
        [high, low, self.safi]
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::IPV4_UNICAST,
            Family::V6 => Self::IPV6_UNICAST,
        }
    }
}
