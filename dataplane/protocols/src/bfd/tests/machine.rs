//! The state machine, whole: RFC 5880 §6.2 and §6.8.6 as data.

use crate::bfd::machine::{Event, Transition, Why};
use crate::bfd::wire::State::{self, AdminDown, Down, Init, Up};

const EVENTS: [Event; 8] = [
    Event::Heard(AdminDown),
    Event::Heard(Down),
    Event::Heard(Init),
    Event::Heard(Up),
    Event::DetectionExpired,
    Event::EchoExpired,
    Event::SwitchedOff,
    Event::SwitchedOn,
];

type Row = [Option<(State, Why)>; 8];

const NEIGHBOR: Option<(State, Why)> = Some((Down, Why::NeighborDown));
const ADMIN: Option<(State, Why)> = Some((Down, Why::NeighborAdminDown));
const SILENCE: Option<(State, Why)> = Some((Down, Why::Silence));
const ECHO: Option<(State, Why)> = Some((Down, Why::EchoLost));
const OFF: Option<(State, Why)> = Some((AdminDown, Why::SwitchedOff));
const ON: Option<(State, Why)> = Some((Down, Why::SwitchedOn));
const INIT: Option<(State, Why)> = Some((Init, Why::Handshake));
const UP: Option<(State, Why)> = Some((Up, Why::Handshake));

#[rustfmt::skip]
const TABLE: [(State, Row); 4] = [
    //           AdminDown Down      Init  Up    silence  echo  off   on
    (AdminDown, [None,     None,     None, None, None,    None, None, ON]),
    (Down,      [None,     INIT,     UP,   None, None,    None, OFF,  None]),
    (Init,      [ADMIN,    None,     UP,   UP,   SILENCE, None, OFF,  None]),
    (Up,        [ADMIN,    NEIGHBOR, None, None, SILENCE, ECHO, OFF,  None]),
];

#[test]
fn every_state_does_with_every_event_what_the_rfc_says() {
    for (state, row) in TABLE {
        for (event, expected) in EVENTS.into_iter().zip(row) {
            let expected = expected.map(|(to, why)| Transition { to, why });
            assert_eq!(state.on(event), expected, "{state} on {event:?}");
        }
    }
}

#[test]
fn a_transition_leads_elsewhere() {
    for state in State::ALL {
        for event in EVENTS {
            assert!(state.on(event).is_none_or(|transition| transition.to != state), "{state} on {event:?}");
        }
    }
}
