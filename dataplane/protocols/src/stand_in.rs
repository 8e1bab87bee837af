//! Standing in for a node whose speaker is silent. Its speaker may have crashed or be restarted while the node itself, its
//! kernel, and every connection through it are well: moving its addresses would break what works. So the successor asks
//! for the address of the node itself. While that is answered, the successor tells neighbours of the node's addresses as the
//! node would have, with the node's hardware address, for as long as a speaker takes to come back. Only then, or as soon as the
//! node is silent too, the addresses move.
//!
//! Not here: who is silent ([`crate::liveness`]), which addresses follow from that (the plan), and how it is asked
//! ([`crate::arp`], [`crate::ndp`]). Start at [`StandIns::handle_input`].

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;

use crate::ethernet::Mac;

/// How long a node may take to answer, from the first question that it has not answered: a switched link away it takes less than a
/// millisecond. It is not counted from the last answer, as this process may stand still and ask nothing.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Between two questions to a node. One lost question or answer must not matter.
pub const INTERVAL: Duration = Duration::from_millis(30);

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`StandIns::poll_timeout`].
    Tick,
    /// The speaker of a node is silent in whose name this one acts.
    Silent {
        /// The node.
        node: &'a NodeName,
        /// An address that its kernel answers for.
        address: IpAddr,
    },
    /// Nothing is done in that node's name any more: it is back, or what it had went elsewhere.
    Over(&'a NodeName),
    /// A station says that it has an address.
    Heard {
        /// By index.
        interface: u32,
        /// The address.
        address: IpAddr,
        /// The station.
        station: Mac,
    },
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask on all interfaces who has this address.
    Ask(IpAddr),
    /// The node's kernel answers: this is a crash or a restart of its speaker.
    Lives(NodeName),
    /// It does not live, or its speaker does not come back in time: what was its is this one's from now on.
    TakeOver(NodeName),
}

/// In whose name neighbours are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// In this node's own.
    Own,
    /// In that of the node whose speaker is silent.
    Of(Mac),
    /// Not yet known: not at all. Who asks will ask again.
    Undecided,
}

#[derive(Clone, Debug)]
struct Node {
    address: IpAddr,
    since: Instant,
    next_question: Instant,
    /// The first question since it was last heard.
    unanswered: Option<Instant>,
    /// By interface, and when that was last said.
    stations: BTreeMap<u32, Mac>,
}

impl Node {
    /// When its addresses move, if it is not heard of before.
    fn deadline(&self, grace: Duration) -> Instant {
        let end = self.since + grace;
        self.unanswered.map_or(end, |asked| end.min(asked + PATIENCE))
    }
}

/// The nodes that this one stands in for, or has taken over from.
#[derive(Clone, Debug)]
pub struct StandIns {
    grace: Duration,
    nodes: BTreeMap<NodeName, Node>,
    outputs: VecDeque<Output>,
}

impl StandIns {
    /// Nobody yet. A speaker has `grace` to come back; with none, addresses move at once.
    pub const fn new(grace: Duration) -> Self {
        Self { grace, nodes: BTreeMap::new(), outputs: VecDeque::new() }
    }

    /// Takes in what happened. Drain [`Self::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.forgive_own_pause(now);
        match input {
            Input::Tick => self.give_up(now),
            Input::Silent { node, address } => {
                if self.grace.is_zero() {
                    self.outputs.push_back(Output::TakeOver(node.clone()));
                } else {
                    let stations = BTreeMap::new();
                    let begun = Node { address, since: now, next_question: now, unanswered: None, stations };
                    self.nodes.entry(node.clone()).or_insert(begun);
                }
            }
            Input::Over(node) => drop(self.nodes.remove(node)),
            Input::Heard { interface, address, station } => {
                let of_it = self.nodes.iter_mut().filter(|(_, node)| node.address == address);
                for (name, node) in of_it {
                    if node.stations.is_empty() {
                        self.outputs.push_back(Output::Lives(name.clone()));
                    }
                    node.stations.insert(interface, station);
                    node.unanswered = None;
                }
            }
        }
        self.ask(now);
    }

    /// A speaker that came back while this process stood still was not heard of: that time is not its.
    fn forgive_own_pause(&mut self, now: Instant) {
        for node in self.nodes.values_mut() {
            let late = now.saturating_duration_since(node.next_question);
            if late > PATIENCE {
                node.since += late;
            }
        }
    }

    /// Only when time passes, and not whenever something happens: answers that have come are taken in before that.
    fn give_up(&mut self, now: Instant) {
        let grace = self.grace;
        for (name, _) in self.nodes.extract_if(.., |_, node| node.deadline(grace) <= now) {
            self.outputs.push_back(Output::TakeOver(name));
        }
    }

    fn ask(&mut self, now: Instant) {
        for node in self.nodes.values_mut().filter(|node| node.next_question <= now) {
            node.next_question = now + INTERVAL;
            node.unanswered.get_or_insert(now);
            self.outputs.push_back(Output::Ask(node.address));
        }
    }

    /// What follows from the inputs so far, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.nodes.values().map(|node| node.next_question.min(node.deadline(self.grace))).min()
    }

    /// Is somebody asked for this address?
    pub fn asks_for(&self, address: IpAddr) -> bool {
        self.nodes.values().any(|node| node.address == address)
    }

    /// Is this node stood in for, and nothing moved yet?
    pub fn is_for(&self, node: &NodeName) -> bool {
        self.nodes.contains_key(node)
    }

    /// In whose name neighbours on an interface are answered for what was that node's.
    pub fn name(&self, node: &NodeName, interface: u32) -> Name {
        let Some(node) = self.nodes.get(node) else { return Name::Own };
        match node.stations.get(&interface) {
            Some(station) => Name::Of(*station),
            // It lives, and is not on this link, or has another address there: nobody can answer in its name.
            None if !node.stations.is_empty() => Name::Own,
            None => Name::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtual_clock;

    const GRACE: Duration = Duration::from_secs(3);
    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 1]);

    struct Scene {
        stand_ins: StandIns,
        start: Instant,
        now: Instant,
        node: NodeName,
    }

    impl Scene {
        fn new(grace: Duration) -> Self {
            let start = virtual_clock::start();
            Self { stand_ins: StandIns::new(grace), start, now: start, node: "old".into() }
        }

        fn address() -> IpAddr {
            "192.0.2.1".parse().unwrap()
        }

        fn falls_silent(mut self) -> Self {
            let input = Input::Silent { node: &self.node, address: Self::address() };
            self.stand_ins.handle_input(self.now, input);
            self
        }

        fn hears(&mut self, interface: u32) {
            let input = Input::Heard { interface, address: Self::address(), station: THEIRS };
            self.stand_ins.handle_input(self.now, input);
        }

        /// Runs until nothing is due or that time; the node's kernel answers on these interfaces, until `dies`.
        fn run(&mut self, until: Duration, interfaces: &[u32], dies: Duration) -> Vec<(u128, Output)> {
            let mut outputs = Vec::new();
            loop {
                while let Some(output) = self.stand_ins.poll_output() {
                    let at = self.now - self.start;
                    if matches!(output, Output::Ask(_)) && at < dies {
                        for interface in interfaces {
                            self.hears(*interface);
                        }
                    }
                    outputs.push((at.as_millis(), output));
                }
                match self.stand_ins.poll_timeout().filter(|due| *due <= self.start + until) {
                    Some(due) => {
                        self.now = due;
                        self.stand_ins.handle_input(due, Input::Tick);
                    }
                    None => return outputs,
                }
            }
        }

        fn name(&self, interface: u32) -> Name {
            self.stand_ins.name(&self.node, interface)
        }
    }

    fn told(outputs: Vec<(u128, Output)>) -> Vec<(u128, Output)> {
        outputs.into_iter().filter(|(_, output)| !matches!(output, Output::Ask(_))).collect()
    }

    const ALWAYS: Duration = Duration::from_secs(1000);

    #[test]
    fn a_node_that_answers_keeps_its_addresses_for_as_long_as_a_speaker_takes_to_come_back() {
        let mut scene = Scene::new(GRACE).falls_silent();
        assert_eq!(scene.name(1), Name::Undecided);
        let first = scene.run(Duration::ZERO, &[1], ALWAYS);
        assert_eq!(first, [(0, Output::Ask(Scene::address())), (0, Output::Lives("old".into()))]);
        assert_eq!(scene.name(1), Name::Of(THEIRS));
        assert_eq!(scene.name(2), Name::Own, "it has no address on that link");
        assert_eq!(told(scene.run(ALWAYS, &[1], ALWAYS)), [(3000, Output::TakeOver("old".into()))]);
        assert_eq!(scene.name(1), Name::Own);
    }

    #[test]
    fn a_node_that_is_dead_loses_its_addresses_after_three_questions() {
        let mut scene = Scene::new(GRACE).falls_silent();
        let outputs = scene.run(ALWAYS, &[], ALWAYS);
        let at: Vec<u128> = outputs.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [0, 30, 60, 90, 100]);
        assert_eq!(outputs.last().unwrap().1, Output::TakeOver("old".into()));
        assert_eq!(scene.name(1), Name::Own);
        assert_eq!(scene.stand_ins.poll_timeout(), None);
    }

    #[test]
    fn a_node_that_dies_while_it_is_stood_in_for_loses_its_addresses_at_once() {
        let mut scene = Scene::new(GRACE).falls_silent();
        let outputs = told(scene.run(ALWAYS, &[1, 2], Duration::from_millis(600)));
        let (at, output) = outputs.last().unwrap();
        assert_eq!(*output, Output::TakeOver("old".into()));
        assert!((600..=700).contains(at), "{at}");
    }

    #[test]
    fn who_stood_still_and_asked_nothing_asks_again_before_anything_moves() {
        let mut scene = Scene::new(GRACE).falls_silent();
        scene.run(Duration::from_millis(50), &[1], ALWAYS);
        scene.now += Duration::from_millis(500);
        scene.stand_ins.handle_input(scene.now, Input::Tick);
        assert_eq!(scene.stand_ins.poll_output(), Some(Output::Ask(Scene::address())));
        assert_eq!(scene.stand_ins.poll_output(), None);
        scene.now += Duration::from_millis(500); // and again, with the answer waiting to be read
        let silent = Input::Silent { node: &"another".into(), address: "192.0.2.2".parse().unwrap() };
        scene.stand_ins.handle_input(scene.now, silent);
        scene.hears(1);
        scene.stand_ins.handle_input(scene.now, Input::Tick);
        assert!(scene.stand_ins.is_for(&scene.node));
    }

    #[test]
    fn time_in_which_this_process_stood_still_is_not_that_of_the_speaker_that_may_be_back() {
        let mut scene = Scene::new(GRACE).falls_silent();
        scene.run(Duration::from_secs(1), &[1], ALWAYS);
        scene.now += Duration::from_secs(10);
        scene.hears(1);
        let outputs = told(scene.run(ALWAYS, &[1], ALWAYS));
        assert!(matches!(outputs[..], [(12_900..=13_000, Output::TakeOver(_))]), "{outputs:?}");
    }

    #[test]
    fn a_speaker_that_is_back_has_lost_nothing() {
        let mut scene = Scene::new(GRACE).falls_silent();
        scene.run(Duration::from_secs(2), &[1], ALWAYS);
        scene.stand_ins.handle_input(scene.now, Input::Over(&scene.node));
        assert_eq!(scene.run(ALWAYS, &[1], ALWAYS), []);
        assert!(!scene.stand_ins.is_for(&scene.node) && !scene.stand_ins.asks_for(Scene::address()));
    }

    #[test]
    fn being_told_twice_of_one_silence_does_not_make_it_longer() {
        let mut scene = Scene::new(GRACE).falls_silent();
        scene.run(Duration::from_secs(2), &[1], ALWAYS);
        let mut scene = scene.falls_silent();
        assert_eq!(told(scene.run(ALWAYS, &[1], ALWAYS)), [(3000, Output::TakeOver("old".into()))]);
    }

    #[test]
    fn without_grace_addresses_move_at_once_and_nobody_is_asked() {
        let mut scene = Scene::new(Duration::ZERO).falls_silent();
        assert_eq!(scene.run(ALWAYS, &[1], ALWAYS), [(0, Output::TakeOver("old".into()))]);
        assert_eq!(scene.name(1), Name::Own);
    }

    #[test]
    fn what_others_say_of_other_addresses_means_nothing() {
        let mut scene = Scene::new(GRACE).falls_silent();
        let elsewhere = Input::Heard { interface: 1, address: "192.0.2.7".parse().unwrap(), station: THEIRS };
        scene.stand_ins.handle_input(scene.now, elsewhere);
        assert_eq!(scene.name(1), Name::Undecided);
    }
}
