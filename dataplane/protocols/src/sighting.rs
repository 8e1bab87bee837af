//! Speakers that are seen and not heard: no heartbeat of theirs arrives, and they answer for addresses of services all the same.
//! Only heartbeats are lost then, and the network is whole: who took their addresses away would have two nodes answer for each, and
//! clients go to and fro between them.
//!
//! So a node whose speaker answers for an address counts as alive, for as long as it goes on to answer. A kernel answers for
//! the address of its node, and for none of a service.
//!
//! Not here: how it is asked ([`crate::arp`], [`crate::ndp`]), which station is whose ([`crate::stand_in`],
//! [`crate::conflict`]), and heartbeats ([`crate::liveness`]). Start at [`Sightings::handle_input`].

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;

use crate::ethernet::Mac;

/// Between two questions to a speaker.
pub const INTERVAL: Duration = Duration::from_millis(200);
/// A speaker that has not answered for so long is seen no more: five questions are lost.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Where a network heals, speakers are seen before their heartbeats are heard. Who is seen only for so long is not heard at all.
pub const LASTING: Duration = Duration::from_secs(2);
/// A speaker that said it ends goes on to answer until others have heard of that: for so long, an answer shows nothing.
pub const ENDING: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`Sightings::poll_timeout`].
    Tick,
    /// A speaker of which no heartbeat is heard answers for an address of a service.
    Seen {
        /// Its node.
        node: &'a NodeName,
        /// The address.
        address: IpAddr,
        /// The node's station.
        station: Mac,
        /// This node announces the address too.
        is_here: bool,
    },
    /// A station says that it has an address that is asked for.
    Answered {
        /// The address.
        address: IpAddr,
        /// The station.
        station: Mac,
    },
    /// Its heartbeats are heard: they say more.
    Heard(&'a NodeName),
    /// Its last heartbeat said that it ends.
    Left(&'a NodeName),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask who has this address.
    Ask(IpAddr),
    /// This node counts from now on.
    Appeared(NodeName),
    /// It counts no more.
    Vanished(NodeName),
    /// It and this node both announce an address, and are not going to hear each other.
    Disputes(NodeName),
}

#[derive(Clone, Copy, Debug)]
struct Sight {
    address: IpAddr,
    station: Mac,
    since: Instant,
    disputes: bool,
    last: Instant,
    next_question: Instant,
}

/// The speakers that are seen only.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    seen: BTreeMap<NodeName, Sight>,
    /// Those that said they end, and when.
    ending: BTreeMap<NodeName, Instant>,
    outputs: VecDeque<Output>,
}

impl Sightings {
    /// Takes in what happened. Drain [`Self::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Tick => {}
            Input::Seen { node, .. } if self.is_ending(now, node) => {}
            Input::Seen { node, address, station, is_here } => {
                let sight = self.seen.entry(node.clone()).or_insert_with(|| {
                    self.outputs.push_back(Output::Appeared(node.clone()));
                    let next_question = now + INTERVAL;
                    Sight { address, station, since: now, disputes: false, last: now, next_question }
                });
                sight.last = now;
                if is_here && !sight.disputes && sight.since + LASTING <= now {
                    sight.disputes = true;
                    self.outputs.push_back(Output::Disputes(node.clone()));
                }
            }
            Input::Answered { address, station } => {
                let its = |sight: &&mut Sight| sight.address == address && sight.station == station;
                for sight in self.seen.values_mut().filter(its) {
                    sight.last = now;
                }
            }
            Input::Heard(node) => drop((self.seen.remove(node), self.ending.remove(node))),
            Input::Left(node) => {
                self.ending.retain(|_, said| now < *said + ENDING);
                self.ending.insert(node.clone(), now);
            }
        }
        for (node, _) in self.seen.extract_if(.., |_, sight| sight.last + PATIENCE <= now) {
            self.outputs.push_back(Output::Vanished(node));
        }
        for sight in self.seen.values_mut().filter(|sight| sight.next_question <= now) {
            sight.next_question = now + INTERVAL;
            self.outputs.push_back(Output::Ask(sight.address));
        }
    }

    fn is_ending(&self, now: Instant, node: &NodeName) -> bool {
        self.ending.get(node).is_some_and(|said| now < *said + ENDING)
    }

    /// What follows, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.seen.values().map(|sight| sight.next_question.min(sight.last + PATIENCE)).min()
    }

    /// The nodes that count.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.seen.keys()
    }

    /// Does a node that counts announce an address of this one too?
    pub fn has_dispute(&self) -> bool {
        self.seen.values().any(|sight| sight.disputes)
    }

    /// Is somebody asked for this address?
    pub fn asks_for(&self, address: IpAddr) -> bool {
        self.seen.values().any(|sight| sight.address == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtual_clock;

    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn vip() -> IpAddr {
        "192.0.2.200".parse().unwrap()
    }

    fn sight(node: &NodeName, is_here: bool) -> Input<'_> {
        Input::Seen { node, address: vip(), station: THEIRS, is_here }
    }

    fn seen() -> (Sightings, Instant, NodeName) {
        let (mut sightings, now, node) =
            (Sightings::default(), virtual_clock::start(), NodeName::from("theirs"));
        sightings.handle_input(now, sight(&node, false));
        assert_eq!(sightings.poll_output(), Some(Output::Appeared(node.clone())));
        (sightings, now, node)
    }

    /// What follows until `end`, if `answer` answers each question.
    fn run(sightings: &mut Sightings, end: Instant, answer: Option<Mac>) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(due) = sightings.poll_timeout().filter(|due| *due <= end) {
            sightings.handle_input(due, Input::Tick);
            while let Some(output) = sightings.poll_output() {
                if let (Output::Ask(address), Some(station)) = (&output, answer) {
                    sightings.handle_input(due, Input::Answered { address: *address, station });
                }
                outputs.push(output);
            }
        }
        outputs
    }

    #[test]
    fn a_speaker_counts_for_as_long_as_it_answers() {
        let (mut sightings, now, node) = seen();
        let outputs = run(&mut sightings, now + Duration::from_mins(1), Some(THEIRS));
        assert_eq!(outputs.len(), 300);
        assert!(outputs.iter().all(|output| *output == Output::Ask(vip())));
        assert_eq!(sightings.nodes().collect::<Vec<_>>(), [&node]);
        let outputs = run(&mut sightings, now + Duration::from_secs(62), None);
        assert_eq!(outputs.last(), Some(&Output::Vanished(node)));
        assert_eq!((sightings.poll_timeout(), sightings.asks_for(vip())), (None, false));
    }

    #[test]
    fn one_that_is_not_heard_soon_and_announces_an_address_of_this_node_disputes_it_until_it_is_heard() {
        let (mut sightings, now, node) = seen();
        let soon = now + LASTING / 2;
        sightings.handle_input(soon, sight(&node, true));
        run(&mut sightings, soon, Some(THEIRS));
        assert!(!sightings.has_dispute(), "its heartbeats may be on their way");
        run(&mut sightings, now + LASTING, Some(THEIRS));
        for _ in 0..2 {
            sightings.handle_input(now + LASTING, sight(&node, true));
        }
        assert_eq!(run(&mut sightings, now + LASTING, None), [], "nothing is due");
        assert!(sightings.has_dispute());
        assert_eq!(sightings.poll_output(), Some(Output::Disputes(node.clone())));
        assert_eq!(sightings.poll_output(), None, "told once");
        sightings.handle_input(now + LASTING, Input::Heard(&node));
        assert!(!sightings.has_dispute());
    }

    #[test]
    fn one_that_announces_addresses_of_its_own_disputes_nothing() {
        let (mut sightings, now, node) = seen();
        run(&mut sightings, now + LASTING, Some(THEIRS));
        sightings.handle_input(now + LASTING, sight(&node, false));
        assert!(!sightings.has_dispute());
    }

    #[test]
    fn one_that_said_it_ends_is_not_seen_until_it_should_have_ended() {
        let (mut sightings, now, node) =
            (Sightings::default(), virtual_clock::start(), NodeName::from("theirs"));
        sightings.handle_input(now, Input::Left(&node));
        sightings.handle_input(now + ENDING / 2, sight(&node, false));
        assert_eq!((sightings.poll_output(), sightings.nodes().count()), (None, 0));
        sightings.handle_input(now + ENDING, sight(&node, false));
        assert_eq!(sightings.poll_output(), Some(Output::Appeared(node.clone())), "it goes on all the same");
        sightings.handle_input(now + ENDING, Input::Left(&node));
        sightings.handle_input(now + ENDING, Input::Heard(&node));
        sightings.handle_input(now + ENDING, sight(&node, false));
        assert_eq!(sightings.poll_output(), Some(Output::Appeared(node)), "it was back in between");
    }

    #[test]
    fn what_another_station_answers_does_not_count_for_it() {
        let (mut sightings, now, node) = seen();
        let outputs = run(&mut sightings, now + Duration::from_secs(2), Some(OTHER));
        assert_eq!(outputs.last(), Some(&Output::Vanished(node)));
    }

    #[test]
    fn one_that_is_heard_is_not_asked_any_more() {
        let (mut sightings, now, node) = seen();
        sightings.handle_input(now, Input::Heard(&node));
        assert_eq!(run(&mut sightings, now + Duration::from_secs(2), None), []);
        assert_eq!(sightings.nodes().count(), 0, "its heartbeats say whether it counts");
    }
}
