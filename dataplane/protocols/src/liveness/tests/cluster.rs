//! A cluster in virtual time: many speakers, a clock for each, and a network that delays, loses, repeats and parts. Somebody
//! on it may record.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use metallb_core::names::NodeName;

use super::queue::Queue;
use crate::dice::Dice;
use crate::liveness::{Input, Key, Liveness, Output, Tenure, Timing};
use crate::virtual_clock;

pub(super) fn name(node: usize) -> NodeName {
    format!("n{node}").as_str().into()
}

fn number(name: &NodeName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

pub(super) fn address(node: usize) -> IpAddr {
    let [_, _, high, low] = u32::try_from(node).unwrap().to_be_bytes();
    IpAddr::from([10, 0, high, low])
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn key(text: &str) -> Key {
    Key::from_secret(text.as_bytes()).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Running,
    /// SIGSTOP: what arrives waits in its socket.
    Stopped,
    Dead,
}

/// A clock: it is `ahead` by so much at the beginning, and fast by so many millionths.
#[derive(Clone, Copy, Default)]
pub(super) struct Clock {
    pub(super) ahead: Duration,
    pub(super) fast: i64,
}

impl Clock {
    /// Hours wrong, and a thousandth too fast or too slow.
    pub(super) fn any(dice: &mut Dice) -> Self {
        Self {
            ahead: Duration::from_micros(dice.below(10_000_000_000)),
            fast: i64::try_from(dice.below(2000)).unwrap() - 1000,
        }
    }

    fn shows(self, time: Duration) -> Duration {
        let nanos = i64::try_from(time.as_nanos()).unwrap();
        self.ahead + Duration::from_nanos(u64::try_from(nanos + nanos / 1_000_000 * self.fast).unwrap())
    }

    /// When it shows that.
    fn when(self, shown: Duration) -> Duration {
        let nanos = i64::try_from(shown.saturating_sub(self.ahead).as_nanos()).unwrap();
        let mut time =
            Duration::from_nanos(u64::try_from(nanos - nanos / (1_000_000 + self.fast) * self.fast).unwrap());
        while self.shows(time) < shown {
            time += Duration::from_micros(1);
        }
        time
    }
}

struct Node {
    liveness: Liveness,
    process: Process,
    clock: Clock,
    key: Key,
    /// Who lives, by what it told. `None`: it is not informed.
    view: Option<BTreeSet<usize>>,
    /// What waits in its socket.
    waiting: VecDeque<Packet>,
    timer: Option<Duration>,
    peers: usize,
    sent: u64,
    received: u64,
    /// When it had something to do last, and how often it had not been awake for a millisecond then.
    awake: Duration,
    woken: u64,
}

#[derive(Clone)]
pub(super) struct Packet {
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) bytes: Rc<Vec<u8>>,
}

enum Event {
    Arrives(Packet),
    Timer(usize),
}

/// How the network is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) delay: (Duration, Duration),
    /// Of a thousand datagrams.
    pub(super) lost: u64,
    pub(super) repeated: u64,
}

impl Weather {
    pub(super) const FAIR: Self =
        Self { delay: (Duration::from_micros(100), Duration::from_micros(300)), lost: 0, repeated: 0 };
}

pub(super) struct Cluster {
    nodes: Vec<Node>,
    /// Since the beginning.
    pub(super) time: Duration,
    start: Instant,
    events: Queue<Event>,
    names: Vec<NodeName>,
    pub(super) dice: Dice,
    pub(super) weather: Weather,
    /// (sender, receiver) pairs that no datagram crosses.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) facts: Vec<(Duration, usize, Output)>,
    pub(super) dropped: usize,
    /// Who is informed has to do something else before it serves.
    pub(super) busy: bool,
    /// What somebody recorded, if anyone does.
    pub(super) tape: Option<Vec<Packet>>,
}

impl Cluster {
    /// Speakers that start at once and are ready as soon as they know who lives.
    pub(super) fn of(count: usize, seed: u64) -> Self {
        Self::with_clocks(count, seed, |_| Clock::default())
    }

    pub(super) fn with_clocks(count: usize, seed: u64, clock: impl FnMut(&mut Dice) -> Clock) -> Self {
        let mut cluster = Self::strangers(count, seed, clock);
        for node in 0..count {
            cluster.tell_peers(node, count);
        }
        cluster
    }

    /// Speakers that know nothing yet.
    fn strangers(count: usize, seed: u64, mut clock: impl FnMut(&mut Dice) -> Clock) -> Self {
        let mut dice = Dice(seed);
        let key = key("one");
        let nodes = (0..count).map(|node| Node {
            liveness: Liveness::new(name(node), dice.roll(), Timing::LAN, key.clone()),
            process: Process::Running,
            clock: clock(&mut dice),
            key: key.clone(),
            view: None,
            waiting: VecDeque::new(),
            timer: None,
            peers: count,
            sent: 0,
            received: 0,
            awake: Duration::ZERO,
            woken: 0,
        });
        Self {
            nodes: nodes.collect(),
            time: Duration::ZERO,
            start: virtual_clock::start(),
            events: Queue::new(),
            names: (0..count).map(name).collect(),
            dice,
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            facts: Vec::new(),
            dropped: 0,
            busy: false,
            tape: None,
        }
    }

    /// One in which all know all, and nothing is under way.
    pub(super) fn settled(count: usize, seed: u64) -> Self {
        let mut cluster = Self::of(count, seed);
        cluster.run_for(ms(1500));
        assert!(cluster.all_agree(), "seed {seed}");
        cluster.forget();
        cluster
    }

    /// The same without the way there, which for many is long.
    pub(super) fn long_settled(count: usize, seed: u64) -> Self {
        let mut cluster = Self::strangers(count, seed, Clock::any);
        let beats: Vec<_> = (0..count).map(|_| Duration::from_micros(cluster.dice.below(100_000))).collect();
        let nodes = cluster.nodes.iter_mut().enumerate().zip(beats);
        let speakers = nodes.map(|((number, node), beat)| {
            let now = cluster.start + node.clock.ahead;
            (&mut node.liveness, address(number), now, now + beat)
        });
        Liveness::settle(&mut speakers.collect::<Vec<_>>());
        cluster.nodes.iter_mut().for_each(|node| node.view = Some((0..count).collect()));
        (0..count).for_each(|node| cluster.set_timer(node));
        assert!(cluster.all_agree(), "seed {seed}");
        cluster
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn forget(&mut self) {
        self.facts.clear();
        for node in &mut self.nodes {
            (node.sent, node.received, node.woken) = (0, 0, 0);
        }
    }

    pub(super) fn tell_peers(&mut self, node: usize, count: usize) {
        self.nodes[node].peers = count;
        let peers: BTreeMap<_, _> =
            (0..count).map(|peer| (self.names[peer].clone(), address(peer))).collect();
        self.input(node, Input::Peers(peers));
    }

    /// Those who live, by what `node` knows.
    pub(super) fn view(&self, node: usize) -> Vec<usize> {
        let alive = self.nodes[node].liveness.alive();
        let mut view: Vec<usize> = alive.iter().map(number).collect();
        view.sort_unstable();
        view
    }

    /// The same, by what it told. `None`: it is not informed, or does not run.
    pub(super) fn told(&self, node: usize) -> Option<&BTreeSet<usize>> {
        self.nodes[node].view.as_ref().filter(|_| self.nodes[node].process == Process::Running)
    }

    /// Who has the address, by what that node knows of claims.
    pub(super) fn tenure(&self, node: usize, address: IpAddr) -> Option<Tenure> {
        self.nodes[node].liveness.tenures().get(&address).copied()
    }

    pub(super) fn all_keep(&self, node: usize) -> bool {
        self.nodes[node].liveness.all_keep()
    }

    /// The networks that nodes lost, by what that one heard.
    pub(super) fn lost(&self, node: usize) -> BTreeMap<NodeName, BTreeSet<IpNet>> {
        self.nodes[node].liveness.lost()
    }

    pub(super) fn running(&self) -> Vec<usize> {
        (0..self.len()).filter(|node| self.nodes[*node].process == Process::Running).collect()
    }

    pub(super) fn process(&self, node: usize) -> Process {
        self.nodes[node].process
    }

    /// All that run know that all of these live and no others.
    pub(super) fn all_agree(&self) -> bool {
        let running = self.running();
        running.iter().all(|node| self.told(*node).is_some_and(|view| view.iter().eq(&running)))
    }

    pub(super) fn input(&mut self, node: usize, input: Input<'_>) {
        let now = self.clock(node);
        let it = &mut self.nodes[node];
        if it.process != Process::Running {
            return;
        }
        it.woken += u64::from(self.time > it.awake + ms(1));
        it.awake = self.time;
        it.liveness.handle_input(now, input);
        while let Some(output) = self.nodes[node].liveness.poll_output() {
            match output {
                Output::Send { to, datagram } => self.send(node, to, datagram),
                Output::Informed => {
                    self.nodes[node].view = Some(self.view(node).into_iter().collect());
                    self.facts.push((self.time, node, Output::Informed));
                    if !self.busy {
                        self.input(node, Input::Ready);
                    }
                }
                Output::Alive(ref name) => {
                    self.nodes[node].view.iter_mut().for_each(|view| _ = view.insert(number(name)));
                    self.facts.push((self.time, node, output));
                }
                Output::Dead(ref name, _) => {
                    self.nodes[node].view.iter_mut().for_each(|view| _ = view.remove(&number(name)));
                    self.facts.push((self.time, node, output));
                }
                Output::Paused
                | Output::Routes { .. }
                | Output::Outlasted(_)
                | Output::Tenures
                | Output::Lost => {
                    self.facts.push((self.time, node, output));
                }
                Output::Dropped(_) => self.dropped += 1,
            }
        }
        self.set_timer(node);
    }

    fn clock(&self, node: usize) -> Instant {
        self.start + self.nodes[node].clock.shows(self.time)
    }

    fn set_timer(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let due = it.liveness.poll_timeout().map(|due| it.clock.when(due.duration_since(self.start)));
        let due = due.map(|due| due.max(self.time));
        if due != it.timer {
            it.timer = due;
            if let Some(due) = due {
                self.events.push(due, Event::Timer(node));
            }
        }
    }

    fn send(&mut self, from: usize, to: IpAddr, bytes: Vec<u8>) {
        let IpAddr::V4(v4) = to else { panic!("{to}") };
        let [_, _, high, low] = v4.octets();
        let packet = Packet { to: usize::from(high) << 8 | usize::from(low), from, bytes: Rc::new(bytes) };
        self.nodes[from].sent += 1;
        if let Some(tape) = &mut self.tape {
            tape.push(packet.clone());
        }
        self.carry(&packet);
    }

    /// A datagram goes over the network, whoever sent it.
    pub(super) fn carry(&mut self, packet: &Packet) {
        let copies = 1 + usize::from(self.dice.permille(self.weather.repeated));
        for _ in 0..copies {
            let (least, most) = self.weather.delay;
            let spread = u64::try_from(most.saturating_sub(least).as_micros()).unwrap();
            let delay = least + Duration::from_micros(self.dice.below(spread + 1));
            if !self.cut.contains(&(packet.from, packet.to)) && !self.dice.permille(self.weather.lost) {
                self.events.push(self.time + delay, Event::Arrives(packet.clone()));
            }
        }
    }

    fn arrives(&mut self, packet: Packet) {
        let node = &mut self.nodes[packet.to];
        match node.process {
            Process::Running => {
                node.received += 1;
                let (to, from) = (packet.to, address(packet.from));
                self.input(to, Input::Datagram { from, bytes: &packet.bytes });
            }
            Process::Stopped => {
                node.waiting.push_back(packet);
                node.waiting.truncate(256);
            }
            Process::Dead => {}
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.time + time;
        while let Some((at, event)) = self.events.pop_until(end) {
            self.time = self.time.max(at);
            match event {
                Event::Arrives(packet) => self.arrives(packet),
                Event::Timer(node) => {
                    if self.nodes[node].timer == Some(at) {
                        self.nodes[node].timer = None;
                        self.input(node, Input::Tick);
                    }
                }
            }
        }
        self.time = end;
    }

    /// Runs in steps of a millisecond until `done`, for `most` at most. How long that was.
    pub(super) fn run_until(
        &mut self,
        most: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.time;
        while !done(self) {
            if self.time >= start + most {
                return None;
            }
            self.run_for(ms(1));
        }
        Some(self.time.saturating_sub(start))
    }

    /// The power goes, or `kill -9`.
    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].process = Process::Dead;
        self.nodes[node].waiting.clear();
        self.nodes[node].timer = None;
    }

    pub(super) fn leave(&mut self, node: usize) {
        self.input(node, Input::Leave);
        self.kill(node);
    }

    pub(super) fn stop(&mut self, node: usize) {
        if self.nodes[node].process == Process::Running {
            self.nodes[node].process = Process::Stopped;
            self.nodes[node].timer = None;
        }
    }

    pub(super) fn go_on(&mut self, node: usize) {
        if self.nodes[node].process != Process::Stopped {
            return;
        }
        self.nodes[node].process = Process::Running;
        for packet in std::mem::take(&mut self.nodes[node].waiting) {
            self.arrives(packet);
        }
        // Only now it sees that its Secret changed, if it did.
        let key = self.nodes[node].key.clone();
        self.input(node, Input::Key(key));
    }

    /// A new life, which begins with nothing but the key and what the API server says.
    pub(super) fn start(&mut self, node: usize) {
        let seed = self.dice.roll();
        let it = &mut self.nodes[node];
        it.liveness = Liveness::new(name(node), seed, Timing::LAN, it.key.clone());
        it.process = Process::Running;
        it.view = None;
        it.timer = None;
        let peers = it.peers;
        self.tell_peers(node, peers);
    }

    pub(super) fn renew_key(&mut self, node: usize, text: &str) {
        self.nodes[node].key = key(text);
        self.input(node, Input::Key(key(text)));
    }

    pub(super) fn part(&mut self, one: &[usize], other: &[usize]) {
        for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other))) {
            self.cut.extend([(one, other), (other, one)]);
        }
    }

    /// Datagrams a second of each node, both ways, since `since`.
    pub(super) fn rates(&self, time: Duration) -> Vec<f64> {
        #[allow(clippy::cast_precision_loss)] // they are few
        let rates = self.nodes.iter().map(|node| (node.sent + node.received) as f64 / time.as_secs_f64());
        rates.collect()
    }

    /// How often each woke up.
    pub(super) fn woken(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.woken).collect()
    }

    pub(super) fn deaths(&self) -> Vec<(Duration, usize, usize)> {
        let deaths = self.facts.iter().filter_map(|(time, node, fact)| match fact {
            Output::Dead(dead, _) => Some((*time, *node, number(dead))),
            Output::Alive(_)
            | Output::Send { .. }
            | Output::Paused
            | Output::Routes { .. }
            | Output::Informed
            | Output::Tenures
            | Output::Outlasted(_)
            | Output::Lost
            | Output::Dropped(_) => None,
        });
        deaths.collect()
    }

    /// What of the facts changes somebody's view.
    pub(super) fn moves(&self) -> usize {
        let moves =
            self.facts.iter().filter(|(_, _, fact)| matches!(fact, Output::Alive(_) | Output::Dead(..)));
        moves.count()
    }
}
