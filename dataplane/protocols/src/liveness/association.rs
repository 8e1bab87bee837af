//! Whether what a peer sends is of now.
//!
//! A proof says that the peer wrote a datagram for us; it does not say when. So each side draws a number for the other, and
//! what echoes that number was written after it was drawn. The number is drawn when a datagram cannot be placed (first
//! contact, a new life, silence before it) and sent with a challenge; the datagram that echoes it begins an association with
//! that life of the peer. From there on the sequence rises.
//!
//! A recording is thus older than the number, or not after the last of the sequence. A challenge is no longer than what it
//! answers, goes to the peer's own address only, and not more often than [`Allowance`] gives: nobody can make us shout.

use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};

/// So many may overtake one.
const OVERTAKING: u64 = 64;

/// Draws numbers that do not come again: the digests of a seed and a counter.
#[derive(Clone, Debug)]
pub(super) struct Nonces {
    seed: u64,
    drawn: u64,
}

impl Nonces {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Never zero: that stands for none.
    pub(super) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let drawn = [self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat();
        let digest = digest(&SHA256, &drawn);
        digest.as_ref().iter().take(8).fold(0, |nonce, octet| (nonce << 8) | u64::from(*octet)).max(1)
    }
}

/// What is told about a datagram's place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) boot_id: u64,
    pub(super) sequence: u64,
    pub(super) echo: u64,
    pub(super) offer: u64,
}

/// When a datagram was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// After the last one.
    Next,
    /// Now, and as the first one of a life of the peer.
    FirstOfLife,
    /// Before one that was taken, and in this life: a few others came first.
    Overtaken,
    /// Before one that was taken.
    Old,
    /// That cannot be said.
    Unknown,
}

/// A life of the peer that is known to be its present one.
#[derive(Clone, Copy, Debug)]
struct Life {
    boot_id: u64,
    /// What we drew for it. `None`: too long ago.
    nonce: Option<u64>,
    /// Its last datagram.
    sequence: u64,
}

/// What is known about a peer's life.
#[derive(Clone, Debug)]
pub(super) struct Association {
    life: Option<Life>,
    /// What a challenge offers, and until when.
    offered: Option<(u64, Instant)>,
    /// What the peer wants to have echoed.
    echo: u64,
    allowance: Allowance,
}

impl Association {
    pub(super) const fn new(now: Instant) -> Self {
        Self { life: None, offered: None, echo: 0, allowance: Allowance::full(now) }
    }

    /// One that began before. They drew these for each other.
    #[cfg(test)]
    pub(super) const fn established(now: Instant, boot_id: u64, nonce: u64, echo: u64) -> Self {
        let life = Some(Life { boot_id, nonce: Some(nonce), sequence: 0 });
        Self { life, echo, ..Self::new(now) }
    }

    /// Places a datagram that was proven to be the peer's.
    pub(super) fn place(&mut self, now: Instant, stamp: Stamp) -> Age {
        let Stamp { boot_id, sequence, echo, offer } = stamp;
        if let Some(life) = self.life.as_mut().filter(|life| life.boot_id == boot_id) {
            if sequence <= life.sequence {
                let is_near = sequence + OVERTAKING > life.sequence && sequence != life.sequence;
                return if is_near && life.nonce == Some(echo) { Age::Overtaken } else { Age::Old };
            }
            if life.nonce == Some(echo) {
                life.sequence = sequence;
                self.echo = offer;
                return Age::Next;
            }
        }
        let Some((nonce, _)) = self.offered.filter(|(nonce, until)| *nonce == echo && now < *until) else {
            return Age::Unknown;
        };
        self.offered = None;
        self.echo = offer;
        let same_life = self.life.is_some_and(|life| life.boot_id == boot_id);
        self.life = Some(Life { boot_id, nonce: Some(nonce), sequence });
        if same_life { Age::Next } else { Age::FirstOfLife }
    }

    /// What to echo.
    pub(super) const fn echo(&self) -> u64 {
        self.echo
    }

    /// Whether something was heard in the peer's present life.
    pub(super) const fn is_established(&self) -> bool {
        self.life.is_some()
    }

    /// What the peer is to echo in what it sends next.
    pub(super) fn offer(&mut self, now: Instant, nonces: &mut Nonces) -> u64 {
        self.life.and_then(|life| life.nonce).unwrap_or_else(|| self.challenge(now, nonces))
    }

    /// The peer was silent for long. What somebody held back meanwhile is not to bring it back to life.
    pub(super) fn expire(&mut self) {
        if let Some(life) = &mut self.life {
            life.nonce = None;
        }
    }

    /// Nothing that was written before now is to count.
    pub(super) fn forget(&mut self) {
        self.expire();
        self.offered = None;
    }

    /// What the peer is to echo for us to know that it lives now.
    pub(super) fn challenge(&mut self, now: Instant, nonces: &mut Nonces) -> u64 {
        if let Some((nonce, _)) = self.offered.filter(|(_, until)| now < *until) {
            return nonce;
        }
        let nonce = nonces.draw();
        // An echo that somebody held back may speak for a peer this much longer than it lives, once.
        self.offered = Some((nonce, now + Duration::from_secs(1)));
        nonce
    }

    /// Whether one more challenge may be sent.
    pub(super) fn may_challenge(&mut self, now: Instant) -> bool {
        self.allowance.take(now)
    }
}

/// How many challenges a peer's address may be sent: a few at once, then one at a time.
#[derive(Clone, Debug)]
struct Allowance {
    left: u8,
    since: Instant,
}

impl Allowance {
    const MOST: u8 = 8;
    const PACE: Duration = Duration::from_millis(20);

    const fn full(now: Instant) -> Self {
        Self { left: Self::MOST, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.since).as_millis() / Self::PACE.as_millis();
        if earned > 0 {
            self.left = u8::try_from(earned).unwrap_or(u8::MAX).saturating_add(self.left).min(Self::MOST);
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}
