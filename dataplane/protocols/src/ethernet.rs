//! Hardware addresses (IEEE 802), as far as the protocols above need them.
//!
//! Not here: VLAN tags. A tagged frame belongs to the VLAN's own interface, which has its own socket.

use std::fmt;
use std::net::Ipv6Addr;

/// The 48-bit address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Where an IPv6 multicast group is on Ethernet (RFC 2464 §7).
    pub const fn of_group(group: Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }

    /// Does it stand for many stations, and not for one?
    pub const fn is_group(self) -> bool {
        let Self([first, ..]) = self;
        first & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, octet) in self.0.iter().enumerate() {
            let colon = if position == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
