//! How the BGP sessions stand, and why those that should be there are not.
//!
//! What speakers report (BGPNodeStatus) is joined with what the configuration asks for (BGPPeers and nodes). Not here:
//! how it is laid out (`table`).

mod missing;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::bail;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use metallb_core::config::Peer;
use metallb_core::labels::Labels;
use metallb_core::names::{NodeName, PeerName};
use metallb_core::refusal::{Kind, ObjectRef, ObjectRefusal};
use metallb_crds::config::{Stored, parse};
use metallb_crds::{BGPSession, BGPState};
use serde::Serialize;

use super::explain::Why;
use super::inventory::Inventory;
use super::output::Answer;
use missing::Missing;

/// Which sessions to tell of; all of them where nothing is named.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Only those with this BGPPeer.
    pub peer: Option<String>,
    /// Only those of this node.
    pub node: Option<String>,
}

/// The sessions, and those that are missing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Peers {
    /// Every session that should be up is.
    pub healthy: bool,
    /// By node and peer; what is of no node comes last.
    pub sessions: Vec<Row>,
    /// Where the objects are.
    #[serde(skip)]
    namespace: String,
    /// What times are told from.
    #[serde(skip)]
    now: Timestamp,
    /// Is the status of the process the verdict?
    #[serde(skip)]
    pub check: bool,
}

/// A session, or why there is none.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// The node; absent where it is none in particular.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The BGPPeer.
    pub peer: String,
    /// Where the BGPPeer says that the router is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_address: Option<String>,
    /// It should be up.
    pub expected: bool,
    /// It is up, as far as is known.
    pub up: bool,
    /// What the speaker says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<BGPSession>,
    /// Why there is none, or why what is said of it may not be so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Why>,
}

/// The sessions of `inventory` that `filter` asks for, as of `now`.
pub(super) fn peers(
    inventory: &Inventory,
    filter: &Filter,
    namespace: &str,
    now: Timestamp,
) -> anyhow::Result<Peers> {
    let parsed = parse(&inventory.objects);
    let wanted = Wanted::of(inventory, &parsed.config.peers, &parsed.refusals);
    let mut rows = Vec::new();
    for (node, labels) in wanted.nodes() {
        rows.extend(wanted.rows_of_node(&node, labels.as_ref(), namespace));
    }
    let nodes: BTreeSet<String> = wanted.nodes().into_keys().map(|node| node.to_string()).collect();
    rows.extend(wanted.rows_of_no_node(filter.node.as_deref()));
    if let Some(peer) = &filter.peer {
        let is_known = inventory.objects.bgp_peers.contains_key(peer);
        if !is_known && !rows.iter().any(|row| row.peer == *peer) {
            bail!(
                "there is no BGPPeer {peer} in namespace {namespace}, and no session with one of that name"
            );
        }
        rows.retain(|row| row.peer == *peer);
    }
    if let Some(node) = &filter.node {
        if !nodes.contains(node) {
            bail!("there is no Node {node}, and no BGPNodeStatus of that name in namespace {namespace}");
        }
        rows.retain(|row| row.node.as_ref().is_none_or(|of| of == node));
    }
    Ok(Peers {
        healthy: rows.iter().all(|row| row.up || !row.expected),
        sessions: rows,
        namespace: namespace.to_owned(),
        now,
        check: false,
    })
}

/// What there should be, beside what there is.
struct Wanted<'i> {
    inventory: &'i Inventory,
    in_force: BTreeMap<&'i str, &'i Peer>,
    set_aside: BTreeMap<&'i str, Vec<&'i ObjectRefusal>>,
}

impl<'i> Wanted<'i> {
    fn of(
        inventory: &'i Inventory,
        peers: &'i BTreeMap<PeerName, Peer>,
        refusals: &'i [ObjectRefusal],
    ) -> Self {
        let mut set_aside: BTreeMap<&str, Vec<&ObjectRefusal>> = BTreeMap::new();
        for refusal in refusals {
            if refusal.object.kind == Kind::BgpPeer && refusal.effect().sets_aside() {
                set_aside.entry(&refusal.object.name).or_default().push(refusal);
            }
        }
        Self {
            inventory,
            in_force: peers.iter().map(|(name, peer)| (name.as_str(), peer)).collect(),
            set_aside,
        }
    }

    /// Every node that is there or that something is reported of, and its labels if it is there.
    fn nodes(&self) -> BTreeMap<NodeName, Option<Labels>> {
        let reported = self.inventory.bgp_statuses.keys().map(|node| (node.clone(), None));
        let there =
            self.inventory.nodes.iter().map(|node| (node.name_any().as_str().into(), Some(labels(node))));
        reported.chain(there).collect()
    }

    /// What is reported of `node`, and what should be and is not.
    fn rows_of_node(&self, node: &NodeName, labels: Option<&Labels>, namespace: &str) -> Vec<Row> {
        let speaker = self.speaker_on(node);
        let (reported, unreadable) = match self.inventory.bgp_statuses.get(node) {
            Some(Stored::Readable(object)) => (object.status.clone().unwrap_or_default().sessions, None),
            Some(Stored::Unreadable { error, .. }) => (Vec::new(), Some(error.clone())),
            None => (Vec::new(), None),
        };
        let mut rows = BTreeMap::new();
        for session in reported {
            let peer = self.in_force.get(session.peer.as_str());
            let selects = peer.is_some_and(|peer| labels.is_none_or(|labels| peer.covers_node(labels)));
            let problem = match (speaker, peer) {
                (Speaker::Absent { .. } | Speaker::NotReady, _) => Some(Missing::LastSaid),
                (Speaker::Ready, None) => Some(Missing::PeerGone),
                (Speaker::Ready, Some(_)) => (!selects).then_some(Missing::NotSelected),
            };
            let row = Row {
                node: Some(node.to_string()),
                peer: session.peer.clone(),
                configured_address: peer.map(|peer| peer.endpoint.to_string()),
                expected: selects && speaker.is_expected(),
                up: session.state == BGPState::Established && speaker == Speaker::Ready,
                problem: problem.map(|problem| problem.why(Some(node), namespace)),
                session: Some(session),
            };
            rows.insert(row.peer.clone(), row);
        }
        for (name, peer) in &self.in_force {
            if rows.contains_key(*name) || !labels.is_some_and(|labels| peer.covers_node(labels)) {
                continue;
            }
            let problem = match (speaker, &unreadable) {
                (Speaker::Absent { .. }, _) => Missing::NoSpeaker,
                (Speaker::NotReady, _) => Missing::SpeakerNotReady,
                (Speaker::Ready, Some(error)) => Missing::Unreadable { error: error.clone() },
                (Speaker::Ready, None) => Missing::NotReported,
            };
            let row = Row {
                node: Some(node.to_string()),
                peer: (*name).to_owned(),
                configured_address: Some(peer.endpoint.to_string()),
                expected: speaker.is_expected(),
                up: false,
                session: None,
                problem: Some(problem.why(Some(node), namespace)),
            };
            rows.insert(row.peer.clone(), row);
        }
        rows.into_values().collect()
    }

    /// Peers that no node has a session with because of the peer itself. Of those that are set aside, the ones that may
    /// have something to say on `node`, if one is named.
    fn rows_of_no_node(&self, node: Option<&str>) -> Vec<Row> {
        let row = |name: &str, configured_address, expected, problem| Row {
            node: None,
            peer: name.to_owned(),
            configured_address,
            expected,
            up: false,
            session: None,
            problem: Some(problem),
        };
        let nodes = &self.inventory.nodes;
        let named = node.and_then(|node| nodes.iter().find(|object| object.name_any() == node));
        let mut rows = BTreeMap::new();
        for (name, refusals) in self.set_aside.iter().filter(|(name, _)| !self.in_force.contains_key(*name)) {
            let object = ObjectRef { kind: Kind::BgpPeer, name: (*name).to_owned() };
            let concerns = |node| self.inventory.objects.may_concern(&object, &labels(node));
            if named.is_none_or(concerns) {
                rows.insert(*name, row(name, self.as_written(name), true, missing::set_aside(refusals)));
            }
        }
        let problem = if nodes.is_empty() { Missing::NoNodes } else { Missing::SelectsNoNode };
        for (name, peer) in &self.in_force {
            let selects = |object| peer.covers_node(&labels(object));
            if node.is_none() && !nodes.iter().any(selects) {
                let address = Some(peer.endpoint.to_string());
                rows.insert(*name, row(name, address, false, problem.why(None, "")));
            }
        }
        rows.into_values().collect()
    }

    /// Where a peer that is not in force says that the router is.
    fn as_written(&self, peer: &str) -> Option<String> {
        match self.inventory.objects.bgp_peers.get(peer)? {
            Stored::Readable(peer) => peer.spec.peer_address.clone().or_else(|| peer.spec.interface.clone()),
            Stored::Unreadable { .. } => None,
        }
    }

    fn speaker_on(&self, node: &NodeName) -> Speaker {
        match &self.inventory.speakers {
            None => Speaker::Ready, // files do not say
            Some(ready) if ready.contains(node) => Speaker::Ready,
            Some(_) if self.inventory.speaker_pods.contains(node) => Speaker::NotReady,
            Some(_) => Speaker::Absent { everywhere: self.inventory.speaker_pods.is_empty() },
        }
    }
}

fn labels(node: &Node) -> Labels {
    node.metadata.labels.clone().unwrap_or_default()
}

/// What is known of the speaker of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    Ready,
    NotReady,
    /// There is no pod.
    Absent {
        /// Nor on any other node.
        everywhere: bool,
    },
}

impl Speaker {
    /// Should there be one? Whoever gives none of several nodes to speakers means it; a cluster without any does not.
    const fn is_expected(self) -> bool {
        match self {
            Self::Ready | Self::NotReady => true,
            Self::Absent { everywhere } => everywhere,
        }
    }
}

impl Answer for Peers {
    fn text(&self) -> String {
        table::narrow(self)
    }

    fn wide(&self) -> String {
        table::wide(self)
    }

    fn exit(&self) -> ExitCode {
        if self.healthy || !self.check { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
