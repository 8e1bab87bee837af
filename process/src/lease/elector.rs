//! When to take the lease, when to renew it, and until when it is certain. No I/O, no clock.

use std::time::{Duration, Instant};

/// The times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease holds after its last renewal.
    pub duration: Duration,
    /// The holder gives up when no renewal succeeded for this long. Shorter than `duration`, so that it stops before
    /// another may start.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry_period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// What the Lease object says, as far as it matters for whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `spec.holderIdentity`; empty when it was released.
    pub holder: String,
    /// `spec.renewTime`, verbatim. Only whether it changes matters: clocks of nodes differ.
    pub renewed: String,
    /// `spec.leaseDurationSeconds`.
    pub duration: Option<Duration>,
}

/// What to do after a look at the Lease object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the own name into it: it is free, or its holder is gone.
    Acquire,
    /// Write the own renewal into it.
    Renew,
    /// It is another's; look again later.
    Wait,
}

/// The rules of one replica.
#[derive(Debug)]
pub struct Elector {
    identity: String,
    timing: Timing,
    /// The record as last seen, and when it was first seen like this.
    observed: Option<(Record, Instant)>,
    /// When the last successful write of ours was sent, while we hold it.
    renewed: Option<Instant>,
}

impl Elector {
    /// The rules for the replica `identity`.
    pub fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, observed: None, renewed: None }
    }

    /// The Lease object says this (`None`: there is none).
    pub fn observe(&mut self, now: Instant, record: Option<Record>) -> Action {
        let Some(record) = record else {
            self.observed = None;
            self.renewed = None;
            return Action::Acquire;
        };
        if self.observed.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.observed = Some((record.clone(), now));
        }
        if record.holder == self.identity {
            return Action::Renew;
        }
        self.renewed = None;
        let first_seen = self.observed.as_ref().map_or(now, |(_, at)| *at);
        let holds_for = record.duration.unwrap_or(self.timing.duration);
        if record.holder.is_empty() || first_seen + holds_for <= now { Action::Acquire } else { Action::Wait }
    }

    /// A write that [`Action::Acquire`] or [`Action::Renew`] asked for, sent at `sent`, succeeded.
    pub fn written(&mut self, sent: Instant) {
        self.renewed = Some(sent);
    }

    /// Such a write failed because somebody else's came first: look again before anything else.
    pub fn lost_the_race(&mut self) {
        self.observed = None;
    }

    /// Until when the lease is certain to be ours; `None` when it is not, or was given up for want of renewals.
    pub fn holds_until(&self, now: Instant) -> Option<Instant> {
        let renewed = self.renewed?;
        (now < renewed + self.timing.renew_deadline).then_some(renewed + self.timing.duration)
    }

    /// Who has it, by what was last seen; empty for nobody.
    pub fn holder(&self) -> &str {
        self.observed.as_ref().map_or("", |(record, _)| &record.holder)
    }

    /// The times it works with.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The name it writes.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn record(holder: &str, renewed: &str) -> Record {
        Record { holder: holder.into(), renewed: renewed.into(), duration: Some(seconds(15)) }
    }

    fn elector() -> (Elector, Instant) {
        (Elector::new("me".into(), Timing::default()), Instant::now())
    }

    #[test]
    fn a_missing_or_released_lease_is_taken_at_once() {
        let (mut elector, now) = elector();
        assert_eq!(elector.observe(now, None), Action::Acquire);
        assert_eq!(elector.observe(now, Some(record("", ""))), Action::Acquire);
    }

    #[test]
    fn a_lease_that_is_renewed_is_waited_for_whatever_the_clock_of_its_holder_says() {
        let (mut elector, start) = elector();
        for n in 0..100 {
            let renewed = format!("1970-01-01T00:00:{n:02}Z"); // decades in the past, but moving
            assert_eq!(
                elector.observe(start + seconds(2 * n), Some(record("other", &renewed))),
                Action::Wait
            );
        }
    }

    #[test]
    fn a_lease_that_is_not_renewed_is_taken_after_its_duration_seen_from_here() {
        let (mut elector, start) = elector();
        assert_eq!(elector.observe(start, Some(record("other", "x"))), Action::Wait);
        assert_eq!(elector.observe(start + seconds(14), Some(record("other", "x"))), Action::Wait);
        assert_eq!(elector.observe(start + seconds(15), Some(record("other", "x"))), Action::Acquire);
    }

    #[test]
    fn the_holder_knows_until_when_it_holds_and_gives_up_before_another_may_start() {
        let (mut elector, start) = elector();
        assert_eq!(elector.holds_until(start), None);
        elector.observe(start, None);
        elector.written(start);
        assert_eq!(elector.holds_until(start + seconds(9)), Some(start + seconds(15)));
        assert_eq!(elector.holds_until(start + seconds(10)), None);
        elector.written(start + seconds(9));
        assert_eq!(elector.holds_until(start + seconds(10)), Some(start + seconds(24)));
    }

    #[test]
    fn seeing_another_in_the_record_ends_holding_it() {
        let (mut elector, start) = elector();
        elector.observe(start, None);
        elector.written(start);
        assert_eq!(elector.observe(start + seconds(1), Some(record("me", "a"))), Action::Renew);
        assert_eq!(elector.observe(start + seconds(2), Some(record("other", "b"))), Action::Wait);
        assert_eq!(elector.holds_until(start + seconds(2)), None);
        assert_eq!(elector.holder(), "other");
    }

    #[test]
    fn a_restarted_container_finds_its_own_name_and_goes_on_at_once() {
        let (mut elector, now) = elector();
        assert_eq!(elector.observe(now, Some(record("me", "of the life before"))), Action::Renew);
        assert_eq!(elector.holds_until(now), None, "not before its own write succeeded");
    }

    /// Two replicas, one record, every interleaving of a few steps: they never hold it both.
    #[test]
    fn two_replicas_never_hold_the_lease_together() {
        fn step(
            electors: &mut [Elector; 2],
            who: usize,
            lease: &mut Option<Record>,
            now: Instant,
            serial: u32,
        ) {
            let action = electors[who].observe(now, lease.clone());
            if action != Action::Wait {
                *lease = Some(Record {
                    holder: electors[who].identity().into(),
                    renewed: serial.to_string(),
                    duration: Some(Timing::default().duration),
                });
                electors[who].written(now);
            }
        }
        for schedule in 0_u32..(1 << 14) {
            let start = Instant::now();
            let mut electors = ["a", "b"].map(|name| Elector::new(name.into(), Timing::default()));
            let mut lease = None;
            for turn in 0..14 {
                // Who does not get its turn is stuck: its process stopped, its network gone.
                let now = start + seconds(u64::from(turn) * 2);
                step(&mut electors, usize::from(schedule & (1 << turn) != 0), &mut lease, now, turn);
                let holders = electors.iter().filter(|elector| elector.holds_until(now).is_some()).count();
                assert!(holders <= 1, "schedule {schedule:b}, turn {turn}");
            }
        }
    }
}
