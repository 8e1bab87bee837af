//! What goes to the BGP lane, and when: peers as soon as they are known, routes when all are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metallb_core::config::Password;
use metallb_core::names::PeerName;
use metallb_core::plan::{Leaving, PeerChanges};
use metallb_core::refusal::{PeerRefusal, Refusal as _};
use metallb_crds::config::Secret;

use super::*;
use crate::kube::configuration::KeyedSecret;

fn configured(change: Change) -> Input {
    Input::Configuration(Box::new(change))
}

fn peer(spec: &Value) -> Input {
    configured(Change::BgpPeer(Box::new(stored(spec))))
}

fn spec() -> Value {
    json!({ "myASN": 64500, "peerASN": 64512, "peerAddress": "192.0.2.1" })
}

fn secret(password: &str) -> Input {
    let keyed = KeyedSecret {
        shape: Secret { kind: PeerRefusal::SECRET_TYPE.to_owned(), keys: ["password".to_owned()].into() },
        password: Some(Password::new(password)),
    };
    configured(Change::Secret(listed([(("metallb-system".to_owned(), "key".to_owned()), keyed)])))
}

fn no_secrets() -> Input {
    configured(Change::Secret(listed([])))
}

/// All that BGP needs, in the order in which it is known whom to talk to before it is known what to say.
fn inputs(peer_spec: &Value) -> Vec<Input> {
    let node = Node { addresses: vec!["192.0.2.7".parse().unwrap()], ..Node::default() };
    vec![
        Input::Node(listed([("node-b".into(), node)])),
        configured(Change::Pool(stored(&json!({ "addresses": ["10.0.0.0/24"] })))),
        configured(Change::L2Advertisement(listed([]))),
        configured(Change::BgpAdvertisement(stored(&json!({})))),
        configured(Change::BfdProfile(listed([]))),
        configured(Change::Community(listed([]))),
        secret("first"),
        peer(peer_spec),
        Input::Service(listed([(key("web"), row(&[VIP]))])),
        Input::Slice(listed([(("default".to_owned(), "web-1".to_owned()), slice("web"))])),
    ]
}

fn empty() -> Facts {
    Facts::new("node-b".into(), false, true, Profile::Frr, PACE)
}

fn with(peer_spec: &Value) -> (Facts, Decided) {
    let mut facts = empty();
    for input in inputs(peer_spec) {
        facts.apply(input);
    }
    let decided = facts.decide_routes(Instant::now());
    (facts, decided)
}

fn lab() -> PeerName {
    "lab".into()
}

/// What the peer hears anew: prefixes, and whether they are there now.
fn heard(decided: &Decided) -> Vec<(String, bool)> {
    let changes = decided.routes.get(&lab()).into_iter().flat_map(|changes| &changes.routes);
    changes.map(|(prefix, now)| (prefix.to_string(), now.is_some())).collect()
}

fn password(decided: &Decided) -> Option<String> {
    let wanted = decided.peers.as_ref()?.get(&lab())?;
    let password = wanted.transport.password.as_ref()?;
    Some(String::from_utf8_lossy(password.reveal()).into_owned())
}

#[test]
fn sessions_begin_when_the_peers_are_known_and_routes_follow_when_all_are() {
    let mut facts = empty();
    let mut begun = None;
    for (position, input) in inputs(&spec()).into_iter().enumerate() {
        facts.apply(input);
        let Decided { peers, draining, routes, stand_ins: _ } = facts.decide_routes(Instant::now());
        assert_eq!(draining, None);
        match position {
            7 => begun = peers,
            9 => {
                let routes = &routes[&lab()];
                assert!(routes.complete, "who was told nothing yet is told all");
                assert_eq!(
                    routes.routes.keys().map(ToString::to_string).collect::<Vec<_>>(),
                    ["10.0.0.1/32"]
                );
            }
            _ => assert_eq!((peers, routes), (None, [].into()), "after input {position}"),
        }
    }
    let begun = begun.unwrap();
    let wanted = &begun[&lab()];
    assert_eq!(wanted.settings.router_id.to_string(), "192.0.2.7", "the node's own address");
    assert_eq!(facts.decide_routes(Instant::now()), Decided::default(), "and nothing is said twice");
}

#[test]
fn a_service_is_heard_by_the_peers_of_its_advertisements_and_says_so_once() {
    let (mut facts, _) = with(&spec());
    let (news, said) = facts.tell_routes();
    assert_eq!(news.protocol, Protocol::Bgp);
    assert_eq!(news.announced, [(key("web"), vip())].into());
    assert_eq!(news.happenings[0].message, "announcing from node \"node-b\" with protocol \"bgp\"");
    assert_eq!(said, Some([(key("web"), [lab()].into())].into()));
    let (news, said) = facts.tell_routes();
    assert_eq!((news.announced.len(), said), (0, None));

    facts.apply(Input::Slice(listed([])));
    assert_eq!(heard(&facts.decide_routes(Instant::now())), [("10.0.0.1/32".to_owned(), false)]);
    let (news, said) = facts.tell_routes();
    assert_eq!((news.withdrawn, said), ([(key("web"), vip())].into(), Some([].into())));
}

#[test]
fn a_password_follows_its_secret_and_outlives_it() {
    let named = json!({ "myASN": 64500, "peerASN": 64512, "peerAddress": "192.0.2.1", "passwordSecret": { "name": "key" } });
    let (mut facts, decided) = with(&named);
    assert_eq!(password(&decided).as_deref(), Some("first"));
    facts.apply(secret("second"));
    assert_eq!(password(&facts.decide_routes(Instant::now())).as_deref(), Some("second"));
    // The peer is told as set aside, and goes on as it was: a session without its password would be none.
    facts.apply(no_secrets());
    assert_eq!(facts.decide_routes(Instant::now()).peers, None);
    let mut started = empty();
    for input in inputs(&named) {
        started.apply(input);
    }
    started.apply(no_secrets());
    assert_eq!(
        started.decide_routes(Instant::now()).peers,
        Some([].into()),
        "without its password none begins"
    );
}

#[test]
fn what_becomes_of_other_nodes_is_no_business_of_routes() {
    let (mut facts, _) = with(&spec());
    facts.apply(Input::Node(Event::Applied("node-z".into(), Node::default())));
    facts.set_speakers(Some(all_alive()));
    facts.set_links(Instant::now(), links());
    assert_eq!(facts.decide_routes(Instant::now()), Decided::default());
}

#[test]
fn a_peer_that_is_new_hears_everything_and_one_that_goes_is_forgotten() {
    let (mut facts, _) = with(&spec());
    facts.apply(configured(Change::BgpPeer(Box::new(listed([])))));
    let decided = facts.decide_routes(Instant::now());
    assert_eq!((decided.peers, decided.routes), (Some([].into()), [].into()));
    facts.apply(peer(&spec()));
    let decided = facts.decide_routes(Instant::now());
    let PeerChanges { complete, routes } = &decided.routes[&lab()];
    assert_eq!((*complete, routes.len()), (true, 1));
}

/// What an earlier process said of its sessions is wrong then, and somebody has to know.
#[test]
fn that_there_is_no_peer_is_said_as_soon_as_it_is_known_and_once() {
    let mut facts = empty();
    for (position, input) in inputs(&spec()).into_iter().enumerate() {
        facts.apply(if position == 7 { configured(Change::BgpPeer(Box::new(listed([])))) } else { input });
        let known = (position == 7).then(BTreeMap::new);
        assert_eq!(facts.decide_routes(Instant::now()).peers, known, "after input {position}");
    }
}

/// What an earlier process said of its services stands until then.
#[test]
fn to_whom_services_are_announced_is_said_when_it_is_known_be_it_to_none() {
    let mut facts = empty();
    for (position, input) in inputs(&spec()).into_iter().enumerate() {
        facts.apply(if position == 8 { Input::Service(listed([])) } else { input });
        facts.decide_routes(Instant::now());
        let known = (position == 9).then(Heard::new);
        assert_eq!(facts.tell_routes().1, known, "after input {position}");
    }
    assert_eq!(facts.tell_routes().1, None, "and once");
}

/// Selected for this node while its password is missing, it is planned for and does not run: what was decided then must
/// not be lost to it.
#[test]
fn a_peer_that_begins_later_than_it_was_planned_for_hears_everything() {
    let labelled = |labels: &[&str]| {
        let labels = labels.iter().map(|label| ((*label).to_owned(), String::new())).collect();
        let addresses = vec!["192.0.2.7".parse().unwrap()];
        Input::Node(Event::Applied("node-b".into(), Node { addresses, labels, ..Node::default() }))
    };
    let mut spec = spec();
    spec["passwordSecret"] = json!({ "name": "key" });
    spec["nodeSelectors"] = json!([{ "matchExpressions": [{ "key": "edge", "operator": "Exists" }] }]);
    let (mut facts, _) = with(&spec);
    facts.apply(labelled(&["edge"]));
    assert!(facts.decide_routes(Instant::now()).peers.is_some());
    for input in [no_secrets(), labelled(&[]), labelled(&["edge"])] {
        facts.apply(input);
        facts.decide_routes(Instant::now());
    }
    facts.apply(secret("again"));
    let decided = facts.decide_routes(Instant::now());
    assert_eq!(password(&decided).as_deref(), Some("again"));
    assert!(decided.routes[&lab()].complete, "nothing reached it of what was decided before");
    assert_eq!(heard(&decided), [("10.0.0.1/32".to_owned(), true)]);
    assert_eq!(facts.decide_routes(Instant::now()), Decided::default(), "and nothing is said twice");
}

/// What a router keeps over a restart it gives up when it is told that this is all: by a peer that was told it.
#[test]
fn a_node_that_appears_late_is_told_all_routes_with_its_peers() {
    let mut facts = empty();
    for input in inputs(&spec()).into_iter().skip(1) {
        facts.apply(input);
    }
    facts.apply(Input::Node(listed([])));
    assert_eq!(facts.decide_routes(Instant::now()).peers, None, "nobody knows which are its peers");
    facts.apply(inputs(&spec()).remove(0));
    let decided = facts.decide_routes(Instant::now());
    assert_eq!(decided.peers.as_ref().map(BTreeMap::len), Some(1));
    assert!(decided.routes[&lab()].complete);
    assert_eq!(heard(&decided), [("10.0.0.1/32".to_owned(), true)]);
}

/// Marked first, withdrawn later, and back as they were when the node stays after all.
#[test]
fn a_node_that_leaves_marks_its_routes_before_it_withdraws_them() {
    let start = Instant::now();
    let (mut facts, _) = with(&spec());
    let leave = |leaving| Input::Node(Event::Applied("node-b".into(), Node { leaving, ..Node::default() }));
    facts.decide_routes(start);
    facts.tell_routes();
    facts.apply(leave(Some(Leaving::ShuttingDown)));
    let decided = facts.decide_routes(start);
    assert_eq!((decided.draining, heard(&decided)), (Some(true), vec![]));
    assert_eq!(facts.leaving().unwrap().code(), "node-leaving");
    let due = facts.poll_timeout().unwrap();
    assert_eq!(due, start + PACE.announcing);
    let decided = facts.decide_routes(due);
    assert_eq!((decided.draining, heard(&decided)), (None, vec![("10.0.0.1/32".to_owned(), false)]));
    assert!(!facts.has_left(due));
    assert!(facts.has_left(due + PACE.flows));
    facts.apply(leave(None));
    let decided = facts.decide_routes(due);
    assert_eq!((decided.draining, heard(&decided)), (Some(false), vec![("10.0.0.1/32".to_owned(), true)]));
    assert_eq!(facts.poll_timeout(), None);
}

#[test]
fn a_pod_that_is_killed_soon_withdraws_at_once() {
    let start = Instant::now();
    let (mut facts, _) = with(&spec());
    facts.decide_routes(start);
    facts.apply(Input::Node(Event::Deleted("node-b".into())));
    facts.hurry(start, start + Duration::from_secs(1));
    let Decided { peers, draining: _, routes, stand_ins: _ } = facts.decide_routes(start);
    assert_eq!(peers, None, "to whom it says goodbye are those it talked to");
    assert!(routes[&lab()].routes.values().all(Option::is_none), "all are withdrawn");
    assert_eq!(facts.leaving().unwrap().code(), "node-leaving");
    assert!(facts.has_left(start + Duration::from_secs(1)));
}
