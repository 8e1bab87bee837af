//! Address conflicts (RFC 5227): another station has an address that is announced here. It is looked for when an address moved
//! here, beside announcing it and never before, and whoever claims it later is noticed too.
//!
//! Stations of the cluster's own nodes are no conflict: while an address moves, the node that had it still answers for it. Nobody
//! knows their stations, so when an unknown one claims an address, all nodes are asked for theirs. A station that is none of theirs is
//! asked in turn: if it still has the address, that is a conflict. What only once claimed it may be a node that died since, or one that
//! does not hear this one.
//!
//! Under [`Policy::ProbeFirst`] an address that no node of the cluster had before is only announced once nobody answered for
//! it ([`Conflicts::is_held`]).
//!
//! Not here: how it is asked ([`crate::arp`], [`crate::ndp`]), and what people are told. Start at [`Conflicts::handle_input`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_core::names::NodeName;

use crate::ethernet::Mac;
use crate::timetable::Timetable;

#[cfg(test)]
mod tests;

/// How often it is asked whether somebody has an address (RFC 5227 §1.1, `PROBE_NUM`).
pub const PROBES: u8 = 3;
/// Between two of those questions (between `PROBE_MIN` and `PROBE_MAX`).
pub const PROBE_INTERVAL: Duration = Duration::from_millis(1100);
/// How long the answer to the last question may take.
pub const ANNOUNCE_WAIT: Duration = Duration::from_secs(1);
/// While there is a conflict, it is asked this often whether there still is.
pub const RECHECK: Duration = Duration::from_secs(30);
/// Without a claim for so long it is over: three questions have had no answer.
pub const OVER_AFTER: Duration = Duration::from_secs(95);
/// Between two rounds of asking all nodes: who invents stations must not make this one shout.
pub const ROUND_INTERVAL: Duration = Duration::from_secs(5);
/// Questions asked in one go, and how long after that the next go of a round is.
const GO: usize = 16;
const GO_INTERVAL: Duration = Duration::from_millis(5);
/// How long nodes may take to answer, once the last one was asked. They are asked twice.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a station that is no node's is asked whether it has the address, [`PATIENCE`] apart. The last time it has
/// [`ANNOUNCE_WAIT`] to say so.
const CONFIRMATIONS: u8 = 3;
/// Stations of one node. Who says that it has more, in that node's name, is believed the latest.
const STATIONS: usize = 64;
/// When an address comes from another node, that one still answers for a while, and perhaps by a station of which nobody hears: on
/// an interface where it does not answer for the address by which it is asked (`arp_ignore`). The last probe is after that.
const HANDED_OVER: Duration = Duration::from_secs(2);
/// A node keeps its station that long. Cards are replaced, addresses of nodes are used again.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// Unknown stations that are remembered until the next round. Who invents more is passed over.
const SUSPECTS: usize = 64;
/// Addresses with a conflict. Beyond that the network is wrong as a whole, and has been told of.
const CONFLICTS: usize = 256;

/// What is done before an address is announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is announced at once, and a conflict is told of.
    #[default]
    Announce,
    /// An address that no node of the cluster had before is announced once nobody answered for it.
    ProbeFirst,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time passed; due at [`Conflicts::poll_timeout`].
    Tick,
    /// The cluster's other nodes, by the addresses by which they are asked.
    Nodes(&'a BTreeMap<IpAddr, NodeName>),
    /// An address moved here.
    Begun {
        /// The address.
        address: IpAddr,
        /// No node of the cluster had it before.
        is_new: bool,
    },
    /// An address is no longer here.
    Ended(IpAddr),
    /// A station says that it has an address which is announced here, or is to be.
    Claimed {
        /// By index.
        interface: u32,
        /// The address.
        address: IpAddr,
        /// The station.
        by: Mac,
        /// The station that says so, perhaps in the other's name.
        from: Mac,
    },
    /// A node says which station it has.
    Heard {
        /// The node's address.
        node: IpAddr,
        /// The station.
        station: Mac,
    },
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask who has this address of a node.
    AskNode(IpAddr),
    /// Ask who else has this address of a service.
    Probe(IpAddr),
    /// A station that is none of the cluster's has the address.
    Conflict {
        /// The address.
        address: IpAddr,
        /// Where it was heard, by index.
        interface: u32,
        /// The station.
        by: Mac,
    },
    /// Nobody else has the address any more.
    Over(IpAddr),
    /// The address was held back, and is so no more.
    Released(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Probing {
    left: u8,
    holds: bool,
    /// Who claims the address before that may be the node that had it.
    counts_from: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    by: Mac,
    last: Instant,
    next_probe: Instant,
}

/// All nodes are asked for their stations.
#[derive(Clone, Debug)]
struct Round {
    to_ask: VecDeque<IpAddr>,
    next: Instant,
    /// Stations about which it decides, what they claim, and who says so.
    about: BTreeMap<(Mac, IpAddr), Mac>,
}

/// A station that is no node's is asked whether it has the address.
#[derive(Clone, Copy, Debug)]
struct Confirming {
    left: u8,
    next: Instant,
}

/// Who else has the addresses that are here.
#[derive(Clone, Debug, Default)]
pub struct Conflicts {
    policy: Policy,
    nodes: BTreeMap<IpAddr, NodeName>,
    /// Stations of nodes: by which address it was said, and until when that counts.
    stations: BTreeMap<Mac, (IpAddr, Instant)>,
    /// The last ones that were said by each, in that order.
    said: BTreeMap<IpAddr, VecDeque<Mac>>,
    here: BTreeSet<IpAddr>,
    probing: BTreeMap<IpAddr, Probing>,
    due: Timetable<IpAddr>,
    /// Unknown stations, what they claim, and who says so.
    suspects: BTreeMap<(Mac, IpAddr), Mac>,
    round: Option<Round>,
    next_round: Option<Instant>,
    /// The next round may be then.
    not_before: Option<Instant>,
    confirming: BTreeMap<(Mac, IpAddr), Confirming>,
    contested: BTreeMap<IpAddr, Known>,
    outputs: VecDeque<Output>,
}

impl Conflicts {
    /// None known.
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Is the address here, and not to be announced yet?
    pub fn is_held(&self, address: IpAddr) -> bool {
        self.probing.get(&address).is_some_and(|probing| probing.holds)
    }

    /// Are nodes asked for this address of theirs?
    pub fn asks_for(&self, address: IpAddr) -> bool {
        self.round.is_some() && self.nodes.contains_key(&address)
    }

    /// The node that has a station, as far as that is known.
    pub fn node_of(&self, station: Mac) -> Option<&NodeName> {
        let (address, _) = self.stations.get(&station)?;
        self.nodes.get(address)
    }

    /// Takes in what happened. Drain [`Self::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Nodes(nodes) => {
                self.said.retain(|node, _| nodes.contains_key(node));
                self.nodes.clone_from(nodes);
            }
            Input::Begun { address, is_new } => {
                self.here.insert(address);
                let holds = is_new && self.policy == Policy::ProbeFirst;
                let counts_from = if is_new { now } else { now + HANDED_OVER };
                self.probe_at(now, address, Probing { left: PROBES, holds, counts_from });
            }
            Input::Ended(address) => self.end(address),
            Input::Claimed { interface, address, by, from } => {
                self.claimed(now, interface, address, by, from);
            }
            Input::Heard { node, station } if self.nodes.contains_key(&node) => {
                self.learn(now, node, station);
            }
            Input::Tick | Input::Heard { .. } => {}
        }
        self.pass_time(now);
    }

    /// What follows, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due. `None`: not before something happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let conflicts = self.contested.values().map(|known| known.next_probe.min(known.last + OVER_AFTER));
        let round = self.round.as_ref().map(|round| round.next).or(self.next_round);
        let confirming = self.confirming.values().map(|confirming| confirming.next);
        conflicts.chain(self.due.next()).chain(round).chain(confirming).min()
    }

    fn end(&mut self, address: IpAddr) {
        self.here.remove(&address);
        self.forget_probing(address);
        self.suspects.retain(|(_, claimed), _| *claimed != address);
        if let Some(round) = &mut self.round {
            round.about.retain(|(_, claimed), _| *claimed != address);
        }
        self.confirming.retain(|(_, claimed), _| *claimed != address);
        if self.contested.remove(&address).is_some() {
            self.outputs.push_back(Output::Over(address));
        }
    }

    fn learn(&mut self, now: Instant, node: IpAddr, station: Mac) {
        self.stations.insert(station, (node, now + KNOWN_FOR));
        let said = self.said.entry(node).or_default();
        said.retain(|known| *known != station);
        said.push_back(station);
        let oldest = if said.len() > STATIONS { said.pop_front() } else { None };
        // Another node may have said it since.
        if let Some(oldest) =
            oldest.filter(|oldest| self.stations.get(oldest).is_some_and(|(of, _)| *of == node))
        {
            self.stations.remove(&oldest);
        }
    }

    fn claimed(&mut self, now: Instant, interface: u32, address: IpAddr, by: Mac, from: Mac) {
        let is_early = self.probing.get(&address).is_some_and(|probing| now < probing.counts_from);
        if !self.here.contains(&address) || is_early {
            return;
        }
        self.stations.retain(|_, (_, until)| now < *until);
        let is_full = self.contested.len() >= CONFLICTS;
        match self.contested.get_mut(&address) {
            Some(known) if known.by == by => {
                known.last = now;
                return;
            }
            // One is told of. Another is looked at once that one is silent.
            Some(known) if now < known.last + 2 * RECHECK => return,
            None if is_full => return,
            Some(_) | None => {}
        }
        if self.is_known(by, from) {
            self.confirming.remove(&(by, address));
            return;
        }
        if self.confirming.remove(&(by, address)).is_some() {
            self.contested.insert(address, Known { by, last: now, next_probe: now + RECHECK });
            self.outputs.push_back(Output::Conflict { address, interface, by });
            return;
        }
        if self.suspects.len() >= SUSPECTS {
            return;
        }
        if self.round.as_ref().is_some_and(|round| round.about.contains_key(&(by, address))) {
            return;
        }
        self.suspects.insert((by, address), from);
        if self.round.is_none() {
            self.next_round.get_or_insert(self.not_before.unwrap_or(now).max(now));
        }
    }

    /// Is it a node's station, or a node that says so? Nodes speak in the name of others, and of none but nodes.
    fn is_known(&self, by: Mac, from: Mac) -> bool {
        self.stations.contains_key(&by) || self.stations.contains_key(&from)
    }

    fn pass_time(&mut self, now: Instant) {
        self.pass_round(now);
        self.pass_confirmations(now);
        self.pass_probes(now);
        let over = self.contested.extract_if(.., |_, known| known.last + OVER_AFTER <= now);
        for (address, _) in over.collect::<Vec<_>>() {
            self.outputs.push_back(Output::Over(address));
            self.release(address);
        }
        for (address, known) in self.contested.iter_mut().filter(|(_, known)| known.next_probe <= now) {
            known.next_probe = now + RECHECK;
            self.outputs.push_back(Output::Probe(*address));
        }
    }

    fn pass_probes(&mut self, now: Instant) {
        for _ in 0..GO {
            let Some(address) = self.due.pop(now) else { return };
            let Some(probing) = self.probing.get(&address).copied() else { continue };
            match probing.left.checked_sub(1) {
                Some(left) => {
                    self.outputs.push_back(Output::Probe(address));
                    let wait = if left == 0 { ANNOUNCE_WAIT } else { PROBE_INTERVAL };
                    self.probe_at(now + wait, address, Probing { left, ..probing });
                }
                // Who answered is being found out.
                None if self.is_suspected(address) => self.probe_at(now + PATIENCE, address, probing),
                // The conflict's own questions find out when it is over.
                None if probing.holds && self.contested.contains_key(&address) => {
                    self.probe_at(now + RECHECK, address, probing);
                }
                None => self.release(address),
            }
        }
    }

    fn probe_at(&mut self, next: Instant, address: IpAddr, probing: Probing) {
        self.probing.insert(address, probing);
        self.due.set(address, next);
    }

    fn forget_probing(&mut self, address: IpAddr) -> Option<Probing> {
        self.due.cancel(address);
        self.probing.remove(&address)
    }

    fn is_suspected(&self, address: IpAddr) -> bool {
        let round = self.round.iter().flat_map(|round| round.about.keys());
        self.suspects
            .keys()
            .chain(round)
            .chain(self.confirming.keys())
            .any(|(_, claimed)| *claimed == address)
    }

    fn release(&mut self, address: IpAddr) {
        if self.forget_probing(address).is_some_and(|probing| probing.holds) {
            self.outputs.push_back(Output::Released(address));
        }
    }

    fn pass_round(&mut self, now: Instant) {
        if self.round.is_none() && self.next_round.is_some_and(|due| due <= now) {
            self.next_round = None;
            let about = std::mem::take(&mut self.suspects);
            if !about.is_empty() {
                let twice = self.nodes.keys().chain(self.nodes.keys());
                self.round = Some(Round { to_ask: twice.copied().collect(), next: now, about });
            }
        }
        let Some(round) = self.round.as_mut().filter(|round| round.next <= now) else { return };
        if !round.to_ask.is_empty() {
            let go = round.to_ask.len().min(GO);
            self.outputs.extend(round.to_ask.drain(..go).map(Output::AskNode));
            round.next = now + if round.to_ask.is_empty() { PATIENCE } else { GO_INTERVAL };
            return;
        }
        let Some(round) = self.round.take() else { return };
        self.not_before = Some(now + ROUND_INTERVAL);
        self.next_round = self.not_before.filter(|_| !self.suspects.is_empty());
        let unknown = round.about.into_iter().filter(|((by, _), from)| !self.is_known(*by, *from));
        let asked = |(suspect, _)| (suspect, Confirming { left: CONFIRMATIONS, next: now });
        let asked: Vec<_> = unknown.map(asked).collect();
        self.confirming.extend(asked);
    }

    fn pass_confirmations(&mut self, now: Instant) {
        self.confirming.retain(|_, confirming| confirming.left > 0 || now < confirming.next);
        let due = self.confirming.iter_mut().filter(|(_, confirming)| confirming.next <= now);
        let mut asked = BTreeSet::new();
        for ((_, address), confirming) in due {
            confirming.left = confirming.left.saturating_sub(1);
            confirming.next = now + if confirming.left == 0 { ANNOUNCE_WAIT } else { PATIENCE };
            asked.insert(*address);
        }
        self.outputs.extend(asked.into_iter().map(Output::Probe));
    }
}
