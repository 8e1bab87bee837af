//! BGPSessionState of frr-k8s: how one session of this node stands, for tools that were made for frr-k8s.
//!
//! One object a session, written only where the cluster has that kind: it is frr-k8s' and not installed by us. Names,
//! labels and words are those of frr-k8s.
//!
//! Not here: the sessions ([`super::bgp_node_status::Sessions`]), and how objects are kept in line ([`super::reports`]).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Client, CustomResource};
use metallb_core::names::NodeName;
use metallb_core::shared::SharedMap;
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_protocols::{bfd, bgp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bgp_node_status::{Difference, Pace, Session, Sessions, until};
use super::reports::{self, Report, Voices};

const GROUP_VERSION: &str = "frrk8s.metallb.io/v1beta1";
const PLURAL: &str = "bgpsessionstates";
/// How often it is looked whether the cluster has the kind by now.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

const PEER: &str = "frrk8s.metallb.io/peer";
const VRF: &str = "frrk8s.metallb.io/vrf";

/// Empty: objects of this kind only report.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "frrk8s.metallb.io",
    version = "v1beta1",
    kind = "BGPSessionState",
    plural = "bgpsessionstates",
    namespaced,
    status = "BGPSessionStateStatus",
    derive = "Default",
    schema = "disabled"
)]
pub struct BGPSessionStateSpec {}

/// The session, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BGPSessionStateStatus {
    /// The state by RFC 4271's name.
    pub bgp_status: String,
    /// `Up`, `Down`, or `N/A` without BFD.
    pub bfd_status: String,
    /// The node.
    pub node: String,
    /// The router, written as in the label.
    pub peer: String,
    /// The VRF; empty for the default one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vrf: String,
}

/// A session, as the labels name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey {
    peer: String,
    vrf: String,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    state: bgp::session::State,
    bfd: Option<bfd::State>,
}

type Standings = SharedMap<SessionKey, Standing>;

/// Keeps the objects of `node` in `namespace` in line with `sessions` (`None`: not known yet) until their sender is
/// gone, from the moment on that the cluster has the kind.
pub async fn keep(
    client: Client,
    namespace: String,
    node: NodeName,
    owner: OwnerReference,
    mut sessions: watch::Receiver<Option<Sessions>>,
) {
    while !is_served(&client).await {
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = gone(&mut sessions) => return,
        }
    }
    let (sender, wanted) = watch::channel(None);
    tokio::join!(
        follow(sessions, sender),
        reports::keep::<BGPSessionState>(client, namespace, node, owner, wanted),
    );
}

/// Ends with the sender of the sessions.
async fn gone(sessions: &mut watch::Receiver<Option<Sessions>>) {
    while sessions.changed().await.is_ok() {}
}

async fn is_served(client: &Client) -> bool {
    let asked = client.list_api_group_resources(GROUP_VERSION);
    match tokio::time::timeout(REQUEST_TIMEOUT, asked).await {
        Ok(Ok(found)) => found.resources.iter().any(|resource| resource.name == PLURAL),
        // Not there, or not to be known: either way it is asked again.
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Hands on what is new about the sessions, no faster than is good for the API server.
async fn follow(mut sessions: watch::Receiver<Option<Sessions>>, wanted: watch::Sender<Option<Standings>>) {
    let mut pace = Pace::default();
    loop {
        let standings = sessions.borrow_and_update().as_ref().map(standings);
        let news = match (wanted.borrow().as_ref(), &standings) {
            (_, None) => Difference::None,
            (None, Some(_)) => Difference::News,
            (Some(said), Some(now)) => difference(said, now),
        };
        tokio::select! {
            changed = sessions.changed() => if changed.is_err() { return },
            () = until(pace.due(news)) => if let Some(standings) = standings {
                wanted.send_replace(Some(standings));
                pace.wrote(Instant::now(), true);
            }
        }
    }
}

fn standings(sessions: &Sessions) -> Standings {
    let one = |session: &Session| {
        let bfd = session.bfd.as_ref().map(|bfd| bfd.state);
        Some((key(session)?, Standing { state: session.state, bfd }))
    };
    sessions.values().filter_map(one).collect()
}

/// `None` for a session that nothing names.
fn key(session: &Session) -> Option<SessionKey> {
    let peer = match (&session.interface, session.address) {
        (Some(interface), _) => interface.to_string(),
        (None, Some(IpAddr::V4(address))) => address.to_string(),
        (None, Some(IpAddr::V6(address))) => expanded(address),
        (None, None) => return None,
    };
    Some(SessionKey { peer, vrf: session.vrf.as_ref().map(ToString::to_string).unwrap_or_default() })
}

/// All eight groups, and no colon: the value of a label has none.
fn expanded(address: Ipv6Addr) -> String {
    address.segments().map(|segment| format!("{segment:04x}")).join("-")
}

/// A session that is not established goes from state to state with every attempt.
fn difference(said: &Standings, now: &Standings) -> Difference {
    let of_note = |standings: &Standings| -> Vec<(SessionKey, bool, Option<&'static str>)> {
        let note = |(key, standing): (&SessionKey, &Standing)| {
            let up = standing.state == bgp::session::State::Established;
            (key.clone(), up, standing.bfd.map(bfd_word))
        };
        standings.iter().map(note).collect()
    };
    if said == now {
        Difference::None
    } else if of_note(said) == of_note(now) {
        Difference::Counts
    } else {
        Difference::News
    }
}

const fn bfd_word(state: bfd::State) -> &'static str {
    match state {
        bfd::State::Up => "Up",
        bfd::State::Down | bfd::State::Init | bfd::State::AdminDown => "Down",
    }
}

impl Report for BGPSessionState {
    type Subject = SessionKey;
    type Said = Standing;
    type Status = BGPSessionStateStatus;

    const FIELD_MANAGER: &'static str = "metallb-speaker-bgpsessionstate";
    const NODE_LABEL: &'static str = "frrk8s.metallb.io/node";
    const VOICES: Voices = Voices::EachNode;

    fn name_prefix(node: &NodeName) -> String {
        format!("{node}-")
    }

    fn labels(session: &SessionKey) -> Vec<(&'static str, String)> {
        vec![(PEER, session.peer.clone()), (VRF, session.vrf.clone())]
    }

    fn subject(label: impl Fn(&str) -> Option<String>) -> Option<SessionKey> {
        Some(SessionKey { peer: label(PEER)?, vrf: label(VRF)? })
    }

    fn status(node: &NodeName, session: &SessionKey, standing: &Standing) -> BGPSessionStateStatus {
        BGPSessionStateStatus {
            bgp_status: standing.state.name().to_owned(),
            bfd_status: standing.bfd.map_or("N/A", bfd_word).to_owned(),
            node: node.to_string(),
            peer: session.peer.clone(),
            vrf: session.vrf.clone(),
        }
    }

    fn found(&self) -> Option<&BGPSessionStateStatus> {
        self.status.as_ref()
    }

    fn object(metadata: ObjectMeta) -> Self {
        Self { metadata, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use metallb_protocols::bgp::session::State;

    use super::super::bgp_node_status::session::examples::{established, failing};
    use super::*;

    fn of(sessions: impl IntoIterator<Item = Session>) -> Standings {
        let named = sessions.into_iter().enumerate();
        standings(&named.map(|(n, session)| (format!("tor-{n}").as_str().into(), session)).collect())
    }

    #[test]
    fn a_session_is_told_in_the_words_of_frr_k8s() {
        let mut session = established();
        session.address = Some("2001:db8::1".parse().unwrap());
        session.vrf = Some("red".into());
        let said = of([session]);
        let (key, standing) = said.iter().next().unwrap();
        let labels = [
            ("frrk8s.metallb.io/peer", "2001-0db8-0000-0000-0000-0000-0000-0001".to_owned()),
            ("frrk8s.metallb.io/vrf", "red".to_owned()),
        ];
        assert_eq!(BGPSessionState::labels(key), labels);
        let status = BGPSessionState::status(&"n1".into(), key, standing);
        assert_eq!(
            serde_json::to_value(status).unwrap(),
            serde_json::json!({
                "bgpStatus": "Established", "bfdStatus": "Up", "node": "n1",
                "peer": "2001-0db8-0000-0000-0000-0000-0000-0001", "vrf": "red",
            })
        );
    }

    #[test]
    fn without_bfd_it_is_not_applicable_and_the_default_vrf_has_no_name() {
        let said = of([failing()]);
        let (key, standing) = said.iter().next().unwrap();
        let status = BGPSessionState::status(&"n1".into(), key, standing);
        assert_eq!((status.bfd_status.as_str(), status.vrf.as_str()), ("N/A", ""));
        assert_eq!(status.peer, "192.0.2.2");
    }

    #[test]
    fn an_unnumbered_session_is_named_by_its_interface_and_one_that_nothing_names_is_not_told() {
        let mut session = established();
        session.interface = Some("eth1".into());
        assert_eq!(of([session.clone()]).keys().next().unwrap().peer, "eth1");
        (session.interface, session.address) = (None, None);
        assert_eq!(of([session]), Standings::new());
    }

    #[test]
    fn news_are_that_a_session_comes_goes_or_changes_and_not_how_it_tries() {
        let trying = |state| of([Session { state, ..failing() }]);
        assert_eq!(difference(&trying(State::Active), &trying(State::Active)), Difference::None);
        assert_eq!(difference(&trying(State::Active), &trying(State::Connect)), Difference::Counts);
        assert_eq!(difference(&trying(State::Active), &trying(State::Established)), Difference::News);
        assert_eq!(difference(&of([]), &trying(State::Active)), Difference::News);
        let mut watched = established();
        let before = of([watched.clone()]);
        watched.bfd.as_mut().unwrap().state = bfd::State::Down;
        assert_eq!(difference(&before, &of([watched])), Difference::News);
    }
}
