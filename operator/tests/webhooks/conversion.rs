//! BGPPeer through the API server in both versions.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use metallb_lab::{ApiServer, User, eventually};
use metallb_operator::webhooks::paths;
use serde_json::{Value, json};

use super::replica::Replica;
use super::setup::{CRDS, SOON, direct, in_manifest};

fn peers(admin: &User, version: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("metallb.io", version, "BGPPeer");
    Api::default_namespaced_with(admin.client(), &ApiResource::from_gvk(&kind))
}

fn peer(version: &str, name: &str, spec: &Value) -> Result<DynamicObject> {
    let api_version = format!("metallb.io/{version}");
    Ok(serde_json::from_value(
        json!({ "apiVersion": api_version, "kind": "BGPPeer", "metadata": { "name": name }, "spec": spec }),
    )?)
}

#[tokio::test]
async fn both_versions_are_read_and_written_without_loss_and_the_stored_one_even_without_a_webhook()
-> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?.in_new_namespace().await?;
    admin.apply_dir(CRDS).await?;
    let replica = Replica::start(&admin, Vec::new(), Duration::ZERO)?;
    let (older, newer) = (peers(&admin, "v1beta1"), peers(&admin, "v1beta2"));
    let full = json!({
        "myASN": 64512, "dynamicASN": "external", "interface": "eth0", "peerPort": 179, "connectTime": "10s",
        "nodeSelectors": [{ "matchExpressions": [{ "key": "edge", "operator": "Exists" }] }],
        "passwordSecret": { "name": "secret" }, "enableGracefulRestart": true, "vrf": "red",
        "disableMP": false, "dualStackAddressFamily": true,
    });

    // Nobody answers there.
    install(&admin, ([127, 0, 0, 1], 1).into()).await?;
    let peer_of_newer = peer("v1beta2", "new", &full)?;
    changed(async || newer.create(&PostParams::default(), &peer_of_newer).await).await;
    assert_eq!(newer.get("new").await?.data["spec"], full);
    newer.list(&ListParams::default()).await?;
    assert!(older.get("new").await.is_err(), "who would convert it?");

    install(&admin, replica.address).await?;
    let seen = changed(async || older.get("new").await).await;
    assert_eq!(seen.data["spec"]["peerASN"], 0);

    // Edited through the older version, nothing of the newer one is lost.
    let mut edited = seen;
    edited.data["spec"]["holdTime"] = "90s".into();
    older.replace("new", &PostParams::default(), &edited).await?;
    let mut expected = full;
    expected["holdTime"] = "90s".into();
    let stored = newer.get("new").await?;
    assert_eq!(stored.data["spec"], expected);
    assert_eq!(stored.metadata.annotations, None);

    // Written in the older version, it comes back in it.
    let spec =
        json!({ "myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "peerPort": 0, "keepaliveTime": "3s" });
    older.create(&PostParams::default(), &peer("v1beta1", "old", &spec)?).await?;
    assert_eq!(older.get("old").await?.data["spec"], spec);
    assert_eq!(newer.get("old").await?.data["spec"]["peerPort"], 179);
    let listed = older.list(&ListParams::default()).await?;
    assert_eq!(listed.items.len(), 2);

    // Whoever applies the definition again takes nothing from it, as caBundle is not theirs.
    install(&admin, replica.address).await?;
    assert_eq!(changed(async || older.get("old").await).await.data["spec"], spec);
    Ok(())
}

/// The manifest's definition, with the conversion at another address, and trusted.
async fn install(admin: &User, to: SocketAddr) -> Result<()> {
    let mut definition = in_manifest("CustomResourceDefinition")
        .into_iter()
        .find(|it| it["metadata"]["name"] == paths::CONVERTED)
        .context("no definition")?;
    direct(&mut definition["spec"]["conversion"]["webhook"]["clientConfig"], to);
    admin.apply_yaml(&definition.to_string()).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(admin.client());
    eventually(SOON, "the definition says whom to trust", async || {
        let conversion = definitions.get(paths::CONVERTED).await?.spec.conversion;
        let client = conversion.and_then(|it| it.webhook?.client_config).context("no conversion")?;
        client.ca_bundle.context("no caBundle")
    })
    .await;
    Ok(())
}

/// The first request after a definition was changed. For a moment the API server refuses those about its objects.
async fn changed<T>(request: impl AsyncFnMut() -> kube::Result<T>) -> T {
    eventually(SOON, "the definition is in force", request).await
}
