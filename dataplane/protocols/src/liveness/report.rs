//! Which networks nodes do not reach: a table that all speakers keep. Each node reports on itself; the others pass the report on, for
//! those that do not hear that node.
//!
//! A report has an incarnation (as in SWIM, Das, Gupta and Motivala 2002): of two on one node the later counts, and of two of one
//! incarnation the greater, so all who have heard both agree, in whatever order they did. Only the node itself begins an incarnation:
//! when it reaches other networks than before, or when somebody has a report on it that is not so any more, as it is from another life.
//!
//! Not here: how the table comes from one speaker to another (`session`).

use std::collections::BTreeMap;

use ipnet::IpNet;
use ring::digest::{SHA256, digest};

use super::watchers::NodeId;
use super::wire::LOST;

/// Incarnations from here on are nobody's: after the last of all no report could follow.
const END: u64 = 1 << 63;

/// What a node says of itself. The greater counts; the least is that of a node that never lost a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// Rises by one whenever the node says something else.
    pub incarnation: u64,
    /// Networks that it does not reach, as its interfaces in them have lost their carrier, or have it again only since a moment.
    pub lost: Vec<IpNet>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It counts.
    New {
        /// The networks are others than before.
        networks: bool,
    },
    /// It was known, or is none.
    Known,
    /// The one that is known counts more.
    Late,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// Those that say something.
    all: BTreeMap<NodeId, Report>,
    /// Two tables with the same are the same.
    digest: u64,
}

impl Reports {
    /// Takes in a report on a node.
    pub(super) fn hear(&mut self, node: NodeId, report: &Report) -> Heard {
        let known = self.of(node);
        if report.incarnation >= END || *report == known {
            return Heard::Known;
        }
        if *report < known {
            return Heard::Late;
        }
        self.digest ^= part(node, &known) ^ part(node, report);
        self.all.insert(node, report.clone());
        Heard::New { networks: report.lost != known.lost }
    }

    /// A node says something else of itself than before, or than somebody has of it from incarnation `after`. Could it?
    pub(super) fn begin(&mut self, node: NodeId, mut lost: Vec<IpNet>, after: u64) -> bool {
        lost.truncate(LOST);
        let incarnation = self.of(node).incarnation.max(after).saturating_add(1);
        self.hear(node, &Report { incarnation, lost }) != Heard::Known
    }

    /// There is no such node any more. Did it lack a network?
    pub(super) fn forget(&mut self, node: NodeId) -> bool {
        let Some(report) = self.all.remove(&node) else { return false };
        self.digest ^= part(node, &report);
        !report.lost.is_empty()
    }

    /// What is known of a node.
    pub(super) fn of(&self, node: NodeId) -> Report {
        self.all.get(&node).cloned().unwrap_or_default()
    }

    /// All that say something.
    pub(super) const fn all(&self) -> &BTreeMap<NodeId, Report> {
        &self.all
    }

    /// The whole in short.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }
}

/// What one entry is of the digest: nothing, if it says nothing.
fn part(node: NodeId, report: &Report) -> u64 {
    if *report == Report::default() {
        return 0;
    }
    let mut entry = [node.0.to_be_bytes(), report.incarnation.to_be_bytes()].concat();
    for network in &report.lost {
        entry.extend(network.to_string().bytes().chain([0]));
    }
    let digest = digest(&SHA256, &entry);
    digest.as_ref().iter().take(8).fold(0, |part, octet| (part << 8) | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn report((incarnation, lost): (u64, u8)) -> Report {
        let networks = (0..lost).map(|network| IpNet::new([10, network, 0, 0].into(), 16).unwrap());
        Report { incarnation, lost: networks.collect() }
    }

    #[test]
    fn the_later_incarnation_counts_and_then_the_greater_report() {
        let mut reports = Reports::default();
        let node = NodeId(1);
        assert_eq!(reports.hear(node, &report((0, 0))), Heard::Known);
        assert_eq!(reports.hear(node, &report((2, 1))), Heard::New { networks: true });
        assert_eq!(reports.hear(node, &report((2, 1))), Heard::Known);
        assert_eq!(reports.hear(node, &report((1, 2))), Heard::Late);
        assert_eq!(reports.hear(node, &report((2, 0))), Heard::Late);
        assert_eq!(reports.hear(node, &report((3, 1))), Heard::New { networks: false });
        assert_eq!(reports.of(node), report((3, 1)));
    }

    #[test]
    fn what_a_node_says_of_itself_follows_what_others_have_of_it() {
        let mut reports = Reports::default();
        reports.begin(NodeId(1), report((0, 1)).lost, 0);
        assert_eq!(reports.of(NodeId(1)), report((1, 1)));
        reports.begin(NodeId(1), Vec::new(), 7);
        assert_eq!(reports.of(NodeId(1)), report((8, 0)));
    }

    #[test]
    fn a_node_that_is_gone_leaves_nothing() {
        let mut reports = Reports::default();
        assert!(!reports.forget(NodeId(1)));
        reports.hear(NodeId(1), &report((1, 1)));
        assert!(reports.forget(NodeId(1)));
        assert_eq!(reports.digest(), 0);
        reports.hear(NodeId(1), &report((1, 0)));
        assert!(!reports.forget(NodeId(1)));
    }

    #[test]
    fn an_incarnation_after_which_there_could_be_no_other_is_nobodys() {
        let mut reports = Reports::default();
        assert_eq!(reports.hear(NodeId(1), &report((u64::MAX, 1))), Heard::Known);
        assert_eq!(reports.hear(NodeId(1), &report((1, 1))), Heard::New { networks: true });
        assert!(!reports.begin(NodeId(1), Vec::new(), END - 1));
    }

    proptest! {
        #[test]
        fn who_heard_the_same_knows_the_same_in_whatever_order(
            said in vec((0..4_u64, 0..4_u64, 0..3_u8), 0..60).prop_shuffle(), rotation in 0..60_usize,
        ) {
            let of = |said: &[(u64, u64, u8)]| {
                let mut reports = Reports::default();
                for (node, incarnation, lost) in said {
                    reports.hear(NodeId(*node), &report((*incarnation, *lost)));
                }
                reports
            };
            let mut others = said.clone();
            others.rotate_left(rotation % said.len().max(1));
            let (one, other) = (of(&said), of(&others));
            prop_assert_eq!(one.all(), other.all());
            prop_assert_eq!(one.digest(), other.digest());
            prop_assert_eq!(one.digest() == 0, one.all().is_empty());
        }
    }
}
