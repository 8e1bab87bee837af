//! How long a roll-out waits for what.

use std::collections::BTreeSet;
use std::sync::Arc;

use metallb_protocols::bgp::session::State;

use super::*;

fn sessions(all: &[(&str, State, Option<&'static str>)]) -> Seen {
    let session = |(name, state, code): &(&str, State, Option<&'static str>)| {
        ((*name).into(), Arc::new(PeerSeen::example(*state, 0, *code)))
    };
    all.iter().map(session).collect()
}

/// Layer 2 needs none.
const NONE: Needed = Needed { open: 0, missing: BTreeSet::new() };

const UP: State = State::Established;
const DOWN: State = State::Active;

/// The answer to a speaker whose sessions stand like this from the beginning: at once, and a minute later.
fn answers(all: &[(&str, State, Option<&'static str>)]) -> [bool; 2] {
    let (mut progress, start) = (Progress::default(), Instant::now());
    let sessions = sessions(all);
    [Duration::ZERO, PATIENCE]
        .map(|after| progress.look(start + after, &[], sessions.keys(), &sessions, &NONE) == Answer::Yes)
}

#[test]
fn all_is_announced_when_all_is_known_and_every_session_is_up() {
    assert_eq!(answers(&[]), [true, true]);
    assert_eq!(answers(&[("a", UP, None), ("b", UP, Some("hold-timer-expired"))]), [true, true]);
    let (mut progress, start) = (Progress::default(), Instant::now());
    let not_yet = progress.look(start, &["Services"], [].iter(), &sessions(&[]), &NONE);
    assert_eq!(not_yet, Answer::NotYet("not known yet: Services".to_owned()));
}

#[test]
fn routers_that_are_away_and_single_sessions_that_are_wrong_are_waited_for_a_minute() {
    for code in ["connection-refused", "no-answer", "unreachable"] {
        assert_eq!(answers(&[("a", DOWN, Some(code))]), [false, true], "{code}");
    }
    assert_eq!(answers(&[("a", DOWN, None)]), [false, true]);
    assert_eq!(answers(&[("a", UP, None), ("b", DOWN, Some("wrong-asn"))]), [false, true]);
}

#[test]
fn a_speaker_that_comes_to_terms_with_no_router_is_waited_for_until_it_does() {
    let broken = [("a", DOWN, Some("bad-message")), ("b", DOWN, Some("no-answer"))];
    assert_eq!(answers(&broken), [false, false]);
    let (mut progress, start) = (Progress::default(), Instant::now());
    let Answer::NotYet(why) = progress.look(start, &[], [].iter(), &sessions(&broken), &NONE) else {
        panic!("it is announced")
    };
    assert_eq!(why, "sessions: a: text of bad-message; b: text of no-answer");
    let repaired = sessions(&[("a", UP, None), ("b", DOWN, Some("no-answer"))]);
    let late = start + 10 * PATIENCE;
    assert_eq!(progress.look(late, &[], [].iter(), &repaired, &NONE), Answer::Yes);
    assert_eq!(
        progress.look(late, &["Services"], [].iter(), &sessions(&broken), &NONE),
        Answer::Yes,
        "what was so stays so"
    );
}

#[test]
fn routes_on_their_way_are_not_announced() {
    let mut seen = PeerSeen::example(UP, 0, None);
    (seen.pending, seen.is_synchronised) = (3, false);
    let told = Progress::default().look(
        Instant::now(),
        &[],
        [].iter(),
        &[("a".into(), Arc::new(seen))].into(),
        &NONE,
    );
    assert_eq!(told, Answer::NotYet("sessions: a: 3 routes on their way".to_owned()));
}

#[test]
fn it_is_looked_at_again_when_the_minute_is_over_and_then_only_on_changes() {
    let (mut progress, start) = (Progress::default(), Instant::now());
    let broken = sessions(&[("a", DOWN, Some("wrong-asn"))]);
    assert_eq!(progress.poll_timeout(start), None);
    progress.look(start, &[], [].iter(), &broken, &NONE);
    assert_eq!(progress.poll_timeout(start), Some(start + PATIENCE));
    assert_eq!(progress.poll_timeout(start + PATIENCE), None);
}

/// A session may be up before it is known what to tell.
#[test]
fn a_router_knows_all_when_it_was_told_that_this_is_all() {
    let (mut progress, start) = (Progress::default(), Instant::now());
    let untold = PeerSeen { is_synchronised: false, ..PeerSeen::example(UP, 0, None) };
    let answer = progress.look(start, &[], [].iter(), &[("a".into(), Arc::new(untold))].into(), &NONE);
    assert_eq!(answer, Answer::NotYet("sessions: a: not told yet that it knows all".to_owned()));
}

#[test]
fn what_the_bgp_lane_has_not_begun_is_not_announced_though_it_knows_of_no_session_that_is_missing() {
    let (start, peer) = (Instant::now(), "a".into());
    let mut progress = Progress::default();
    for after in [Duration::ZERO, PATIENCE] {
        let answer = progress.look(start + after, &[], std::iter::once(&peer), &Seen::new(), &NONE);
        assert_eq!(answer, Answer::NotYet("sessions: a: not begun".to_owned()));
    }
    assert_eq!(
        progress.look(start, &[], [].iter(), &Seen::new(), &NONE),
        Answer::Yes,
        "there is none to begin"
    );
}

const EPERM: &str = "Operation not permitted (os error 1)";

fn needed(open: usize, missing: &[&str]) -> Needed {
    let missing = missing.iter().map(|interface| ((*interface).into(), EPERM.to_owned()));
    Needed { open, missing: missing.collect() }
}

/// The answer to a speaker whose sockets stand like this from the beginning: at once, and a minute later.
#[test]
fn a_speaker_that_opens_no_socket_is_waited_for_until_it_does_and_one_that_opens_some_for_a_minute() {
    for (sockets, expected) in [
        (NONE, [true, true]),
        (needed(2, &[]), [true, true]),
        (needed(1, &["eth0"]), [false, true]),
        (needed(0, &["eth0"]), [false, false]),
        (needed(0, &["eth0", "eth1"]), [false, false]),
    ] {
        let (mut progress, start) = (Progress::default(), Instant::now());
        let answers = [Duration::ZERO, PATIENCE]
            .map(|after| progress.look(start + after, &[], [].iter(), &Seen::new(), &sockets) == Answer::Yes);
        assert_eq!(answers, expected, "{sockets:?}");
        let late = start + 10 * PATIENCE;
        assert_eq!(
            progress.look(late, &[], [].iter(), &Seen::new(), &needed(1, &["eth1"])),
            Answer::Yes,
            "a socket opens"
        );
        let broken = needed(0, &["eth0"]);
        assert_eq!(progress.look(late, &[], [].iter(), &Seen::new(), &broken), Answer::Yes, "and stays so");
    }
}

#[test]
fn what_is_waited_for_is_said_of_sessions_and_of_sockets() {
    let (mut progress, start) = (Progress::default(), Instant::now());
    let mut why =
        |sessions: &Seen, sockets: &Needed| match progress.look(start, &[], [].iter(), sessions, sockets) {
            Answer::NotYet(why) => why,
            Answer::Yes => "it is announced".to_owned(),
        };
    let down = sessions(&[("a", DOWN, None)]);
    let eth0 = format!("eth0: {EPERM}");
    assert_eq!(why(&Seen::new(), &needed(0, &["eth0"])), format!("layer 2: {eth0}"));
    assert_eq!(
        why(&down, &needed(3, &["eth0", "eth1"])),
        format!("sessions: a: no session yet; layer 2: {eth0}; eth1: {EPERM}")
    );
}

/// Neither makes up for the other.
#[test]
fn a_speaker_whose_sessions_are_up_is_waited_for_while_it_opens_no_socket_and_the_other_way_round() {
    for (state, code, sockets) in
        [(UP, None, needed(0, &["eth0"])), (DOWN, Some("bad-message"), needed(2, &[]))]
    {
        let (mut progress, start) = (Progress::default(), Instant::now());
        for after in [Duration::ZERO, PATIENCE] {
            let answer =
                progress.look(start + after, &[], [].iter(), &sessions(&[("a", state, code)]), &sockets);
            assert_ne!(answer, Answer::Yes, "{state:?}, {sockets:?}");
        }
    }
}
