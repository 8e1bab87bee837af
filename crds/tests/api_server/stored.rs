//! What was stored before a rule existed.

use anyhow::Result;
use kube::Error;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use metallb_lab::{ApiServer, User, eventually};
use serde_json::{Value, json};

use crate::setup::{SOON, create, install, objects, until_served};

/// Takes every rule out of a definition.
fn without_rules(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("x-kubernetes-validations");
            map.values_mut().for_each(without_rules);
        }
        Value::Array(list) => list.iter_mut().for_each(without_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A kind, a spec that a rule of it refuses, and an edit elsewhere in that spec. (A peer without a spec stays one.)
fn broken() -> Vec<(&'static str, &'static str, Value, Value)> {
    let peer = |change: Value| {
        let mut spec = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "192.0.2.1" });
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        ("BGPPeer", "v1beta2", spec, json!({ "bfdProfile": "fast" }))
    };
    let terms = json!([{ "weight": 0, "preference": {} }]);
    let affinity = json!({ "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": terms } });
    vec![
        ("IPAddressPool", "v1beta1", json!({ "addresses": [] }), json!({ "autoAssign": false })),
        ("BGPAdvertisement", "v1beta1", json!({ "aggregationLength": 40 }), json!({ "localPref": 7 })),
        (
            "BGPAdvertisement",
            "v1beta1",
            json!({ "serviceSelectors": [{}], "aggregationLength": 24 }),
            json!({}), // the rule is upstream's: whoever edits such a spec has to correct it
        ),
        peer(json!({ "myASN": 0 })),
        peer(json!({ "peerASN": null })),
        peer(json!({ "dynamicASN": "external" })),
        peer(json!({ "peerASN": 64500, "ebgpMultiHop": true })),
        peer(json!({ "peerAddress": null })),
        peer(json!({ "interface": "eth1" })),
        peer(json!({ "peerAddress": "192.0.2" })),
        peer(json!({ "sourceAddress": "2001:db8::7" })),
        peer(json!({ "routerID": "0.0.0.0" })),
        peer(json!({ "holdTime": "soon", "keepaliveTime": "later" })),
        peer(json!({ "holdTime": "2s" })),
        peer(json!({ "holdTime": "9s", "keepaliveTime": "10s" })),
        peer(json!({ "connectTime": "1500ms" })),
        peer(json!({ "password": "swordfish", "passwordSecret": { "name": "tor" } })),
        ("BGPPeer", "v1beta2", Value::Null, Value::Null),
        ("MetalLB", "v1beta1", json!({ "bgpBackend": "bird" }), json!({ "logLevel": "debug" })),
        (
            "MetalLB",
            "v1beta1",
            json!({ "speakerTolerations": [{ "tolerationSeconds": 9 }], "speakerConfig": { "affinity": affinity } }),
            json!({ "logLevel": "debug", "controllerConfig": { "priorityClassName": "high" } }),
        ),
    ]
}

#[tokio::test]
async fn what_was_stored_before_a_rule_existed_takes_status_writes_and_edits_elsewhere() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?;
    install(&admin, without_rules).await?;
    let user = admin.in_new_namespace().await?;
    until_served(&user).await;
    for (number, (kind, version, spec, _)) in broken().iter().enumerate() {
        create(&user, version, kind, &format!("old-{number}"), spec).await.unwrap();
    }

    install(&admin, |_| ()).await?;
    for (number, (kind, version, spec, elsewhere)) in broken().iter().enumerate() {
        until_refused(&user, kind, version, spec).await;
        let (api, name) = (objects(&user, version, kind), format!("old-{number}"));
        let at = format!("{kind} {spec}");
        let status = match *kind {
            "IPAddressPool" => {
                json!({ "assignedIPv4": 0, "assignedIPv6": 0, "availableIPv4": 0, "availableIPv6": number })
            }
            "MetalLB" => json!({ "conditions": [{
                "type": "Degraded", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            }] }),
            _ => json!({}),
        };
        patch_status(&api, &name, &json!({ "status": status })).await.expect(&at);
        patch(&api, &name, &json!({ "metadata": { "labels": { "edited": "yes" } } })).await.expect(&at);
        patch(&api, &name, &json!({ "spec": elsewhere })).await.expect(&at);
    }
    Ok(())
}

#[tokio::test]
async fn an_edit_that_breaks_a_rule_is_refused_whatever_else_was_broken() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?;
    install(&admin, without_rules).await?;
    let user = admin.in_new_namespace().await?;
    until_served(&user).await;
    let spec = json!({ "myASN": 0, "peerASN": 64510, "peerAddress": "192.0.2.1", "interface": "eth1" });
    create(&user, "v1beta2", "BGPPeer", "old", &spec).await.unwrap();

    install(&admin, |_| ()).await?;
    until_refused(&user, "BGPPeer", "v1beta2", &spec).await;
    let api = objects(&user, "v1beta2", "BGPPeer");
    for (change, told) in [
        (json!({ "dynamicASN": "internal" }), "both spec.peerASN and spec.dynamicASN"),
        (json!({ "sourceAddress": "2001:db8::7" }), "different families"),
        (json!({ "keepaliveTime": "20s", "holdTime": "10s" }), "must not exceed"),
        (json!({ "peerAddress": null, "interface": null }), "neither spec.peerAddress nor spec.interface"),
    ] {
        let refused = patch(&api, "old", &json!({ "spec": change })).await.expect_err(told);
        assert!(refused.to_string().contains(told), "{refused}");
    }
    // One fault after the other may be corrected.
    patch(&api, "old", &json!({ "spec": { "interface": null } })).await?;
    patch(&api, "old", &json!({ "spec": { "myASN": 64500 } })).await?;
    let refused = patch(&api, "old", &json!({ "spec": { "interface": "eth1" } })).await.unwrap_err();
    assert!(refused.to_string().contains("both spec.peerAddress and spec.interface"), "{refused}");
    Ok(())
}

/// Waits until the API server knows the rules, by which `spec` is refused.
async fn until_refused(user: &User, kind: &str, version: &str, spec: &Value) {
    eventually(SOON, "the API server knows the rules", async || {
        if create(user, version, kind, "new", spec).await.is_err() {
            return Ok(());
        }
        objects(user, version, kind).delete("new", &DeleteParams::default()).await?;
        anyhow::bail!("{kind} {spec} is accepted")
    })
    .await;
}

async fn patch(api: &Api<DynamicObject>, name: &str, patch: &Value) -> Result<DynamicObject, Error> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

async fn patch_status(api: &Api<DynamicObject>, name: &str, patch: &Value) -> Result<DynamicObject, Error> {
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await
}
