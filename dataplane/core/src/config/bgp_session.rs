//! The values of a BGP session that the protocol constrains: one type each, and no way to a value it does not allow.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

/// The number of an autonomous system. RFC 7607: 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(NonZeroU32);

impl Asn {
    /// The system of that number; `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A BGP identifier. RFC 6286 §2.1: four octets that are not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(Ipv4Addr);

impl RouterId {
    /// The identifier; `None` for 0.0.0.0.
    pub const fn new(id: Ipv4Addr) -> Option<Self> {
        if id.is_unspecified() { None } else { Some(Self(id)) }
    }

    /// The identifier with these 32 bits.
    pub const fn from_bits(bits: NonZeroU32) -> Self {
        Self(Ipv4Addr::from_bits(bits.get()))
    }

    /// As it is written.
    pub const fn get(self) -> Ipv4Addr {
        self.0
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// RFC 4271 §4.2: zero, or three seconds and more, in whole seconds of 16 bits. Zero means "no hold timer".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldTime(Option<Duration>);

impl HoldTime {
    /// No hold timer: the session lasts until the connection ends.
    pub const NONE: Self = Self(None);

    /// The time without a message after which the session ends; `None`: never.
    pub const fn get(self) -> Option<Duration> {
        self.0
    }
}

impl TryFrom<Duration> for HoldTime {
    type Error = BadTimers;

    /// Fractions of a second are cut off, as the wire has none; what becomes zero or too short by that is refused.
    fn try_from(wanted: Duration) -> Result<Self, BadTimers> {
        if wanted.is_zero() {
            return Ok(Self::NONE);
        }
        match wanted.as_secs() {
            0 => Err(BadTimers::HoldTimeRoundsToZero(wanted)),
            1 | 2 => Err(BadTimers::HoldTimeTooShort(wanted)),
            seconds @ 3..=0xffff => Ok(Self(Some(Duration::from_secs(seconds)))),
            _ => Err(BadTimers::HoldTimeTooLong(wanted)),
        }
    }
}

/// The timers of a session, as far as the user sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    hold_time: HoldTime,
    keepalive_time: Option<Duration>,
}

/// Why two times are no [`Timers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTimers {
    /// Less than a second, and not zero: it would turn the hold timer off.
    HoldTimeRoundsToZero(Duration),
    /// RFC 4271 §4.2 allows no hold time of one or two seconds.
    HoldTimeTooShort(Duration),
    /// It does not fit the 16 bits it has on the wire.
    HoldTimeTooLong(Duration),
    /// Less than a second, and not zero: it would turn keepalives off.
    KeepaliveRoundsToZero(Duration),
    /// Keepalives further apart than the hold time come too late.
    KeepaliveExceedsHoldTime {
        /// Time between keepalives.
        keepalive: Duration,
        /// The hold time.
        hold: Duration,
    },
}

impl Timers {
    /// From what the user gives: none for nothing, and of one the other, at the ratio of 1 to 3 that RFC 4271 §4.4
    /// recommends.
    pub fn new(hold: Option<Duration>, keepalive: Option<Duration>) -> Result<Option<Self>, BadTimers> {
        let (hold, keepalive) = match (hold, keepalive) {
            (None, None) => return Ok(None),
            (Some(hold), None) => (hold, hold / 3),
            (None, Some(keepalive)) => (keepalive.saturating_mul(3), keepalive),
            (Some(hold), Some(keepalive)) => (hold, keepalive),
        };
        let hold_time = HoldTime::try_from(hold)?;
        if keepalive > hold {
            return Err(BadTimers::KeepaliveExceedsHoldTime { keepalive, hold });
        }
        if !keepalive.is_zero() && keepalive.as_secs() == 0 {
            return Err(BadTimers::KeepaliveRoundsToZero(keepalive));
        }
        // The hold time has lost its fraction; the keepalive time must not exceed what is left.
        let longest = hold_time.get().unwrap_or_default();
        let keepalive_time = Some(keepalive.min(longest)).filter(|time| !time.is_zero());
        Ok(Some(Self { hold_time, keepalive_time }))
    }

    /// The hold time to propose.
    pub const fn hold_time(&self) -> HoldTime {
        self.hold_time
    }

    /// The time between keepalives; `None` sends none beyond the first, which opens the session.
    pub const fn keepalive_time(&self) -> Option<Duration> {
        self.keepalive_time
    }
}

/// How long to wait between attempts to connect: whole seconds, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectTime(Duration);

impl ConnectTime {
    /// `None` when it is no whole number of seconds, or outside 1 to 65535 of them.
    pub const fn new(time: Duration) -> Option<Self> {
        match (time.as_secs(), time.subsec_nanos()) {
            (1..=0xffff, 0) => Some(Self(time)),
            _ => None,
        }
    }

    /// The time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// A password for TCP MD5 signatures (RFC 2385). It never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// Keeps `password`.
    pub fn new(password: impl AsRef<[u8]>) -> Self {
        Self(password.as_ref().into())
    }

    /// The password itself: for the kernel, and for nothing that is read by people.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn timers(hold: Option<Duration>, keepalive: Option<Duration>) -> (Option<Duration>, Option<Duration>) {
        let timers = Timers::new(hold, keepalive).unwrap().unwrap();
        (timers.hold_time().get(), timers.keepalive_time())
    }

    #[test]
    fn of_one_timer_follows_the_other_at_a_third() {
        assert_eq!(Timers::new(None, None), Ok(None));
        assert_eq!(timers(Some(seconds(90)), None), (Some(seconds(90)), Some(seconds(30))));
        assert_eq!(timers(None, Some(seconds(20))), (Some(seconds(60)), Some(seconds(20))));
        assert_eq!(timers(Some(seconds(9)), Some(seconds(9))), (Some(seconds(9)), Some(seconds(9))));
    }

    #[test]
    fn zero_turns_both_timers_off_and_nothing_else_does() {
        assert_eq!(timers(Some(seconds(0)), Some(seconds(0))), (None, None));
        assert_eq!(timers(Some(seconds(90)), Some(seconds(0))), (Some(seconds(90)), None));
        let half = Duration::from_millis(500);
        assert_eq!(Timers::new(Some(half), None), Err(BadTimers::HoldTimeRoundsToZero(half)));
        assert_eq!(Timers::new(Some(seconds(90)), Some(half)), Err(BadTimers::KeepaliveRoundsToZero(half)));
    }

    #[test]
    fn hold_times_are_what_the_wire_carries() {
        for (wanted, held) in [(3, Some(3)), (0xffff, Some(0xffff))] {
            assert_eq!(timers(Some(seconds(wanted)), None).0, held.map(seconds));
        }
        assert_eq!(timers(Some(Duration::from_millis(3_700)), None).0, Some(seconds(3)));
        for wanted in [1, 2] {
            let wanted = seconds(wanted);
            assert_eq!(HoldTime::try_from(wanted), Err(BadTimers::HoldTimeTooShort(wanted)));
        }
        let long = seconds(0x1_0000);
        assert_eq!(HoldTime::try_from(long), Err(BadTimers::HoldTimeTooLong(long)));
    }

    #[test]
    fn keepalives_come_within_the_hold_time() {
        let (hold, keepalive) = (seconds(9), seconds(10));
        assert_eq!(
            Timers::new(Some(hold), Some(keepalive)),
            Err(BadTimers::KeepaliveExceedsHoldTime { keepalive, hold })
        );
        let fraction = Duration::from_millis(3_700);
        assert_eq!(timers(Some(fraction), Some(fraction)), (Some(seconds(3)), Some(seconds(3))));
    }

    #[test]
    fn connect_times_are_whole_seconds_of_sixteen_bits() {
        for good in [1, 120, 0xffff] {
            assert_eq!(ConnectTime::new(seconds(good)).map(ConnectTime::get), Some(seconds(good)));
        }
        for bad in [Duration::ZERO, Duration::from_millis(1500), seconds(0x1_0000)] {
            assert_eq!(ConnectTime::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_that_the_protocol_forbids_do_not_exist() {
        assert_eq!(Asn::new(0), None);
        assert_eq!(RouterId::new(Ipv4Addr::UNSPECIFIED), None);
    }

    #[test]
    fn a_password_does_not_show_when_printed() {
        assert!(!format!("{:?}", Some(Password::new("swordfish"))).contains("fish"));
    }
}
