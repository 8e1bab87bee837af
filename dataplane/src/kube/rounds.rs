//! When a reporter looks at what it keeps: soon after something changed, and now and then in any case. While nothing changes it
//! sleeps: there are several on every node.
//!
//! Not here: what it looks at, and what it writes.

use std::time::{Duration, Instant};

/// What changes together is written together: so long is waited after the first change.
const GATHER: Duration = Duration::from_millis(100);
/// Between two rounds while changes go on.
const APART: Duration = Duration::from_millis(500);

/// Why there is a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Something changed.
    Changes,
    /// All is looked at, whether it changed or not.
    Sweep,
}

/// The rounds of one reporter.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    /// From sweep to sweep.
    sweep: Duration,
    sweep_at: Instant,
    last: Option<Instant>,
    /// When what has changed is looked at.
    called: Option<Instant>,
}

impl Rounds {
    /// The first is a sweep, at once.
    pub(super) const fn with_sweeps_each(sweep: Duration, now: Instant) -> Self {
        Self { sweep, sweep_at: now, last: None, called: None }
    }

    /// Something changed.
    pub(super) fn call(&mut self, now: Instant) {
        let gathered = now + GATHER;
        let at = self.last.map_or(gathered, |last| gathered.max(last + APART));
        self.called.get_or_insert(at);
    }

    /// The next sweep is not later than then.
    pub(super) fn sweep_by(&mut self, then: Instant) {
        self.sweep_at = self.sweep_at.min(then);
    }

    /// When the next round is due.
    pub(super) fn due(&self) -> Instant {
        self.called.map_or(self.sweep_at, |called| called.min(self.sweep_at))
    }

    /// The round that was due begins.
    pub(super) fn begin(&mut self, now: Instant) -> Round {
        self.last = Some(now);
        self.called = None;
        if now < self.sweep_at {
            return Round::Changes;
        }
        self.sweep_at = now + self.sweep;
        Round::Sweep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWEEP: Duration = Duration::from_mins(1);

    /// The first sweep was just made.
    fn rounds() -> (Rounds, Instant) {
        let start = Instant::now();
        let mut rounds = Rounds::with_sweeps_each(SWEEP, start);
        assert_eq!(rounds.due(), start);
        assert_eq!(rounds.begin(start), Round::Sweep);
        (rounds, start)
    }

    #[test]
    fn while_nothing_changes_there_are_only_sweeps() {
        let (mut rounds, start) = rounds();
        for sweep in 1..4 {
            let due = start + sweep * SWEEP;
            assert_eq!((rounds.due(), rounds.begin(due)), (due, Round::Sweep));
        }
    }

    #[test]
    fn changes_that_come_together_are_one_round_soon_after() {
        let (mut rounds, start) = rounds();
        let first = start + APART;
        rounds.call(first);
        rounds.call(first + GATHER / 2);
        let due = first + GATHER;
        assert_eq!((rounds.due(), rounds.begin(due)), (due, Round::Changes));
        assert_eq!(rounds.due(), start + SWEEP);
    }

    #[test]
    fn changes_without_end_are_looked_at_so_often_only() {
        let (mut rounds, start) = rounds();
        for round in 1..4 {
            rounds.call(start + (round - 1) * APART);
            let due = start + round * APART;
            assert_eq!((rounds.due(), rounds.begin(due)), (due, Round::Changes));
        }
    }

    #[test]
    fn changes_do_not_put_a_sweep_off() {
        let (mut rounds, start) = rounds();
        let called = start + APART;
        let sweep = called + GATHER / 2;
        rounds.sweep_by(sweep);
        rounds.call(called);
        assert_eq!((rounds.due(), rounds.begin(sweep)), (sweep, Round::Sweep));
        assert_eq!(rounds.due(), sweep + SWEEP);
    }

    #[test]
    fn after_a_failure_the_sweep_comes_sooner() {
        let (mut rounds, start) = rounds();
        let sooner = start + SWEEP / 6;
        rounds.sweep_by(sooner);
        rounds.sweep_by(start + SWEEP / 3);
        assert_eq!((rounds.due(), rounds.begin(sooner)), (sooner, Round::Sweep));
        assert_eq!(rounds.due(), sooner + SWEEP);
    }
}
