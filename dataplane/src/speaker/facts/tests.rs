//! What follows from the facts, and that it follows once.

mod carrier;
mod memory;
mod moves;
mod routing;
mod stand_ins;
mod statuses;
mod sticky;

use metallb_core::config::Interfaces;
use metallb_core::plan::Endpoints;
use metallb_crds::config::Stored;
use metallb_protocols::ethernet::Mac;
use serde_json::{Value, json};

use super::*;
use crate::net::links::Link;
use crate::speaker::bgp::wanted::Profile;
use crate::speaker::departure::Pace;

const VIP: &str = "10.0.0.1"; // of node-a, node-b, node-c it elects node-b, then a, then c
const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

const PACE: Pace =
    Pace { announcing: std::time::Duration::from_secs(5), flows: std::time::Duration::from_secs(10) };

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn vip() -> IpAddr {
    VIP.parse().unwrap()
}

fn row(addresses: &[&str]) -> Row {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Row { service: Service { addresses, ..Service::default() }.into(), uid: None }
}

fn slice(service: &str) -> Slice {
    Slice { service: key(service), usable: Endpoints { anywhere: true, nodes: ["node-a".into()].into() } }
}

fn stored<K: serde::de::DeserializeOwned>(spec: &Value) -> Event<ObjectKey, Stored<K>> {
    let object = json!({ "metadata": { "name": "lab" }, "spec": spec });
    let stored = Stored::Readable(serde_json::from_value(object).unwrap());
    Event::Listed([(("metallb-system".into(), "lab".into()), stored)].into())
}

fn listed<K: Ord, V>(rows: impl IntoIterator<Item = (K, V)>) -> Event<K, V> {
    Event::Listed(rows.into_iter().collect())
}

/// Everything that node-b hears at its start, in the order of kinds.
fn inputs() -> Vec<Input> {
    let pod = |name: &&str| {
        let last = u8::try_from(NODES.iter().position(|node| node == name).unwrap()).unwrap();
        let peer =
            Peer { node: (*name).into(), address: [10, 77, 0, last].into(), ready: true, is_ours: true };
        (("metallb-system".to_owned(), (*name).to_owned()), peer)
    };
    vec![
        Input::Service(listed([(key("web"), row(&[VIP]))])),
        Input::Slice(listed([(("default".to_owned(), "web-1".to_owned()), slice("web"))])),
        Input::Node(listed(NODES.map(|name| (name.into(), Node::default())))),
        Input::Configuration(Box::new(Change::Pool(stored(&json!({ "addresses": ["10.0.0.0/24"] }))))),
        Input::Configuration(Box::new(Change::L2Advertisement(stored(&json!({}))))),
        Input::Pod(listed(NODES.iter().map(pod))),
    ]
}

fn links() -> Links {
    let link = |name: &str, mac| Link {
        name: name.into(),
        arp: mac,
        ndp: mac,
        carrier: mac.is_some(),
        networks: [].into(),
    };
    Links::from([(2, link("eth0", Some(Mac([2; 6])))), (3, link("eth1", None))])
}

/// Everything that one round brings: tables, if new; news; statuses, if new.
struct Outcome {
    tables: Option<Tables>,
    news: News,
    statuses: Option<Announced>,
}

fn round(facts: &mut Facts) -> Outcome {
    let tables = facts.decide(Instant::now());
    let (news, statuses) = facts.tell();
    Outcome { tables, news, statuses }
}

fn all_alive() -> Speakers {
    Speakers::Alive(NODES.map(Into::into).into())
}

/// A node with all lists in, every speaker alive, and its first outcome.
fn ready_on(node: &str) -> (Facts, Outcome) {
    let mut facts = Facts::new(node.into(), false, true, Profile::Native, PACE);
    facts.set_speakers(Some(all_alive()));
    facts.set_links(Instant::now(), links());
    for input in inputs() {
        facts.apply(input);
    }
    let outcome = round(&mut facts);
    (facts, outcome)
}

fn ready() -> (Facts, Outcome) {
    ready_on("node-b")
}

fn reasons(outcome: &Outcome) -> Vec<&'static str> {
    outcome.news.happenings.iter().map(|happening| happening.reason).collect()
}

/// What an earlier process said of its services stands until then.
#[test]
fn what_is_announced_here_is_said_when_it_is_known_be_it_nothing() {
    let mut facts = Facts::new("node-c".into(), false, true, Profile::Native, PACE);
    facts.set_links(Instant::now(), links());
    for input in inputs() {
        facts.apply(input);
        assert_eq!(round(&mut facts).statuses, None);
    }
    facts.set_speakers(Some(all_alive()));
    assert_eq!(round(&mut facts).statuses, Some(Announced::new()), "another node has it");
    assert_eq!(round(&mut facts).statuses, None, "and once");
}

#[test]
fn until_every_list_is_in_nothing_is_announced_and_others_must_not_count_on_it() {
    for missing in 0..inputs().len() {
        let mut facts = Facts::new("node-b".into(), false, true, Profile::Native, PACE);
        facts.set_speakers(Some(all_alive()));
        facts.set_links(Instant::now(), links());
        for (position, input) in inputs().into_iter().enumerate() {
            if position != missing {
                facts.apply(input);
            }
        }
        let tables = facts.decide(Instant::now()).unwrap_or_default();
        assert_eq!((tables.phase, tables.announced.len()), (Phase::Starting, 0), "without input {missing}");
    }
}

#[test]
fn until_the_lane_knows_who_lives_nothing_is_announced() {
    let mut facts = Facts::new("node-a".into(), false, true, Profile::Native, PACE);
    facts.set_links(Instant::now(), links());
    for input in inputs() {
        facts.apply(input);
    }
    facts.set_speakers(None);
    let tables = facts.decide(Instant::now()).unwrap();
    assert_eq!((tables.phase, tables.announced.len()), (Phase::Starting, 0));
    assert!(tables.peers.is_some(), "the lane hears of the peers all the same");
    facts.set_speakers(Some(all_alive()));
    assert_eq!(
        facts.decide(Instant::now()).unwrap().announced.len(),
        0,
        "node-b is alive, and has the address"
    );
}

#[test]
fn the_elected_node_announces_tells_and_reports() {
    let (_, outcome) = ready();
    let tables = outcome.tables.as_ref().unwrap();
    assert_eq!(tables.phase, Phase::Serving);
    assert_eq!(tables.announced, [(vip(), Interfaces::All)].into());
    assert_eq!(tables.stations.keys().collect::<Vec<_>>(), [&2], "eth1 answers no ARP");
    assert_eq!(tables.peers.as_ref().map(|peers| peers.len()), Some(3));
    assert_eq!(*tables.ready, NODES.map(NodeName::from).into());
    assert_eq!(
        outcome.news.happenings[0].message,
        "announcing from node \"node-b\" with protocol \"layer2\""
    );
    assert_eq!(reasons(&outcome), ["nodeAssigned"]);
    assert_eq!(outcome.news.announced, [(key("web"), vip())].into());
    let said = outcome.statuses.unwrap();
    assert_eq!(said.get(&key("web")).unwrap().interfaces, Interfaces::All);
}

#[test]
fn nothing_new_is_nothing_said() {
    let (mut facts, _) = ready();
    for input in inputs() {
        facts.apply(input);
    }
    let outcome = round(&mut facts);
    assert_eq!(
        (outcome.tables.is_some(), outcome.news, outcome.statuses),
        (
            false,
            News {
                protocol: Protocol::Layer2,
                happenings: vec![],
                announced: [].into(),
                withdrawn: [].into()
            },
            None
        )
    );
}

#[test]
fn without_heartbeats_the_pods_of_the_speakers_do_not_matter() {
    let mut facts = Facts::new("node-b".into(), false, false, Profile::Native, PACE);
    facts.set_speakers(Some(Speakers::EveryNode));
    facts.set_links(Instant::now(), links());
    for input in inputs().into_iter().take(5) {
        facts.apply(input);
    }
    assert_eq!(facts.decide(Instant::now()).unwrap().announced.len(), 1);
}

#[test]
fn who_loses_an_address_withdraws_it_everywhere() {
    let (mut facts, _) = ready();
    facts.apply(Input::Slice(Event::Deleted(("default".into(), "web-1".into()))));
    let outcome = round(&mut facts);
    assert_eq!(outcome.tables.unwrap().announced.len(), 0);
    assert_eq!(outcome.news.withdrawn, [(key("web"), vip())].into());
    assert_eq!(outcome.statuses, Some([].into()));
    assert_eq!(outcome.news.happenings, [], "withdrawals have no event, as upstream");
}

#[test]
fn the_death_of_the_owner_moves_its_address_here() {
    let (mut facts, outcome) = ready_on("node-a");
    assert_eq!(outcome.tables.unwrap().announced.len(), 0);
    facts.set_speakers(Some(Speakers::Alive(["node-a".into(), "node-c".into()].into())));
    let outcome = round(&mut facts);
    assert_eq!(outcome.tables.as_ref().unwrap().announced.len(), 1);
    assert_eq!(reasons(&outcome), ["nodeAssigned"]);
}

#[test]
fn services_that_share_an_address_are_told_the_same() {
    let (mut facts, _) = ready();
    facts.apply(Input::Service(Event::Applied(key("dns"), row(&[VIP]))));
    facts.apply(Input::Slice(Event::Applied(("default".into(), "dns-1".into()), slice("dns"))));
    let outcome = round(&mut facts);
    assert_eq!(
        outcome.news.happenings[0].message,
        "announcing from node \"node-b\" with protocol \"layer2\""
    );
    assert!(outcome.tables.is_none(), "the wire sees no difference");
}

#[test]
fn interfaces_that_do_not_exist_here_are_said_to_be_missing_and_nothing_is_announced() {
    let (mut facts, _) = ready();
    let advertisement = stored(&json!({ "interfaces": ["nowhere"] }));
    facts.apply(Input::Configuration(Box::new(Change::L2Advertisement(advertisement))));
    let outcome = round(&mut facts);
    assert_eq!(reasons(&outcome), ["announceFailed"]);
    let expected = "the interfaces specified by LB IP \"10.0.0.1\" doesn't exist in assigned node \"node-b\" with protocol \"layer2\"";
    assert_eq!(outcome.news.happenings[0].message, expected);
    assert_eq!(outcome.tables.unwrap().announced.len(), 0);
    assert_eq!(outcome.statuses, Some([].into()));
}

#[test]
fn a_speaker_that_ended_or_has_no_address_yet_is_no_peer() {
    let pod = |status: Value| {
        let pod = json!({ "metadata": {}, "spec": { "nodeName": "n1", "containers": [] }, "status": status });
        Peer::of(&serde_json::from_value(pod).unwrap())
    };
    let peer = |ready| Peer { node: "n1".into(), address: [10, 77, 0, 11].into(), ready, is_ours: false };
    assert_eq!(pod(json!({ "phase": "Running", "podIP": "10.77.0.11" })), Some(peer(false)));
    for (status, ready) in [("True", true), ("False", false), ("Unknown", false)] {
        let conditions = [
            json!({ "type": "Initialized", "status": "True" }),
            json!({ "type": "Ready", "status": status }),
        ];
        let running = json!({ "phase": "Running", "podIP": "10.77.0.11", "conditions": conditions });
        assert_eq!(pod(running), Some(peer(ready)), "{status}");
    }
    assert_eq!(pod(json!({ "phase": "Pending" })), None);
    assert_eq!(pod(json!({ "phase": "Failed", "podIP": "10.77.0.11" })), None);
}

#[test]
fn a_speaker_is_ours_by_its_annotation_and_one_that_is_to_end_is_not_ready() {
    let pod = |metadata: Value| {
        let conditions = [json!({ "type": "Ready", "status": "True" })];
        let status = json!({ "phase": "Running", "podIP": "10.77.0.11", "conditions": conditions });
        let pod = json!({ "metadata": metadata, "spec": { "nodeName": "n1" }, "status": status });
        let peer = Peer::of(&serde_json::from_value(pod).unwrap()).unwrap();
        (peer.is_ours, peer.ready)
    };
    assert_eq!(pod(json!({})), (false, true));
    assert_eq!(pod(json!({ "annotations": { "metallb.io/implementation": "rust" } })), (true, true));
    assert_eq!(pod(json!({ "annotations": { "metallb.io/implementation": "go" } })), (false, true));
    assert_eq!(pod(json!({ "deletionTimestamp": "2026-11-22T00:00:00Z" })), (false, false));
}

#[test]
fn heartbeats_go_to_ours_and_upstreams_are_told_apart_as_long_as_they_are_ready() {
    let (mut facts, _) = ready();
    let mut upstreams = |ready| {
        let peer = Peer { node: "node-c".into(), address: [10, 77, 0, 2].into(), ready, is_ours: false };
        facts.apply(Input::Pod(Event::Applied(("metallb-system".into(), "node-c".into()), peer)));
        let tables = facts.decide(Instant::now()).unwrap();
        (tables.peers.unwrap().contains_key(&NodeName::from("node-c")), tables.upstream.len())
    };
    assert_eq!(upstreams(true), (false, 1));
    assert_eq!(upstreams(false), (false, 0));
}

#[test]
fn the_state_says_what_is_waited_for_and_why_an_address_is_not_announced_here() {
    let mut facts = Facts::new("node-a".into(), false, true, Profile::Native, PACE);
    assert_eq!(facts.state(&[].into(), &[].into())["waitsFor"].as_array().unwrap().len(), 8);
    for input in inputs() {
        facts.apply(input);
    }
    facts.set_links(Instant::now(), links());
    facts.set_speakers(Some(Speakers::EveryNode));
    facts.decide(Instant::now());
    let state = facts.state(&[].into(), &[].into());
    assert_eq!(
        (&state["ready"], &state["waitsFor"]),
        (&json!(true), &json!(["BGPPeers and what they refer to"]))
    );
    let address = &state["addresses"][0];
    assert_eq!((&address["address"], &address["owner"]), (&json!(VIP), &json!("node-b")));
    assert_eq!(address["announcedHere"], false);
    assert_eq!(address["services"][0]["refusal"]["code"], "not-owner");
    assert_eq!(state["alive"], Value::Null, "nobody watches");
    facts.set_speakers(Some(alive(&["node-a", "node-b"])));
    facts.decide(Instant::now());
    assert_eq!(facts.state(&[].into(), &[].into())["alive"], json!(["node-a", "node-b"]));
}

fn alive(nodes: &[&str]) -> Speakers {
    Speakers::Alive(nodes.iter().map(|node| (*node).into()).collect())
}

/// The nodes with an address each.
fn addressed() -> Input {
    let node = |last: u8| Node { addresses: vec![[10, 77, 0, last].into()], ..Node::default() };
    Input::Node(listed(NODES.iter().zip(0..).map(|(name, last)| ((*name).into(), node(last)))))
}

fn inherited(facts: &Facts) -> Option<(String, IpAddr)> {
    let predecessor = facts.tables.inherited.get(&vip())?;
    Some((predecessor.node.to_string(), predecessor.address))
}

#[test]
fn what_a_silent_speaker_announced_is_inherited_from_its_node_until_it_is_back() {
    let (mut facts, _) = ready_on("node-a");
    facts.apply(addressed());
    round(&mut facts);
    assert_eq!(inherited(&facts), None);
    facts.set_speakers(Some(alive(&["node-a", "node-c"])));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.announced.contains_key(&vip()));
    assert_eq!(inherited(&facts), Some(("node-b".to_owned(), [10, 77, 0, 1].into())));
    let state = facts.state(&[].into(), &[].into());
    assert_eq!(state["addresses"][0]["inheritedFrom"], "node-b");
    facts.set_speakers(Some(all_alive()));
    let tables = round(&mut facts).tables.unwrap();
    assert_eq!((tables.announced.len(), tables.inherited.len()), (0, 0));
    assert!(tables.moved.contains(&vip()), "it went to another node");
}

/// node-b may not announce any more.
fn excluded() -> Node {
    let label = ("node.kubernetes.io/exclude-from-external-load-balancers".to_owned(), String::new());
    Node { addresses: vec![[10, 77, 0, 1].into()], labels: [label].into(), ..Node::default() }
}

#[test]
fn what_a_living_node_gives_up_is_announced_when_that_one_says_so() {
    let (mut facts, _) = ready_on("node-a");
    facts.apply(addressed());
    facts.apply(Input::Node(Event::Applied("node-b".into(), excluded())));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.announced.contains_key(&vip()) && tables.awaited.contains(&vip()));
    assert_eq!(inherited(&facts), None, "its speaker lives");
    facts.apply(addressed());
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.awaited.is_empty() && tables.heirs.contains_key(&vip()), "and the other way round");
}

#[test]
fn what_a_living_node_cannot_forward_is_announced_at_once() {
    let (mut facts, _) = ready_on("node-a");
    facts.apply(addressed());
    let cut_off = Node { network_unavailable: true, ..excluded() };
    facts.apply(Input::Node(Event::Applied("node-b".into(), cut_off)));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.announced.contains_key(&vip()) && tables.awaited.is_empty());
}

#[test]
fn an_address_moves_away_only_while_somebody_else_has_it() {
    let (mut facts, _) = ready();
    facts.apply(addressed());
    facts.apply(Input::Node(Event::Applied("node-b".into(), excluded())));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.moved.contains(&vip()));
    assert_eq!(*tables.heirs, [(vip(), [10, 77, 0, 0].into())].into(), "node-a is told of");
    facts.apply(Input::Service(Event::Deleted(key("web"))));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.moved.is_empty() && tables.heirs.is_empty(), "the service is gone");
}

#[test]
fn only_an_address_that_appears_while_this_speaker_watches_and_that_nobody_had_is_new() {
    let (mut facts, outcome) = ready();
    assert_eq!(*outcome.tables.unwrap().new, [].into(), "who knows who had it before this speaker started");
    let row = facts.services.get(&key("web")).unwrap().clone();
    let change = |facts: &mut Facts, row: Option<Row>| {
        let event = match row {
            Some(row) => Event::Applied(key("web"), row),
            None => Event::Deleted(key("web")),
        };
        facts.apply(Input::Service(event));
        facts.decide(Instant::now()).unwrap()
    };
    change(&mut facts, None);
    assert_eq!(*change(&mut facts, Some(row)).new, [vip()].into(), "its service is another one");
    facts.set_speakers(Some(Speakers::Alive(["node-a".into(), "node-b".into()].into())));
    let without = |facts: &mut Facts, endpoints: bool| {
        let inputs = inputs();
        let slice = inputs.into_iter().find(|input| matches!(input, Input::Slice(_)));
        facts.apply(if endpoints { slice.unwrap() } else { Input::Slice(Event::Listed([].into())) });
        facts.decide(Instant::now()).unwrap()
    };
    without(&mut facts, false);
    assert_eq!(*without(&mut facts, true).new, [].into(), "this node had it a moment ago");
}
