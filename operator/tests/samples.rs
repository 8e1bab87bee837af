//! The setups that users start from: each is applied to an API server, and does what it says; and what kustomize makes of
//! the base is the manifest.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use metallb_crds::schema;
use metallb_lab::tools::Tools;
use metallb_lab::{ApiServer, User, eventually};
use serde_json::{Value, json};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
const NAMESPACE: &str = "metallb-system";
const SETUPS: [&str; 4] = ["bgp-two-tors", "dual-stack", "l2-home-lab", "pools-by-namespace"];
/// Long beside what it takes, as the machine may be busy.
const SOON: Duration = Duration::from_secs(20);

/// Two namespaces, a service in each with an endpoint on both nodes.
const WORKLOADS: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: metallb-system}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: checkout, labels: {team: shop}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: checkout}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default},
 spec: {type: LoadBalancer, ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, ports: [{port: 80}],
 metadata: {name: web, namespace: default, labels: {kubernetes.io/service-name: web}},
 endpoints: [{addresses: [10.0.1.1], nodeName: n1}, {addresses: [10.0.1.2], nodeName: n2}]}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, ports: [{port: 80}],
 metadata: {name: till, namespace: checkout, labels: {kubernetes.io/service-name: till}},
 endpoints: [{addresses: [10.0.1.3], nodeName: n1}, {addresses: [10.0.1.4], nodeName: n2}]}
";

/// A cluster as the setups want it, dual-stack, and a speaker on each node: pods that run, as far as the API server knows.
async fn cluster() -> Result<(ApiServer, User)> {
    let range = "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112";
    let server = ApiServer::builder().with_flag(range).start().await?;
    let admin = server.admin().await?.in_namespace(NAMESPACE)?;
    for definition in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
    }
    admin.apply_yaml(WORKLOADS).await?;
    for node in ["n1", "n2"] {
        let name = format!("speaker-{node}");
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": { "app": "metallb", "component": "speaker" } },
            "spec": { "nodeName": node, "containers": [{ "name": "main", "image": "none.example/none:1" }] },
        });
        eventually(SOON, "pods can be made", async || admin.apply_yaml(&pod.to_string()).await).await;
        let status = json!({ "status": { "containerStatuses": [{
            "name": "main", "image": "x", "imageID": "x", "ready": true, "restartCount": 0, "state": { "running": {} },
        }] } });
        let patch =
            ["patch", "pod", &name, "--subresource=status", "-p", &status.to_string()].map(str::to_owned);
        admin.kubectl(patch).await?.success()?;
    }
    Ok((server, admin))
}

fn setup(name: &str) -> String {
    format!("{CONFIG}/samples/setups/{name}.yaml")
}

fn metallb(admin: &User, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-metallb"));
    command.args(arguments).arg("--kubeconfig").arg(admin.kubeconfig());
    Ok(command.output()?)
}

fn answer(admin: &User, arguments: &[&str]) -> Result<Value> {
    let output = metallb(admin, &[arguments, &["-o", "json"]].concat())?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

/// Applies a setup as users do; what the one before left is gone.
async fn apply(admin: &User, name: &str) -> Result<()> {
    let kinds = "metallbs,ipaddresspools,l2advertisements,bgpadvertisements,bgppeers,bfdprofiles";
    eventually(SOON, "the kinds are served", async || {
        admin.kubectl(["delete", "--all", kinds]).await?.success()
    })
    .await;
    admin.kubectl(["apply", "--server-side", "-f", &setup(name)]).await?.success()?;
    Ok(())
}

/// The addresses that each service would get, and from which pool.
fn addresses(admin: &User) -> Result<Value> {
    let plan = answer(admin, &["plan", "--live"])?;
    ensure!(plan["setAside"] == json!([]), "{plan}");
    let rows = plan["services"].as_array().context("no services")?;
    Ok(rows.iter().map(|row| json!([row["name"], row["pool"], row["addresses"]])).collect())
}

/// Which node announces what on layer 2: any, but one for each address.
fn is_owned(admin: &User, addresses: &[&str]) -> Result<()> {
    let owners = answer(admin, &["owners"])?;
    let rows = owners["addresses"].as_array().context("no addresses")?;
    let found: Vec<&str> = rows.iter().filter_map(|row| row["address"].as_str()).collect();
    ensure!(found == addresses, "{owners}");
    ensure!(rows.iter().all(|row| ["n1", "n2"].iter().any(|node| row["owner"] == *node)), "{owners}");
    Ok(())
}

#[tokio::test]
async fn each_setup_does_what_it_says() -> Result<()> {
    let (_server, admin) = cluster().await?;

    apply(&admin, "l2-home-lab").await?;
    let home = json!([["till", "home", ["192.168.1.240"]], ["web", "home", ["192.168.1.241"]]]);
    assert_eq!(addresses(&admin)?, home);
    is_owned(&admin, &["192.168.1.240", "192.168.1.241"])?;

    apply(&admin, "dual-stack").await?;
    let both = json!([["till", "both", ["192.0.2.16"]], ["web", "both", ["192.0.2.17", "2001:db8:0:1::10"]]]);
    assert_eq!(addresses(&admin)?, both);
    is_owned(&admin, &["192.0.2.16", "192.0.2.17", "2001:db8:0:1::10"])?;

    apply(&admin, "pools-by-namespace").await?;
    let by_team = json!([["till", "shop", ["192.0.2.32"]], ["web", "common", ["192.0.2.48"]]]);
    assert_eq!(addresses(&admin)?, by_team);
    is_owned(&admin, &["192.0.2.32", "192.0.2.48"])?;

    apply(&admin, "bgp-two-tors").await?;
    let routed = json!([["till", "routed", ["198.51.100.0"]], ["web", "routed", ["198.51.100.1"]]]);
    assert_eq!(addresses(&admin)?, routed);
    let story = answer(&admin, &["explain", "service", "default/web"])?;
    let tors = json!(["tor-1", "tor-2"]);
    let nodes = json!([{ "node": "n1", "peers": tors, "refusal": null }, { "node": "n2", "peers": tors, "refusal": null }]);
    assert_eq!(story["bgp"][0]["nodes"], nodes, "{story}");
    let peers = answer(&admin, &["peers"])?;
    let rows = peers["sessions"].as_array().context("no sessions")?;
    let expected: Vec<_> = rows
        .iter()
        .filter(|row| row["expected"] == true)
        .map(|row| json!([row["node"], row["peer"]]))
        .collect();
    assert_eq!(json!(expected), json!([["n1", "tor-1"], ["n1", "tor-2"], ["n2", "tor-1"], ["n2", "tor-2"]]));
    let profile = ["get", "bgppeers", "-o", "jsonpath={.items[*].spec.bfdProfile}"];
    assert_eq!(admin.kubectl(profile).await?.success()?, "fast fast");
    Ok(())
}

#[test]
fn setups_explain_themselves_and_admission_finds_nothing_to_say_about_them() -> Result<()> {
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(format!("{CONFIG}/samples/setups"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = std::fs::read_to_string(&path)?;
        assert!(text.starts_with("# "), "{name}: what is it for?");
        if name == "kustomization" {
            continue;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-metallb"))
            .args(["validate", "-o", "json", "-f"])
            .arg(&path)
            .output()?;
        let verdict: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(verdict["findings"], json!([]), "{name}");
        found.push(name);
    }
    found.sort();
    assert_eq!(found, SETUPS, "each has its effect asserted above");
    Ok(())
}

fn kustomized(directory: &str) -> Result<Vec<Value>> {
    let kubectl = Tools::for_api_server()?.program("kubectl")?;
    let output = Command::new(kubectl).arg("kustomize").arg(Path::new(CONFIG).join(directory)).output()?;
    ensure!(output.status.success(), "{output:?}");
    objects(std::str::from_utf8(&output.stdout)?)
}

/// By kind and name.
fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(text)?;
    objects.sort_by_key(|object| {
        [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]]
            .map(ToString::to_string)
    });
    Ok(objects)
}

#[test]
fn the_kustomize_base_is_the_manifest() -> Result<()> {
    let manifest = std::fs::read_to_string(format!("{CONFIG}/manifests/metallb-operator.yaml"))?;
    let (base, manifest) = (kustomized("manifests")?, objects(&manifest)?);
    assert!(manifest.len() > 30);
    for (ours, theirs) in base.iter().zip(&manifest) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(base.len(), manifest.len());
    Ok(())
}

#[test]
fn the_overlay_brings_images_of_a_registry_and_a_setup() -> Result<()> {
    let overlay = kustomized("samples/overlay")?;
    let text = serde_json::to_string(&overlay)?;
    assert!(!text.contains("localhost/"), "an image of this machine is left");
    let deployment = overlay.iter().find(|object| object["kind"] == "Deployment").context("no Deployment")?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/metallb-operator:v1");
    let environment = container["env"].as_array().context("no variables")?;
    for (name, value) in [
        ("CONTROLLER_IMAGE", "registry.example/metallb-dataplane:v1"),
        ("SPEAKER_IMAGE", "registry.example/metallb-dataplane:v1"),
        ("DEPLOY_SERVICEMONITORS", "true"),
    ] {
        assert!(environment.contains(&json!({ "name": name, "value": value })), "{environment:?}");
    }
    assert!(environment.iter().any(|it| it["name"] == "POD_NAME"), "the others stay");
    assert!(overlay.iter().any(|object| object["kind"] == "IPAddressPool"));
    Ok(())
}

#[test]
fn the_dashboard_becomes_a_config_map_that_grafana_finds() -> Result<()> {
    let [dashboard] = &kustomized("grafana")?[..] else { anyhow::bail!("one ConfigMap") };
    assert_eq!(dashboard["metadata"]["labels"], json!({ "grafana_dashboard": "1" }));
    let text = dashboard["data"]["metallb.json"].as_str().context("no dashboard")?;
    assert_eq!(serde_json::from_str::<Value>(text)?["title"], "MetalLB");
    Ok(())
}
