//! `kubectl metallb` as a program, against a real API server and without one.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use kube::api::PostParams;
use kube::{Api, Resource as _};
use metallb_crds::{ServiceL2Status, schema};
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
    assert_eq!(nodes.len(), 2);
    assert!(nodes.iter().all(|node| node["refusal"]["fix"].is_string()), "{story}");
    Ok(())
}
