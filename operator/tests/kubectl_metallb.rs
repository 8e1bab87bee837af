//! `kubectl metallb` as a program, against a real API server and without one.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource as _};
use metallb_crds::{BGPNodeStatus, ServiceL2Status, schema};
use metallb_lab::{ApiServer, User, load_balancer};
use serde_json::{Value, json};

/// Runs the program with `input` on its standard input.
fn metallb(arguments: &[&str], input: &str) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-metallb"))
        .args(arguments)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn pool(namespace: &str, addresses: &str) -> String {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": { "name": "lab", "namespace": namespace }, "spec": { "addresses": [addresses] },
    })
    .to_string()
}

#[test]
fn validating_needs_no_cluster_and_its_exit_status_is_the_verdict() -> Result<()> {
    let good = metallb(&["validate", "-f", "-"], &pool("metallb-system", "192.0.2.0/28"))?;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let bad = metallb(&["validate", "-o", "json", "-f", "-"], &pool("metallb-system", "192.0.2.1"))?;
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let verdict: Value = serde_json::from_slice(&bad.stdout)?;
    assert_eq!(
        (&verdict["valid"], &verdict["findings"][0]["code"]),
        (&json!(false), &json!("pool-bad-addresses"))
    );
    let absent = metallb(&["validate", "-f", "/nowhere"], "")?;
    assert_eq!(absent.status.code(), Some(2), "{absent:?}");
    assert!(String::from_utf8_lossy(&absent.stderr).contains("/nowhere"));
    Ok(())
}

#[test]
fn without_a_cluster_the_error_says_what_was_tried() -> Result<()> {
    let lost = metallb(&["explain", "service", "web", "--kubeconfig=/nowhere/config"], "")?;
    assert_eq!(lost.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("/nowhere/config"), "{lost:?}");
    Ok(())
}

/// A user of a server with one service that has an address, on one node.
async fn prepared(server: &ApiServer) -> Result<User> {
    let admin = server.admin().await?.in_namespace("metallb-system")?;
    admin.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: metallb-system}}").await?;
    for definition in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
    }
    admin.apply_yaml("{apiVersion: v1, kind: Node, metadata: {name: n1}}").await?;
    admin.apply_yaml("{apiVersion: v1, kind: Node, metadata: {name: n2}}").await?;
    metallb_lab::eventually(std::time::Duration::from_secs(20), "the kinds are served", async || {
        admin.apply_yaml(&pool("metallb-system", "192.0.2.0/28")).await
    })
    .await;
    let user = admin.in_namespace("default")?;
    let service = user.create_service(load_balancer("web").port(80)).await?;
    user.set_ingress_ips(&service, &["192.0.2.9".parse()?]).await?;
    user.create_service(load_balancer("new").port(80)).await?;
    Ok(admin)
}

#[tokio::test]
async fn a_change_is_planned_and_a_service_explained_from_what_a_cluster_holds() -> Result<()> {
    let server = ApiServer::shared().await?;
    let admin = prepared(server).await?;
    let kubeconfig = format!("--kubeconfig={}", admin.kubeconfig().display());

    let smaller = pool("metallb-system", "192.0.2.0/29");
    let plan = metallb(&["plan", "--live", "-o", "json", "-f", "-", &kubeconfig], &smaller)?;
    let plan: Value = serde_json::from_slice(&plan.stdout).with_context(|| format!("{plan:?}"))?;
    let rows: Vec<_> = plan["services"]
        .as_array()
        .context("services")?
        .iter()
        .map(|row| json!([row["name"], row["change"], row["before"], row["addresses"]]))
        .collect();
    assert!(rows.contains(&json!(["web", "changes", ["192.0.2.9"], ["192.0.2.0"]])), "{rows:?}");
    assert!(rows.contains(&json!(["new", "gets", [], ["192.0.2.1"]])), "{rows:?}");
    let pools = admin.kubectl(["get", "ipaddresspool", "lab", "-o", "jsonpath={.spec.addresses[0]}"]).await?;
    assert_eq!(pools.success()?, "192.0.2.0/28", "planning has written something");

    let statuses: Api<ServiceL2Status> = Api::default_namespaced(admin.client());
    let status: ServiceL2Status =
        serde_json::from_value(json!({ "metadata": { "name": "l2-x" }, "spec": {} }))?;
    let mut status = statuses.create(&PostParams::default(), &status).await?;
    status.status =
        serde_json::from_value(json!({ "node": "n2", "serviceName": "web", "serviceNamespace": "default" }))?;
    let name = status.meta().name.clone().context("name")?;
    statuses.replace_status(&name, &PostParams::default(), &status).await?;

    let story = metallb(&["explain", "service", "default/web", "-o", "json", &kubeconfig], "")?;
    let story: Value = serde_json::from_slice(&story.stdout).with_context(|| format!("{story:?}"))?;
    assert_eq!((&story["addresses"], &story["pool"]), (&json!(["192.0.2.9"]), &json!("lab")));
    assert_eq!(story["reportedNodes"], json!(["n2"]));
    // No endpoints, and no advertisement: said for every node.
    let nodes = story["layer2"][0]["nodes"].as_array().context("nodes")?;
    // The server is shared with a test that has a node of its own.
    assert_eq!(nodes.iter().filter(|node| node["node"] == "n1" || node["node"] == "n2").count(), 2);
    assert!(nodes.iter().all(|node| node["refusal"]["fix"].is_string()), "{story}");
    Ok(())
}

/// A namespace with a peer for one node, and a speaker on it.
async fn with_a_speaker(admin: &User) -> Result<User> {
    for definition in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
    }
    let user = admin.in_new_namespace().await?;
    let node = user.namespace().to_owned(); // of its own, too
    let labels = json!({ "node": node });
    let peer = json!({
        "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": { "name": "tor" },
        "spec": {
            "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1",
            "nodeSelectors": [{ "matchLabels": labels }],
        },
    });
    metallb_lab::eventually(std::time::Duration::from_secs(20), "the kinds are served", async || {
        user.apply_yaml(&peer.to_string()).await
    })
    .await;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "speaker", "labels": { "app": "metallb", "component": "speaker" } },
        "spec": { "nodeName": node, "containers": [{ "name": "main", "image": "none.example/none:1" }] },
    });
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node, "labels": labels } });
    user.apply_yaml(&node.to_string()).await?;
    user.apply_yaml(&pod.to_string()).await?;
    Ok(user)
}

#[tokio::test]
async fn peers_are_told_as_the_speakers_report_them_and_a_check_has_a_status() -> Result<()> {
    let admin = ApiServer::shared().await?.admin().await?;
    let user = with_a_speaker(&admin).await?;
    let kubeconfig = format!("--kubeconfig={}", user.kubeconfig().display());
    let ask = |more: &[&str]| -> Result<(Option<i32>, Value)> {
        let arguments = [&["peers", "-n", user.namespace(), "-o", "json", &kubeconfig], more].concat();
        let output = metallb(&arguments, "")?;
        let answer = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        Ok((output.status.code(), answer))
    };
    let (code, answer) = ask(&["--check"])?;
    let row = &answer["sessions"][0];
    assert_eq!((code, &row["node"], &row["peer"]), (Some(1), &json!(user.namespace()), &json!("tor")));
    assert_eq!(row["problem"]["code"], "speaker-not-ready");

    let pods: Api<Pod> = Api::namespaced(user.client(), user.namespace());
    // It runs, and is not ready: it may wait for another router.
    let running = json!({ "status": { "containerStatuses": [{
        "name": "main", "image": "none.example/none:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "running": { "startedAt": "2027-01-14T20:00:00Z" } },
    }] } });
    pods.patch_status("speaker", &PatchParams::default(), &Patch::Merge(running)).await?;
    let statuses: Api<BGPNodeStatus> = Api::namespaced(user.client(), user.namespace());
    let status = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "BGPNodeStatus", "metadata": { "name": user.namespace() },
    });
    user.apply_yaml(&status.to_string()).await?;
    let sessions = json!({ "status": { "sessions": [{
        "peer": "tor", "address": "192.0.2.1", "port": 179, "state": "Established",
        "since": "2027-01-14T20:00:00Z", "prefixes": { "announced": 12 }, "localASN": 64512,
    }] } });
    statuses.patch_status(user.namespace(), &PatchParams::default(), &Patch::Merge(sessions)).await?;
    let (code, answer) = ask(&["tor", "--node", user.namespace(), "--check"])?;
    assert_eq!((code, &answer["healthy"]), (Some(0), &json!(true)), "{answer}");
    assert_eq!(answer["sessions"][0]["session"]["prefixes"]["announced"], 12);

    let absent = metallb(&["peers", "nobody", "-n", user.namespace(), &kubeconfig], "")?;
    assert_eq!(absent.status.code(), Some(2), "{absent:?}");
    assert!(String::from_utf8_lossy(&absent.stderr).contains("there is no BGPPeer nobody"), "{absent:?}");
    Ok(())
}
