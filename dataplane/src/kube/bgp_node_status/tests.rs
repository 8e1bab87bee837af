//! What the object says, and when it is written.

use metallb_protocols::{bfd, bgp};
use serde_json::json;

use super::session::examples::{at, established, failing};
use super::*;

fn speaker() -> Speaker {
    let owner = OwnerReference { uid: "mine".into(), kind: "Pod".into(), ..OwnerReference::default() };
    Speaker { node: "n1".into(), owner }
}

fn two() -> Sessions {
    [("tor-1".into(), established()), ("tor-2".into(), failing())].into()
}

/// The object that says so, and is ours.
fn saying(sessions: &Sessions) -> BGPNodeStatus {
    let Speaker { node, owner } = speaker();
    BGPNodeStatus {
        metadata: ObjectMeta {
            labels: Some(labels(&node)),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        status: Some(said::status(&node, sessions)),
        ..BGPNodeStatus::default()
    }
}

/// What is to be done once a node that said `two` has this session with tor-1.
fn after(change: impl FnOnce(&mut Session)) -> (Difference, Vec<Step>) {
    let mut sessions = two();
    change(sessions.get_mut("tor-1").unwrap());
    let steps = steps(&speaker(), &sessions, Some(&saying(&two())));
    if steps.0 != Difference::None {
        assert_eq!(steps.1, [Step::Say(said::status(&speaker().node, &sessions))]);
    }
    steps
}

#[test]
fn the_object_says_all_that_is_known_of_a_session() {
    let mut session = established();
    session.vrf = Some("red".into());
    session.interface = Some("eth1".into());
    session.prefixes = Prefixes { announced: 7, pending: 2, unsendable: 1 };
    session.last_error =
        Some(SessionError { code: "no-answer", message: "the router is down".into(), time: at(-60) });
    session.bfd.as_mut().unwrap().last_down = Some(bfd::Why::Silence);
    let said = said::status(&"n1".into(), &[("tor-1".into(), session)].into());
    assert_eq!(
        serde_json::to_value(said).unwrap(),
        json!({
            "node": "n1",
            "established": "1/1",
            "sessions": [{
                "peer": "tor-1", "address": "192.0.2.1", "interface": "eth1", "port": 179, "vrf": "red",
                "state": "Established", "since": "2027-01-15T08:00:00Z", "flaps": 3,
                "lastError": {
                    "code": "no-answer", "message": "the router is down", "time": "2027-01-15T07:59:00Z",
                },
                "prefixes": { "announced": 7, "pending": 2, "unsendable": 1 },
                "localASN": 64512, "remoteASN": 64513, "routerID": "10.0.0.1",
                "families": ["ipv4", "ipv6"], "gracefulRestart": true,
                "bfd": {
                    "state": "Up", "since": "2027-01-15T08:00:00Z", "profile": "fast",
                    "lastDown": "nothing was heard from the router for the detection time",
                },
            }],
        })
    );
}

#[test]
fn a_session_takes_few_bytes_and_a_failing_one_little_more_than_its_text() {
    let bytes = |session: Session| {
        let status = said::status(&"n1".into(), &[("rack-17-tor-1".into(), session)].into());
        serde_json::to_string(&status.sessions[0]).unwrap().len()
    };
    assert!(bytes(established()) < 400, "{}", bytes(established()));
    let mut talkative = failing();
    talkative.last_error.as_mut().unwrap().message = "so much to say. ".repeat(100);
    assert!(bytes(talkative.clone()) < 400 + said::LONGEST_MESSAGE, "{}", bytes(talkative));
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters_and_shows_it() {
    let mut session = failing();
    session.last_error.as_mut().unwrap().message = "é".repeat(said::LONGEST_MESSAGE + 1);
    let status = said::status(&"n1".into(), &[("tor-1".into(), session)].into());
    let message = &status.sessions[0].last_error.as_ref().unwrap().message;
    assert_eq!(message.chars().count(), said::LONGEST_MESSAGE);
    assert!(message.ends_with("é…"));
}

#[test]
fn every_likely_cause_of_a_connection_that_cannot_be_made_fits() {
    use bgp::session::{Failure, Unconnected};
    for why in [Unconnected::Refused, Unconnected::NoAnswer, Unconnected::Unreachable] {
        for password in [true, false] {
            let text = Failure::Unconnected { why: why.clone(), password }.to_string();
            assert!(text.chars().count() <= said::LONGEST_MESSAGE, "{}: {text}", text.len());
        }
    }
}

#[test]
fn the_established_are_counted() {
    let status = said::status(&"n1".into(), &two());
    assert_eq!(status.established.as_deref(), Some("1/2"));
}

#[test]
fn an_object_that_says_so_is_left_alone() {
    assert_eq!(after(|_| {}), (Difference::None, vec![]));
}

#[test]
fn that_a_session_goes_down_or_its_routes_or_reasons_change_is_news() {
    let news: [fn(&mut Session); 6] = [
        |session| session.state = bgp::session::State::Idle,
        |session| session.since = at(60),
        |session| session.prefixes.announced += 1,
        |session| session.remote_asn = None,
        |session| session.bfd.as_mut().unwrap().state = bfd::State::Down,
        |session| session.last_error = failing().last_error,
    ];
    for change in news {
        assert_eq!(after(change).0, Difference::News);
    }
    let mut fewer = two();
    fewer.remove("tor-2");
    assert_eq!(steps(&speaker(), &fewer, Some(&saying(&two()))).0, Difference::News);
}

#[test]
fn counts_and_the_attempts_of_a_session_that_is_down_are_no_news() {
    assert_eq!(after(|session| session.flaps += 1).0, Difference::Counts);
    let mut trying = two();
    let session = trying.get_mut("tor-2").unwrap();
    session.state = bgp::session::State::Connect;
    let error = session.last_error.as_mut().unwrap();
    (error.time, error.message) = (at(99), "the same in other words".into());
    assert_eq!(steps(&speaker(), &trying, Some(&saying(&two()))).0, Difference::Counts);
    let mut another = two();
    another.get_mut("tor-2").unwrap().last_error.as_mut().unwrap().code = "connection-refused";
    assert_eq!(steps(&speaker(), &another, Some(&saying(&two()))).0, Difference::News);
}

#[test]
fn a_node_without_sessions_has_no_object() {
    let none = Sessions::new();
    assert_eq!(steps(&speaker(), &none, None), (Difference::None, vec![]));
    assert_eq!(steps(&speaker(), &none, Some(&saying(&two()))), (Difference::News, vec![Step::Delete]));
}

#[test]
fn an_object_that_is_not_there_is_made_and_one_that_cannot_be_read_is_written_anew() {
    let status = Step::Say(said::status(&speaker().node, &two()));
    assert_eq!(steps(&speaker(), &two(), None), (Difference::News, vec![Step::Create, status.clone()]));
    let unreadable = without_status(saying(&two()).metadata);
    assert_eq!(steps(&speaker(), &two(), Some(&unreadable)), (Difference::News, vec![status]));
}

#[test]
fn what_an_earlier_speaker_of_the_node_left_is_taken_over_and_labels_are_set_right() {
    let before = OwnerReference { uid: "before".into(), ..speaker().owner };
    let mut found = saying(&two());
    found.metadata.owner_references = Some(vec![before.clone()]);
    let (difference, adopted) = steps(&speaker(), &two(), Some(&found));
    assert_eq!(difference, Difference::News);
    let labels = labels(&speaker().node);
    let owners = vec![before, speaker().owner];
    assert_eq!(adopted, [Step::Adopt(json!({ "labels": labels, "ownerReferences": owners }))]);
    let mut unlabelled = saying(&two());
    unlabelled.metadata.labels = None;
    let (_, adopted) = steps(&speaker(), &two(), Some(&unlabelled));
    assert_eq!(adopted, [Step::Adopt(json!({ "labels": labels }))]);
}
