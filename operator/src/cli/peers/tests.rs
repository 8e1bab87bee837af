//! Sessions, as they are told.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::args::Format;
use super::super::documents;
use super::super::output::render;
use super::*;

const NAMESPACE: &str = "metallb-system";

fn inventory(text: &str) -> Inventory {
    let mut parsed = Vec::new();
    documents::parse("x.yaml", text, &mut parsed).unwrap();
    Inventory::of(&parsed, NAMESPACE).unwrap()
}

fn told_of(inventory: &Inventory, filter: &Filter) -> Peers {
    let now = "2027-01-15T08:00:00Z".parse().unwrap();
    peers(inventory, filter, NAMESPACE, now).unwrap()
}

fn told(text: &str) -> Peers {
    told_of(&inventory(text), &Filter::default())
}

/// Node, peer, whether it should be and is up, and the code of the problem.
fn outline(peers: &Peers) -> Vec<Value> {
    let row = |row: &Row| {
        json!([row.node, row.peer, row.expected, row.up, row.problem.as_ref().map(|why| &why.code)])
    };
    peers.sessions.iter().map(row).collect()
}

fn node(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{name: {name}}}}}\n")
}

fn peer(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {{name: {name}}}\n\
         spec: {{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.{}{more}}}\n",
        name.len()
    )
}

/// The status of a node with these sessions.
fn status(node: &str, sessions: &[Value]) -> String {
    let object = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "BGPNodeStatus", "metadata": { "name": node },
        "status": { "node": node, "sessions": sessions },
    });
    format!("---\n{object}\n")
}

fn established(peer: &str) -> Value {
    json!({
        "peer": peer, "address": "192.0.2.1", "port": 179, "state": "Established",
        "since": "2027-01-14T20:00:00Z", "prefixes": { "announced": 12 }, "localASN": 64512, "remoteASN": 64513,
        "routerID": "10.0.0.1", "families": ["ipv4", "ipv6"], "gracefulRestart": true,
    })
}

fn active(peer: &str) -> Value {
    json!({
        "peer": peer, "address": "2001:db8::1", "port": 1179, "vrf": "red", "state": "Active", "flaps": 2,
        "since": "2027-01-15T07:56:30Z", "prefixes": { "announced": 0, "pending": 11, "unsendable": 1 },
        "localASN": 64512,
        "lastError": {
            "code": "no-answer", "time": "2027-01-15T07:59:30Z",
            "message": "the router did not answer: it is down, spec.peerAddress is wrong, or a firewall drops the packets",
        },
        "bfd": {
            "state": "Down", "since": "2027-01-15T07:56:30Z", "profile": "fast",
            "lastDown": "nothing was heard from the router for the detection time",
        },
    })
}

fn a_cluster() -> String {
    let mut back = established("tor-1");
    back["lastError"] = json!({
        "code": "hold-timer-expired", "time": "2027-01-14T19:59:00Z", "message": "nothing was heard",
    });
    back["bfd"] = json!({ "state": "Up", "since": "2027-01-14T20:00:00Z", "profile": "fast" });
    [
        node("n1"),
        node("n2"),
        peer("tor-1", ""),
        peer("router-2", ""),
        peer("nowhere", ", nodeSelectors: [{matchLabels: {name: n9}}]"),
        peer("wrong", ", dynamicASN: external"),
        status("n1", &[back, active("router-2")]),
        status("n2", &[established("tor-1")]),
    ]
    .concat()
}

#[test]
fn the_table_has_a_line_for_every_session_and_for_every_one_that_is_missing() {
    insta::assert_snapshot!(told(&a_cluster()).text());
}

#[test]
fn the_wide_table_cuts_nothing() {
    insta::assert_snapshot!(told(&a_cluster()).wide());
}

#[test]
fn programs_are_told_what_the_speaker_says_and_what_is_missing() {
    let answer = render(&told(&a_cluster()), Format::Json).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["healthy"], false);
    let rows = answer["sessions"].as_array().unwrap();
    assert_eq!((&rows[0]["node"], &rows[0]["peer"]), (&json!("n1"), &json!("router-2")));
    assert_eq!(rows[0]["session"]["since"], "2027-01-15T07:56:30Z");
    assert_eq!(rows[0]["session"]["lastError"]["code"], "no-answer");
    assert_eq!((&rows[0]["expected"], &rows[0]["up"]), (&json!(true), &json!(false)));
    let wrong = rows.iter().find(|row| row["peer"] == "wrong").unwrap();
    assert_eq!(wrong["problem"]["code"], "peer-with-two-asns");
    assert!(wrong["problem"]["fix"].is_string() && wrong.get("node").is_none(), "{wrong}");
}

#[test]
fn without_peers_and_sessions_it_says_so_and_all_is_well() {
    let nothing = told(&node("n1"));
    assert_eq!(
        nothing.text(),
        "there is no BGPPeer in namespace metallb-system, and no node reports a session\n"
    );
    assert!(nothing.healthy);
    assert_eq!(nothing.wide(), nothing.text());
}

#[test]
fn only_a_check_makes_a_session_that_is_down_the_status_of_the_process() {
    let mut unwell = told(&a_cluster());
    assert_eq!(unwell.exit(), ExitCode::SUCCESS);
    unwell.check = true;
    assert_eq!(unwell.exit(), ExitCode::FAILURE);
    let mut well = told(&[node("n1"), peer("tor-1", ""), status("n1", &[established("tor-1")])].concat());
    well.check = true;
    assert_eq!(well.exit(), ExitCode::SUCCESS);
}

#[test]
fn a_peer_that_selects_no_node_is_told_and_is_no_failure_and_one_that_is_set_aside_is() {
    let nowhere = told(&[node("n1"), peer("tor-1", ", nodeSelectors: [{matchLabels: {name: n9}}]")].concat());
    assert_eq!(outline(&nowhere), [json!([null, "tor-1", false, false, "selects-no-node"])]);
    assert!(nowhere.healthy);
    assert_eq!(outline(&told(&peer("tor-1", ""))), [json!([null, "tor-1", false, false, "no-nodes"])]);
    let wrong = told(&[node("n1"), peer("tor-1", ", dynamicASN: external")].concat());
    assert_eq!(outline(&wrong), [json!([null, "tor-1", true, false, "peer-with-two-asns"])]);
    assert!(!wrong.healthy);
}

/// Three nodes with one peer: n1's speaker is ready, n2's is not, n3 has none.
fn live(sessions: &str) -> Inventory {
    let text = [node("n1"), node("n2"), node("n3"), peer("tor-1", ""), sessions.to_owned()].concat();
    let mut inventory = inventory(&text);
    inventory.speakers = Some(["n1".into()].into());
    inventory.speaker_pods = ["n1".into(), "n2".into()].into();
    inventory
}

#[test]
fn a_session_that_no_speaker_reports_is_told_with_how_the_speaker_is() {
    let missing = told_of(&live(""), &Filter::default());
    assert_eq!(
        outline(&missing),
        [
            json!(["n1", "tor-1", true, false, "not-reported"]),
            json!(["n2", "tor-1", true, false, "speaker-not-ready"]),
            json!(["n3", "tor-1", false, false, "no-speaker"]),
        ]
    );
    let mut nowhere = live("");
    (nowhere.speakers, nowhere.speaker_pods) = (Some(BTreeSet::new()), BTreeSet::new());
    let missing = told_of(&nowhere, &Filter::default());
    assert!(
        missing.sessions.iter().all(|row| row.expected),
        "a cluster without any speaker is not meant to be"
    );
}

#[test]
fn what_a_speaker_said_that_is_not_ready_any_more_counts_for_nothing() {
    let sessions = ["n1", "n2", "n3"].map(|node| status(node, &[established("tor-1")])).concat();
    assert_eq!(
        outline(&told_of(&live(&sessions), &Filter::default())),
        [
            json!(["n1", "tor-1", true, true, null]),
            json!(["n2", "tor-1", true, false, "last-said"]),
            json!(["n3", "tor-1", false, false, "last-said"]),
        ]
    );
}

#[test]
fn a_session_without_a_peer_or_on_a_node_that_the_peer_does_not_select_is_told_and_not_expected() {
    let only_n1 = ", nodeSelectors: [{matchLabels: {name: n1}}]";
    let sessions = [established("gone"), established("tor-1")];
    let stale = told(&[node("n1"), node("n2"), peer("tor-1", only_n1), status("n2", &sessions)].concat());
    assert_eq!(
        outline(&stale),
        [
            json!(["n1", "tor-1", true, false, "not-reported"]),
            json!(["n2", "gone", false, true, "peer-not-in-force"]),
            json!(["n2", "tor-1", false, true, "node-not-selected"]),
        ]
    );
}

#[test]
fn a_status_that_cannot_be_read_is_told_of_its_node_and_hides_no_other() {
    let mut broken = established("tor-1");
    broken["port"] = "bgp".into();
    let text = [
        node("n1"),
        node("n2"),
        peer("tor-1", ""),
        status("n1", &[broken]),
        status("n2", &[established("tor-1")]),
    ];
    let unreadable = told(&text.concat());
    assert_eq!(
        outline(&unreadable),
        [json!(["n1", "tor-1", true, false, "status-unreadable"]), json!(["n2", "tor-1", true, true, null])]
    );
    let sentence = &unreadable.sessions[0].problem.as_ref().unwrap().sentence;
    assert!(sentence.contains("status.sessions[0].port"), "{sentence}");
}

#[test]
fn a_failure_without_a_text_and_an_object_without_a_status_are_told_as_they_are() {
    let mut terse = active("tor-1");
    terse["lastError"].as_object_mut().unwrap().remove("message");
    let text = told(&[node("n1"), peer("tor-1", ""), status("n1", &[terse])].concat()).text();
    assert!(text.contains("no-answer 30s ago\n"), "{text}");
    let empty = "---\n{apiVersion: metallb.io/v1beta1, kind: BGPNodeStatus, metadata: {name: n1}}\n";
    let silent = told(&[node("n1"), peer("tor-1", ""), empty.to_owned()].concat());
    assert_eq!(outline(&silent), [json!(["n1", "tor-1", true, false, "not-reported"])]);
}

#[test]
fn one_may_ask_for_a_node_and_for_a_peer() {
    let cluster = inventory(&a_cluster());
    let of = |peer: Option<&str>, node: Option<&str>| {
        let filter = Filter { peer: peer.map(str::to_owned), node: node.map(str::to_owned) };
        let rows = outline(&told_of(&cluster, &filter));
        rows.iter().map(|row| json!([row[0], row[1]])).collect::<Vec<_>>()
    };
    assert_eq!(of(Some("tor-1"), None), [json!(["n1", "tor-1"]), json!(["n2", "tor-1"])]);
    assert_eq!(of(Some("tor-1"), Some("n2")), [json!(["n2", "tor-1"])]);
    // One that is set aside may be meant for the node; one that selects no node is not.
    let of_n2 = [json!(["n2", "router-2"]), json!(["n2", "tor-1"]), json!([null, "wrong"])];
    assert_eq!(of(None, Some("n2")), of_n2);
    let now = Timestamp::UNIX_EPOCH;
    let ask = |filter: Filter| peers(&cluster, &filter, NAMESPACE, now).unwrap_err().to_string();
    assert!(ask(Filter { peer: Some("tor-9".into()), node: None }).contains("BGPPeer tor-9"));
    assert!(ask(Filter { peer: None, node: Some("n9".into()) }).contains("Node n9"));
}
