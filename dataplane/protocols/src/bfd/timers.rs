//! Intervals (RFC 5880 §6.8.2 to §6.8.4, §6.8.7): what we offer, what is in force, and when the other side has agreed.
//!
//! Not here: clocks.

use std::fmt;
use std::time::Duration;

use metallb_core::config::BfdProfile;

use super::wire::State;

/// While not up, no more than a packet a second (§6.8.3): nobody knows yet whether the other side can bear more.
pub const SLOW: Duration = Duration::from_secs(1);

/// Where jitter, discriminators and secrets come from. Handed in: the driver draws from the system, a test from a seed.
pub struct Chance(Box<dyn FnMut() -> u64 + Send>);

impl Chance {
    /// Draws with this function. Discriminators must not be foreseeable from the outside: let it be a good one.
    pub fn new(draw: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self(Box::new(draw))
    }

    pub(super) fn draw(&mut self) -> u64 {
        (self.0)()
    }

    /// The interval, shortened by 10 to 25 %. §6.8.7 allows up to 25 %, and wants 10 % at least where one lost packet is
    /// a failure; so this is right for every multiplier, and two systems never send in step.
    pub(super) fn shorten(&mut self, interval: Duration) -> Duration {
        let permille = 750 + u32::try_from(self.draw() % 151).unwrap_or(0);
        interval * permille / 1000
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

/// How often we would like to send, and are able to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Desired Min TX Interval.
    pub tx: Duration,
    /// Required Min RX Interval.
    pub rx: Duration,
}

impl Rates {
    /// Those of a session in `state`.
    pub fn of(profile: &BfdProfile, state: State) -> Self {
        let (tx, rx) = (profile.transmit_interval.get(), profile.receive_interval.get());
        match state {
            State::Up => Self { tx, rx },
            State::AdminDown | State::Down | State::Init => Self { tx: tx.max(SLOW), rx },
        }
    }
}

/// A poll sequence (§6.5): packets ask until one is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    Asking,
    /// The values changed while a sequence ran: its answer may still be about the old ones, so ask once more.
    AskingThenAgain,
}

/// Our half of the negotiation. What makes us send less, or expect more, waits until the other side knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    announced: Rates,
    in_force: Rates,
    poll: Poll,
}

impl Offer {
    /// The offer of a session that is not up.
    pub fn new(rates: Rates) -> Self {
        Self { announced: rates, in_force: rates, poll: Poll::Idle }
    }

    /// Offers other rates, in `state`. Only a session that is up has to ask for agreement.
    pub fn change(&mut self, rates: Rates, state: State) {
        if state != State::Up {
            *self = Self::new(rates);
        } else if rates != self.announced {
            self.announced = rates;
            self.in_force = Rates { tx: self.in_force.tx.min(rates.tx), rx: self.in_force.rx.max(rates.rx) };
            self.poll = match self.poll {
                Poll::Idle => Poll::Asking,
                Poll::Asking | Poll::AskingThenAgain => Poll::AskingThenAgain,
            };
        }
    }

    /// The other side has answered a poll.
    pub fn agreed(&mut self) {
        match self.poll {
            Poll::Idle => {}
            Poll::Asking => *self = Self::new(self.announced),
            Poll::AskingThenAgain => self.poll = Poll::Asking,
        }
    }

    /// Whether packets ask for an answer.
    pub fn is_polling(&self) -> bool {
        self.poll != Poll::Idle
    }

    /// What packets say.
    pub fn announced(&self) -> Rates {
        self.announced
    }

    /// What we go by.
    pub fn in_force(&self) -> Rates {
        self.in_force
    }
}
