//! Two systems, the link between them, and one clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use metallb_core::config::{BfdInterval, BfdProfile, DetectMultiplier};

use crate::bfd::{
    Arrival, Chance, Change, Control, Hops, Input, Interval, Output, Path, Sessions, State, Status,
};
use crate::virtual_clock;

pub const INTERFACE: u32 = 7;

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A profile without modes.
pub fn profile(tx: u32, rx: u32, multiplier: u32) -> BfdProfile {
    BfdProfile {
        transmit_interval: BfdInterval::from_millis(tx).unwrap(),
        receive_interval: BfdInterval::from_millis(rx).unwrap(),
        detect_multiplier: DetectMultiplier::new(multiplier).unwrap(),
        ..BfdProfile::default()
    }
}

/// Steele, Lea, Flood: `SplitMix64`. Good enough for a test, and every run with a seed is the same.
pub fn chance(seed: u64) -> Chance {
    let mut state = seed;
    Chance::new(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

pub fn address(side: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, u8::try_from(side + 1).unwrap())
}

pub fn path(side: usize) -> Path {
    Path::to(IpAddr::V4(address(1 - side)), Hops::Single)
}

/// How the other side's packets arrive at `side`.
pub fn arrival(side: usize) -> Arrival {
    Arrival {
        from: IpAddr::V4(address(1 - side)),
        to: IpAddr::V4(address(side)),
        hops: Hops::Single,
        ttl: 255,
        interface: None,
        vrf: None,
    }
}

pub struct Side {
    pub sessions: Sessions,
    pub profile: BfdProfile,
    pub running: bool,
    pub changes: Vec<(Duration, Change)>,
    pub sent: Vec<(Duration, Control)>,
    /// The echo frames that it sent.
    pub echoes: Vec<Vec<u8>>,
    pub other: Vec<Output>,
}

enum Packet {
    Control(Vec<u8>),
    Echo(Vec<u8>),
}

pub struct Link {
    pub now: Instant,
    pub start: Instant,
    pub sides: [Side; 2],
    in_flight: Vec<(Instant, usize, Packet)>,
    pub delay: Duration,
    /// Packets of that side do not arrive.
    pub cut: [bool; 2],
    /// Whether the next packet of a side is lost.
    pub loses: Box<dyn FnMut(usize) -> bool>,
    /// Whether the systems send echo packets back.
    pub loops: bool,
    /// What side 1 says about it; `None` leaves its packets as they are.
    pub promised: Option<Duration>,
}

impl Link {
    /// Two systems that want a session with each other.
    pub fn between(profiles: [BfdProfile; 2]) -> Self {
        let start = virtual_clock::start();
        let mut seed = 0;
        let sides = profiles.map(|profile| {
            seed += 1;
            Side {
                sessions: Sessions::new(chance(seed)),
                profile,
                running: true,
                changes: Vec::new(),
                sent: Vec::new(),
                echoes: Vec::new(),
                other: Vec::new(),
            }
        });
        let mut link = Self {
            now: start,
            start,
            sides,
            in_flight: Vec::new(),
            delay: ms(2),
            cut: [false; 2],
            loses: Box::new(|_| false),
            loops: false,
            promised: None,
        };
        link.want(0, profiles[0]);
        link.want(1, profiles[1]);
        link
    }

    /// The same, when both are up and have agreed.
    pub fn up(profiles: [BfdProfile; 2]) -> Self {
        let mut link = Self::between(profiles);
        link.run_for(ms(3000));
        assert_eq!([link.state(0), link.state(1)], [State::Up; 2]);
        link.forget();
        link
    }

    /// From here on, what is recorded is new.
    pub fn forget(&mut self) {
        for side in &mut self.sides {
            side.changes.clear();
            side.sent.clear();
            side.other.clear();
            side.echoes.clear();
        }
        self.start = self.now;
    }

    pub fn want(&mut self, side: usize, profile: BfdProfile) {
        self.sides[side].profile = profile;
        self.input(side, Input::Wanted(&BTreeMap::from([(path(side), profile)])));
    }

    /// The program of that side ends at once, and another begins.
    pub fn restart(&mut self, side: usize) {
        self.sides[side].sessions = Sessions::new(chance(99));
        self.want(side, self.sides[side].profile);
    }

    pub fn status(&self, side: usize) -> Status {
        self.sides[side].sessions.statuses()[&path(side)]
    }

    pub fn state(&self, side: usize) -> State {
        self.status(side).state
    }

    pub fn input(&mut self, side: usize, input: Input<'_>) {
        self.sides[side].sessions.handle_input(self.now, input);
        while let Some(output) = self.sides[side].sessions.poll_output() {
            let at = self.now - self.start;
            match output {
                Output::Send { mut datagram, .. } => {
                    if let Some(promised) = self.promised.filter(|_| side == 1) {
                        let packet = Control::parse(&datagram).unwrap();
                        let required_min_echo_rx = Interval::nearest(promised);
                        datagram = Control { required_min_echo_rx, ..packet }.emit();
                    }
                    self.sides[side].sent.push((at, Control::parse(&datagram).unwrap()));
                    if !self.cut[side] && !(self.loses)(side) {
                        self.in_flight.push((self.now + self.delay, 1 - side, Packet::Control(datagram)));
                    }
                }
                Output::SendEcho { interface, mut frame, .. } => {
                    assert_eq!(interface, INTERFACE);
                    self.sides[side].echoes.push(frame.clone());
                    frame[22] -= 1; // forwarded once
                    if self.loops && !self.cut[side] && !self.cut[1 - side] {
                        self.in_flight.push((self.now + 2 * self.delay, side, Packet::Echo(frame)));
                    }
                }
                Output::Changed(_, change) => self.sides[side].changes.push((at, change)),
                Output::Heard(_) | Output::EchoReturned(_) => {}
                Output::Ended(_) | Output::Dropped(_) => self.sides[side].other.push(output),
            }
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let timers = self.sides.iter().filter(|side| side.running);
            let due = timers
                .filter_map(|side| side.sessions.poll_timeout())
                .chain(self.in_flight.iter().map(|(at, ..)| *at))
                .min()
                .filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            self.deliver();
            for side in 0..2 {
                let due = self.sides[side].sessions.poll_timeout().is_some_and(|due| due <= self.now);
                if self.sides[side].running && due {
                    self.input(side, Input::Tick);
                    let next = self.sides[side].sessions.poll_timeout();
                    assert!(next.is_none_or(|next| next > self.now), "time passed, and more was left to do");
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (arrived, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.in_flight).into_iter().partition(|(at, ..)| *at <= now);
        self.in_flight = waiting;
        for (_, to, packet) in arrived {
            if !self.sides[to].running {
                continue;
            }
            match packet {
                Packet::Control(bytes) => {
                    self.input(to, Input::Control { arrival: &arrival(to), bytes: &bytes });
                    let frame = control_frame(to, 255, &bytes);
                    self.input(to, Input::Frame { interface: INTERFACE, bytes: &frame });
                }
                Packet::Echo(bytes) => self.input(to, Input::Frame { interface: INTERFACE, bytes: &bytes }),
            }
        }
    }
}

/// The frame that a control packet arrives in at `to`, as a packet socket shows it.
pub fn control_frame(to: usize, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mac = |side: usize| [2, 0, 0, 0, 0, u8::try_from(side).unwrap()];
    let mut frame = [mac(to), mac(1 - to)].concat();
    frame.extend([8, 0, 0x45, 0xc0, 0, 52, 0, 0, 0, 0, ttl, 17, 0, 0]);
    frame.extend(address(1 - to).octets());
    frame.extend(address(to).octets());
    frame.extend([0xc0, 0, 0x0e, 0xc8, 0, 32, 0, 0]);
    frame.extend(payload);
    frame
}
