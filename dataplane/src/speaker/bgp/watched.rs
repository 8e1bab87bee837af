//! BGP and BFD: what BFD is to watch for the peers, and what it says of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use metallb_core::config::BfdProfile;
use metallb_core::names::PeerName;
use metallb_protocols::bfd::{Path, State, Status, Why};

use crate::speaker::bfd;

/// The ways that BFD watches, by peer.
#[derive(Clone)]
pub struct Watched {
    ways: Arc<Mutex<BTreeMap<PeerName, (Path, BfdProfile)>>>,
    lane: bfd::Publisher,
}

impl Watched {
    pub fn new(lane: bfd::Publisher) -> Self {
        Self { ways: Arc::default(), lane }
    }

    /// BFD watches this way for `peer`, or none.
    pub fn set(&self, peer: &PeerName, way: Option<(Path, BfdProfile)>) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        if ways.get(peer) == way.as_ref() {
            return;
        }
        match way {
            Some(way) => ways.insert(peer.clone(), way),
            None => ways.remove(peer),
        };
        self.lane.publish(ways.values().cloned().collect());
    }
}

/// What a change of a BFD session means for the BGP session that it watches over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The way is broken: end the session now (RFC 5882 §4.3).
    Lost,
    /// The way is there: connect at once.
    Found,
    /// Nothing.
    Nothing,
}

/// Compares what BFD says now with what it said before. Flaps between two looks count.
pub fn compare(before: Option<&Status>, now: Option<&Status>) -> Means {
    let (Some(before), Some(now)) = (before, now) else {
        let came_up = now.is_some_and(|now| now.state == State::Up);
        return if came_up { Means::Found } else { Means::Nothing };
    };
    let went_down = now.downs > before.downs;
    // Switched off, on whichever side, says nothing about the way (RFC 5882 §3.2): the routes stay.
    let switched_off = matches!(now.why, Some(Why::NeighborAdminDown | Why::SwitchedOff | Why::SwitchedOn));
    match (now.state, went_down) {
        (State::Down | State::Init, true) if !switched_off => Means::Lost,
        // Up again already: it was lost in between, unless it was only switched off and on.
        (State::Up, true) if now.ups > before.ups => Means::Lost,
        (State::Up, _) if before.state != State::Up => Means::Found,
        (State::Up | State::Down | State::Init | State::AdminDown, _) => Means::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn status(state: State, why: Why, ups: u64, downs: u64) -> Status {
        Status {
            state,
            why: Some(why),
            since: Instant::now(),
            ups,
            downs,
            remote_state: None,
            transmit_interval: Duration::from_millis(300),
            detection_time: None,
            echo_interval: None,
        }
    }

    #[test]
    fn a_lost_way_ends_the_session_and_one_that_was_switched_off_does_not() {
        let up = status(State::Up, Why::Handshake, 1, 0);
        let down = |why| status(State::Down, why, 1, 1);
        for (before, now, means) in [
            (None, None, Means::Nothing),
            (None, Some(status(State::Down, Why::SwitchedOn, 0, 0)), Means::Nothing),
            (None, Some(up), Means::Found),
            (Some(status(State::Down, Why::SwitchedOn, 0, 0)), Some(up), Means::Found),
            (Some(up), Some(up), Means::Nothing),
            (Some(up), Some(down(Why::Silence)), Means::Lost),
            (Some(up), Some(down(Why::EchoLost)), Means::Lost),
            (Some(up), Some(down(Why::NeighborDown)), Means::Lost),
            (Some(up), Some(down(Why::NeighborAdminDown)), Means::Nothing),
            (Some(up), Some(status(State::Up, Why::Handshake, 2, 1)), Means::Lost),
            (Some(down(Why::Silence)), Some(status(State::Up, Why::Handshake, 2, 1)), Means::Found),
            (Some(down(Why::Silence)), Some(down(Why::Silence)), Means::Nothing),
            (Some(up), None, Means::Nothing),
        ] {
            assert_eq!(compare(before.as_ref(), now.as_ref()), means, "{before:?} {now:?}");
        }
    }
}
