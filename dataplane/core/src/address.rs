//! IP addresses, ranges of them, and how users write both.
//!
//! Not here: which pool a range belongs to ([`crate::config`]) and who holds an address ([`crate::ipam`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// How long its addresses are.
    pub const fn bits(self) -> u32 {
        match self {
            Self::V4 => Ipv4Addr::BITS,
            Self::V6 => Ipv6Addr::BITS,
        }
    }

    /// The other family.
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The address as a number, its place in the order of its family.
pub const fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address of `family` at `number`. IPv4 takes the low 32 bits; callers pass numbers that came from that family.
pub const fn from_number(family: Family, number: u128) -> IpAddr {
    match family {
        #[allow(clippy::cast_possible_truncation)] // the low 32 bits are the address
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

/// Parses one address as a user writes it: spaces around it are allowed, IPv4-mapped IPv6 becomes IPv4.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Last octet 0 or 255: old routers and customer equipment drop packets for these (`avoidBuggyIPs`). IPv4 only.
pub const fn is_buggy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets()[3], 0 | 255),
        IpAddr::V6(_) => false,
    }
}

/// One entry of `IPAddressPool.spec.addresses`: all addresses from `first` to `last`, both included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text is no [`AddressRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    /// Neither `address/length` nor `first-last`.
    #[error("neither a CIDR nor a range")]
    Syntax,
    /// An address without a mask: upstream refuses it, because `/32` and "the subnet I meant" look alike.
    #[error("an address without a prefix length")]
    BareAddress,
    /// More bits than an address of the family has.
    #[error("the prefix length {length} is more than the {} bits of an {family} address", .family.bits())]
    PrefixTooLong {
        /// The length.
        length: u32,
        /// The family of the address.
        family: Family,
    },
    /// The two ends are of different families.
    #[error("the ends {0} and {1} are of different families")]
    MixedFamilies(IpAddr, IpAddr),
    /// The first end is after the last.
    #[error("it starts at {0}, after its end {1}")]
    Reversed(IpAddr, IpAddr),
}

impl AddressRange {
    /// From `first` to `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, BadRange> {
        if Family::of(first) != Family::of(last) {
            return Err(BadRange::MixedFamilies(first, last));
        }
        if first > last {
            return Err(BadRange::Reversed(first, last));
        }
        Ok(Self { first, last })
    }

    /// Reads `address/length` (host bits are dropped) or `first-last` (spaces around the ends are allowed).
    pub fn parse(text: &str) -> Result<Self, BadRange> {
        if let Some((first, last)) = text.split_once('-') {
            let end = |end: &str| parse_address(end).ok_or(BadRange::Syntax);
            return Self::new(end(first)?, end(last)?);
        }
        match text.parse::<IpNet>() {
            // `::ffff:192.0.2.0/120` is the same as with its ends written out.
            Ok(net) => Self::new(net.network().to_canonical(), net.broadcast().to_canonical()),
            Err(_) if parse_address(text).is_some() => Err(BadRange::BareAddress),
            Err(_) => Err(too_long(text).unwrap_or(BadRange::Syntax)),
        }
    }

    /// The lowest address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub const fn last(&self) -> IpAddr {
        self.last
    }

    /// The family of every address in it.
    pub const fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// Is `address` in it?
    pub fn contains(&self, address: IpAddr) -> bool {
        self.family() == Family::of(address) && self.first <= address && address <= self.last
    }

    /// Do the two share an address?
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses it has. Saturates for `::/0`, whose size does not fit.
    pub const fn size(&self) -> u128 {
        (to_number(self.last) - to_number(self.first)).saturating_add(1)
    }

    /// How many of its addresses [`is_buggy`] names.
    pub fn buggy(&self) -> u128 {
        if self.family() == Family::V6 {
            return 0;
        }
        // How many numbers up to and including `n` end in `octet`.
        let up_to = |n: u128, octet: u128| (n + 256 - octet) / 256;
        let within = |octet| {
            let below_first = to_number(self.first).checked_sub(1).map_or(0, |n| up_to(n, octet));
            up_to(to_number(self.last), octet) - below_first
        };
        within(0) + within(255)
    }
}

/// Is the prefix length all that is wrong?
fn too_long(text: &str) -> Option<BadRange> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (IpAddr, u32) = (address.parse().ok()?, length.parse().ok()?);
    let family = Family::of(address);
    (length > family.bits()).then_some(BadRange::PrefixTooLong { length, family })
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> AddressRange {
        AddressRange::parse(text).unwrap()
    }

    #[test]
    fn cidrs_and_ranges_read_as_users_write_them() {
        for (text, first, last) in [
            ("10.0.0.5/24", "10.0.0.0", "10.0.0.255"),
            ("10.0.0.7/32", "10.0.0.7", "10.0.0.7"),
            ("10.0.0.3-10.0.1.2", "10.0.0.3", "10.0.1.2"),
            (" 10.0.0.3 - 10.0.0.3 ", "10.0.0.3", "10.0.0.3"),
            ("fd00::1/126", "fd00::", "fd00::3"),
            ("fd00::a-fd00::b", "fd00::a", "fd00::b"),
            ("::ffff:10.0.0.0/120", "10.0.0.0", "10.0.0.255"),
            ("::ffff:10.0.0.0-::ffff:10.0.0.255", "10.0.0.0", "10.0.0.255"),
        ] {
            let expected = AddressRange::new(first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(AddressRange::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_range_is_told_apart() {
        let v4 = "10.0.0.2".parse().unwrap();
        for (text, wrong) in [
            ("10.0.0.1", BadRange::BareAddress),
            ("10.0.0.0/33", BadRange::PrefixTooLong { length: 33, family: Family::V4 }),
            ("fd00::/129", BadRange::PrefixTooLong { length: 129, family: Family::V6 }),
            ("10.0.0.0/", BadRange::Syntax),
            ("lab/33", BadRange::Syntax),
            ("10.0.0.0/24 ", BadRange::Syntax),
            ("lab", BadRange::Syntax),
            ("", BadRange::Syntax),
            ("10.0.0.1-", BadRange::Syntax),
            ("10.0.0.1-10.0.0.2-10.0.0.3", BadRange::Syntax),
            ("10.0.0.2-10.0.0.1", BadRange::Reversed(v4, "10.0.0.1".parse().unwrap())),
            ("10.0.0.2-fd00::1", BadRange::MixedFamilies(v4, "fd00::1".parse().unwrap())),
        ] {
            assert_eq!(AddressRange::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn the_largest_ranges_are_counted_without_overflow() {
        assert_eq!(range("0.0.0.0/0").size(), 1 << 32);
        assert_eq!(range("::/0").size(), u128::MAX);
        assert_eq!(range("fd00::/64").size(), 1 << 64);
    }

    #[test]
    fn families_never_overlap() {
        assert!(!range("0.0.0.0/0").overlaps(&range("::/0")));
        assert!(!range("::/0").contains("10.0.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn buggy_addresses_are_counted_as_by_hand(first: u32, length in 0_u32..2000) {
            let last = first.saturating_add(length);
            let range = AddressRange::new(Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into()).unwrap();
            let by_hand = (first..=last).filter(|n| is_buggy(Ipv4Addr::from(*n).into())).count();
            prop_assert_eq!(range.buggy(), by_hand as u128);
        }

        #[test]
        fn overlapping_is_sharing_an_address(a in 0_u32..60, b in 0_u32..60, c in 0_u32..60, d in 0_u32..60) {
            let range = |x: u32, y: u32| {
                AddressRange::new(Ipv4Addr::from(x.min(y)).into(), Ipv4Addr::from(x.max(y)).into()).unwrap()
            };
            let (left, right) = (range(a, b), range(c, d));
            let shares = (0..60).any(|n| left.contains(Ipv4Addr::from(n).into()) && right.contains(Ipv4Addr::from(n).into()));
            prop_assert_eq!(left.overlaps(&right), shares);
        }

        #[test]
        fn numbers_and_addresses_are_the_same_thing(v4: u32, v6: u128) {
            let (v4, v6) = (IpAddr::from(Ipv4Addr::from(v4)), IpAddr::from(Ipv6Addr::from(v6)));
            prop_assert_eq!(from_number(Family::V4, to_number(v4)), v4);
            prop_assert_eq!(from_number(Family::V6, to_number(v6)), v6);
        }
    }
}
