//! BFD control packets and echo frames: read, and what they do to a node's sessions.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;
use std::time::Duration;

use metallb_core::config::BfdProfile;
use metallb_fuzz::{Edit, Found, edits, epoch, measure, mutated, run};
use metallb_protocols::bfd::{
    Arrival, Chance, Control, Diagnostic, Discriminator, Hops, Input, Interval, Output, Path, Sequence,
    Sessions, State,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn control(state: State, yours: u32) -> Control {
    Control {
        state,
        diagnostic: Diagnostic::None,
        sequence: Sequence::None,
        control_plane_independent: false,
        demand: false,
        detect_multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: Discriminator::new(9).unwrap(),
        your_discriminator: Discriminator::new(yours),
        desired_min_tx: Interval::from_micros(300_000),
        required_min_rx: Interval::from_micros(300_000),
        required_min_echo_rx: Interval::from_micros(50_000),
    }
}

fn packets(yours: u32) -> Vec<Control> {
    let up = control(State::Up, yours);
    vec![
        control(State::Down, 0),
        control(State::Init, yours),
        up,
        Control { sequence: Sequence::Poll, ..up },
        Control { sequence: Sequence::Final, ..up },
        Control { demand: true, ..up },
        control(State::AdminDown, yours),
    ]
}

#[test]
fn any_packet_is_read_or_refused() -> Result<(), Found> {
    run(mutated(packets(7).iter().map(Control::emit).collect()), |bytes| {
        let (read, allocated) = measure(|| Control::parse(&bytes));
        prop_assert_eq!(allocated.total, 0);
        if let Ok(packet) = read {
            let again = packet.emit();
            prop_assert_eq!(again.len(), usize::from(Control::LEN));
            prop_assert_eq!(Control::parse(&again), Ok(packet));
        }
        Ok(())
    })
}

/// What the wire brings.
#[derive(Clone, Debug)]
enum Step {
    /// One of [`packets`], changed.
    Control(usize, Vec<Edit>, u8),
    /// The last echo frame, or a control packet as a frame, changed.
    Frame(bool, Vec<Edit>),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ttl = prop_oneof![4 => Just(255), 1 => any::<u8>()];
    let step = prop_oneof![
        5 => (0..packets(7).len(), edits(), ttl).prop_map(|(which, edits, ttl)| Step::Control(which, edits, ttl)),
        2 => (any::<bool>(), edits()).prop_map(|(echo, edits)| Step::Frame(echo, edits)),
        3 => select(vec![0, 1, 49, 50, 300, 1000, 4000]).prop_map(Step::Pass),
    ];
    vec(step, 1..60)
}

/// A control packet of the router as a frame.
fn framed(packet: &Control) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0xc0, 0, 52, 0, 0, 0, 0, 255, 17, 0, 0]);
    frame.extend(ROUTER.octets());
    frame.extend(US.octets());
    frame.extend([0xc0, 0, 0x0e, 0xc8, 0, 32, 0, 0]);
    frame.extend(packet.emit());
    frame
}

/// Two sessions, one with echo.
struct Node {
    sessions: Sessions,
    now: std::time::Instant,
    local: u32,
    last_echo: Vec<u8>,
}

impl Node {
    fn new() -> Self {
        let mut drawn = 0_u64;
        let chance = Chance::new(move || {
            drawn = drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
            drawn
        });
        let mut node =
            Self { sessions: Sessions::new(chance), now: epoch(), local: 0, last_echo: Vec::new() };
        let echo = BfdProfile { echo_mode: true, ..BfdProfile::default() };
        let wanted = BTreeMap::from([
            (Path::to(ROUTER.into(), Hops::Single), echo),
            (Path::to(ROUTER.into(), Hops::Multi), BfdProfile::default()),
        ]);
        node.sessions.handle_input(node.now, Input::Wanted(&wanted));
        let local =
            node.sessions.expected().find(|(path, ..)| path.hops == Hops::Single).map(|(_, local, _)| local);
        node.local = local.unwrap().get();
        node.drain();
        node
    }

    /// How many outputs there were.
    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(output) = self.sessions.poll_output() {
            count += 1;
            match output {
                Output::Send { datagram, .. } => {
                    assert!(Control::parse(&datagram).is_ok(), "others can read it");
                }
                Output::SendEcho { frame, .. } => self.last_echo = frame,
                Output::EchoReturned(_)
                | Output::Heard(_)
                | Output::Changed(..)
                | Output::Ended(_)
                | Output::Dropped(_) => {}
            }
        }
        count
    }

    fn take(&mut self, step: &Step) -> usize {
        match step {
            Step::Control(which, edits, ttl) => {
                let mut bytes = packets(self.local)[*which].emit();
                for edit in edits {
                    edit.apply(&mut bytes);
                }
                let arrival = Arrival {
                    from: IpAddr::V4(ROUTER),
                    to: IpAddr::V4(US),
                    hops: Hops::Single,
                    ttl: *ttl,
                    interface: Some("eth0".into()),
                    vrf: None,
                };
                self.sessions.handle_input(self.now, Input::Control { arrival: &arrival, bytes: &bytes });
            }
            Step::Frame(echo, edits) => {
                let mut bytes = match echo {
                    true => self.last_echo.clone(),
                    false => framed(&control(State::Up, self.local)),
                };
                for edit in edits {
                    edit.apply(&mut bytes);
                }
                self.sessions.handle_input(self.now, Input::Frame { interface: 1, bytes: &bytes });
            }
            Step::Pass(millis) => return self.pass(Duration::from_millis(*millis)),
        }
        self.drain()
    }

    /// The most outputs of a tick.
    fn pass(&mut self, time: Duration) -> usize {
        let (end, mut most, mut ticks) = (self.now + time, 0, 0);
        while let Some(due) = self.sessions.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.sessions.handle_input(self.now, Input::Tick);
            most = most.max(self.drain());
            ticks += 1;
            // Two sessions and an echo, none of them faster than 10 ms.
            assert!(ticks <= 500, "a timer that is due again and again");
        }
        self.now = end;
        most
    }
}

#[test]
fn no_packets_make_sessions_spin_grow_or_talk_too_much() -> Result<(), Found> {
    run(steps(), |steps| {
        let mut node = Node::new();
        let mut kept = 0;
        for step in &steps {
            let (outputs, allocated) = measure(|| node.take(step));
            // For either session: heard, changed, a packet, an answer, an echo.
            prop_assert!(outputs <= 10, "{} outputs", outputs);
            prop_assert_eq!(node.sessions.statuses().len(), 2, "packets neither make sessions nor end them");
            kept += allocated.kept;
            prop_assert!(kept <= 4096, "{} octets kept", kept);
        }
        Ok(())
    })
}
