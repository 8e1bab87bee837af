//! Which specs are acted on, and what is said about the others.

use serde_json::{Value, json};

use metallb_core::refusal::Refusal as _;
use metallb_crds::{ConflictPolicy, LogLevel, MetalLB, MetalLBSpec, Ownership};

use super::*;

fn spec(spec: &Value) -> MetalLBSpec {
    metallb_crds::read::<MetalLB>(&json!({ "metadata": {}, "spec": spec })).unwrap().spec
}

fn check(value: &Value) -> Result<Wanted, Vec<SpecRefusal>> {
    Wanted::check(&spec(value), None)
}

fn codes(value: &Value) -> Vec<&'static str> {
    check(value).err().unwrap_or_default().iter().map(SpecRefusal::code).collect()
}

#[test]
fn an_empty_spec_asks_for_frr_defaults_and_info() {
    let wanted = check(&json!({})).unwrap();
    let expected = Wanted {
        moving: Moving {
            restart_grace_seconds: 3,
            refresh_seconds: 240,
            conflict_policy: ConflictPolicy::Announce,
            ownership: Ownership::Hash,
        },
        node_leaving: Leaving { announce_seconds: 5, flow_seconds: 10, taint: None, annotation: None },
        log_level: LogLevel::Info,
        load_balancer_class: None,
        bgp: BgpBackend::Frr,
        controller: Pods::default(),
        speaker: Pods::default(),
        speaker_update: UpdateStrategy::Rolling { max_unavailable: None },
        ignore_exclude_lb: false,
        bgp_listen_port: 0,
        excluded_interfaces: None,
        image_pull_secrets: Vec::new(),
        controller_replicas: None,
        api_server_ports: Vec::new(),
    };
    assert_eq!(wanted, expected);
}

#[test]
fn prefixes_to_block_may_be_of_both_families_and_padded() {
    for prefixes in [json!([]), json!(["192.168.1.0/24", "192.168.2.0/24"]), json!([" 2001:db8::/32 "])] {
        assert_eq!(codes(&json!({ "frrk8sConfig": { "alwaysBlock": prefixes } })), [""; 0]);
    }
}

#[test]
fn a_prefix_to_block_that_is_none_is_named() {
    let refusals =
        check(&json!({ "frrk8sConfig": { "alwaysBlock": ["10.0.0.0/8", "10.0.0.1"] } })).unwrap_err();
    assert_eq!(
        refusals[0].explain(),
        "spec.frrk8sConfig.alwaysBlock[1] is \"10.0.0.1\", which is no prefix; write it in CIDR notation, such as \
         192.0.2.0/24 or 2001:db8::/32"
    );
}

#[test]
fn an_external_frr_k8s_needs_a_namespace_from_somewhere() {
    let bare = json!({ "bgpBackend": "frr-k8s-external" });
    let empty = json!({ "bgpBackend": "frr-k8s-external", "frrk8sConfig": {} });
    let blank = json!({ "bgpBackend": "frr-k8s-external", "frrk8sConfig": { "namespace": "" } });
    for value in [&bare, &empty, &blank] {
        assert_eq!(codes(value), ["no-external-namespace"]);
        let wanted = Wanted::check(&spec(value), Some("frr-k8s-system")).unwrap();
        let namespace = "frr-k8s-system".to_owned();
        assert_eq!(wanted.bgp, BgpBackend::FrrK8sExternal { namespace, secret_passthrough: false });
    }
}

#[test]
fn the_namespace_in_the_object_wins_over_the_operators() {
    let config = json!({ "namespace": "mine", "secretPassthrough": true });
    let value = spec(&json!({ "bgpBackend": "frr-k8s-external", "frrk8sConfig": config }));
    let bgp = Wanted::check(&value, Some("frr-k8s-system")).unwrap().bgp;
    assert_eq!(bgp, BgpBackend::FrrK8sExternal { namespace: "mine".into(), secret_passthrough: true });
}

#[test]
fn there_are_four_backends() {
    for (name, backend) in [
        ("native", BgpBackend::Native),
        ("frr", BgpBackend::Frr),
        ("frr-k8s", BgpBackend::FrrK8s),
        ("", BgpBackend::Frr),
    ] {
        assert_eq!(check(&json!({ "bgpBackend": name })).unwrap().bgp, backend);
    }
    assert_eq!(codes(&json!({ "bgpBackend": "FRR" })), ["unknown-bgp-backend"]);
}

#[test]
fn a_time_limit_belongs_to_no_execute() {
    for field in ["controllerTolerations", "speakerTolerations"] {
        let with = |effect: &str| json!({ field: [{ "key": "a" }, { "key": "b", "effect": effect, "tolerationSeconds": 12 }] });
        assert_eq!(codes(&with("NoExecute")), [""; 0]);
        let refusals = check(&with("NoSchedule")).unwrap_err();
        let sentence = format!(
            "spec.{field}[1].tolerationSeconds is 12 beside effect NoSchedule, but only NoExecute knows a time limit"
        );
        assert_eq!(refusals.iter().map(SpecRefusal::sentence).collect::<Vec<_>>(), [sentence]);
    }
}

#[test]
fn weights_are_1_to_100_in_every_affinity_of_both_components() {
    let preference = json!({ "matchExpressions": [{ "key": "a", "operator": "Exists" }] });
    let term = json!({ "topologyKey": "kubernetes.io/hostname" });
    for component in ["controllerConfig", "speakerConfig"] {
        for (kind, key, value) in [
            ("nodeAffinity", "preference", &preference),
            ("podAffinity", "podAffinityTerm", &term),
            ("podAntiAffinity", "podAffinityTerm", &term),
        ] {
            for (weight, expected) in
                [(0, &["weight-out-of-range"][..]), (1, &[]), (100, &[]), (101, &["weight-out-of-range"])]
            {
                let terms = json!([{ "weight": weight, key: value }]);
                let affinity = json!({ kind: { "preferredDuringSchedulingIgnoredDuringExecution": terms } });
                let value = json!({ component: { "affinity": affinity } });
                assert_eq!(codes(&value), expected, "{component} {kind} {weight}");
            }
        }
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let value = json!({
        "controllerTolerations": [{ "tolerationSeconds": 1 }],
        "bgpBackend": "bird",
        "frrk8sConfig": { "alwaysBlock": ["x"] },
    });
    assert_eq!(
        codes(&value),
        ["toleration-seconds-without-no-execute", "not-a-prefix", "unknown-bgp-backend"]
    );
}

#[test]
fn empty_class_names_are_none() {
    let value = json!({ "speakerConfig": { "priorityClassName": "", "runtimeClassName": "" } });
    assert_eq!(check(&value).unwrap().speaker, Pods::default());
}

#[test]
fn addresses_move_at_the_pace_that_was_asked_for_within_bounds() {
    let moving = json!({ "restartGraceSeconds": 0, "refreshSeconds": 3600, "conflictPolicy": "ProbeFirst", "ownership": "Sticky" });
    let conflict_policy = ConflictPolicy::ProbeFirst;
    let expected = Moving {
        restart_grace_seconds: 0,
        refresh_seconds: 3600,
        conflict_policy,
        ownership: Ownership::Sticky,
    };
    assert_eq!(check(&json!({ "layer2": moving })).unwrap().moving, expected);
    for (field, value) in [("restartGraceSeconds", 601), ("refreshSeconds", -1)] {
        assert_eq!(codes(&json!({ "layer2": { field: value } })), ["seconds-out-of-range"]);
    }
}

#[test]
fn a_node_that_leaves_gets_the_time_that_was_asked_for_within_bounds() {
    let leaving = json!({ "announceSeconds": 0, "flowSeconds": 600, "taint": "out", "annotation": "" });
    let wanted = check(&json!({ "nodeLeaving": leaving })).unwrap().node_leaving;
    let expected =
        Leaving { announce_seconds: 0, flow_seconds: 600, taint: Some("out".to_owned()), annotation: None };
    assert_eq!((wanted.grace_seconds(), wanted), (605, expected));
    for (field, value) in [("announceSeconds", 601), ("flowSeconds", -1)] {
        assert_eq!(codes(&json!({ "nodeLeaving": { field: value } })), ["seconds-out-of-range"]);
    }
}

#[test]
fn what_only_we_have_is_checked_by_field() {
    for (value, code) in [
        (json!({ "bgpListenPort": 65536 }), "port-out-of-range"),
        (json!({ "bgpListenPort": -1 }), "port-out-of-range"),
        (json!({ "networkPolicy": { "apiServerPorts": [6443, 0] } }), "port-out-of-range"),
        (json!({ "controllerReplicas": 0 }), "replicas-out-of-range"),
        (json!({ "controllerReplicas": 11 }), "replicas-out-of-range"),
        (
            json!({ "speakerUpdateStrategy": { "rollingUpdate": { "maxUnavailable": 0 } } }),
            "max-unavailable-out-of-range",
        ),
        (json!({ "speakerConfig": { "env": { "METALLB_NODE_NAME": "x" } } }), "operators-variable"),
        (json!({ "controllerConfig": { "env": { "METALLB_POD_NAME": "x" } } }), "operators-variable"),
        (json!({ "layer2": { "excludedInterfaces": ["^br$", "("] } }), "not-a-regular-expression"),
    ] {
        assert_eq!(codes(&value), [code], "{value}");
    }
}

#[test]
fn an_empty_list_of_interfaces_is_something_else_than_none() {
    let interfaces = |value: Value| check(&value).unwrap().excluded_interfaces;
    assert_eq!(interfaces(json!({ "layer2": {} })), None);
    assert_eq!(interfaces(json!({ "layer2": { "excludedInterfaces": [] } })), Some(Vec::new()));
}

#[test]
fn speakers_are_replaced_as_was_asked_for() {
    let strategy = |value: Value| check(&json!({ "speakerUpdateStrategy": value })).unwrap().speaker_update;
    let rolling = |max_unavailable| UpdateStrategy::Rolling { max_unavailable };
    assert_eq!(strategy(json!({})), rolling(None));
    assert_eq!(strategy(json!({ "rollingUpdate": { "maxUnavailable": 3 } })), rolling(Some(3)));
    assert_eq!(strategy(json!({ "type": "OnDelete" })), UpdateStrategy::OnDelete);
}
