//! The machines, the wires between them, and what happens when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use metallb_protocols::arp;
use metallb_protocols::dice::Dice;
use metallb_protocols::ethernet::Mac;

use super::api::{Api, News, address, name};
use super::speaker::{Sent, Speaker};
use crate::net::links::{Link, Links};

/// Where clients ask, by index: an interface of which this machine has no like. The addresses are in its network.
pub(super) const CLIENTS: u32 = 1_000_002;
/// Where speakers talk to each other.
const NODES: u32 = 1_000_003;
/// Between a change and a speaker's hearing of it, at most.
pub(super) const LAG: Duration = Duration::from_millis(300);

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Running,
    /// SIGSTOP.
    Stopped,
    Dead,
}

pub(super) struct Machine {
    pub(super) speaker: Option<Speaker>,
    pub(super) process: Process,
    /// Its kernel answers for its own address, and forwards.
    pub(super) has_power: bool,
    /// On the side of the clients.
    pub(super) has_carrier: bool,
    /// How far its clock is ahead.
    ahead: Duration,
    /// What came while it stood still.
    waiting: VecDeque<Event>,
    life: u64,
    /// What it is told next comes after that.
    told_until: Duration,
    wake: Option<Duration>,
}

#[derive(Clone)]
enum Event {
    Datagram { to: usize, from: usize, bytes: Rc<Vec<u8>> },
    Frame { to: usize, interface: u32, bytes: Rc<Vec<u8>> },
    News { to: usize, life: u64, news: News },
    Wake(usize),
}

impl Event {
    const fn to(&self) -> usize {
        match self {
            Self::Datagram { to, .. } | Self::Frame { to, .. } | Self::News { to, .. } | Self::Wake(to) => {
                *to
            }
        }
    }
}

pub(super) struct Cluster {
    start: Instant,
    /// Since the beginning.
    pub(super) time: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    pushed: u64,
    pub(super) machines: Vec<Machine>,
    /// (sender, receiver) pairs that nothing crosses.
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Of a thousand datagrams and frames.
    pub(super) lost: u64,
    pub(super) api: Api,
    /// Nobody hears from the API server before that.
    pub(super) api_away_until: Duration,
    dice: Dice,
    is_sticky: bool,
}

impl Cluster {
    pub(super) fn new(count: usize, seed: u64, is_sticky: bool) -> Self {
        let mut dice = Dice(seed);
        let machines = (0..count).map(|_| Machine {
            speaker: None,
            process: Process::Dead,
            has_power: false,
            has_carrier: true,
            ahead: micros(dice.below(10_000_000_000)),
            waiting: VecDeque::new(),
            life: 0,
            told_until: Duration::ZERO,
            wake: None,
        });
        let machines = machines.collect();
        let mut cluster = Self {
            start: Instant::now(), // only differences count
            time: Duration::ZERO,
            events: BTreeMap::new(),
            pushed: 0,
            machines,
            cut: BTreeSet::new(),
            lost: 0,
            api: Api::new(count),
            api_away_until: Duration::ZERO,
            dice,
            is_sticky,
        };
        (0..count).for_each(|node| cluster.start(node));
        cluster
    }

    pub(super) fn len(&self) -> usize {
        self.machines.len()
    }

    // What happens

    /// The machine gets power, if it had none, and a speaker begins its life.
    pub(super) fn start(&mut self, node: usize) {
        let (seed, now) = (self.dice.roll(), self.clock(node));
        let mut speaker = Speaker::new(now, name(node), seed, self.is_sticky);
        speaker.set_links(now, links(node, self.machines[node].has_carrier));
        let machine = &mut self.machines[node];
        (machine.speaker, machine.process, machine.has_power) = (Some(speaker), Process::Running, true);
        machine.life += 1;
        machine.told_until = self.time;
        machine.waiting.clear();
        self.tell(node, News::List(self.api.clone()));
    }

    /// The speaker crashes; or the machine does, and it with it.
    pub(super) fn kill(&mut self, node: usize, has_power: bool) {
        let machine = &mut self.machines[node];
        (machine.speaker, machine.process, machine.wake) = (None, Process::Dead, None);
        machine.has_power &= has_power;
        machine.life += 1;
    }

    /// SIGTERM.
    pub(super) fn leave(&mut self, node: usize) {
        self.act(node, Speaker::leave);
        self.kill(node, true);
    }

    pub(super) fn stop(&mut self, node: usize) {
        if self.machines[node].process == Process::Running {
            self.machines[node].process = Process::Stopped;
        }
    }

    pub(super) fn go_on(&mut self, node: usize) {
        if self.machines[node].process == Process::Stopped {
            self.machines[node].process = Process::Running;
            for event in std::mem::take(&mut self.machines[node].waiting) {
                self.arrive(event);
            }
            let has_carrier = self.machines[node].has_carrier;
            self.act(node, |speaker, now| speaker.set_links(now, links(node, has_carrier)));
        }
    }

    pub(super) fn set_carrier(&mut self, node: usize, has_carrier: bool) {
        self.machines[node].has_carrier = has_carrier;
        if self.machines[node].process != Process::Stopped {
            self.act(node, |speaker, now| speaker.set_links(now, links(node, has_carrier)));
        }
    }

    /// Something changed: all hear of it, each in its time.
    pub(super) fn publish(&mut self, news: &News) {
        (0..self.len()).for_each(|node| self.tell(node, news.clone()));
    }

    fn tell(&mut self, to: usize, news: News) {
        let lag = micros(1000 + self.dice.below(u64::try_from(LAG.as_micros()).unwrap() - 1000));
        let machine = &mut self.machines[to];
        let at = (self.time.max(self.api_away_until) + lag).max(machine.told_until + micros(1));
        machine.told_until = at;
        let life = machine.life;
        self.push(at, Event::News { to, life, news });
    }

    /// Has it heard of all changes?
    pub(super) fn knows_all(&self, node: usize) -> bool {
        self.machines[node].told_until <= self.time
    }

    // How it goes on

    pub(super) fn run_until(&mut self, end: Duration) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), event) = entry.remove_entry();
            self.time = at;
            self.arrive(event);
        }
        self.time = end;
    }

    fn push(&mut self, at: Duration, event: Event) {
        self.pushed += 1;
        self.events.insert((at, self.pushed), event);
    }

    fn arrive(&mut self, event: Event) {
        let node = event.to();
        if let Event::Frame { interface, bytes, .. } = &event {
            self.ask_kernel(node, *interface, bytes);
        }
        match self.machines[node].process {
            Process::Dead => return,
            Process::Stopped => {
                if !matches!(event, Event::Wake(_)) {
                    self.machines[node].waiting.push_back(event);
                }
                return;
            }
            Process::Running => {}
        }
        match event {
            Event::Datagram { from, bytes, .. } => {
                self.act(node, |speaker, now| speaker.datagram(now, address(from), &bytes));
            }
            Event::Frame { interface, bytes, .. } => {
                self.act(node, |speaker, now| speaker.frame(now, interface, &bytes));
            }
            Event::News { life, news, .. } => {
                if life == self.machines[node].life {
                    self.act(node, |speaker, _| {
                        news.inputs().into_iter().for_each(|input| speaker.hear_of(input))
                    });
                }
            }
            Event::Wake(_) => {
                if self.machines[node].wake == Some(self.time) {
                    self.machines[node].wake = None;
                    self.act(node, |_, _| {});
                }
            }
        }
    }

    fn act(&mut self, node: usize, what: impl FnOnce(&mut Speaker, Instant)) {
        let now = self.clock(node);
        let Some(speaker) = &mut self.machines[node].speaker else { return };
        what(speaker, now);
        speaker.settle(now);
        let sent = speaker.take_sent();
        let due = speaker.due().map(|due| self.time + due.saturating_duration_since(now));
        if due != self.machines[node].wake {
            self.machines[node].wake = due;
            if let Some(due) = due {
                self.push(due, Event::Wake(node));
            }
        }
        for sent in sent {
            self.send(node, sent);
        }
    }

    fn clock(&self, node: usize) -> Instant {
        self.start + self.time + self.machines[node].ahead
    }

    fn send(&mut self, from: usize, sent: Sent) {
        match sent {
            Sent::Datagram { to, bytes } => {
                let to = (0..self.len()).find(|node| address(*node) == to).unwrap();
                self.carry(from, to, |to| Event::Datagram { to, from, bytes: Rc::new(bytes) });
            }
            Sent::Frame { interface, bytes } => {
                let destination = Mac(*bytes.first_chunk().unwrap());
                let bytes = Rc::new(bytes);
                for to in (0..self.len()).filter(|to| *to != from) {
                    let is_connected = interface == NODES
                        || self.machines[from].has_carrier && self.machines[to].has_carrier;
                    if is_connected && (destination.is_group() || destination == mac(to, interface)) {
                        let bytes = bytes.clone();
                        self.carry(from, to, |to| Event::Frame { to, interface, bytes });
                    }
                }
            }
        }
    }

    fn carry(&mut self, from: usize, to: usize, event: impl FnOnce(usize) -> Event) {
        let delay = micros(100 + self.dice.below(200));
        if !self.cut.contains(&(from, to)) && !self.dice.permille(self.lost) {
            self.push(self.time + delay, event(to));
        }
    }

    /// The kernel answers for the node's own address, whatever becomes of the speaker.
    fn ask_kernel(&mut self, node: usize, interface: u32, bytes: &[u8]) {
        let Ok(packet) = arp::Packet::parse(bytes) else { return };
        let is_asked = packet.operation == arp::Operation::Request
            && IpAddr::from(packet.target_ip) == address(node)
            && self.machines[node].has_power;
        if is_asked {
            let own = mac(node, interface);
            let reply = arp::Packet {
                destination: packet.source,
                source: own,
                operation: arp::Operation::Reply,
                sender_mac: own,
                sender_ip: packet.target_ip,
                target_mac: packet.sender_mac,
                target_ip: packet.sender_ip,
            };
            self.send(node, Sent::Frame { interface, bytes: reply.emit().to_vec() });
        }
    }
}

fn mac(node: usize, interface: u32) -> Mac {
    Mac([2, 0, 0, 0, u8::from(interface == NODES), u8::try_from(node).unwrap()])
}

/// Whose station that is, where clients ask.
pub(super) fn node_of(station: Mac) -> usize {
    usize::from(station.0[5])
}

fn links(node: usize, has_carrier: bool) -> Links {
    let link = |index, name: &str, networks: &[&str], carrier| {
        let networks: BTreeSet<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        let own = Some(mac(node, index));
        let link = Link { name: name.into(), arp: own, ndp: own, carrier, networks };
        (index, link)
    };
    let clients = link(CLIENTS, "eth0", &["192.0.2.0/24", "2001:db8::/64"], has_carrier);
    [clients, link(NODES, "eth1", &["10.0.0.0/24"], true)].into()
}
