//! When silence is death: the votes of those who watch, and what becomes of them.
//!
//! A watcher that hears nothing from a node accuses it; one that hears it again takes that back. What follows depends on
//! the *bench*, the node's watchers that are alive and answer:
//!
//! | the bench | |
//! |---|---|
//! | more accuse than not | the node is dead, at once |
//! | one watcher only, and it accuses | dead after two more detection times, in which the node was asked directly |
//! | some accuse, but not most | it lives; after one detection time the watchers are asked, and who does not answer leaves the bench |
//! | nobody accuses | it lives |
//!
//! The last three lines together are the lone survivor: everybody is silent, so after three detection times everybody else
//! has left the bench, and it decides alone. That is also all there is to two nodes, and to three of which two are gone.
//!
//! A dead node lives again when most do not accuse any more, and an accuser took its word back or the node can be heard. If
//! most do not accuse because *others* sit on the bench now, and it cannot be heard, those are asked, and given the time to
//! find out for themselves: a death of one node brings no other back to life for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::session::Timing;
use super::watchers::NodeId;
use super::wire::Page;

/// What those who watch a node say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bench {
    pub(super) accusing: usize,
    pub(super) others: usize,
}

/// What follows from a [`Bench`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaning {
    /// Nobody accuses.
    Innocent,
    /// Some do, but not most.
    Divided,
    /// There is one only, and it accuses.
    Alone,
    /// Most do.
    Guilty,
}

impl Bench {
    pub(super) const fn leaning(self) -> Leaning {
        match (self.accusing, self.others) {
            (0, _) => Leaning::Innocent,
            (1, 0) => Leaning::Alone,
            (accusing, others) if accusing > others => Leaning::Guilty,
            (_, _) => Leaning::Divided,
        }
    }
}

/// An accusation under way.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// When the first of the bench accused. `None` while none does.
    since: Option<Instant>,
    /// The watchers and the accused were asked.
    asked: bool,
    /// The node counts as dead.
    pub(super) condemned: bool,
    /// Since it was condemned, an accuser took it back, or we heard it.
    taken_back: bool,
    /// Since then most do not accuse any more, though it counts as dead.
    doubted: Option<Instant>,
    /// When it last came back to life.
    revived: Option<Instant>,
}

/// What is to be done about a [`Case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, for good.
    Close,
    /// Nothing, until something changes.
    Rest,
    /// Look again at this time.
    Wait(Instant),
    /// Ask the watchers and the accused whether they are there; look again at this time.
    Ask(Instant),
}

impl Case {
    const fn new() -> Self {
        Self { since: None, asked: false, condemned: false, taken_back: false, doubted: None, revived: None }
    }

    /// Decides, and says what is next. Whether the node is dead is in [`Case::condemned`].
    pub(super) fn weigh(&mut self, now: Instant, timing: Timing, leaning: Leaning) -> Next {
        if self.condemned {
            return self.doubt(now, timing, leaning);
        }
        if leaning == Leaning::Innocent {
            (self.since, self.asked) = (None, false);
            let steady = self.revived.map(|revived| revived + timing.dead_after);
            return steady.filter(|steady| now < *steady).map_or(Next::Close, Next::Wait);
        }
        let since = *self.since.get_or_insert(now);
        // Who was just heard is not silent: the bench knows nothing yet of what came after.
        let steady = self.revived.map_or(now, |revived| revived + timing.dead_after);
        let ask = since + timing.dead_after;
        let alone = since + 2 * timing.dead_after;
        match leaning {
            Leaning::Guilty if now < steady => Next::Wait(steady),
            Leaning::Guilty => self.condemn(),
            Leaning::Alone if alone.max(steady) <= now => self.condemn(),
            Leaning::Innocent | Leaning::Alone | Leaning::Divided if self.asked => {
                if leaning == Leaning::Alone { Next::Wait(alone.max(steady)) } else { Next::Rest }
            }
            Leaning::Innocent | Leaning::Alone | Leaning::Divided if now < ask => Next::Wait(ask),
            Leaning::Innocent | Leaning::Alone | Leaning::Divided => {
                self.asked = true;
                Next::Ask(alone)
            }
        }
    }

    const fn condemn(&mut self) -> Next {
        self.condemned = true;
        self.taken_back = false;
        self.doubted = None;
        Next::Rest
    }

    fn doubt(&mut self, now: Instant, timing: Timing, leaning: Leaning) -> Next {
        match leaning {
            Leaning::Guilty | Leaning::Alone => {
                self.doubted = None;
                Next::Rest
            }
            Leaning::Innocent | Leaning::Divided => {
                let first = self.doubted.is_none();
                let doubted = *self.doubted.get_or_insert(now);
                let enough = doubted + timing.dead_after + timing.interval;
                if !self.taken_back && now < enough {
                    return if first { Next::Ask(enough) } else { Next::Wait(enough) };
                }
                *self = Self { revived: Some(now), ..Self::new() };
                Next::Wait(now + timing.dead_after)
            }
        }
    }

    /// The node did not answer since then, so that is when it was silent first.
    pub(super) fn open(&mut self, since: Instant) {
        if !self.condemned {
            self.since.get_or_insert(since);
        }
    }

    /// We stood still: what nobody could say to us does not count against anyone.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
        self.asked = false;
        self.doubted = self.doubted.map(|_| now);
    }
}

/// Who accuses whom, and the cases that came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Votes {
    ballots: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// By how many each is accused.
    accused: BTreeMap<NodeId, usize>,
    pub(super) cases: BTreeMap<NodeId, Case>,
}

impl Votes {
    pub(super) fn accuses(&self, voter: NodeId, node: NodeId) -> bool {
        self.ballots.get(&voter).is_some_and(|ballot| ballot.contains(&node))
    }

    /// Whoever is accused, or was lately, by anyone.
    pub(super) fn in_question(&self) -> Vec<NodeId> {
        let nodes: BTreeSet<_> = self.accused.keys().chain(self.cases.keys()).copied().collect();
        nodes.into_iter().collect()
    }

    /// Nobody is in question.
    pub(super) fn are_none(&self) -> bool {
        self.accused.is_empty() && self.cases.is_empty()
    }

    pub(super) fn is_condemned(&self, node: NodeId) -> bool {
        self.cases.get(&node).is_some_and(|case| case.condemned)
    }

    pub(super) fn case(&mut self, node: NodeId) -> &mut Case {
        self.cases.entry(node).or_insert_with(Case::new)
    }

    /// A page of what `voter` thinks. Of whom that is news.
    pub(super) fn cast(&mut self, voter: NodeId, page: &Page) -> Vec<NodeId> {
        let before = self.ballots.get(&voter);
        let mut news: Vec<_> = before
            .into_iter()
            .flatten()
            .filter(|node| page.covers(**node) && page.accused().binary_search(node).is_err())
            .copied()
            .collect();
        for node in &news {
            self.take_back(voter, *node);
        }
        for node in page.accused() {
            if self.accuse(voter, *node) {
                news.push(*node);
            }
        }
        news
    }

    /// Whether that is news.
    pub(super) fn accuse(&mut self, voter: NodeId, node: NodeId) -> bool {
        let new = self.ballots.entry(voter).or_default().insert(node);
        if new {
            *self.accused.entry(node).or_default() += 1;
        }
        new
    }

    /// `voter` hears `node` again. Whether that is news.
    pub(super) fn take_back(&mut self, voter: NodeId, node: NodeId) -> bool {
        let had = self.drop_accusation(voter, node);
        if let Some(case) = self.cases.get_mut(&node).filter(|_| had) {
            case.taken_back = true;
        }
        had
    }

    /// We hear `node` ourselves. Whether that is news.
    pub(super) fn heard(&mut self, node: NodeId) -> bool {
        let case = self.cases.get_mut(&node).filter(|case| case.condemned);
        case.is_some_and(|case| !std::mem::replace(&mut case.taken_back, true))
    }

    /// `voter` has nothing to say about `node` any more, good or bad.
    pub(super) fn drop_accusation(&mut self, voter: NodeId, node: NodeId) -> bool {
        let had = self.ballots.get_mut(&voter).is_some_and(|ballot| ballot.remove(&node));
        if had && let Some(count) = self.accused.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.accused.remove(&node);
            }
        }
        had
    }

    /// `voter` is in a new life, or gone: it says nothing. Whom it accused.
    pub(super) fn withdraw(&mut self, voter: NodeId) -> BTreeSet<NodeId> {
        let ballot = self.ballots.get(&voter).cloned().unwrap_or_default();
        for node in &ballot {
            self.drop_accusation(voter, *node);
        }
        self.ballots.remove(&voter);
        ballot
    }

    /// `node` is no peer any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.withdraw(node);
        self.cases.remove(&node);
    }
}
