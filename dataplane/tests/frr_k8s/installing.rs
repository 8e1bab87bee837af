//! frr-k8s is not there yet, or is older than we are.

use metallb_core::config::{Asn, Endpoint, Peer};
use metallb_core::plan::RouteAttributes;
use metallb_lab::ApiServer;
use serde_json::{Value, json};

use crate::site::{Writer, install, peer};

/// Without `localASN`, and with `address` required, as the API once was.
fn old(neighbour: &mut Value) {
    neighbour["required"] = json!(["address"]);
    neighbour["properties"].as_object_mut().unwrap().remove("localASN");
}

/// One server for all of it: the kind is the whole cluster's.
#[tokio::test]
async fn what_frr_k8s_lacks_is_told_and_whatever_it_can_do_is_done() {
    let server = ApiServer::start_plain().await.unwrap();
    let admin = server.admin().await.unwrap();
    let user = admin.in_new_namespace().await.unwrap();
    let writer = Writer::start(&user).await;
    let local = Peer { local_asn: Asn::new(64_600), ..peer("192.0.2.1") };
    let unnumbered = Peer { endpoint: Endpoint::Interface("eth1".into()), ..peer("192.0.2.1") };
    writer.set_peers(&[
        ("local", local.clone()),
        ("plain", peer("192.0.2.2")),
        ("unnumbered", unnumbered.clone()),
    ]);
    for peer in ["local", "plain", "unnumbered"] {
        writer.set_routes(peer, &["10.0.0.1/32"], &RouteAttributes::default());
    }
    writer.inbox.set_complete();
    writer.until_told(&[("frr-k8s-not-installed", "knows no FRRConfiguration")]).await;

    install(&admin, old).await;
    let object = writer.until_announced(&["10.0.0.1/32"]).await;
    let addresses = |object: &kube::api::DynamicObject| -> Vec<Value> {
        let neighbours = object.data["spec"]["bgp"]["routers"][0]["neighbors"].as_array().unwrap();
        neighbours.iter().map(|neighbour| neighbour["address"].clone()).collect()
    };
    assert_eq!(addresses(&object), ["192.0.2.1", "192.0.2.2"], "the unnumbered one is left out");
    let refused = ("frr-k8s-peer-rejected", "BGPPeer unnumbered");
    writer.until_told(&[refused, ("frr-k8s-unknown-field", "BGPPeer local")]).await;
    assert_eq!(object.metadata.generation, Some(1), "what the API drops is not written again and again");

    // A newer frr-k8s; whoever was left out is back when something is changed about it.
    install(&admin, |_| {}).await;
    let changed = Peer { graceful_restart: true, ..unnumbered };
    writer.set_peers(&[("local", local), ("plain", peer("192.0.2.2")), ("unnumbered", changed)]);
    writer.until("/bgp/routers/0/neighbors/2/interface", json!("eth1")).await;
    writer.until("/bgp/routers/0/neighbors/0/localASN", json!(64_600)).await;
    writer.until_told(&[]).await;
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_told_and_waited_for() {
    let server = ApiServer::start_plain().await.unwrap();
    let admin = server.admin().await.unwrap();
    install(&admin, |_| {}).await;
    let user = admin.in_namespace("frr-k8s-system").unwrap();
    let writer = Writer::start(&user).await;
    writer.announce(&["10.0.0.1/32"]);
    writer.until_told(&[("frr-k8s-namespace", "namespace frr-k8s-system, which is not there")]).await;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "frr-k8s-system" } });
    admin.apply_yaml(&namespace.to_string()).await.unwrap();
    writer.until_announced(&["10.0.0.1/32"]).await;
    writer.until_told(&[]).await;
}
