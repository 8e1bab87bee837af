//! What the state machine says, done.

use std::time::{Duration, Instant};

use super::{DEFERRAL, OPEN_HOLD, Output, RESTART_WINDOW, SEND_HOLD, STABLE, Session};
use crate::bgp::session::engine::Beginning;
use crate::bgp::session::failure::Failure;
use crate::bgp::session::fsm::{Action, Event, State, Step, step};
use crate::bgp::session::line::{Connection, Line};
use crate::bgp::wire::{Kind, Notification, Reason};

/// Which of the session's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Main,
    Rival,
}

/// What to say when the state machine wants a farewell said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    Say(Notification),
    Silent,
    /// That the event was not expected.
    ByState,
}

impl Session {
    /// Does what `event` means on that connection.
    pub(super) fn happen(
        &mut self,
        now: Instant,
        which: Which,
        event: Event,
        failure: Option<Failure>,
        farewell: Farewell,
    ) {
        let Some(line) = self.line(which) else { return };
        let before = line.state;
        let Step { next, actions } = step(before, event);
        line.state = next;
        let farewell = match farewell {
            Farewell::Say(notification) => Some(notification),
            Farewell::Silent => None,
            Farewell::ByState => Some(unexpected(before, event).into()),
        };
        let lost = before == State::Established && next != State::Established;
        if lost && self.up_since.is_some_and(|since| since + STABLE <= now) {
            self.failures = 0;
        }
        for action in actions {
            self.act(now, which, *action, farewell.as_ref());
        }
        if lost {
            self.up_since = None;
            self.deferral = None;
            self.bare = false;
            self.adverts.end();
            self.stand_ins.end();
            self.counters.dropped += 1;
        }
        if let Some(failure) = failure.filter(|_| before != State::Idle) {
            // Which of two connections stays is nobody's failure.
            if failure != Failure::Collision {
                self.last_failure = Some(failure.clone());
            }
            self.outputs.push_back(if lost { Output::Down(failure) } else { Output::Failed(failure) });
        }
        self.settle_lines(which, event);
    }

    /// One connection of two that came to nothing leaves the other.
    fn settle_lines(&mut self, which: Which, event: Event) {
        let over = |line: &Line| matches!(line.state, State::Idle | State::Connect | State::Active);
        match which {
            Which::Rival if self.rival.as_ref().is_some_and(over) => self.rival = None,
            Which::Main if event == Event::CollisionLost && over(&self.main) => {
                if let Some(rival) = self.rival.take() {
                    self.main = rival;
                }
            }
            Which::Main | Which::Rival => {}
        }
    }

    fn act(&mut self, now: Instant, which: Which, action: Action, farewell: Option<&Notification>) {
        match action {
            Action::Dial => self.dial(now, which),
            Action::AwaitRetry => {
                let retry = &self.settings.retry;
                let eager = self.eager_until.is_some_and(|until| now < until);
                let patient = retry.after_connecting(self.failures);
                let wait = if eager { patient.min(retry.after(self.failures)) } else { patient };
                self.wait(now, which, wait);
            }
            Action::BackOff => {
                let wait = self.settings.retry.after(self.failures);
                self.wait(now, which, wait);
            }
            Action::SendOpen => self.owe_open(now, which),
            Action::SendKeepalive => {
                let interval = self.line(which).and_then(|line| line.negotiated.as_ref()?.keepalive_time);
                let due = interval.map(|interval| now + self.jitter.of(interval));
                if let Some(line) = self.line(which) {
                    (line.owes_keepalive, line.due.keepalive) = (true, due);
                }
            }
            Action::ArmHold => {
                if let Some(line) = self.line(which) {
                    let hold = line.negotiated.as_ref().and_then(|negotiated| negotiated.hold_time);
                    line.due.hold = hold.map(|hold| now + hold);
                    line.patience = hold.unwrap_or_default();
                }
            }
            Action::Close => self.close(which, None),
            Action::Farewell => self.close(which, farewell),
            Action::Up => self.up(now, which),
            // Their messages are looked at where they come in.
            Action::TakeRoutes | Action::Refresh => {}
        }
    }

    fn dial(&mut self, now: Instant, which: Which) {
        self.dialled += 1;
        let connection = Connection::Dialled(self.dialled);
        let patience = self.settings.retry.attempt();
        if let Some(line) = self.line(which) {
            line.connection = Some(connection);
            line.due.attempt = Some(now + patience);
            self.outputs.push_back(Output::Connect(connection));
        }
    }

    fn wait(&mut self, now: Instant, which: Which, wait: Duration) {
        self.failures = self.failures.saturating_add(1);
        let wait = self.jitter.of(wait);
        if let Some(line) = self.line(which) {
            // What failed is gone already, and with it what hung on it.
            line.hang_up();
            line.due.attempt = Some(now + wait);
        }
    }

    /// After an end that was ours.
    pub(super) fn next_wait(&mut self) -> Duration {
        let wait = self.settings.retry.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.jitter.of(wait)
    }

    fn owe_open(&mut self, now: Instant, which: Which) {
        let restarted =
            self.beginning == Beginning::Process && !self.ever_up && now < self.born + RESTART_WINDOW;
        let open = self.settings.offer(restarted, self.bare);
        if let Some(line) = self.line(which) {
            line.ours = Some(open);
            line.owes_open = true;
            line.due.attempt = None;
            line.due.hold = Some(now + OPEN_HOLD);
            line.patience = OPEN_HOLD;
        }
    }

    fn close(&mut self, which: Which, farewell: Option<&Notification>) {
        let Some(connection) = self.line(which).and_then(Line::hang_up) else { return };
        if farewell.is_some() {
            self.counters.sent(Kind::Notification);
        }
        let farewell = farewell.map(Notification::emit);
        self.outputs.push_back(Output::Close { connection, farewell });
    }

    fn up(&mut self, now: Instant, which: Which) {
        if which == Which::Rival
            && let Some(rival) = self.rival.take()
        {
            // It is the session now. What it rivalled with is the one too many, and may be an attempt only.
            self.rival = Some(std::mem::replace(&mut self.main, rival));
        }
        if let Some(rival) = &mut self.rival {
            let attempt = matches!(rival.state, State::Idle | State::Connect | State::Active);
            let farewell = if attempt { None } else { Some(Reason::COLLISION.into()) };
            self.close(Which::Rival, farewell.as_ref());
            self.rival = None;
        }
        let Some(negotiated) = self.main.negotiated.clone() else { return };
        self.ever_up = true;
        self.up_since = Some(now);
        self.counters.established += 1;
        self.adverts.begin(&negotiated.families);
        self.stand_ins.begin(&negotiated.additional_paths);
        self.deferral = (!self.adverts.is_loaded()).then(|| now + DEFERRAL);
        self.outputs.push_back(Output::Up(Box::new(negotiated)));
    }

    /// Does this connection have a message to send?
    pub(super) fn owes(&self, line: &Line) -> bool {
        line.owes_open
            || line.owes_keepalive
            || (line.state == State::Established
                && (self.adverts.has_message() || self.stand_ins.has_message()))
    }

    /// A router that reads nothing is watched from the moment that there is something to read.
    pub(super) fn watch_the_reader(&mut self, now: Instant) {
        let due = (self.main.state == State::Established && self.owes(&self.main))
            .then(|| now + self.send_hold(Which::Main));
        self.main.due.send_hold = due.map(|due| self.main.due.send_hold.unwrap_or(due));
    }

    pub(super) fn send_hold(&mut self, which: Which) -> Duration {
        let hold = self.line(which).and_then(|line| line.negotiated.as_ref()?.hold_time);
        hold.map_or(SEND_HOLD, |hold| SEND_HOLD.max(hold * 2))
    }
}

/// What to answer to what should not happen in that state (RFC 4271 §6.6, RFC 6608).
const fn unexpected(state: State, event: Event) -> Reason {
    match (event, state) {
        (Event::HoldExpires, _) => Reason::HOLD_TIMER_EXPIRED,
        (Event::SendHoldExpires, _) => Reason::SEND_HOLD_TIMER_EXPIRED,
        (Event::CollisionLost, _) => Reason::COLLISION,
        (Event::Stop, _) => Reason::CEASE,
        (_, State::OpenSent) => Reason::UNEXPECTED_IN_OPEN_SENT,
        (_, State::OpenConfirm) => Reason::UNEXPECTED_IN_OPEN_CONFIRM,
        (_, State::Established) => Reason::UNEXPECTED_IN_ESTABLISHED,
        (_, State::Idle | State::Connect | State::Active) => Reason::UNEXPECTED,
    }
}
