//! One connection to the router, made or to be made: its state, its dates, and what it owes.

use std::time::{Duration, Instant};

use super::fsm::State;
use super::offer::Negotiated;
use crate::bgp::adverts::NextHops;
use crate::bgp::wire::{LARGEST, Open};

/// Names a connection between the session and who has its socket. Names are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connection {
    /// Made by us; the session counts.
    Dialled(u64),
    /// Made by the router; the listener counts.
    Accepted(u64),
}

/// What is known of the way to the router once a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The addresses of this node at its near end.
    pub next_hops: NextHops,
}

/// When time alone will change something. `None`: that timer does not run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due {
    /// In Idle: begin. In Connect: give this attempt up. In Active: make the next.
    pub attempt: Option<Instant>,
    pub hold: Option<Instant>,
    pub keepalive: Option<Instant>,
    pub send_hold: Option<Instant>,
}

impl Due {
    pub fn first(&self) -> Option<Instant> {
        [self.attempt, self.hold, self.keepalive, self.send_hold].into_iter().flatten().min()
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    pub state: State,
    pub connection: Option<Connection>,
    pub path: Path,
    pub due: Due,
    /// The beginning of a message, less than all of it.
    pub inbox: Vec<u8>,
    pub ours: Option<Open>,
    pub theirs: Option<Open>,
    pub negotiated: Option<Negotiated>,
    pub owes_open: bool,
    pub owes_keepalive: bool,
    /// Silence that is borne at present; for words about it.
    pub patience: Duration,
}

impl Line {
    pub const fn new(state: State) -> Self {
        Self {
            state,
            connection: None,
            path: Path { next_hops: NextHops { v4: None, v6: None, link_local: None, over_ipv4: false } },
            due: Due { attempt: None, hold: None, keepalive: None, send_hold: None },
            inbox: Vec::new(),
            ours: None,
            theirs: None,
            negotiated: None,
            owes_open: false,
            owes_keepalive: false,
            patience: Duration::ZERO,
        }
    }

    /// Forgets the connection and all that depends on it.
    pub fn hang_up(&mut self) -> Option<Connection> {
        let connection = self.connection.take();
        *self = Self::new(self.state);
        connection
    }

    /// Octets of the longest message it may receive now.
    pub fn limit(&self) -> usize {
        self.negotiated.as_ref().map_or(LARGEST, Negotiated::limit)
    }
}
