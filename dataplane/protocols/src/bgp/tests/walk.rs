//! A session under anything that may happen to it, in any order: what must hold after each step.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{generate, lab};
use crate::bgp::session::{
    Beginning, Connection, Ending, Input, Jitter, Output, Path, Session, State, Unconnected,
};
use crate::bgp::wire::{Capability, Notification, Open, Reason, RouteRefresh, keepalive};
use crate::virtual_clock;

#[derive(Clone, Debug)]
enum Step {
    Start,
    Stop(Ending),
    Connected,
    Unconnected,
    Accepted,
    Closed,
    Received(Vec<u8>),
    Pass(Duration),
    PathUp,
    Want(u8),
    Write,
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let open = generate::open().prop_map(|open| Open { asn: lab::asn(64_513), ..open }.emit());
    let good = (1_u32.., any::<bool>()).prop_map(|(id, restart)| {
        let settings = lab::settings(64_513, 64_512);
        let restart = restart.then(|| {
            Capability::GracefulRestart(crate::bgp::wire::GracefulRestart {
                restarting: false,
                notifications: true,
                time: crate::bgp::wire::RestartTime::default(),
                families: Vec::new(),
            })
        });
        let open = Open {
            asn: settings.my_asn,
            four_octet_as: true,
            hold_time: settings.hold_time,
            router_id: metallb_core::config::RouterId::new(id.into()).unwrap(),
            capabilities: restart.into_iter().collect(),
        };
        open.emit()
    });
    let refresh = RouteRefresh {
        family: crate::bgp::wire::AddressFamily::IPV4_UNICAST,
        demarcation: crate::bgp::wire::Demarcation::Request,
    };
    prop_oneof![
        6 => good,
        6 => Just(keepalive()),
        2 => open,
        2 => generate::update().prop_filter_map("too long", |update| update.emit(true, 4096).ok()),
        1 => Just(refresh.emit()),
        1 => generate::notification().prop_map(|notification| notification.emit()),
        1 => Just(Notification::from(Reason::UNSUPPORTED_PARAMETER).emit()),
        1 => vec(any::<u8>(), 0..40),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ending = prop_oneof![
        Just(Ending::Deconfigured),
        Just(Ending::Reconfigured),
        Just(Ending::Restarting),
        Just(Ending::BfdDown),
        Just(Ending::Leaving { text: "drained".into() }),
    ];
    let step = prop_oneof![
        3 => Just(Step::Start),
        1 => ending.prop_map(Step::Stop),
        6 => Just(Step::Connected),
        2 => Just(Step::Unconnected),
        2 => Just(Step::Accepted),
        1 => Just(Step::Closed),
        12 => messages().prop_map(Step::Received),
        4 => (0_u64..200_000).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => Just(Step::PathUp),
        2 => (0_u8..5).prop_map(Step::Want),
        4 => Just(Step::Write),
    ];
    vec(step, 0..120)
}

/// The session's view of the world, as its outputs make it.
#[derive(Default)]
struct Driver {
    alive: BTreeSet<Connection>,
    used: BTreeSet<Connection>,
    accepted: u64,
    up: bool,
}

impl Driver {
    fn drain(&mut self, session: &mut Session) {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Connect(connection) => {
                    assert!(self.used.insert(connection), "a name is used twice");
                    self.alive.insert(connection);
                }
                Output::Close { connection, .. } => {
                    assert!(self.alive.remove(&connection), "closes what is not there");
                }
                Output::Up(_) => assert!(!std::mem::replace(&mut self.up, true), "up twice"),
                Output::Down(_) => assert!(std::mem::take(&mut self.up), "down, and was not up"),
                Output::Failed(_) => {}
            }
        }
        assert_eq!(self.up, session.negotiated().is_some());
        assert_eq!(self.up, session.up_since().is_some());
        assert_eq!(self.up, session.state() == State::Established);
        assert!(self.alive.len() <= 2, "two connections at most");
        assert!(self.up || session.adverts().announced() == 0);
    }

    fn pass(&mut self, session: &mut Session, now: &mut Instant, time: Duration) {
        let end = *now + time;
        let mut ticks = 0;
        while let Some(due) = session.poll_timeout().filter(|due| *due <= end) {
            *now = (*now).max(due);
            session.handle_input(*now, Input::Tick);
            self.drain(session);
            ticks += 1;
            assert!(ticks < 1000, "a timer that is due again and again");
        }
        *now = end;
    }

    fn take(&mut self, session: &mut Session, now: &mut Instant, step: &Step) {
        let newest = self.alive.last().copied();
        let input = match (step, newest) {
            (Step::Start, _) => Input::Start,
            (Step::Stop(ending), _) => Input::Stop(ending.clone()),
            (Step::PathUp, _) => Input::PathUp,
            (Step::Want(n), _) => Input::Routes(lab::routes([*n])),
            (Step::Accepted, _) => {
                self.accepted += 1;
                let connection = Connection::Accepted(self.accepted);
                self.alive.insert(connection);
                Input::Accepted { connection, path: Path::default() }
            }
            (Step::Pass(time), _) => return self.pass(session, now, *time),
            (Step::Connected, Some(connection @ Connection::Dialled(_))) => {
                Input::Connected { connection, path: Path::default() }
            }
            (Step::Unconnected, Some(connection @ Connection::Dialled(_))) => {
                self.alive.remove(&connection);
                Input::Unconnected { connection, why: Unconnected::Refused }
            }
            (Step::Closed, Some(connection)) => {
                self.alive.remove(&connection);
                Input::Closed { connection, text: None }
            }
            (Step::Received(bytes), Some(connection)) => Input::Received { connection, bytes },
            (Step::Write, Some(connection)) => {
                for _ in 0..50 {
                    if session.poll_transmit(*now, connection).is_none() {
                        break;
                    }
                }
                assert!(!session.has_transmit(connection), "a few routes take few messages");
                return;
            }
            (Step::Connected | Step::Unconnected, Some(Connection::Accepted(_)))
            | (Step::Connected | Step::Unconnected | Step::Closed | Step::Received(_) | Step::Write, None) => {
                return;
            }
        };
        session.handle_input(*now, input);
        self.drain(session);
    }
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_the_session_keeps_its_books(steps in steps()) {
        let mut now = virtual_clock::start();
        let settings = lab::settings(64_512, 64_513);
        let mut session = Session::new(now, settings, Beginning::Process, Jitter::new(3));
        let mut driver = Driver::default();
        session.handle_input(now, Input::Start);
        driver.drain(&mut session);
        for step in &steps {
            driver.take(&mut session, &mut now, step);
        }
        // And it always comes back, unless it was told not to.
        session.handle_input(now, Input::Start);
        driver.drain(&mut session);
        let connected = |session: &Session| session.state() >= State::Connect || session.poll_timeout().is_some();
        prop_assert!(connected(&session));
    }
}
