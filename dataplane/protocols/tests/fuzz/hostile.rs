//! Routers that mean harm, or have gone wrong: what each costs is bounded, in octets and in words.

use std::time::Duration;

use metallb_protocols::bgp::session::{Connection, Ending, Failure, Input, Output, Path, Refused, State};
use metallb_protocols::bgp::wire::{
    Capability, HEADER, LARGEST, LARGEST_EXTENDED, Open, Reason, Short, keepalive,
};

use crate::bgp_messages::{asn, every_capability, open, updates};
use crate::router::{Router, Stage};

const SECOND: Duration = Duration::from_secs(1);

/// An UPDATE of 800 routes to 10.0.0.0/8 and what is in it, one octet or four each.
fn routes(length: u8) -> Vec<u8> {
    let attributes =
        [&[0x40, 1, 1, 0][..], &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1], &[0x40, 3, 4, 10, 0, 0, 2]].concat();
    let prefix = match length {
        0 => vec![0],
        length => [&[length, 10][..], &vec![0; usize::from(length.div_ceil(8)) - 1]].concat(),
    };
    let mut body = vec![0, 0, 0, u8::try_from(attributes.len()).unwrap()];
    body.extend(attributes);
    body.extend(prefix.repeat(800));
    let length = u16::try_from(body.len() + HEADER).unwrap();
    [&[0xff; 16], &length.to_be_bytes()[..], &[2], &body].concat()
}

#[test]
fn of_a_million_routes_nothing_is_kept() {
    let mut router = Router::at(Stage::Established);
    let update = routes(24);
    for _ in 0..1250 {
        router.receive(&update);
    }
    assert_eq!(router.session.counters().routes_announced, 1_000_000);
    assert!(router.is_up() && router.outputs.is_empty());
    assert!(router.kept < 1024, "{} octets kept", router.kept);
    assert!(router.allocated.peak < 64 * 1024, "{:?}", router.allocated);
}

#[test]
fn routes_of_one_octet_each_cost_no_more_than_their_number() {
    let mut router = Router::at(Stage::Established);
    let stream = routes(0).repeat(1250);
    router.receive(&stream);
    assert_eq!(router.session.counters().routes_announced, 1_000_000);
    let octets = u64::try_from(stream.len()).unwrap();
    assert!(
        router.allocated.peak < octets + 64 * 1024,
        "one message after the other: {:?}",
        router.allocated
    );
    assert!(router.kept < 1024, "{} octets kept", router.kept);
}

#[test]
fn the_work_for_a_message_does_not_grow_with_the_pieces_it_comes_in() {
    let mut router = Router::at(Stage::Extended);
    let mut update = routes(24);
    let body = LARGEST_EXTENDED - HEADER;
    update.resize(LARGEST_EXTENDED, 0);
    update[16..18].copy_from_slice(&u16::try_from(LARGEST_EXTENDED).unwrap().to_be_bytes());
    let (all, last) = update.split_at(update.len() - 1);
    for octet in all {
        router.receive(&[*octet]);
    }
    let octets = u64::try_from(body).unwrap();
    assert!(router.allocated.total < 8 * octets, "{:?} for {octets} octets", router.allocated);
    router.keeps_little();
    router.receive(last);
    assert!(router.is_up());
    assert!(router.session.counters().routes_announced > 60_000, "{:?}", router.session.counters());
}

#[test]
fn a_header_that_never_ends_is_dropped_with_the_hold_time() {
    for stage in [Stage::Established, Stage::OpenConfirm] {
        let mut router = Router::at(stage);
        router.receive(&keepalive()[..HEADER - 1]);
        assert!(router.outputs.is_empty());
        router.pass(90 * SECOND);
        let failures = failures(&router.outputs);
        assert!(matches!(failures[..], [Failure::HoldTimerExpired { .. }]), "{failures:?}");
    }
    let mut router = Router::at(Stage::OpenSent);
    router.receive(&[0xff; 16]);
    router.pass(239 * SECOND);
    assert!(router.outputs.is_empty());
    router.pass(SECOND);
    assert!(matches!(
        failures(&router.outputs)[..],
        [Failure::HoldTimerExpired { state: State::OpenSent, .. }]
    ));
}

#[test]
fn half_a_message_of_a_connection_that_is_gone_is_not_read_on_the_next() {
    let mut router = Router::at(Stage::OpenSent);
    router.receive(&keepalive()[..10]);
    router.input(Input::Closed { connection: router.connection, text: None });
    router.pass(2 * SECOND);
    router.connect();
    router.receive(&open(every_capability()).emit());
    router.receive(&keepalive());
    assert!(router.is_up());
}

#[test]
fn a_message_longer_than_was_agreed_on_is_refused_by_its_header() {
    let header = [&[0xff; 16][..], &5000_u16.to_be_bytes(), &[2]].concat();
    for stage in [Stage::OpenSent, Stage::Established, Stage::SecondBesideEstablished] {
        let mut router = Router::at(stage);
        router.receive(&header);
        let failures = failures(&router.outputs);
        let [Failure::BadMessage { answer }] = &failures[..] else { panic!("{stage:?}: {failures:?}") };
        assert_eq!(answer.reason, Reason::BAD_MESSAGE_LENGTH);
    }
    let mut router = Router::at(Stage::Extended);
    router.receive(&header);
    assert!(router.outputs.is_empty() && router.is_up(), "it was agreed on");
}

#[test]
fn a_session_that_is_ended_closes_all_its_connections_and_listens_to_none() {
    for stage in [Stage::SecondBesideEstablished, Stage::SecondBesideFirst] {
        let mut router = Router::at(stage);
        router.input(Input::Stop(Ending::Deconfigured));
        let closed = router.outputs.drain(..).filter(|output| matches!(output, Output::Close { .. })).count();
        assert_eq!(closed, 2, "{stage:?}");
        for connection in [Connection::Dialled(1), Connection::Accepted(1)] {
            router.connection = connection;
            router.receive(&[open(every_capability()).emit(), keepalive()].concat());
        }
        assert_eq!((router.session.state(), router.session.poll_timeout()), (State::Idle, None));
        assert!(router.outputs.is_empty());
    }
}

#[test]
fn a_malformed_update_costs_its_own_session_and_the_rest_of_the_stream_is_not_read() {
    let mut router = Router::at(Stage::Established);
    let mut broken = updates().remove(0);
    broken[HEADER] = 0xff;
    router.receive(&[broken, routes(24)].concat());
    assert_eq!(router.session.counters().routes_announced, 0);
    let failures = failures(&router.outputs);
    assert!(
        matches!(&failures[..], [Failure::BadMessage { answer }] if answer.reason == Reason::MALFORMED_ATTRIBUTES),
        "{failures:?}"
    );
    router.keeps_little();
}

fn failures(outputs: &[Output]) -> Vec<Failure> {
    let failure = |output: &Output| match output {
        Output::Down(failure) | Output::Failed(failure) => Some(failure.clone()),
        Output::Connect(_) | Output::Close { .. } | Output::Up(_) => None,
    };
    outputs.iter().filter_map(failure).collect()
}

/// Connects once a second, does what `misbehave` does each time the session dials, and counts the times in an hour.
fn hour(misbehave: impl Fn(&mut Router)) -> (usize, Router) {
    let mut router = Router::at(Stage::Connecting);
    misbehave(&mut router);
    let mut times = 1;
    for _ in 0..3600 {
        router.pass(SECOND);
        if router.outputs.iter().any(|output| matches!(output, Output::Connect(_))) {
            router.connect();
            misbehave(&mut router);
            times += 1;
        }
        router.keeps_little();
        router.outputs.retain(|output| matches!(output, Output::Connect(_)));
    }
    (times, router)
}

#[test]
fn a_router_in_the_wrong_system_is_told_so_and_asked_ever_less_often() {
    let (times, router) = hour(|router| {
        if router.session.state() == State::Connect {
            router.input(Input::Connected { connection: router.connection, path: Path::default() });
        }
        let wrong = Open { asn: asn(64_999), ..open(every_capability()) };
        router.receive(&wrong.emit());
        let farewell = router.outputs.iter().find_map(|output| match output {
            Output::Close { farewell, .. } => farewell.clone(),
            _ => None,
        });
        assert_eq!(farewell.expect("it is told")[HEADER..HEADER + 2], [2, 2], "bad peer AS");
    });
    assert!((30..60).contains(&times), "{times} attempts in an hour");
    let failure = router.session.last_failure().unwrap();
    assert!(
        matches!(failure, Failure::Refused(Refused::Asn { got, .. }) if *got == asn(64_999)),
        "{failure}"
    );
    assert!(failure.to_string().contains("64999") && failure.to_string().contains("64513"), "{failure}");
}

#[test]
fn a_router_that_resets_at_once_is_asked_ever_less_often() {
    let (times, router) = hour(|router| {
        if router.session.state() == State::Connect {
            router.input(Input::Connected { connection: router.connection, path: Path::default() });
        }
        router.receive(&[open(every_capability()).emit(), keepalive()].concat());
        assert!(router.is_up());
        router.pass(SECOND);
        router.input(Input::Closed { connection: router.connection, text: Some("reset".into()) });
    });
    assert!((30..60).contains(&times), "{times} sessions in an hour");
    let counters = router.session.counters();
    assert_eq!(counters.established, counters.dropped);
}

#[test]
fn a_router_that_connects_without_end_gets_one_connection_more_than_the_session() {
    let mut router = Router::at(Stage::Established);
    for n in 1..=1000 {
        router.input(Input::Accepted { connection: Connection::Accepted(n), path: Path::default() });
    }
    let closed = router.outputs.iter().filter(|output| matches!(output, Output::Close { .. })).count();
    assert_eq!(closed, 999);
    router.keeps_little();
    assert!(router.is_up());
}

#[test]
fn a_thousand_capabilities_make_no_larger_an_open_of_ours_and_no_longer_an_answer() {
    let many = (0..1500).map(|_| Capability::Other { code: 200, value: Short::default() });
    let mut router = Router::at(Stage::OpenSent);
    let bytes = open([every_capability(), many.collect()].concat()).emit();
    assert!(bytes.len() > 3000 && bytes.len() <= LARGEST);
    router.receive(&bytes);
    assert_eq!(router.session.state(), State::OpenConfirm);
    assert!(router.kept < 256 * 1024, "{} octets kept", router.kept);
}
