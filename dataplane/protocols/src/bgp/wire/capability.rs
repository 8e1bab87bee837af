//! Capabilities: what the two sides of a session can do beyond RFC 4271 (RFC 5492).

use super::family::AddressFamily;
use super::reader::Reader;

/// At most 255 octets: what fits behind a length of one octet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Short(Vec<u8>);

impl Short {
    /// `None` for more than 255.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        u8::try_from(bytes.len()).ok().map(|_| Self(bytes))
    }

    /// The octets.
    pub fn get(&self) -> &[u8] {
        &self.0
    }

    /// The octets behind their length.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        out.extend(&self.0);
    }
}

/// How long the sender may take to come back: 12 bits of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RestartTime(u16);

/// Two minutes, as FRR and others ask for.
impl Default for RestartTime {
    fn default() -> Self {
        Self(120)
    }
}

impl RestartTime {
    /// `None` for more than 4095 seconds.
    pub const fn new(seconds: u16) -> Option<Self> {
        if seconds <= 0xfff { Some(Self(seconds)) } else { None }
    }

    /// In seconds.
    pub const fn seconds(self) -> u16 {
        self.0
    }
}

/// RFC 4724 §3: how the sender restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R: it just did.
    pub restarting: bool,
    /// N: NOTIFICATIONs and the hold timer keep routes as well (RFC 8538 §2).
    pub notifications: bool,
    /// How long it may take.
    pub time: RestartTime,
    /// The routes that survive it. F: they were forwarded all the time.
    pub families: Vec<(AddressFamily, bool)>,
}

/// Whether the sender of a capability takes several routes to one prefix, or has them (RFC 7911 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It takes them.
    Receive,
    /// It sends them.
    Send,
    /// It does both.
    Both,
}

impl Direction {
    const fn parse(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Receive),
            2 => Some(Self::Send),
            3 => Some(Self::Both),
            _ => None,
        }
    }

    const fn octet(self) -> u8 {
        match self {
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }
}

/// A capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// 1: routes of this family (RFC 4760).
    Multiprotocol(AddressFamily),
    /// 2: asks may be answered (RFC 2918).
    RouteRefresh,
    /// 5: routes of the family may have a next hop of that AFI (RFC 8950).
    ExtendedNextHop(Vec<(AddressFamily, u16)>),
    /// 6: messages of up to 65535 octets (RFC 8654).
    ExtendedMessage,
    /// 64 (RFC 4724).
    GracefulRestart(GracefulRestart),
    /// 69: several routes to one prefix of the family (ADD-PATH, RFC 7911).
    AdditionalPaths(Vec<(AddressFamily, Direction)>),
    /// 70: answers to asks have a beginning and an end (RFC 7313).
    EnhancedRouteRefresh,
    /// 73: the sender's host name, and no domain.
    HostName(Short),
    /// One that we do not know, or cannot read.
    Other {
        /// Its code.
        code: u8,
        /// What it says.
        value: Short,
    },
}

/// 65: numbers of autonomous systems have four octets (RFC 6793). Part of [`super::Open`] itself.
pub(super) const FOUR_OCTET_AS: u8 = 65;

/// Entries of six octets that fit a capability.
const MOST_NEXT_HOPS: usize = 42;
/// Entries of four octets that fit a capability.
const MOST_PATHS: usize = 63;
/// Those that fit behind the two of flags and time.
const MOST_FAMILIES: usize = 63;

impl Capability {
    /// The capability `code`, whose length is known to be right for it; others are kept unread.
    pub(super) fn parse(code: u8, value: &[u8]) -> Self {
        Self::known(code, value)
            .unwrap_or_else(|| Self::Other { code, value: Short::new(value).unwrap_or_default() })
    }

    fn known(code: u8, value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let capability = match code {
            1 => {
                let [high, low, _, safi] = reader.array()?;
                Self::Multiprotocol(AddressFamily::from_octets([high, low, safi]))
            }
            2 => Self::RouteRefresh,
            5 => {
                let mut families = Vec::new();
                while !reader.is_empty() {
                    let [afi_high, afi_low, _, safi, hop_high, hop_low] = reader.array()?;
                    let family = AddressFamily::from_octets([afi_high, afi_low, safi]);
                    families.push((family, u16::from_be_bytes([hop_high, hop_low])));
                }
                Self::ExtendedNextHop(families)
            }
            6 => Self::ExtendedMessage,
            64 => {
                let flags = reader.u16()?;
                let mut families = Vec::new();
                while !reader.is_empty() {
                    let [high, low, safi, flags] = reader.array()?;
                    families.push((AddressFamily::from_octets([high, low, safi]), flags & 0x80 != 0));
                }
                Self::GracefulRestart(GracefulRestart {
                    restarting: flags & 0x8000 != 0,
                    notifications: flags & 0x4000 != 0,
                    time: RestartTime(flags & 0xfff),
                    families,
                })
            }
            69 => {
                let mut families = Vec::new();
                while !reader.is_empty() {
                    let [high, low, safi, direction] = reader.array()?;
                    let family = AddressFamily::from_octets([high, low, safi]);
                    families.push((family, Direction::parse(direction)?));
                }
                Self::AdditionalPaths(families)
            }
            70 => Self::EnhancedRouteRefresh,
            73 => {
                let name = Short::new(reader.sized_u8()?.rest())?;
                reader.sized_u8()?;
                Self::HostName(name)
            }
            _ => return None,
        };
        reader.is_empty().then_some(capability)
    }

    /// Its code and its value.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        let mut value = Vec::new();
        let code = match self {
            Self::Multiprotocol(family) => {
                let [high, low, safi] = family.octets();
                value.extend([high, low, 0, safi]);
                1
            }
            Self::RouteRefresh => 2,
            Self::ExtendedNextHop(families) => {
                for (family, next_hop) in families.iter().take(MOST_NEXT_HOPS) {
                    let [high, low, safi] = family.octets();
                    value.extend([high, low, 0, safi]);
                    value.extend(next_hop.to_be_bytes());
                }
                5
            }
            Self::ExtendedMessage => 6,
            Self::GracefulRestart(restart) => {
                let flag = |set, bit| if set { bit } else { 0 };
                let flags = flag(restart.restarting, 0x8000) | flag(restart.notifications, 0x4000);
                value.extend((flags | restart.time.0).to_be_bytes());
                for (family, forwarded) in restart.families.iter().take(MOST_FAMILIES) {
                    value.extend(family.octets());
                    value.push(if *forwarded { 0x80 } else { 0 });
                }
                64
            }
            Self::AdditionalPaths(families) => {
                for (family, direction) in families.iter().take(MOST_PATHS) {
                    value.extend(family.octets());
                    value.push(direction.octet());
                }
                69
            }
            Self::EnhancedRouteRefresh => 70,
            Self::HostName(name) => {
                // The length of the domain needs an octet of the 255, as does that of the name.
                let name = name.get().get(..253).unwrap_or(name.get());
                value.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                value.extend(name);
                value.push(0);
                73
            }
            Self::Other { code, value: unread } => {
                value.extend(unread.get());
                *code
            }
        };
        out.push(code);
        Short(value).emit(out);
    }
}
