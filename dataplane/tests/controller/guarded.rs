//! What the metrics port answers, and to whom.

use axum::http::Request;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use metallb_lab::{eventually, load_balancer};
use serde_json::{Value, json};

use crate::installation::*;

/// A client of the controller's metrics port for a service account of that name.
async fn client(metallb: &Installation, port: u16, account: &str) -> Client {
    let namespace = metallb.admin.namespace();
    let accounts: Api<ServiceAccount> = Api::namespaced(metallb.admin.client(), namespace);
    let object = serde_json::from_value(json!({ "metadata": { "name": account } })).unwrap();
    accounts.create(&PostParams::default(), &object).await.unwrap();
    let token = metallb.admin.service_account_token(namespace, account).await.unwrap();
    let mut config = Config::new(format!("https://127.0.0.1:{port}").parse().unwrap());
    config.accept_invalid_certs = true; // self-signed
    config.auth_info.token = Some(token.into());
    Client::try_from(config).unwrap()
}

async fn ask(client: &Client, method: &str, path: &str, body: &str) -> Result<String, u16> {
    let request = Request::builder().method(method).uri(path).body(body.as_bytes().to_vec()).unwrap();
    client.request_text(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn metrics_state_and_log_level_are_for_whom_the_cluster_allows_them() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/32"]).await.unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _controller = metallb.controller_with("a", &[&format!("--port={port}")]);
    let web = metallb.service(load_balancer("web").port(80)).await;
    metallb.given(&web).await;
    metallb.service(load_balancer("waits").port(80)).await;

    let nobody = client(&metallb, port, "nobody").await;
    for (method, path) in [("GET", "/metrics"), ("GET", "/debug/state"), ("PUT", "/debug/loglevel")] {
        assert_eq!(ask(&nobody, method, path, "debug").await, Err(403), "{method} {path}");
    }

    let reader = client(&metallb, port, "reader").await;
    let (namespace, name) = (metallb.admin.namespace(), format!("reader-{}", metallb.admin.namespace()));
    let rules = json!([
        { "nonResourceURLs": ["/metrics", "/debug/state"], "verbs": ["get"] },
        { "nonResourceURLs": ["/debug/loglevel"], "verbs": ["put"] },
    ]);
    let api = "rbac.authorization.k8s.io/v1";
    let role =
        json!({ "apiVersion": api, "kind": "ClusterRole", "metadata": { "name": name }, "rules": rules });
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": namespace }],
    });
    for object in [role, binding] {
        metallb.admin.apply_yaml(&object.to_string()).await.unwrap();
    }
    let metrics = async || {
        let text = ask(&reader, "GET", "/metrics", "").await.ok()?;
        text.contains("metallb_allocator_addresses_in_use_total{pool=\"lab\"} 1").then_some(text)
    };
    let text = eventually(SOON, "the metrics count the address", metrics).await;
    assert!(text.contains("metallb_allocator_addresses_total{pool=\"lab\"} 1"), "{text}");
    assert!(text.contains("metallb_k8s_client_config_loaded_bool 1"), "{text}");

    let waits = async || {
        let state: Value =
            serde_json::from_str(&ask(&reader, "GET", "/debug/state", "").await.ok()?).unwrap();
        let services = state["services"].as_array().unwrap().clone();
        services.into_iter().find(|service| service["refusal"]["code"] == "pool-full")
    };
    let waiting = eventually(SOON, "the state says who waits", waits).await;
    assert_eq!(waiting["name"], "waits");
    assert_eq!(ask(&reader, "PUT", "/debug/loglevel", "warn").await, Ok("warn\n".to_owned()));
    assert_eq!(ask(&reader, "PUT", "/debug/loglevel", "loud").await, Err(400));
}
