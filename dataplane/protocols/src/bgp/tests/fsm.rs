//! The state machine's table, whole.

use crate::bgp::session::{Action, Event, State, step};

/// For each event the next state and the actions, in each state. States by their first letter, and `F` for OpenConfirm;
/// `-` is "nothing changes". Actions: `d`ial, await `r`etry, `b`ack off, `o`pen, `k`eepalive, `h`old, `x` close,
/// `n`otification, `u`p, `t`ake routes, re`f`resh.
const TABLE: &str = "
                      Idle  Connect  Active  OpenSent  OpenConfirm  Established
Start                 C:d   -        -       -         -            -
Stop                  -     I:x      I:      I:n       I:n          I:n
ConnectRetryExpires   -     A:xr     C:d     I:nb      I:nb         I:nb
HoldExpires           -     I:xb     I:b     I:nb      I:nb         I:nb
KeepaliveDue          -     I:xb     I:b     I:nb      F:k          E:k
SendHoldExpires       -     I:xb     I:b     I:nb      I:nb         I:nb
Connected             I:x   S:o      S:o     -         -            -
ConnectionFails       -     A:r      -       A:r       I:xb         I:xb
OpenReceived          -     I:xb     I:b     F:kh      I:nb         I:nb
BadMessage            -     I:xb     I:b     I:nb      I:nb         I:nb
CollisionLost         -     I:x      I:      I:n       I:n          I:n
NotificationReceived  -     I:xb     I:b     I:xb      I:xb         I:xb
KeepaliveReceived     -     I:xb     I:b     I:nb      E:hu         E:h
UpdateReceived        -     I:xb     I:b     I:nb      I:nb         E:ht
RefreshReceived       -     I:xb     I:b     I:nb      I:nb         E:hf
";

fn letter(state: State) -> char {
    match state {
        State::Idle => 'I',
        State::Connect => 'C',
        State::Active => 'A',
        State::OpenSent => 'S',
        State::OpenConfirm => 'F',
        State::Established => 'E',
    }
}

fn action(action: Action) -> char {
    match action {
        Action::Dial => 'd',
        Action::AwaitRetry => 'r',
        Action::BackOff => 'b',
        Action::SendOpen => 'o',
        Action::SendKeepalive => 'k',
        Action::ArmHold => 'h',
        Action::Close => 'x',
        Action::Farewell => 'n',
        Action::Up => 'u',
        Action::TakeRoutes => 't',
        Action::Refresh => 'f',
    }
}

fn cell(state: State, event: Event) -> String {
    let step = step(state, event);
    let actions: String = step.actions.iter().copied().map(action).collect();
    if step.next == state && actions.is_empty() {
        return "-".to_owned();
    }
    format!("{}:{actions}", letter(step.next))
}

#[test]
fn every_event_means_in_every_state_what_the_table_says() {
    let mut lines = TABLE.trim_matches('\n').lines().map(str::split_whitespace);
    let header: Vec<_> = lines.next().unwrap().collect();
    assert_eq!(header, State::ALL.map(State::name));
    let rows: Vec<Vec<_>> = lines.map(Iterator::collect).collect();
    assert_eq!(rows.len(), Event::ALL.len());
    for (event, row) in Event::ALL.into_iter().zip(rows) {
        assert_eq!(row[0], format!("{event:?}"));
        let cells: Vec<_> = State::ALL.map(|state| cell(state, event)).into();
        assert_eq!(cells, row[1..], "{event:?}");
    }
}

#[test]
fn whatever_ends_a_session_that_had_a_connection_closes_it() {
    for state in [State::OpenSent, State::OpenConfirm, State::Established] {
        for event in Event::ALL {
            let step = step(state, event);
            let closes = step.actions.iter().any(|action| matches!(action, Action::Close | Action::Farewell));
            assert_eq!(closes, step.next == State::Idle, "{event:?} in {state:?}");
        }
    }
}
