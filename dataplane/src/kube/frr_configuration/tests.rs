//! What is written for which peers and routes, and what is made of the API server's answers.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use kube::core::Status;
use metallb_core::config::{
    Asn, Bfd, BfdInterval, BfdProfile, ConnectTime, Endpoint, Password, PasswordSource, Peer, RemoteAs,
    SessionFamilies, Timers,
};
use metallb_core::names::{NodeName, PeerName};
use metallb_core::plan::{PeerChanges, RouteAttributes};
use metallb_core::refusal::{FrrRefusal, Refusal as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::answer::{Place, Trouble, dropped};
use super::build::{Built, Frame, Passwords, build};
use super::wanted::{Inbox, Neighbour, Neighbours, Wanted};

fn peer(address: &str) -> Peer {
    Peer::new(
        Asn::new(64_512).unwrap(),
        RemoteAs::Number(Asn::new(64_513).unwrap()),
        Endpoint::Address(address.parse().unwrap()),
    )
}

/// A prefix, its communities and its local preference.
type Route<'r> = (&'r str, &'r [&'r str], Option<u32>);

/// Peers, each with its routes.
fn wanted(peers: Vec<(&str, Peer, &[Route<'_>])>) -> Wanted {
    let mut wanted = Wanted { complete: true, ..Wanted::default() };
    wanted.neighbours.hostname = Some("host-1".to_owned());
    for (name, peer, routes) in peers {
        let name = PeerName::from(name);
        let attributes = |communities: &[&str], local_preference| {
            let communities = communities.iter().map(|text| text.parse().unwrap()).collect();
            Arc::new(RouteAttributes { communities, local_preference })
        };
        let routes = routes.iter().map(|(prefix, communities, preference)| {
            (prefix.parse().unwrap(), attributes(communities, *preference))
        });
        wanted.routes.insert(name.clone(), routes.collect());
        wanted.neighbours.peers.insert(name, Neighbour { peer, password: None });
    }
    wanted
}

fn built_with(wanted: &Wanted, passwords: Passwords) -> Built {
    let node = NodeName::from("node-1");
    build(wanted, &BTreeSet::new(), &Frame { node: &node, namespace: "frr-k8s-system", passwords })
}

fn built(wanted: &Wanted) -> Value {
    let built = built_with(wanted, Passwords::Clear);
    assert_eq!(built.refusals, []);
    serde_json::to_value(built.spec).unwrap()
}

fn neighbour_of(peer: Peer) -> Value {
    built(&wanted(vec![("spine", peer, &[])]))["bgp"]["routers"][0]["neighbors"][0].clone()
}

#[test]
fn a_plain_peer_and_its_routes_are_all_that_is_said_of_them() {
    let routes: &[Route<'_>] = &[
        ("10.0.0.2/32", &["64512:1", "large:64512:1:2"], Some(100)),
        ("10.0.0.10/32", &["64512:1"], None),
        ("fd00::/64", &[], None),
    ];
    let expected = json!({
        "nodeSelector": { "matchLabels": { "kubernetes.io/hostname": "host-1" } },
        "bgp": { "routers": [{
            "asn": 64512,
            "prefixes": ["10.0.0.2/32", "10.0.0.10/32", "fd00::/64"],
            "neighbors": [{
                "asn": 64513,
                "address": "192.0.2.1",
                "port": 179,
                "toAdvertise": {
                    "allowed": { "mode": "filtered", "prefixes": ["10.0.0.2/32", "10.0.0.10/32", "fd00::/64"] },
                    "withCommunity": [
                        { "community": "64512:1", "prefixes": ["10.0.0.2/32", "10.0.0.10/32"] },
                        { "community": "large:64512:1:2", "prefixes": ["10.0.0.2/32"] },
                    ],
                    "withLocalPref": [{ "localPref": 100, "prefixes": ["10.0.0.2/32"] }],
                },
            }],
        }] },
    });
    assert_eq!(built(&wanted(vec![("spine", peer("192.0.2.1"), routes)])), expected);
}

#[test]
fn every_field_of_a_peer_is_said() {
    let profile = BfdProfile {
        receive_interval: BfdInterval::from_millis(50).unwrap(),
        echo_mode: true,
        ..BfdProfile::default()
    };
    let peer = Peer {
        local_asn: Asn::new(4_200_000_000),
        remote: RemoteAs::External,
        endpoint: Endpoint::Interface("eth1".into()),
        port: NonZeroU16::new(1179).unwrap(),
        source_address: Some("192.0.2.7".parse().unwrap()),
        router_id: metallb_core::config::RouterId::new([192, 0, 2, 9].into()),
        vrf: Some("red".into()),
        timers: Timers::new(Some(Duration::from_secs(3690)), Some(Duration::from_secs(90))).unwrap(),
        connect_time: ConnectTime::new(Duration::from_secs(5)),
        password: Some(PasswordSource::Inline(Password::new("swordfish"))),
        bfd: Some(Bfd { name: "fast".into(), profile }),
        graceful_restart: true,
        multihop: true,
        families: SessionFamilies::Both,
        ..peer("192.0.2.1")
    };
    let spec = built(&wanted(vec![("spine", peer, &[])]));
    let neighbour = json!({
        "dynamicASN": "external",
        "localASN": 4_200_000_000_u32,
        "interface": "eth1",
        "port": 1179,
        "sourceaddress": "192.0.2.7",
        "password": "swordfish",
        "holdTime": "1h1m30s",
        "keepaliveTime": "1m30s",
        "connectTime": "5s",
        "ebgpMultiHop": true,
        "bfdProfile": "fast",
        "enableGracefulRestart": true,
        "dualStackAddressFamily": true,
        "toAdvertise": { "allowed": { "mode": "filtered" } },
    });
    let router = json!({ "asn": 64512, "id": "192.0.2.9", "vrf": "red", "neighbors": [neighbour] });
    let profile = json!({ "name": "fast", "receiveInterval": 50, "echoMode": true, "passiveMode": false });
    assert_eq!(spec["bgp"], json!({ "routers": [router], "bfdProfiles": [profile] }));
}

#[test]
fn peers_of_a_vrf_share_a_router_and_each_hears_only_its_own_routes() {
    let red = Peer { vrf: Some("red".into()), ..peer("192.0.2.3") };
    let spec = built(&wanted(vec![
        ("a", peer("192.0.2.1"), &[("10.0.0.1/32", &[], None)]),
        ("b", peer("192.0.2.2"), &[("10.0.0.2/32", &[], None)]),
        ("c", red, &[("10.0.0.1/32", &[], None)]),
    ]));
    let routers = spec["bgp"]["routers"].as_array().unwrap();
    let outline = |router: &Value| {
        let heard = router["neighbors"].as_array().unwrap().iter();
        let heard: Vec<_> =
            heard.map(|neighbour| neighbour["toAdvertise"]["allowed"]["prefixes"].clone()).collect();
        json!([router["vrf"], router["prefixes"], heard])
    };
    assert_eq!(
        routers.iter().map(outline).collect::<Vec<_>>(),
        [
            json!([null, ["10.0.0.1/32", "10.0.0.2/32"], [["10.0.0.1/32"], ["10.0.0.2/32"]]]),
            json!(["red", ["10.0.0.1/32"], [["10.0.0.1/32"]]]),
        ]
    );
}

#[test]
fn timers_that_are_off_are_said_to_be() {
    let peer = Peer { timers: Timers::new(Some(Duration::ZERO), None).unwrap(), ..peer("192.0.2.1") };
    let neighbour = neighbour_of(peer);
    assert_eq!((&neighbour["holdTime"], &neighbour["keepaliveTime"]), (&json!("0s"), &json!("0s")));
}

#[test]
fn a_node_that_leaves_marks_every_route_once() {
    let routes: &[Route<'_>] = &[("10.0.0.1/32", &["65535:0"], None), ("10.0.0.2/32", &[], None)];
    let wanted = Wanted { draining: true, ..wanted(vec![("spine", peer("192.0.2.1"), routes)]) };
    let marked = json!([{ "community": "65535:0", "prefixes": ["10.0.0.1/32", "10.0.0.2/32"] }]);
    let neighbour = &built(&wanted)["bgp"]["routers"][0]["neighbors"][0];
    assert_eq!(neighbour["toAdvertise"]["withCommunity"], marked);
}

/// A peer whose password is in Secret `keys`, and is this.
fn secretive(password: Option<&[u8]>) -> Wanted {
    let secret = Some(PasswordSource::Secret("keys".into()));
    let mut wanted = wanted(vec![("spine", Peer { password: secret, ..peer("192.0.2.1") }, &[])]);
    if let Some(neighbour) = wanted.neighbours.peers.get_mut("spine") {
        neighbour.password = password.map(Password::new);
    }
    wanted
}

#[test]
fn a_secret_is_named_where_frr_k8s_sees_it_and_read_where_it_does_not() {
    let said = |passwords| {
        let spec = serde_json::to_value(built_with(&secretive(Some(b"swordfish")), passwords).spec).unwrap();
        let neighbour = &spec["bgp"]["routers"][0]["neighbors"][0];
        (neighbour["password"].clone(), neighbour["passwordSecret"].clone())
    };
    let reference = json!({ "name": "keys", "namespace": "frr-k8s-system" });
    assert_eq!(said(Passwords::Named), (json!(null), reference));
    assert_eq!(said(Passwords::Clear), (json!("swordfish"), json!(null)));
}

#[test]
fn a_peer_without_a_password_that_can_be_written_is_left_out() {
    let outcome = |password| {
        let built = built_with(&secretive(password), Passwords::Clear);
        (built.spec.bgp.routers.len(), built.refusals)
    };
    let peer = PeerName::from("spine");
    assert_eq!(outcome(Some(&[0xff])), (0, vec![FrrRefusal::PasswordNotText { peer }]));
    assert_eq!(outcome(None), (0, vec![]), "that its Secret is missing is told where peers are read");
    assert_eq!(built_with(&secretive(None), Passwords::Named).spec.bgp.routers.len(), 1);
}

#[test]
fn that_ttl_security_has_no_effect_is_told() {
    let hops = std::num::NonZeroU8::new(1);
    let near = wanted(vec![("spine", Peer { ttl_security: hops, ..peer("192.0.2.1") }, &[])]);
    let built = built_with(&near, Passwords::Clear);
    assert_eq!(built.refusals, [FrrRefusal::TtlSecurity { peer: "spine".into() }]);
    assert_eq!(built.spec.bgp.routers.len(), 1);
}

#[test]
fn a_password_stays_when_its_secret_goes() {
    let mut now = secretive(Some(b"swordfish"));
    let (before, gone) = (now.clone(), secretive(None));
    let news = |neighbours| super::wanted::News { neighbours: Some(neighbours), ..<_>::default() };
    now.apply(news(gone.neighbours.clone()));
    assert_eq!(now.neighbours, before.neighbours);
    let mut other = gone.neighbours;
    if let Some(neighbour) = other.peers.get_mut("spine") {
        neighbour.peer.password = Some(PasswordSource::Secret("others".into()));
    }
    now.apply(news(other.clone()));
    assert_eq!(now.neighbours, other, "the password of another Secret is another password");
}

#[test]
fn a_node_without_a_host_name_is_selected_by_its_own_and_that_is_told() {
    let mut wanted = wanted(vec![("spine", peer("192.0.2.1"), &[])]);
    wanted.neighbours.hostname = None;
    let built = built_with(&wanted, Passwords::Clear);
    assert_eq!(built.refusals, [FrrRefusal::NoHostname { node: "node-1".into() }]);
    let spec = serde_json::to_value(built.spec).unwrap();
    assert_eq!(spec["nodeSelector"]["matchLabels"]["kubernetes.io/hostname"], "node-1");
}

fn places() -> Vec<Vec<PeerName>> {
    vec![vec!["a".into()], vec!["b".into(), "c".into()]]
}

fn trouble(status: Value) -> Trouble {
    let status: Status = serde_json::from_value(status).unwrap();
    let place = Place { namespace: "frr-k8s-system", name: "metallb-node-1" };
    Trouble::of(kube::Error::Api(Box::new(status)), place, &places())
}

fn code(status: Value) -> &'static str {
    match trouble(status) {
        Trouble::Standing(refusal) => refusal.code(),
        Trouble::Stale => "(stale)",
        Trouble::Passing(_) => "(passing)",
        Trouble::Peers(_) => "(peers)",
    }
}

#[test]
fn each_refusal_of_the_api_server_is_told_as_what_it_is() {
    let not_found =
        |kind: &str, name: &str| json!({ "code": 404, "details": { "kind": kind, "name": name } });
    assert_eq!(code(json!({ "code": 404, "message": "404 page not found" })), "frr-k8s-not-installed");
    assert_eq!(code(not_found("namespaces", "frr-k8s-system")), "frr-k8s-namespace");
    assert_eq!(code(not_found("frrconfigurations", "metallb-node-1")), "(stale)");
    assert_eq!(code(json!({ "code": 403, "message": "cannot create" })), "frr-k8s-forbidden");
    let denied = "admission webhook \"x\" denied the request: different asns";
    assert_eq!(code(json!({ "code": 403, "message": denied })), "frr-k8s-rejected");
    assert_eq!(code(json!({ "code": 409 })), "(stale)");
    assert_eq!(code(json!({ "code": 422, "message": "no details" })), "frr-k8s-rejected");
    assert_eq!(code(json!({ "code": 503, "message": "starting" })), "(passing)");
}

#[test]
fn only_a_peer_that_is_to_blame_alone_is_left_out() {
    let cause = |field: &str| json!({ "field": field, "message": "Required value" });
    let invalid = |causes: &[Value]| json!({ "code": 422, "details": { "causes": causes } });
    let address = cause("spec.bgp.routers[1].neighbors[1].address");
    let refusal = FrrRefusal::PeerRejected { peer: "c".into(), error: "address: Required value".to_owned() };
    let blamed = Trouble::Peers(vec![("c".into(), refusal)]);
    assert_eq!(trouble(invalid(&[address.clone(), cause("<nil>")])), blamed, "that rules were not looked at");
    assert_eq!(code(invalid(&[cause("<nil>")])), "frr-k8s-rejected");
    for other in ["spec.bgp.routers[1].asn", "spec.bgp.routers[7].neighbors[0].address"] {
        assert_eq!(code(invalid(&[address.clone(), cause(other)])), "frr-k8s-rejected", "{other}");
    }
}

#[test]
fn a_field_that_the_api_dropped_is_told_with_its_peer() {
    let sent = json!({ "x": 1, "bgp": { "routers": [{ "neighbors": [{ "asn": 1, "localASN": 2 }] }] } });
    let kept = json!({ "y": 1, "bgp": { "routers": [{ "neighbors": [{ "asn": 1, "disableMP": false }] }] } });
    let expected = [
        FrrRefusal::UnknownField { peer: Some("a".into()), field: "localASN".to_owned() },
        FrrRefusal::UnknownField { peer: None, field: "spec.x".to_owned() },
    ];
    assert_eq!(dropped(&sent, &kept, &places()), expected);
    assert_eq!(dropped(&sent, &sent, &places()), []);
}

#[test]
fn routes_that_are_known_before_the_node_wait_for_it() {
    let routes: &[Route<'_>] = &[("10.0.0.1/32", &[], None)];
    let mut now = wanted(vec![("spine", peer("192.0.2.1"), routes)]);
    let before = now.clone();
    for neighbours in [Neighbours::default(), before.neighbours.clone()] {
        now.apply(super::wanted::News { neighbours: Some(neighbours), ..<_>::default() });
    }
    assert_eq!(now, before);
}

#[derive(Clone, Debug)]
enum Step {
    Peers(BTreeSet<u8>),
    Routes(u8, PeerChanges),
}

fn step() -> impl Strategy<Value = Step> {
    let prefix = (0..4_u8).prop_map(|n| IpNet::new([10, 0, 0, n].into(), 32).unwrap());
    let route = any::<bool>().prop_map(|there| there.then(Arc::<RouteAttributes>::default));
    let changes = (any::<bool>(), prop::collection::btree_map(prefix, route, 0..4))
        .prop_map(|(complete, routes)| PeerChanges { complete, routes });
    prop_oneof![
        prop::collection::btree_set(0..3_u8, 0..3).prop_map(Step::Peers),
        (0..3_u8, changes).prop_map(|(peer, changes)| Step::Routes(peer, changes)),
    ]
}

fn name(peer: u8) -> PeerName {
    format!("peer-{peer}").into()
}

fn put(inbox: &Inbox, step: &Step) {
    match step {
        Step::Peers(peers) => {
            let neighbour = |n: &u8| (name(*n), Neighbour { peer: peer("192.0.2.1"), password: None });
            let peers: BTreeMap<_, _> = peers.iter().map(neighbour).collect();
            inbox.set_neighbours(Neighbours { hostname: None, peers });
        }
        Step::Routes(peer, changes) => inbox.set_routes(BTreeMap::from([(name(*peer), changes.clone())])),
    }
}

proptest! {
    /// Where each peer's routes begin with all of them, as the planner tells it.
    #[test]
    fn what_waited_together_comes_to_the_same_as_what_was_taken_one_by_one(
        peers in prop::collection::btree_set(0..3_u8, 0..3),
        steps in prop::collection::vec(step(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (together, singly) = (Inbox::default(), Inbox::default());
            let (mut all, mut each) = (Wanted::default(), Wanted::default());
            let mut current: BTreeSet<u8> = BTreeSet::new();
            for step in std::iter::once(Step::Peers(peers)).chain(steps) {
                let steps = match step {
                    Step::Peers(peers) => {
                        let fresh = peers.difference(&current).copied().collect::<Vec<_>>();
                        current.clone_from(&peers);
                        let whole = |n| Step::Routes(n, PeerChanges { complete: true, ..PeerChanges::default() });
                        std::iter::once(Step::Peers(peers)).chain(fresh.into_iter().map(whole)).collect()
                    }
                    Step::Routes(peer, _) if !current.contains(&peer) => vec![],
                    step @ Step::Routes(..) => vec![step],
                };
                for step in steps {
                    put(&together, &step);
                    put(&singly, &step);
                    tokio::select! {
                        biased;
                        news = singly.take() => each.apply(news),
                        () = std::future::ready(()) => {} // the same again wakes nobody
                    }
                }
            }
            together.set_complete();
            singly.set_complete();
            all.apply(together.take().await);
            each.apply(singly.take().await);
            let spec = |wanted| built_with(wanted, Passwords::Clear).spec;
            assert_eq!(spec(&all), spec(&each));
            assert!(all.complete && each.complete);
        });
    }
}
