//! The way to the router is there again: BFD says so, or the link does.

use std::time::{Duration, Instant};

use super::Session;
use crate::bgp::session::fsm::State;

/// An attempt that is no older may yet be answered. After that long the system repeats what got no answer.
const LOST: Duration = Duration::from_secs(1);
/// Who took a connection before and is there answers within this time.
const ANSWER: Duration = Duration::from_secs(10);
/// For so long the next attempt waits for a second at first, whatever `spec.connectTime` says.
const EAGER: Duration = Duration::from_secs(30);

impl Session {
    /// What failed until now failed for want of a path, and says nothing about the attempts to come. The first of them may
    /// fail too: of a router that stood still BFD returns before BGP does, which first clears away what was there.
    pub(super) fn path_up(&mut self, now: Instant) {
        self.failures = 0;
        self.eager_until = Some(now + EAGER);
        let due = &mut self.main.due;
        match self.main.state {
            State::Idle | State::Active => due.attempt = due.attempt.map(|_| now),
            // What was sent before the path was there is lost, and the system repeats it more and more rarely.
            State::Connect => {
                let began = due.attempt.and_then(|end| end.checked_sub(self.settings.retry.attempt()));
                if began.is_some_and(|began| began + LOST <= now) {
                    due.attempt = Some(now);
                }
            }
            // The system of a router takes connections also while nobody there reads them. If it began anew meanwhile
            // nobody ever will.
            State::OpenSent => {
                let soon = now + ANSWER;
                if due.hold.is_some_and(|hold| soon < hold) {
                    due.hold = Some(soon);
                    self.main.patience = ANSWER;
                }
            }
            State::OpenConfirm | State::Established => {}
        }
    }
}
