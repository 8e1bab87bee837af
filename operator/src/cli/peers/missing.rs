//! Why there is no session, or why what is said of one may not be so.

use metallb_core::names::NodeName;
use metallb_core::refusal::{ObjectRefusal, Refusal};

use super::super::explain::Why;

/// Why there is no session, as far as it is not the object's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The peer is for no node that there is.
    SelectsNoNode,
    /// No node is known at all.
    NoNodes,
    /// The node has no pod of the speaker.
    NoSpeaker,
    /// The node has one, and it is not ready.
    SpeakerNotReady,
    /// What there is was said by a speaker that is not there or not ready.
    LastSaid,
    /// The speaker says nothing of it.
    NotReported,
    /// What the speaker says cannot be read.
    Unreadable {
        /// What the decoder says.
        error: String,
    },
    /// There is a session, and no BGPPeer in force for it.
    PeerGone,
    /// There is a session, and its BGPPeer does not select the node.
    NotSelected,
}

impl Missing {
    const fn code(&self) -> &'static str {
        match self {
            Self::SelectsNoNode => "selects-no-node",
            Self::NoNodes => "no-nodes",
            Self::NoSpeaker => "no-speaker",
            Self::SpeakerNotReady => "speaker-not-ready",
            Self::LastSaid => "last-said",
            Self::NotReported => "not-reported",
            Self::Unreadable { .. } => "status-unreadable",
            Self::PeerGone => "peer-not-in-force",
            Self::NotSelected => "node-not-selected",
        }
    }

    /// In full, about `node`.
    pub(super) fn why(&self, node: Option<&NodeName>, namespace: &str) -> Why {
        let node = node.map(NodeName::as_str).unwrap_or_default();
        let pods = || {
            format!(
                "see `kubectl -n {namespace} get pods -l component=speaker --field-selector spec.nodeName={node}`"
            )
        };
        let soon = || "it ends within seconds; if not, see the log of the speaker".to_owned();
        let (sentence, fix) = match self {
            Self::SelectsNoNode => (
                "no node matches spec.nodeSelectors".to_owned(),
                "label a node so that it does, or correct the selectors".to_owned(),
            ),
            Self::NoNodes => (
                "there is no Node".to_owned(),
                "where everything comes from files, give the Nodes too".to_owned(),
            ),
            Self::NoSpeaker => (
                "no speaker runs on the node".to_owned(),
                format!("if one should, {}: the node may not be selected, or have a taint", pods()),
            ),
            Self::SpeakerNotReady => ("the speaker of the node does not run".to_owned(), pods()),
            Self::LastSaid => {
                ("the speaker of the node does not run: this is what it said last".to_owned(), pods())
            }
            Self::NotReported => (
                "the speaker of the node has not reported the session".to_owned(),
                "it does within seconds; if not, see its log".to_owned(),
            ),
            Self::Unreadable { error } => (
                format!("the BGPNodeStatus of the node cannot be read: {error}"),
                format!("`kubectl -n {namespace} delete bgpnodestatus {node}`: the speaker writes it anew"),
            ),
            Self::PeerGone => ("its BGPPeer is gone, or set aside".to_owned(), soon()),
            Self::NotSelected => ("its BGPPeer does not select this node".to_owned(), soon()),
        };
        Why { code: self.code().to_owned(), sentence, fix }
    }
}

/// All that is wrong with a peer; there is something.
pub(super) fn set_aside(refusals: &[&ObjectRefusal]) -> Why {
    let join = |texts: Vec<String>| texts.join("; ");
    Why {
        code: refusals.first().map(|refusal| refusal.code().to_owned()).unwrap_or_default(),
        sentence: format!(
            "set aside: {}",
            join(refusals.iter().map(|refusal| refusal.refusal.sentence()).collect())
        ),
        fix: join(refusals.iter().map(|refusal| refusal.fix()).collect()),
    }
}
