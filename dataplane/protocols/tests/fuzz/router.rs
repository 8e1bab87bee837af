//! A session of ours, and in place of the router whoever writes the test.

use std::time::{Duration, Instant};

use metallb_core::address::Family;
use metallb_core::config::{HoldTime, RemoteAs, RouterId};
use metallb_fuzz::{Allocated, epoch, measure};
use metallb_protocols::bgp::adverts::Defaults;
use metallb_protocols::bgp::session::{
    Beginning, Connection, Input, Jitter, Output, Path, Retry, Session, Settings, State,
};
use metallb_protocols::bgp::wire::{Frame, Kind, LARGEST, LARGEST_EXTENDED, Notification, keepalive};

use crate::bgp_messages::{asn, every_capability, open, readable};

/// What a session may keep, besides the beginning of a message: two OPENs, what was agreed on, the last failure.
const BOOKS: i64 = 16 * 1024;

pub fn settings() -> Settings {
    Settings {
        my_asn: asn(64_512),
        local_asn: None,
        remote: RemoteAs::Number(asn(64_513)),
        router_id: RouterId::new([10, 0, 0, 1].into()).unwrap(),
        hold_time: HoldTime::try_from(Duration::from_secs(90)).unwrap(),
        keepalive_time: None,
        families: [Family::V4, Family::V6].into(),
        extended_next_hop: false,
        graceful_restart: true,
        restart_helper: true,
        additional_paths: false,
        host_name: Some("node".into()),
        retry: Retry { first: Duration::from_secs(1), longest: Duration::from_mins(2), connect_time: None },
        defaults: Defaults { local_preference: 100, med: None },
        password: false,
    }
}

/// How far the two have come when the bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Our connection is being made.
    Connecting,
    /// It stands.
    OpenSent,
    /// Their OPEN came.
    OpenConfirm,
    /// It is the session.
    Established,
    /// It is, with long messages.
    Extended,
    /// It is, and they made a second one: there the bytes arrive.
    SecondBesideEstablished,
    /// Two connections wait for OPENs.
    SecondBesideFirst,
}

impl Stage {
    pub const ALL: [Self; 7] = [
        Self::Connecting,
        Self::OpenSent,
        Self::OpenConfirm,
        Self::Established,
        Self::Extended,
        Self::SecondBesideEstablished,
        Self::SecondBesideFirst,
    ];
}

pub struct Router {
    pub session: Session,
    pub now: Instant,
    /// Where the bytes arrive.
    pub connection: Connection,
    pub outputs: Vec<Output>,
    /// Octets that the session keeps, since the stage was reached.
    pub kept: i64,
    /// The most that one input allocated in passing, and all that all did.
    pub allocated: Allocated,
}

impl Router {
    pub fn at(stage: Stage) -> Self {
        let now = epoch();
        let session = Session::new(now, settings(), Beginning::Process, Jitter::new(5));
        let connection = Connection::Dialled(1);
        let (outputs, allocated) = (Vec::new(), Allocated::default());
        let mut router = Self { session, now, connection, outputs, kept: 0, allocated };
        router.input(Input::Routes(std::collections::BTreeMap::new()));
        router.input(Input::Start);
        router.reach(stage);
        router.outputs.clear();
        (router.kept, router.allocated) = (0, Allocated::default());
        router
    }

    fn reach(&mut self, stage: Stage) {
        let accepted = Connection::Accepted(1);
        match stage {
            Stage::Connecting => {}
            Stage::OpenSent => {
                self.input(Input::Connected { connection: self.connection, path: Path::default() })
            }
            Stage::OpenConfirm | Stage::Extended => {
                self.reach(Stage::OpenSent);
                self.receive(&open(every_capability()).emit());
                if stage == Stage::Extended {
                    self.receive(&keepalive());
                }
            }
            Stage::Established => {
                self.reach(Stage::OpenSent);
                self.receive(&open(Vec::new()).emit());
                self.receive(&keepalive());
            }
            Stage::SecondBesideEstablished | Stage::SecondBesideFirst => {
                let established = stage == Stage::SecondBesideEstablished;
                self.reach(if established { Stage::Established } else { Stage::OpenSent });
                self.input(Input::Accepted { connection: accepted, path: Path::default() });
                self.connection = accepted;
            }
        }
    }

    /// The next connection that the session makes stands.
    pub fn connect(&mut self) {
        let dialled = self.outputs.drain(..).rev().find_map(|output| match output {
            Output::Connect(connection) => Some(connection),
            Output::Close { .. } | Output::Up(_) | Output::Down(_) | Output::Failed(_) => None,
        });
        self.connection = dialled.expect("it dialled");
        self.input(Input::Connected { connection: self.connection, path: Path::default() });
    }

    pub fn is_up(&self) -> bool {
        self.session.state() == State::Established
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.input(Input::Received { connection: self.connection, bytes });
    }

    /// Puts the input in, takes all outputs and messages, and holds all of it against what always holds.
    pub fn input(&mut self, input: Input<'_>) {
        let ((), allocated) = measure(|| self.session.handle_input(self.now, input));
        self.note(allocated);
        let mut outputs = Vec::with_capacity(16);
        let ((), taken) = measure(|| outputs.extend(std::iter::from_fn(|| self.session.poll_output())));
        self.note(taken);
        assert!(outputs.len() <= 6, "so much from one input: {outputs:?}");
        outputs.iter().for_each(can_be_done);
        self.outputs.extend(outputs.iter().cloned());
        // What was handed out is not kept.
        let ((), given_back) = measure(|| outputs.clear());
        self.note(given_back);
        let ((), written) = measure(|| {
            for connection in [Connection::Accepted(1), self.connection] {
                let messages = std::iter::from_fn(|| self.session.poll_transmit(self.now, connection));
                let number = messages.inspect(|message| is_whole(message)).take(20).count();
                assert!(number < 20, "no routes, and so many messages");
            }
        });
        self.note(written);
    }

    fn note(&mut self, Allocated { total, peak, kept }: Allocated) {
        self.kept += kept;
        self.allocated.total += total;
        self.allocated.peak = self.allocated.peak.max(peak);
    }

    /// Nothing but the beginning of a message and the books is kept.
    pub fn keeps_little(&self) {
        let message = if self.session.negotiated().is_some_and(|agreed| agreed.extended_messages) {
            LARGEST_EXTENDED
        } else {
            LARGEST
        };
        // A list that grows may have twice the room it needs.
        let most = BOOKS + 2 * i64::try_from(message).unwrap();
        assert!(self.kept <= most, "{} octets kept", self.kept);
    }

    /// Time passes, with all that is due in it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticks = 0;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
            ticks += 1;
            assert!(ticks <= 100, "a timer that is due again and again");
        }
        self.now = end;
    }
}

/// A farewell is one that the router can read, and a failure has words.
fn can_be_done(output: &Output) {
    match output {
        Output::Close { farewell: Some(farewell), .. } => {
            assert!(farewell.len() <= LARGEST);
            assert!(Notification::parse(readable(farewell, Kind::Notification)).is_ok());
        }
        Output::Down(failure) | Output::Failed(failure) => assert!(!failure.to_string().is_empty()),
        Output::Close { farewell: None, .. } | Output::Connect(_) | Output::Up(_) => {}
    }
}

fn is_whole(message: &[u8]) {
    let frame = Frame::split(message, LARGEST_EXTENDED).expect("sound").expect("whole");
    assert_eq!(frame.length, message.len());
}
