//! BFDProfiles: how closely BFD sessions (RFC 5880) watch.

use std::time::Duration;

/// The settings of a BFD session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BfdProfile {
    /// `spec.receiveInterval`: Required Min RX Interval.
    pub receive_interval: BfdInterval,
    /// `spec.transmitInterval`: Desired Min TX Interval.
    pub transmit_interval: BfdInterval,
    /// `spec.detectMultiplier`: packets that may be missed in a row.
    pub detect_multiplier: DetectMultiplier,
    /// `spec.echoInterval`: Required Min Echo RX Interval. It matters in echo mode only.
    pub echo_interval: BfdInterval,
    /// `spec.echoMode`: are echo packets sent?
    pub echo_mode: bool,
    /// `spec.passiveMode`: does the peer begin?
    pub passive_mode: bool,
    /// `spec.minimumTtl`: over several hops, packets that arrive with less are dropped.
    pub minimum_ttl: MinimumTtl,
}

impl Default for BfdProfile {
    fn default() -> Self {
        Self {
            receive_interval: BfdInterval(300),
            transmit_interval: BfdInterval(300),
            detect_multiplier: DetectMultiplier(3),
            echo_interval: BfdInterval(50),
            echo_mode: false,
            passive_mode: false,
            minimum_ttl: MinimumTtl(254),
        }
    }
}

/// An interval between packets: 10 to 60000 milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BfdInterval(u32);

impl BfdInterval {
    /// The shortest, in milliseconds.
    pub const MIN: u32 = 10;
    /// The longest, in milliseconds.
    pub const MAX: u32 = 60_000;

    /// `None` outside [`Self::MIN`] to [`Self::MAX`].
    pub const fn from_millis(millis: u32) -> Option<Self> {
        if millis < Self::MIN || millis > Self::MAX { None } else { Some(Self(millis)) }
    }

    /// The interval.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

/// How many packets in a row may be missed: 2 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DetectMultiplier(u8);

impl DetectMultiplier {
    /// The smallest: one lost packet is no news.
    pub const MIN: u32 = 2;
    /// The largest.
    pub const MAX: u32 = 255;

    /// `None` outside [`Self::MIN`] to [`Self::MAX`].
    pub fn new(packets: u32) -> Option<Self> {
        u8::try_from(packets).ok().filter(|packets| u32::from(*packets) >= Self::MIN).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The smallest TTL that packets over several hops may arrive with: 1 to 254.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MinimumTtl(u8);

impl MinimumTtl {
    /// The smallest.
    pub const MIN: u32 = 1;
    /// The largest: 255 is what a direct neighbour has, which is another kind of session.
    pub const MAX: u32 = 254;

    /// `None` outside [`Self::MIN`] to [`Self::MAX`].
    pub fn new(ttl: u32) -> Option<Self> {
        let ttl = u8::try_from(ttl).ok()?;
        (Self::MIN..=Self::MAX).contains(&u32::from(ttl)).then_some(Self(ttl))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_ends_where_its_range_ends() {
        for (millis, allowed) in [(9, false), (10, true), (60_000, true), (60_001, false)] {
            assert_eq!(BfdInterval::from_millis(millis).is_some(), allowed, "{millis} ms");
        }
        for (packets, allowed) in [(1, false), (2, true), (255, true), (256, false)] {
            assert_eq!(DetectMultiplier::new(packets).is_some(), allowed, "{packets} packets");
        }
        for (ttl, allowed) in [(0, false), (1, true), (254, true), (255, false), (256, false)] {
            assert_eq!(MinimumTtl::new(ttl).is_some(), allowed, "TTL {ttl}");
        }
    }

    #[test]
    fn a_profile_without_settings_detects_after_three_times_300_ms() {
        let BfdProfile { receive_interval, detect_multiplier, .. } = BfdProfile::default();
        let detection = receive_interval.get() * u32::from(detect_multiplier.get());
        assert_eq!(detection, Duration::from_millis(900));
    }
}
