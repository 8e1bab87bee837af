//! Messages of the router, and ours to it.

use std::time::Instant;

use super::Session;
use super::steps::{Farewell, Which};
use crate::bgp::session::collision::{self, Goes};
use crate::bgp::session::failure::Failure;
use crate::bgp::session::fsm::{Event, State};
use crate::bgp::session::line::Connection;
use crate::bgp::session::offer::Negotiated;
use crate::bgp::wire::{
    Demarcation, Frame, Kind, LARGEST_EXTENDED, Notification, Open, Parsed, Prefixes, Reason, RouteRefresh,
    Update, keepalive,
};

impl Session {
    /// Takes messages out of the stream as long as the connection lives, and keeps the beginning of one.
    pub(super) fn received(&mut self, now: Instant, connection: Connection, bytes: &[u8]) {
        let Some(line) = self.which(connection).and_then(|which| self.line(which)) else { return };
        let mut stream = std::mem::take(&mut line.inbox);
        stream.extend(bytes);
        let mut rest = stream.as_slice();
        loop {
            // A message may have ended the connection, or made it the session.
            let Some(which) = self.which(connection) else { return };
            let Some(line) = self.line(which) else { return };
            match Frame::split(rest, line.limit()) {
                Ok(None) => {
                    // All of it waits on in its place: copied for each piece, a message that comes octet by octet would
                    // cost the square of its length.
                    let all = rest.len() == stream.len();
                    line.inbox = if all { stream } else { rest.to_vec() };
                    return;
                }
                Ok(Some(frame)) => {
                    rest = rest.get(frame.length..).unwrap_or_default();
                    self.counters.received(frame.kind);
                    self.message(now, which, &frame);
                }
                Err(answer) => return self.bad_message(now, which, answer),
            }
        }
    }

    fn message(&mut self, now: Instant, which: Which, frame: &Frame<'_>) {
        let Some(state) = self.line(which).map(|line| line.state) else { return };
        match frame.kind {
            Kind::Open if state == State::OpenSent => self.open(now, which, frame.body),
            Kind::Open => self.unexpected(now, which, Event::OpenReceived),
            Kind::Keepalive if state < State::OpenConfirm => {
                self.unexpected(now, which, Event::KeepaliveReceived);
            }
            Kind::Keepalive => {
                self.happen(now, which, Event::KeepaliveReceived, None, Farewell::ByState);
            }
            Kind::Notification => self.notification(now, which, frame.body),
            Kind::Update if state == State::Established => self.update(now, which, frame.body),
            Kind::Update => self.unexpected(now, which, Event::UpdateReceived),
            Kind::RouteRefresh if state == State::Established => self.refresh(now, which, frame.body),
            Kind::RouteRefresh => self.unexpected(now, which, Event::RefreshReceived),
        }
    }

    fn unexpected(&mut self, now: Instant, which: Which, event: Event) {
        let state = self.line(which).map(|line| line.state);
        let answer = match state {
            Some(State::OpenSent) => Reason::UNEXPECTED_IN_OPEN_SENT,
            Some(State::OpenConfirm) => Reason::UNEXPECTED_IN_OPEN_CONFIRM,
            Some(State::Established) => Reason::UNEXPECTED_IN_ESTABLISHED,
            Some(State::Idle | State::Connect | State::Active) | None => Reason::UNEXPECTED,
        };
        let failure = Failure::BadMessage { answer: answer.into() };
        self.happen(now, which, event, Some(failure), Farewell::Say(answer.into()));
    }

    fn bad_message(&mut self, now: Instant, which: Which, answer: Notification) {
        let failure = Failure::BadMessage { answer: answer.clone() };
        self.happen(now, which, Event::BadMessage, Some(failure), Farewell::Say(answer));
    }

    fn open(&mut self, now: Instant, which: Which, body: &[u8]) {
        let theirs = match Open::parse(body) {
            Ok(theirs) => theirs,
            Err(answer) => return self.bad_message(now, which, answer),
        };
        let Some(ours) = self.line(which).and_then(|line| line.ours.clone()) else { return };
        let negotiated = match self.settings.negotiate(&ours, &theirs) {
            Ok(negotiated) => negotiated,
            Err(refused) => {
                let (refused, answer) = *refused;
                let (failure, farewell) = (Failure::Refused(refused), Farewell::Say(answer));
                return self.happen(now, which, Event::BadMessage, Some(failure), farewell);
            }
        };
        let Some(which) = self.collide(now, which, &theirs) else { return };
        if let Some(line) = self.line(which) {
            line.theirs = Some(theirs);
            line.negotiated = Some(negotiated);
        }
        self.happen(now, which, Event::OpenReceived, None, Farewell::ByState);
    }

    /// Ends one of two connections. What is left of the one whose OPEN came: `None` if it was that.
    fn collide(&mut self, now: Instant, which: Which, theirs: &Open) -> Option<Which> {
        let other = match which {
            Which::Main => Which::Rival,
            Which::Rival => Which::Main,
        };
        let this = self.line(which)?.connection?;
        let Some((connection, state)) =
            self.line(other).and_then(|line| Some((line.connection?, line.state)))
        else {
            return Some(which);
        };
        let peer_restarts = self
            .line(other)
            .and_then(|line| line.negotiated.as_ref())
            .is_some_and(|negotiated| negotiated.peer_restart.is_some());
        let ours = (self.settings.router_id, self.settings.shown_asn());
        let goes = collision::resolve(
            ours,
            (theirs.router_id, theirs.asn),
            this,
            (connection, state),
            peer_restarts,
        );
        let (loser, failure, farewell) = match goes {
            Goes::None => return Some(which),
            Goes::This => (which, Failure::Collision, Farewell::ByState),
            Goes::Other => (other, Failure::Collision, Farewell::ByState),
            Goes::OtherSilently => (other, Failure::Replaced, Farewell::Silent),
        };
        self.happen(now, loser, Event::CollisionLost, Some(failure), farewell);
        self.which(this)
    }

    fn notification(&mut self, now: Instant, which: Which, body: &[u8]) {
        let notification = match Notification::parse(body) {
            Ok(notification) | Err(notification) => notification,
        };
        let waiting = self.line(which).is_some_and(|line| line.state == State::OpenSent);
        if waiting {
            // Some old routers refuse whoever has capabilities at all.
            self.bare = !self.bare && notification.reason == Reason::UNSUPPORTED_PARAMETER;
        }
        let failure = Failure::notified(notification, &self.settings);
        self.happen(now, which, Event::NotificationReceived, Some(failure), Farewell::Silent);
    }

    /// Their routes are counted and dropped.
    fn update(&mut self, now: Instant, which: Which, body: &[u8]) {
        let sender = self.line(which).and_then(|line| line.negotiated.as_ref()).map(Negotiated::sender);
        match Update::parse(body, sender.unwrap_or_default()) {
            Ok(Parsed::Sound { update, set_aside }) => {
                let mp_announced = update.mp_announced.map_or(0, |reach| reach.prefixes.len());
                let mp_withdrawn = update.mp_withdrawn.as_ref().map_or(0, Prefixes::len);
                let counters = &mut self.counters;
                counters.routes_announced += count(update.announced.len().saturating_add(mp_announced));
                counters.routes_withdrawn += count(update.withdrawn.len().saturating_add(mp_withdrawn));
                counters.attributes_set_aside += u64::from(!set_aside.is_empty());
            }
            Ok(Parsed::Withdraw { routes, .. }) => {
                self.counters.routes_withdrawn += count(routes.len());
                self.counters.treated_as_withdraw += 1;
            }
            Err(answer) => return self.bad_message(now, which, answer),
        }
        self.happen(now, which, Event::UpdateReceived, None, Farewell::ByState);
    }

    fn refresh(&mut self, now: Instant, which: Which, body: &[u8]) {
        let RouteRefresh { family, demarcation } = match RouteRefresh::parse(body) {
            Ok(refresh) => refresh,
            Err(answer) => return self.bad_message(now, which, answer),
        };
        let marked = self.negotiated().is_some_and(|negotiated| negotiated.enhanced_refresh);
        match (demarcation, family.unicast()) {
            (Demarcation::Request, Some(family)) => {
                // Behind the mark at the end, what is told in the name of others would count as gone.
                self.adverts.refresh(family, marked && self.stand_ins.is_empty());
                self.stand_ins.refresh(family);
            }
            // Of routes that we do not carry, or of their answers to what we never ask.
            (Demarcation::Request, None)
            | (Demarcation::Beginning | Demarcation::End | Demarcation::Unknown(_), _) => {}
        }
        self.happen(now, which, Event::RefreshReceived, None, Farewell::ByState);
    }

    /// The next message to write. Signs of life before routes.
    pub(super) fn next_message(&mut self, which: Which) -> Option<Vec<u8>> {
        let line = self.line(which)?;
        let message = if std::mem::take(&mut line.owes_open) {
            line.ours.as_ref()?.emit()
        } else if std::mem::take(&mut line.owes_keepalive) {
            keepalive()
        } else if which == Which::Rival {
            return None;
        } else {
            let outlook = self.outlook(self.negotiated()?);
            self.adverts.next_message(&outlook).or_else(|| self.stand_ins.next_message(&outlook))?
        };
        if let Ok(Some(frame)) = Frame::split(&message, LARGEST_EXTENDED) {
            self.counters.sent(frame.kind);
        }
        Some(message)
    }
}

fn count(routes: usize) -> u64 {
    u64::try_from(routes).unwrap_or(u64::MAX)
}
