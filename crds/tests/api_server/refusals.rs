//! What is refused without a webhook.

use std::fs;

use anyhow::Result;
use metallb_core::refusal::{Kind, ObjectRef};
use metallb_crds::config::{Objects, Stored, examples};
use metallb_crds::schema::{Coverage, coverage};
use metallb_lab::{ApiServer, User};
use serde::Serialize;
use serde_json::{Value, json};

use crate::setup::{create, install, until_served};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples");

async fn start() -> Result<(ApiServer, User)> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?;
    install(&admin, |_| ()).await?;
    let user = admin.in_new_namespace().await?;
    until_served(&user).await;
    Ok((server, user))
}

#[tokio::test]
async fn the_api_server_refuses_what_it_is_said_to_refuse_and_nothing_else() -> Result<()> {
    let (_server, user) = start().await?;
    for (number, example) in examples::all().into_iter().enumerate() {
        let refusal = example.refusal.unwrap();
        let Some(spec) = spec_of(&example.objects, &refusal.object) else { continue };
        let kind = refusal.object.kind.to_string();
        let version = if refusal.object.kind == Kind::BgpPeer { "v1beta2" } else { "v1beta1" };
        let answer = create(&user, version, &kind, &format!("example-{number}"), &spec).await;
        match (coverage(example.code).unwrap(), answer) {
            (Coverage::Whole | Coverage::Part(_), Err(told)) => {
                assert!(told.contains("spec"), "{}: names the field: {told}", example.code);
            }
            (Coverage::Nothing(_), Ok(())) => {}
            (coverage, answer) => panic!("{}: {coverage:?}, but: {answer:?}", example.code),
        }
    }

    // What a kind of ours cannot even hold, and so is no example.
    let peer = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "192.0.2.1" });
    for (version, kind, change, told) in [
        ("v1beta1", "BGPAdvertisement", json!({ "localPref": -1 }), "spec.localPref must not be negative"),
        ("v1beta1", "BGPAdvertisement", json!({ "aggregationLength": 33 }), "must be 1 to 32"),
        ("v1beta1", "BGPAdvertisement", json!({ "aggregationLengthV6": -1 }), "must be 0 to 128"),
        ("v1beta1", "BGPPeer", json!({ "myASN": 0 }), "spec.myASN is 0"),
        ("v1beta1", "BGPPeer", json!({ "peerAddress": "192.0.2" }), "invalid BGPPeer address"),
        ("v1beta1", "BGPPeer", json!({ "holdTime": "2s" }), "spec.holdTime must be 0s, or 3s"),
        ("v1beta2", "BGPPeer", json!({ "keepaliveTime": "30s", "holdTime": "9s" }), "must not exceed"),
        ("v1beta2", "BGPPeer", json!({ "holdTime": "19h" }), "spec.holdTime must be 0s, or 3s"),
        ("v1beta1", "MetalLB", json!({ "bgpBackend": "bird" }), "spec.bgpBackend is no backend"),
        (
            "v1beta1",
            "MetalLB",
            json!({ "speakerTolerations": [{ "key": "k", "effect": "NoSchedule", "tolerationSeconds": 9 }] }),
            "tolerationSeconds needs effect NoExecute",
        ),
        (
            "v1beta1",
            "MetalLB",
            json!({ "controllerConfig": { "affinity": { "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 101, "preference": {} }],
            } } } }),
            "weight must be 1 to 100",
        ),
    ] {
        let mut spec = if kind == "BGPPeer" { peer.clone() } else { json!({}) };
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let answer = create(&user, version, kind, "example", &spec).await.expect_err(told);
        assert!(answer.contains(told), "{kind} {change}: {answer}");
    }
    let without_spec = create(&user, "v1beta2", "BGPPeer", "example", &Value::Null).await.unwrap_err();
    assert!(without_spec.contains("spec is missing"), "{without_spec}");
    Ok(())
}

#[tokio::test]
async fn the_api_server_takes_every_sample() -> Result<()> {
    let (_server, user) = start().await?;
    for entry in fs::read_dir(SAMPLES)? {
        let path = entry?.path();
        if path.is_file() {
            let text = fs::read_to_string(path)?.replace("metallb-system", user.namespace());
            user.apply_yaml(&text).await?;
        }
    }
    Ok(())
}

fn spec_of(objects: &Objects, object: &ObjectRef) -> Option<Value> {
    fn spec<K: Serialize>(stored: Option<&Stored<K>>) -> Option<Value> {
        match stored? {
            Stored::Readable(object) => serde_json::to_value(object).unwrap().get("spec").cloned(),
            Stored::Unreadable { .. } => None,
        }
    }
    let name = &object.name;
    match object.kind {
        Kind::IpAddressPool => spec(objects.pools.get(name)),
        Kind::L2Advertisement => spec(objects.l2_advertisements.get(name)),
        Kind::BgpAdvertisement => spec(objects.bgp_advertisements.get(name)),
        Kind::BgpPeer => spec(objects.bgp_peers.get(name)),
        Kind::BfdProfile => spec(objects.bfd_profiles.get(name)),
        Kind::Community => spec(objects.communities.get(name)),
    }
}
