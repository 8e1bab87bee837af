//! One session: its state, what it knows of the other side, and when it speaks.
//!
//! Not here: which packet is of which session ([`super::Sessions`]).

use std::collections::VecDeque;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use metallb_core::config::BfdProfile;

use super::echoing::Echoing;
use super::machine::{Event, Transition, Why};
use super::timers::{Chance, Offer, Rates};
use super::wire::{Control, Diagnostic, Discriminator, Interval, Sequence, State};

/// What a session has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Send(Control),
    SendEcho { sequence: u32 },
    Changed(Change),
}

/// A session changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub why: Why,
}

/// What control packets told about the other side.
#[derive(Clone, Copy, Debug)]
struct Remote {
    discriminator: Discriminator,
    state: State,
    demand: bool,
    multiplier: NonZeroU8,
    desired_tx: Duration,
    required_rx: Duration,
    required_echo_rx: Duration,
    heard: Instant,
}

/// A session as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Why it is in it; `None` while it never changed.
    pub why: Option<Why>,
    /// Since when.
    pub since: Instant,
    /// How often it came up.
    pub ups: u64,
    /// How often it was up and is no longer.
    pub downs: u64,
    /// What the other side says of itself, while it is heard.
    pub remote_state: Option<State>,
    /// Between two of our packets, before they are shortened at random.
    pub transmit_interval: Duration,
    /// Silence for that long is failure; `None` while the other side is not heard.
    pub detection_time: Option<Duration>,
    /// Between two echo packets, if there are any.
    pub echo_interval: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Session {
    profile: BfdProfile,
    local: Discriminator,
    state: State,
    diagnostic: Diagnostic,
    why: Option<Why>,
    since: Instant,
    ups: u64,
    downs: u64,
    offer: Offer,
    /// `None`: not heard for a detection time. What is forgotten then is all of it (§6.8.1).
    remote: Option<Remote>,
    /// The last periodic packet; the next one is due some time after it.
    sent: Option<Instant>,
    /// `None` while no periodic packets may be sent.
    next_tx: Option<Instant>,
    /// The interval that the time above was made of.
    pace: Duration,
    echoing: Echoing,
    facts: VecDeque<Fact>,
}

impl Session {
    pub(super) fn new(
        now: Instant,
        local: Discriminator,
        profile: BfdProfile,
        echoing: Echoing,
        chance: &mut Chance,
    ) -> Self {
        let mut session = Self {
            profile,
            local,
            state: State::Down,
            diagnostic: Diagnostic::None,
            why: None,
            since: now,
            ups: 0,
            downs: 0,
            offer: Offer::new(Rates::of(&profile, State::Down)),
            remote: None,
            sent: None,
            next_tx: None,
            pace: Duration::MAX,
            echoing,
            facts: VecDeque::new(),
        };
        session.settle(now, chance);
        session
    }

    pub(super) fn local(&self) -> Discriminator {
        self.local
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn profile(&self) -> &BfdProfile {
        &self.profile
    }

    /// Whether the other side is heard.
    pub(super) fn is_heard(&self) -> bool {
        self.remote.is_some()
    }

    pub(super) fn status(&self) -> Status {
        Status {
            state: self.state,
            why: self.why,
            since: self.since,
            ups: self.ups,
            downs: self.downs,
            remote_state: self.remote.map(|remote| remote.state),
            transmit_interval: self.transmit_interval(),
            detection_time: self.detection_time(),
            echo_interval: self.echoing.interval(),
        }
    }

    pub(super) fn poll_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.silent_at(), self.next_tx, self.echoing.poll_timeout()].into_iter().flatten().min()
    }

    /// A control packet of the other side (§6.8.6, from "Set bfd.RemoteDiscr" on).
    pub(super) fn hear(&mut self, now: Instant, packet: &Control, chance: &mut Chance) {
        if self.state == State::AdminDown {
            return;
        }
        self.remote = Some(Remote {
            discriminator: packet.my_discriminator,
            state: packet.state,
            demand: packet.demand,
            multiplier: packet.detect_multiplier,
            desired_tx: packet.desired_min_tx.get(),
            required_rx: packet.required_min_rx.get(),
            required_echo_rx: packet.required_min_echo_rx.get(),
            heard: now,
        });
        if packet.sequence == Sequence::Final {
            self.offer.agreed();
        }
        self.happen(now, Event::Heard(packet.state), chance);
        if packet.sequence == Sequence::Poll {
            self.send(Sequence::Final);
        }
        self.settle(now, chance);
    }

    /// An echo packet of ours came back.
    pub(super) fn hear_echo(&mut self, now: Instant, sequence: u32) {
        self.echoing.returned(now, sequence);
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: Instant, chance: &mut Chance) {
        if self.silent_at().is_some_and(|at| at <= now) {
            self.happen(now, Event::DetectionExpired, chance);
            self.remote = None;
        }
        if self.echoing.lost_at().is_some_and(|at| at <= now) {
            self.happen(now, Event::EchoExpired, chance);
        }
        self.settle(now, chance);
        if self.next_tx.is_some_and(|due| due <= now) {
            self.send_periodic(now, chance);
        }
        if let Some(sequence) = self.echoing.due(now, chance) {
            self.facts.push_back(Fact::SendEcho { sequence });
        }
    }

    /// From now on with this profile. A session that is up stays up: the new intervals are agreed on by a poll.
    pub(super) fn set_profile(&mut self, now: Instant, profile: BfdProfile, chance: &mut Chance) {
        self.profile = profile;
        self.offer.change(Rates::of(&profile, self.state), self.state);
        self.settle(now, chance);
    }

    pub(super) fn switch_off(&mut self, now: Instant, chance: &mut Chance) {
        self.happen(now, Event::SwitchedOff, chance);
        self.settle(now, chance);
    }

    pub(super) fn switch_on(&mut self, now: Instant, chance: &mut Chance) {
        self.happen(now, Event::SwitchedOn, chance);
        self.settle(now, chance);
    }

    fn happen(&mut self, now: Instant, event: Event, chance: &mut Chance) {
        let Some(transition) = self.state.on(event) else { return };
        let Transition { to, why } = transition;
        let from = std::mem::replace(&mut self.state, to);
        self.diagnostic = transition.diagnostic().unwrap_or(self.diagnostic);
        self.why = Some(why);
        self.since = now;
        match (from, to) {
            (State::Up, _) => self.downs += 1,
            (State::AdminDown | State::Down | State::Init, State::Up) => self.ups += 1,
            (State::AdminDown | State::Down | State::Init, State::AdminDown | State::Down | State::Init) => {}
        }
        self.offer = match to {
            State::Up => {
                let mut offer = Offer::new(Rates::of(&self.profile, from));
                offer.change(Rates::of(&self.profile, to), to);
                offer
            }
            State::AdminDown | State::Down | State::Init => Offer::new(Rates::of(&self.profile, to)),
        };
        self.facts.push_back(Fact::Changed(Change { from, to, why }));
        // The other side learns it now and not with the next periodic packet. When its silence was the reason, this is
        // the last packet with its discriminator: if only the way back is broken, it learns it too.
        if self.may_send() {
            self.send_periodic(now, chance);
        }
    }

    /// Brings the timers in step with everything else.
    fn settle(&mut self, now: Instant, chance: &mut Chance) {
        let interval = self.transmit_interval();
        self.next_tx = match (self.sends_periodically(), self.next_tx) {
            (false, _) => None,
            (true, Some(next)) if interval >= self.pace => Some(next),
            (true, next) => {
                // Faster from now on, or beginning: counted from the last packet, which may mean at once.
                let anew = self.sent.map_or(now, |sent| sent + chance.shorten(interval)).max(now);
                Some(next.map_or(anew, |next| next.min(anew)))
            }
        };
        self.pace = interval;
        let loops = self.remote.map_or(Duration::ZERO, |remote| remote.required_echo_rx);
        let loops = Some(loops).filter(|loops| self.state == State::Up && !loops.is_zero());
        self.echoing.settle(now, &self.profile, loops);
    }

    /// Who is passive does not begin (§6.1).
    fn may_send(&self) -> bool {
        !self.profile.passive_mode || self.remote.is_some()
    }

    /// §6.8.7: not to who wants none, nor to a satisfied other side in demand mode.
    fn sends_periodically(&self) -> bool {
        let wanted = self.remote.is_none_or(|remote| {
            let satisfied = remote.demand && self.state == State::Up && remote.state == State::Up;
            !remote.required_rx.is_zero() && (!satisfied || self.offer.is_polling())
        });
        wanted && self.may_send()
    }

    fn transmit_interval(&self) -> Duration {
        let bearable = self.remote.map_or(Duration::ZERO, |remote| remote.required_rx);
        self.offer.in_force().tx.max(bearable)
    }

    /// §6.8.4, asynchronous mode.
    fn detection_time(&self) -> Option<Duration> {
        let remote = self.remote?;
        Some(remote.desired_tx.max(self.offer.in_force().rx) * u32::from(remote.multiplier.get()))
    }

    /// `None` also while switched off: what was known of the other side is needed to tell it so.
    fn silent_at(&self) -> Option<Instant> {
        if self.state == State::AdminDown {
            return None;
        }
        Some(self.remote?.heard + self.detection_time()?)
    }

    fn send_periodic(&mut self, now: Instant, chance: &mut Chance) {
        let sequence = if self.offer.is_polling() { Sequence::Poll } else { Sequence::None };
        self.send(sequence);
        self.sent = Some(now);
        self.pace = self.transmit_interval();
        self.next_tx = Some(now + chance.shorten(self.pace));
    }

    fn send(&mut self, sequence: Sequence) {
        let announced = self.offer.announced();
        self.facts.push_back(Fact::Send(Control {
            state: self.state,
            diagnostic: self.diagnostic,
            sequence,
            // Our BFD ends with the speaker.
            control_plane_independent: false,
            demand: false,
            detect_multiplier: NonZeroU8::new(self.profile.detect_multiplier.get()).unwrap_or(NonZeroU8::MAX),
            my_discriminator: self.local,
            your_discriminator: self.remote.map(|remote| remote.discriminator),
            desired_min_tx: Interval::nearest(announced.tx),
            required_min_rx: Interval::nearest(announced.rx),
            // A node may or may not forward packets back to where they came from (sysctls, firewalls, the network
            // plugin). Whoever trusts a promise of ours here would take a healthy path for broken.
            required_min_echo_rx: Interval::ZERO,
        }));
    }
}
