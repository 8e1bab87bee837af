//! The control packet (RFC 5880 §4.1), which travels in UDP.
//!
//! ```text
//!  0        1            2      3       4              8                12           16           20
//!  +--------+------------+------+-------+--------------+----------------+------------+------------+-----------------+
//!  |1 | diag|state|PFCADM| mult | length| my discrim.  | your discrim.  | desired tx | required rx| required echo rx|
//!  +--------+------------+------+-------+--------------+----------------+------------+------------+-----------------+
//! ```
//!
//! Authentication (§4.2 to §4.4) is not spoken: MetalLB's API has no key for it. A packet that carries it is refused,
//! as §6.8.6 wants.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// A number that tells the sessions of one system apart. Never zero: that stands for "not known yet".
pub type Discriminator = NonZeroU32;

/// What a session thinks of the path (§4.1, "Sta").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Switched off here, which says nothing about the path.
    AdminDown,
    /// Nothing is heard, or the other side hears nothing.
    Down,
    /// The other side is heard; whether it hears us is not known yet.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    const fn code(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        })
    }
}

/// Why a session last changed its state (§4.1, "Diag").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diagnostic {
    /// It never went down.
    #[default]
    None,
    /// Control packets stopped to arrive.
    DetectionTimeExpired,
    /// Echo packets stopped to return.
    EchoFailed,
    /// The other side said that it is down.
    NeighborSignaledDown,
    /// Switched off by an administrator.
    AdministrativelyDown,
    /// Another code, which no session of ours sends.
    Other(OtherDiagnostic),
}

/// A diagnostic code that only others send: 4 to 6 and 8 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherDiagnostic(u8);

impl OtherDiagnostic {
    /// The code.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl Diagnostic {
    /// What the lower five bits say.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0x1f {
            0 => Self::None,
            1 => Self::DetectionTimeExpired,
            2 => Self::EchoFailed,
            3 => Self::NeighborSignaledDown,
            7 => Self::AdministrativelyDown,
            other => Self::Other(OtherDiagnostic(other)),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::DetectionTimeExpired => 1,
            Self::EchoFailed => 2,
            Self::NeighborSignaledDown => 3,
            Self::AdministrativelyDown => 7,
            Self::Other(other) => other.0,
        }
    }
}

/// A time between packets as it travels: whole microseconds. In most fields zero means "none of these packets, please".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(u32);

impl Interval {
    /// None of these packets.
    pub const ZERO: Self = Self(0);

    /// That many microseconds.
    pub const fn from_micros(micros: u32) -> Self {
        Self(micros)
    }

    /// The nearest interval that can travel: the longest are 71 minutes.
    pub fn nearest(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX))
    }

    /// The interval.
    pub const fn get(self) -> Duration {
        Duration::from_micros(self.0 as u64)
    }

    /// Whether it means "none of these packets".
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Where in a poll sequence (§6.5) a packet stands. One packet never both asks and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Outside of any.
    None,
    /// It asks for an answer: did you take note of my new values?
    Poll,
    /// It is the answer.
    Final,
}

/// A control packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The sender's state.
    pub state: State,
    /// Why it is in it.
    pub diagnostic: Diagnostic,
    /// Does it ask, or answer?
    pub sequence: Sequence,
    /// The sender's BFD lives on when its control plane restarts.
    pub control_plane_independent: bool,
    /// The sender wants no periodic packets while both are up (§6.6).
    pub demand: bool,
    /// How many packets in a row may be missed before the sender counts as lost.
    pub detect_multiplier: NonZeroU8,
    /// The sender's session.
    pub my_discriminator: Discriminator,
    /// The receiver's session, once the sender has heard of it. Without it the state is Down or `AdminDown`.
    pub your_discriminator: Option<Discriminator>,
    /// How often the sender would like to send.
    pub desired_min_tx: Interval,
    /// How often the sender is able to receive; zero: it wants no periodic packets.
    pub required_min_rx: Interval,
    /// How often the sender is able to loop echo packets back; zero: it loops none.
    pub required_min_echo_rx: Interval,
}

/// Why bytes are no [`Control`] packet for us (§6.8.6, the first steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends too early, or says that it is longer than it is.
    #[error("wrong length")]
    Length,
    /// A version we do not speak.
    #[error("version {0}")]
    Version(u8),
    /// It is authenticated, and there is no key for it.
    #[error("authenticated, without a key to check it with")]
    Authenticated,
    /// It is of a point-to-multipoint session.
    #[error("multipoint")]
    Multipoint,
    /// Its detection multiplier is zero.
    #[error("detection multiplier zero")]
    DetectMultiplier,
    /// It names no session of its sender.
    #[error("no discriminator of the sender")]
    MyDiscriminator,
    /// Who has not heard of the receiver cannot be in this state.
    #[error("state {0} without a discriminator of the receiver")]
    YourDiscriminator(State),
    /// It asks and answers at once (§6.5 forbids it).
    #[error("poll and final")]
    PollAndFinal,
}

impl Control {
    /// Its length in bytes.
    pub const LEN: u8 = 24;

    /// Reads the payload of a datagram. Hostile bytes in; what comes out needs no further check.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let payload = bytes.len();
        let ([first, second, multiplier, length], rest) = split(bytes)?;
        let (my_discriminator, rest) = split(rest)?;
        let (your_discriminator, rest) = split(rest)?;
        let (desired_min_tx, rest) = split(rest)?;
        let (required_min_rx, rest) = split(rest)?;
        let (required_min_echo_rx, _) = split(rest)?;
        let version = first >> 5;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        if length < Self::LEN || usize::from(length) > payload {
            return Err(Malformed::Length);
        }
        if second & AUTHENTICATION != 0 {
            return Err(Malformed::Authenticated);
        }
        if second & MULTIPOINT != 0 {
            return Err(Malformed::Multipoint);
        }
        let state = State::from_bits(second >> 6);
        let your_discriminator = Discriminator::new(u32::from_be_bytes(your_discriminator));
        if your_discriminator.is_none() && matches!(state, State::Init | State::Up) {
            return Err(Malformed::YourDiscriminator(state));
        }
        Ok(Self {
            state,
            diagnostic: Diagnostic::from_bits(first),
            sequence: match (second & POLL != 0, second & FINAL != 0) {
                (false, false) => Sequence::None,
                (true, false) => Sequence::Poll,
                (false, true) => Sequence::Final,
                (true, true) => return Err(Malformed::PollAndFinal),
            },
            control_plane_independent: second & CONTROL_PLANE_INDEPENDENT != 0,
            demand: second & DEMAND != 0,
            detect_multiplier: NonZeroU8::new(multiplier).ok_or(Malformed::DetectMultiplier)?,
            my_discriminator: Discriminator::new(u32::from_be_bytes(my_discriminator))
                .ok_or(Malformed::MyDiscriminator)?,
            your_discriminator,
            desired_min_tx: Interval(u32::from_be_bytes(desired_min_tx)),
            required_min_rx: Interval(u32::from_be_bytes(required_min_rx)),
            required_min_echo_rx: Interval(u32::from_be_bytes(required_min_echo_rx)),
        })
    }

    /// Writes the payload of a datagram.
    pub fn emit(&self) -> Vec<u8> {
        let Self {
            state,
            diagnostic,
            sequence,
            control_plane_independent,
            demand,
            detect_multiplier,
            my_discriminator,
            your_discriminator,
            desired_min_tx,
            required_min_rx,
            required_min_echo_rx,
        } = self;
        let sequence = match sequence {
            Sequence::None => 0,
            Sequence::Poll => POLL,
            Sequence::Final => FINAL,
        };
        let independent = if *control_plane_independent { CONTROL_PLANE_INDEPENDENT } else { 0 };
        let demand = if *demand { DEMAND } else { 0 };
        let mut bytes = Vec::with_capacity(usize::from(Self::LEN));
        bytes.extend([
            VERSION << 5 | diagnostic.code(),
            state.code() << 6 | sequence | independent | demand,
            detect_multiplier.get(),
            Self::LEN,
        ]);
        bytes.extend(my_discriminator.get().to_be_bytes());
        bytes.extend(your_discriminator.map_or(0, NonZeroU32::get).to_be_bytes());
        for interval in [desired_min_tx, required_min_rx, required_min_echo_rx] {
            bytes.extend(interval.0.to_be_bytes());
        }
        bytes
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed::Length)?;
    Ok((*head, rest))
}
