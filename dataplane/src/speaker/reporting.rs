//! How the sessions stand, brought to the objects and events that people read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_core::config::{Endpoint, RemoteAs};
use metallb_core::names::{NodeName, PeerName};
use metallb_process::events::{Happening, Severity};
use tokio::sync::watch;

use super::bgp::seen::{PeerSeen, Seen};
use crate::kube::bgp_node_status::{BfdSession, Prefixes, Session, SessionError, Sessions};

/// Passes on how the sessions stand, for as long as there is a lane.
pub async fn pass_on(mut seen: watch::Receiver<Seen>, sessions: watch::Sender<Option<Sessions>>) {
    while seen.changed().await.is_ok() {
        let all = seen.borrow_and_update().clone();
        let all = all.iter().map(|(peer, seen)| (peer.clone(), session(seen)));
        sessions.send_replace(Some(all.collect()));
    }
}

fn session(seen: &PeerSeen) -> Session {
    let asn = match seen.remote {
        RemoteAs::Number(asn) => Some(asn),
        RemoteAs::Internal | RemoteAs::External => None,
    };
    let count = |prefixes: usize| u32::try_from(prefixes).unwrap_or(u32::MAX);
    let agreed = seen.agreed.as_ref();
    Session {
        address: seen.address.map(|address| address.ip()),
        interface: match &seen.endpoint {
            Endpoint::Address(_) => None,
            Endpoint::Interface(interface) => Some(interface.clone()),
        },
        port: seen.port,
        vrf: seen.vrf.clone(),
        state: seen.state,
        since: seen.since,
        flaps: seen.flaps,
        last_error: seen.last_failure.as_ref().map(|last| SessionError {
            code: last.code,
            message: last.text.clone(),
            time: last.at,
        }),
        prefixes: Prefixes {
            announced: count(seen.announced),
            pending: count(seen.pending),
            unsendable: count(seen.unsendable),
        },
        local_asn: seen.local_asn,
        remote_asn: agreed.map(|agreed| agreed.asn).or(asn),
        router_id: Some(seen.router_id),
        families: agreed.map(|agreed| agreed.families.clone()).unwrap_or_default(),
        graceful_restart: agreed.is_some_and(|agreed| agreed.graceful_restart),
        bfd: seen.bfd.as_ref().map(|bfd| BfdSession {
            state: bfd.state,
            since: bfd.since,
            profile: bfd.profile.clone(),
            last_down: bfd.last_down,
        }),
    }
}

/// What events have said of the sessions, so that only changes are said.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<PeerName, Stand>);

/// What matters of a session to who reads events.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stand {
    is_up: bool,
    flaps: u64,
    failure: Option<&'static str>,
}

impl Told {
    /// What is new about the sessions of `node`. `reference` gives the BGPPeer that an event belongs to.
    pub fn tell(
        &mut self,
        node: &NodeName,
        seen: &Seen,
        reference: impl Fn(&PeerName) -> Option<ObjectReference>,
    ) -> Vec<Happening> {
        self.0.retain(|peer, _| seen.contains_key(peer));
        let mut happenings = Vec::new();
        for (peer, seen) in seen {
            let failure = seen.last_failure.as_ref();
            let now = Stand {
                is_up: seen.is_up(),
                flaps: seen.flaps,
                failure: failure.map(|failure| failure.code),
            };
            let before = self.0.insert(peer.clone(), now.clone());
            if before.as_ref() == Some(&now) {
                continue;
            }
            let Some(regarding) = reference(peer) else { continue };
            let was_up = before.as_ref().is_some_and(|before| before.is_up);
            let flapped = before.as_ref().is_some_and(|before| before.flaps != now.flaps);
            let why = failure.map_or("", |failure| failure.text.as_str());
            let mut say = |severity, reason, message| {
                let regarding = regarding.clone();
                happenings.push(Happening { regarding, severity, reason, message });
            };
            if flapped {
                say(Severity::Warning, "SessionDown", format!("BGP session of node \"{node}\" ended: {why}"));
            }
            if now.is_up && (!was_up || flapped) {
                say(Severity::Normal, "SessionUp", format!("BGP session of node \"{node}\" is established"));
            }
            let fails = before.is_none_or(|before| before.failure != now.failure);
            if !now.is_up && !flapped && fails && now.failure.is_some() {
                say(Severity::Warning, "SessionFailed", format!("node \"{node}\" has no BGP session: {why}"));
            }
        }
        happenings
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metallb_protocols::bgp::session::State;

    use super::*;

    fn seen(state: State, flaps: u64, code: Option<&'static str>) -> Seen {
        [("tor".into(), Arc::new(PeerSeen::example(state, flaps, code)))].into()
    }

    #[test]
    fn events_tell_when_a_session_comes_and_goes_and_why_it_does_not_come() {
        let mut told = Told::default();
        let mut reasons = |seen: Seen| {
            let happenings = told.tell(&"node-1".into(), &seen, |_| Some(ObjectReference::default()));
            happenings.into_iter().map(|happening| (happening.reason, happening.message)).collect::<Vec<_>>()
        };
        let down = |why| ("SessionDown", format!("BGP session of node \"node-1\" ended: text of {why}"));
        let failed = |why| ("SessionFailed", format!("node \"node-1\" has no BGP session: text of {why}"));
        let up = || ("SessionUp", "BGP session of node \"node-1\" is established".to_owned());
        assert_eq!(reasons(seen(State::Idle, 0, None)), []);
        assert_eq!(reasons(seen(State::Connect, 0, Some("no-answer"))), [failed("no-answer")]);
        assert_eq!(reasons(seen(State::Active, 0, Some("no-answer"))), []);
        assert_eq!(reasons(seen(State::OpenSent, 0, Some("wrong-asn"))), [failed("wrong-asn")]);
        assert_eq!(reasons(seen(State::Established, 0, Some("wrong-asn"))), [up()]);
        assert_eq!(reasons(seen(State::Established, 0, Some("wrong-asn"))), []);
        assert_eq!(reasons(seen(State::Idle, 1, Some("ended"))), [down("ended")]);
        assert_eq!(reasons(seen(State::Established, 1, Some("ended"))), [up()]);
        // Down and up again between two looks.
        assert_eq!(reasons(seen(State::Established, 2, Some("ended"))), [down("ended"), up()]);
    }
}
