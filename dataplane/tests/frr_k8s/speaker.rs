//! The speaker as a process, with the backend `frr-k8s-external`.

use std::process::{Child, Command, Stdio};

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Api;
use kube::api::DeleteParams;
use metallb_crds::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus, schema};
use metallb_lab::{ApiServer, User, eventually, load_balancer};
use serde_json::{Value, json};

use crate::site::{SOON, install, objects};

struct Speaker(Child);

impl Speaker {
    fn start(user: &User) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_metallb-speaker"))
            .args(["--port=0", "--health-probe-port=0", "--pod-name=speaker", "--node-name=node-1"])
            .args(["--frrk8s-namespace=routers", "--bgp-debounce-timeout=100"])
            .arg(format!("--namespace={}", user.namespace()))
            .arg(format!("--kubeconfig={}", user.kubeconfig().display()))
            .env("METALLB_BGP_TYPE", "frr-k8s-external")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn apply(user: &User, mut object: Value) {
    if object["metadata"]["namespace"].is_null() && object["kind"] != "Node" && object["kind"] != "Namespace"
    {
        object["metadata"]["namespace"] = user.namespace().into();
    }
    eventually(SOON, "it is applied", async || user.apply_yaml(&object.to_string()).await).await;
}

async fn apply_metallb(user: &User, version: &str, kind: &str, name: &str, spec: Value) {
    let version = format!("metallb.io/{version}");
    apply(user, json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": spec }))
        .await;
}

/// A cluster with frr-k8s' kind, a node, a router, and a service that has an address and an endpoint.
async fn cluster(server: &ApiServer) -> (User, Service) {
    let admin = server.admin().await.unwrap();
    install(&admin, |_| {}).await;
    for crd in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&crd).unwrap()).await.unwrap();
    }
    let user = admin.in_new_namespace().await.unwrap();
    let labels = json!({ "kubernetes.io/hostname": "host-1" });
    apply(
        &user,
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-1", "labels": labels } }),
    )
    .await;
    apply(&user, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "routers" } })).await;
    let containers = json!([{ "name": "main", "image": "none.example/none:1" }]);
    let pod = json!({ "name": "speaker" });
    apply(
        &user,
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": { "containers": containers } }),
    )
    .await;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "keys" },
        "type": "kubernetes.io/basic-auth",
        "stringData": { "username": "", "password": "swordfish" },
    });
    apply(&user, secret).await;
    let peer = json!({
        "myASN": 64512,
        "peerASN": 64513,
        "peerAddress": "192.0.2.1",
        "passwordSecret": { "name": "keys" },
        "localASN": 64600,
    });
    apply_metallb(&user, "v1beta2", "BGPPeer", "spine", peer).await;
    apply_metallb(&user, "v1beta1", "IPAddressPool", "lab", json!({ "addresses": ["203.0.113.0/24"] })).await;
    let communities = json!({ "communities": ["64512:7"], "localPref": 200 });
    apply_metallb(&user, "v1beta1", "BGPAdvertisement", "lab", communities).await;
    let service = user.create_service(load_balancer("web").port(80)).await.unwrap();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": "web-1", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.1.0.1"], "conditions": { "ready": true }, "nodeName": "node-1" }],
    });
    apply(&user, slice).await;
    let service = user.set_ingress_ips(&service, &["203.0.113.7".parse().unwrap()]).await.unwrap();
    (user, service)
}

#[tokio::test]
async fn a_service_reaches_the_frr_configuration_of_the_node_and_no_session_is_opened() {
    let server = ApiServer::start_plain().await.unwrap();
    let (user, _) = cluster(&server).await;
    let routers = objects(&user.in_namespace("routers").unwrap());
    let speaker = Speaker::start(&user);
    let spec = eventually(SOON, "the route is in the object", async || {
        let object = routers.get_opt("metallb-node-1").await.unwrap().ok_or("there is no object")?;
        let spec = object.data["spec"].clone();
        if spec["bgp"]["routers"][0]["prefixes"].is_null() { Err("no prefixes") } else { Ok(spec) }
    })
    .await;
    let neighbour = json!({
        "asn": 64513,
        "localASN": 64600,
        "address": "192.0.2.1",
        "port": 179,
        "password": "swordfish",
        "disableMP": false,
        "dualStackAddressFamily": false,
        "toAdvertise": {
            "allowed": { "mode": "filtered", "prefixes": ["203.0.113.7/32"] },
            "withCommunity": [{ "community": "64512:7", "prefixes": ["203.0.113.7/32"] }],
            "withLocalPref": [{ "localPref": 200, "prefixes": ["203.0.113.7/32"] }],
        },
    });
    let router = json!({ "asn": 64512, "prefixes": ["203.0.113.7/32"], "neighbors": [neighbour] });
    let selector = json!({ "matchLabels": { "kubernetes.io/hostname": "host-1" } });
    assert_eq!(spec, json!({ "nodeSelector": selector, "bgp": { "routers": [router] } }));
    let threads = std::fs::read_dir(format!("/proc/{}/task", speaker.0.id())).unwrap();
    let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
    let names: Vec<_> = names.collect();
    assert!(!names.iter().any(|name| matches!(name.trim(), "bgp" | "bfd")), "{names:?}");

    let config_map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "bgpextras" },
        "data": { "extras": "router bgp 64512" },
    });
    apply(&user, config_map).await;
    let states: Api<ConfigurationState> = Api::namespaced(user.client(), user.namespace());
    let says = async |result: ConfigurationResult, words: &str| {
        eventually(SOON, "the state of the configuration is told", async || {
            let found = states.get_opt("speaker-node-1").await.unwrap().and_then(|found| found.status);
            let ConfigurationStateStatus { result: said, error_summary, .. } = found.unwrap_or_default();
            said == Some(result) && error_summary.unwrap_or_default().contains(words)
        })
        .await;
    };
    says(ConfigurationResult::Invalid, "ConfigMap bgpextras: extras holds raw FRR configuration").await;
    let config_maps: Api<ConfigMap> = Api::namespaced(user.client(), user.namespace());
    config_maps.delete("bgpextras", &DeleteParams::default()).await.unwrap();
    says(ConfigurationResult::Valid, "").await;
}
