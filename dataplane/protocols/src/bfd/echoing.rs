//! Echo mode (RFC 5880 §6.4, §6.8.5): packets to ourselves by way of the router, which prove its forwarding.
//!
//! They count only after the first has returned: a router may say that it loops them and have a filter that does not.
//! Then control packets alone watch the path, instead of failing it for ever. Once one has returned, they must go on to.
//!
//! Not here: what they look like ([`super::echo`]).

use std::time::{Duration, Instant};

use metallb_core::config::BfdProfile;

use super::timers::Chance;

#[derive(Debug)]
pub(super) struct Echoing {
    /// Is the path one that can loop: a single hop, IPv4?
    possible: bool,
    multiplier: u32,
    /// `None` while none are sent.
    running: Option<Running>,
    /// The last one sent; they are numbered from 1.
    sequence: u32,
    /// The newest that returned, in any time of being up.
    returned: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    interval: Duration,
    next: Instant,
    /// Silence counts from here.
    heard: Instant,
}

impl Echoing {
    pub(super) const fn new(possible: bool) -> Self {
        Self { possible, multiplier: 1, running: None, sequence: 0, returned: None }
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.running.map(|running| running.interval)
    }

    /// The session's state or profile may have changed. `loops`: it is up, and how often the router will loop.
    pub(super) fn settle(&mut self, now: Instant, profile: &BfdProfile, loops: Option<Duration>) {
        self.multiplier = u32::from(profile.detect_multiplier.get());
        let interval = loops
            .filter(|_| self.possible && profile.echo_mode)
            .map(|loops| loops.max(profile.echo_interval.get()));
        self.running = interval.map(|interval| {
            let fresh = Running { interval, next: now, heard: now };
            match self.running {
                // Slower from now on: those that are still to come at the old pace were never late by the new one.
                Some(running) if running.interval < interval => Running { interval, heard: now, ..running },
                Some(running) => Running { interval, ..running },
                None => fresh,
            }
        });
    }

    /// Call when time has passed: the number of an echo packet to send now.
    pub(super) fn due(&mut self, now: Instant, chance: &mut Chance) -> Option<u32> {
        let running = self.running.as_mut().filter(|running| running.next <= now)?;
        running.next = now + chance.shorten(running.interval);
        self.sequence = self.sequence.wrapping_add(1);
        Some(self.sequence)
    }

    /// One came back. Old ones, copies, and those never sent prove nothing.
    pub(super) fn returned(&mut self, now: Instant, sequence: u32) {
        let Some(running) = &mut self.running else { return };
        let age = self.sequence.wrapping_sub(sequence);
        let newest = self.returned.is_none_or(|newest| age < self.sequence.wrapping_sub(newest));
        if sequence != 0 && age < self.multiplier && newest {
            self.returned = Some(sequence);
            running.heard = now;
        }
    }

    /// When the path has failed, if nothing returns before.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        let running = self.running.filter(|_| self.returned.is_some())?;
        Some(running.heard + running.interval * self.multiplier)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.running.map(|running| running.next).into_iter().chain(self.lost_at()).min()
    }
}
