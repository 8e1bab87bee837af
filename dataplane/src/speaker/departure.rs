//! A node that leaves: its routes are first announced as about to go (RFC 8326), then withdrawn, then the flows that are
//! still under way get time to end. No clock: time is handed in.
//!
//! What counts as leaving is said by [`metallb_core::plan::World::leaving`]. A speaker that is only told to stop
//! (SIGTERM) does not leave: another takes its place at once, and the node forwards meanwhile.

use std::time::{Duration, Instant};

use metallb_core::plan::Departure;

/// How long each step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Routes are announced as about to go: routers move new flows to other nodes.
    pub announcing: Duration,
    /// Routes are withdrawn: packets that are under way, and flows that only this node knows, still arrive.
    pub flows: Duration,
}

/// Where a departure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Staying,
    Announcing { until: Instant },
    Flows { until: Instant },
    Over,
}

/// The departure of this node, if there is one.
#[derive(Debug)]
pub struct Progress {
    pace: Pace,
    step: Step,
    /// Has it ever been seen to stay? Of one that was leaving all along no router has a route.
    stayed: bool,
}

impl Progress {
    /// Staying, so far.
    pub const fn new(pace: Pace) -> Self {
        Self { pace, step: Step::Staying, stayed: false }
    }

    /// The node leaves, or it does not. Call it after each change and at [`Progress::poll_timeout`].
    pub fn set(&mut self, now: Instant, leaving: bool) {
        let pace = self.pace;
        self.step = match (leaving, self.step) {
            (false, _) => Step::Staying,
            (true, Step::Staying) if self.stayed => Step::Announcing { until: now + pace.announcing },
            (true, Step::Staying) => Step::Flows { until: now },
            (true, step @ (Step::Announcing { .. } | Step::Flows { .. } | Step::Over)) => step,
        };
        if let Step::Announcing { until } = self.step
            && until <= now
        {
            self.step = Step::Flows { until: now + pace.flows };
        }
        // A node may be about to go for hours.
        if self.is_over(now) {
            self.step = Step::Over;
        }
        self.stayed |= !leaving;
    }

    /// There is less time than planned, until `end`: announcing is whole or not at all, and flows get what is left.
    pub fn hurry(&mut self, now: Instant, end: Instant) {
        let Pace { announcing, flows } = self.pace;
        let left = end.saturating_duration_since(now);
        let announcing = if left < announcing { Duration::ZERO } else { announcing };
        self.pace = Pace { announcing, flows: flows.min(left.saturating_sub(announcing)) };
        self.step = match self.step {
            Step::Staying => Step::Staying,
            Step::Announcing { until } => Step::Announcing { until: until.min(now + announcing) },
            Step::Flows { until } => Step::Flows { until: until.min(end) },
            Step::Over => Step::Over,
        };
    }

    /// What it means for routes.
    pub const fn stance(&self) -> Departure {
        match self.step {
            Step::Staying => Departure::Staying,
            Step::Announcing { .. } => Departure::Announced,
            Step::Flows { .. } | Step::Over => Departure::Withdrawn,
        }
    }

    /// Is there nothing left to wait for?
    pub fn is_over(&self, now: Instant) -> bool {
        match self.step {
            Step::Staying | Step::Announcing { .. } => false,
            Step::Flows { until } => until <= now,
            Step::Over => true,
        }
    }

    /// When it goes on by itself.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.step {
            Step::Staying | Step::Over => None,
            Step::Announcing { until } | Step::Flows { until } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { announcing: Duration::from_secs(5), flows: Duration::from_secs(10) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn staying(now: Instant) -> Progress {
        let mut progress = Progress::new(PACE);
        progress.set(now, false);
        progress
    }

    #[test]
    fn routes_are_announced_as_going_then_withdrawn_and_then_flows_get_their_time() {
        let start = Instant::now();
        let mut progress = staying(start);
        assert_eq!((progress.stance(), progress.poll_timeout()), (Departure::Staying, None));
        progress.set(start, true);
        assert_eq!(progress.stance(), Departure::Announced);
        let due = progress.poll_timeout().unwrap();
        assert_eq!(due, start + seconds(5));
        progress.set(due, true);
        assert_eq!((progress.stance(), progress.is_over(due)), (Departure::Withdrawn, false));
        let end = progress.poll_timeout().unwrap();
        assert_eq!(end, due + seconds(10));
        assert!(progress.is_over(end));
        progress.set(end, true);
        assert_eq!(
            (progress.stance(), progress.is_over(end), progress.poll_timeout()),
            (Departure::Withdrawn, true, None),
            "nothing is due any more, however long it takes to go"
        );
    }

    #[test]
    fn a_node_that_thinks_better_of_it_is_as_before() {
        let start = Instant::now();
        for late in [1, 7, 60] {
            let mut progress = staying(start);
            progress.set(start, true);
            progress.set(start + seconds(late), true);
            progress.set(start + seconds(late), false);
            assert_eq!(progress.stance(), Departure::Staying);
            progress.set(start + seconds(late), true);
            assert_eq!(progress.stance(), Departure::Announced, "and begins anew");
        }
    }

    #[test]
    fn a_speaker_that_starts_on_a_leaving_node_announces_nothing_first() {
        let now = Instant::now();
        let mut progress = Progress::new(PACE);
        progress.set(now, true);
        assert_eq!((progress.stance(), progress.is_over(now)), (Departure::Withdrawn, true));
    }

    #[test]
    fn with_too_little_time_announcing_is_whole_or_not_at_all() {
        let start = Instant::now();
        for (left, stance, over) in [
            (20, Departure::Announced, 15),
            (8, Departure::Announced, 8),
            (5, Departure::Announced, 5),
            (4, Departure::Withdrawn, 4),
            (0, Departure::Withdrawn, 0),
        ] {
            let mut progress = staying(start);
            progress.set(start, true);
            progress.hurry(start, start + seconds(left));
            progress.set(start, true);
            assert_eq!(progress.stance(), stance, "{left} s left");
            let mut end = start;
            while let Some(due) = progress.poll_timeout() {
                end = due;
                progress.set(due, true);
            }
            assert_eq!(end, start + seconds(over), "{left} s left");
        }
    }
}
