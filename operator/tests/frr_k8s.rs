//! Upstream's frr-k8s in a cluster with controllers and (fake) nodes: in use by others, handed over, and gone.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use metallb_lab::{ApiServer, User, eventually};

use common::{FRR_CONFIGURATIONS, FRR_WEBHOOK, Installation, SOON, ask_for, frr_webhook, metallbs};

/// Pods are stopped and started node by node.
const HANDED_OVER: Duration = Duration::from_mins(2);
const NODES: usize = 3;
const NAMESPACE: &str = "metallb-system";
/// Gives the operator its rights.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/manifests/metallb-operator.yaml");

/// As metallb-operator leaves it in frr-k8s mode; as far as it has pods.
const UPSTREAM: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, OWNER}
spec:
  selector: {matchLabels: {app: metallb, component: controller}}
  template:
    metadata: {labels: {app: metallb, component: controller}}
    spec: {containers: [{name: controller, image: upstream}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker, OWNER}
spec:
  selector: {matchLabels: {app: metallb, component: speaker}}
  template:
    metadata: {labels: {app: metallb, component: speaker}}
    spec: {hostNetwork: true, containers: [{name: speaker, image: upstream}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: frr-k8s, OWNER}
spec:
  selector: {matchLabels: {app: frr-k8s, app.kubernetes.io/component: frr-k8s}}
  template:
    metadata: {labels: {app: frr-k8s, app.kubernetes.io/component: frr-k8s}}
    spec: {hostNetwork: true, terminationGracePeriodSeconds: 0, containers: [{name: controller, image: frr-k8s}]}
---
apiVersion: v1
kind: Service
metadata: {name: frr-k8s-webhook-service, OWNER}
spec: {ports: [{port: 443}], selector: {component: statuscleaner}}
";

/// Answers the webhook of frr-k8s, in its manifests.
const FRR_HELPER: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: frr-k8s-webhook-server}
spec:
  selector: {matchLabels: {control-plane: webhook-server}}
  template:
    metadata: {labels: {control-plane: webhook-server}}
    spec: {containers: [{name: frr-k8s-webhook-server, image: frr-k8s-webhook}]}
";

fn frr_configuration(name: &str) -> String {
    format!("{{apiVersion: frrk8s.metallb.io/v1beta1, kind: FRRConfiguration, metadata: {{name: {name}}}}}")
}

/// Whether a pod of frr-k8s, a speaker of upstream's and one of ours are on a node.
type OnNode = (bool, bool, bool);

/// What is on each node.
async fn on_nodes(admin: &User) -> Result<BTreeMap<String, OnNode>> {
    let pods: Api<Pod> = Api::default_namespaced(admin.client());
    let mut nodes: BTreeMap<String, OnNode> = BTreeMap::new();
    for pod in pods.list(&ListParams::default()).await?.items {
        let spec = pod.spec.as_ref().context("no spec")?;
        let node = nodes.entry(spec.node_name.clone().unwrap_or_default()).or_default();
        match (pod.labels().get("component").map(String::as_str), spec.containers[0].image.as_deref()) {
            (_, Some("frr-k8s")) => node.0 = true,
            (Some("speaker"), Some("upstream")) => node.1 = true,
            (Some("speaker"), Some("speaker:1")) => node.2 = true,
            _ => {}
        }
    }
    nodes.retain(|_, on_node| *on_node != (false, false, false));
    Ok(nodes)
}

/// The images of the controllers that run: more than one would give out addresses twice.
async fn controllers(admin: &User) -> Result<BTreeSet<String>> {
    let pods: Api<Pod> = Api::default_namespaced(admin.client());
    let found = pods.list(&ListParams::default().labels("app=metallb,component=controller")).await?.items;
    Ok(found.into_iter().filter_map(|pod| pod.spec?.containers.into_iter().next()?.image).collect())
}

/// How many nodes have our speaker and nothing else. No node ever has two for one session, and none but one is on its way.
async fn handed_over(admin: &User) -> Result<usize> {
    let nodes = on_nodes(admin).await?;
    for (node, (frr, _, ours)) in &nodes {
        assert!(!(*frr && *ours), "two for one session on {node}: {nodes:?}");
    }
    let (before, after) = ((true, true, false), (false, false, true));
    let between = nodes.values().filter(|on_node| **on_node != before && **on_node != after);
    assert!(between.count() <= 1, "more than one node is on its way: {nodes:?}");
    Ok(nodes.values().filter(|on_node| **on_node == after).count())
}

/// A cluster with three nodes, and all that the manifest installs but what runs and what is asked: the operator runs in
/// this process.
async fn cluster() -> Result<(ApiServer, User)> {
    let server = ApiServer::builder().with_fake_nodes(u16::try_from(NODES)?).start().await?;
    let admin = server.admin().await?.in_namespace(NAMESPACE)?;
    for document in std::fs::read_to_string(MANIFEST)?.split("\n---\n") {
        let is_left_out = ["kind: Deployment", "kind: ValidatingWebhookConfiguration"];
        if !is_left_out.iter().any(|it| document.contains(it)) {
            admin.apply_yaml(document).await?;
        }
    }
    admin.apply_yaml(FRR_CONFIGURATIONS).await?;
    Ok((server, admin))
}

/// Upstream's pods run on every node, and nothing else.
async fn until_upstreams_run(admin: &User) {
    eventually(SOON, "upstream's pods run on every node", async || {
        let (nodes, controllers) = (on_nodes(admin).await?, controllers(admin).await?);
        (are_upstreams(&nodes) && controllers.len() == 1)
            .then_some(())
            .context(format!("{nodes:?} {controllers:?}"))
    })
    .await;
}

fn are_upstreams(nodes: &BTreeMap<String, OnNode>) -> bool {
    nodes.len() == NODES && nodes.values().all(|on_node| *on_node == (true, true, false))
}

/// Waits for that, and looks that sessions and addresses are never in two hands meanwhile.
async fn until_handed_over(admin: &User) {
    eventually(HANDED_OVER, "our speakers are on all nodes", async || {
        let (done, controllers) = (handed_over(admin).await?, controllers(admin).await?);
        assert!(controllers.len() <= 1, "two allocate: {controllers:?}");
        (done == NODES).then_some(()).context(format!("{:?}", on_nodes(admin).await?))
    })
    .await;
}

#[tokio::test]
async fn what_upstreams_manifests_leave_is_handed_over_too() -> Result<()> {
    let (server, admin) = cluster().await?;
    let objects = UPSTREAM.replace(", OWNER", "").replace("{name: frr-k8s}", "{name: frr-k8s-daemon}");
    for document in objects.split("---") {
        // As `kubectl apply` does.
        let document: serde_json::Value = serde_saphyr::from_str(document)?;
        let text = document.to_string();
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        let path = file.path().to_str().context("no path")?;
        admin.kubectl(["-n", NAMESPACE, "apply", "-f", path]).await?.success()?;
    }
    admin.apply_yaml(FRR_HELPER).await?;
    until_upstreams_run(&admin).await;
    let account = server.service_account(NAMESPACE, "manager-account").await?;
    let installation = Installation::run_as(account.client(), admin.clone(), &[])?;
    ask_for(&admin, "metallb", "{bgpBackend: frr-k8s}").await?;
    until_handed_over(&admin).await;
    installation.until("Available", "Available").await;
    eventually(SOON, "nothing of frr-k8s is left", async || {
        let deployments = installation.deployments().list(&ListParams::default()).await?.items;
        let names: Vec<_> = deployments.iter().map(kube::ResourceExt::name_any).collect();
        anyhow::ensure!(names == ["controller"], "{names:?}");
        let sets = installation.daemon_sets().list(&ListParams::default()).await?.items;
        anyhow::ensure!(sets.len() == 1, "{sets:?}");
        let services: Api<Service> = Api::default_namespaced(admin.client());
        anyhow::ensure!(services.get_opt("frr-k8s-webhook-service").await?.is_none());
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn sessions_are_handed_over_node_by_node_unless_they_are_somebody_elses() -> Result<()> {
    let (server, admin) = cluster().await?;
    ask_for(&admin, "metallb", "{bgpBackend: frr-k8s}").await?;
    let owner = common::owner(&admin).await?;
    admin.apply_yaml(&UPSTREAM.replace("OWNER", &owner)).await?;
    admin.apply_yaml(&frr_webhook(admin.namespace(), "Ignore")).await?;
    eventually(SOON, "the kind is served", async || admin.apply_yaml(&frr_configuration("tenant")).await)
        .await;
    admin.apply_yaml(&frr_configuration("metallb-fake1")).await?;
    until_upstreams_run(&admin).await;

    // Somebody else's sessions.
    let account = server.service_account(NAMESPACE, "manager-account").await?;
    let installation = Installation::run_as(account.client(), admin.clone(), &[])?;
    let message = installation.until("Degraded", "FRRConfigurationsInUse").await;
    assert!(message.contains(&format!("{}/tenant", admin.namespace())), "{message}");
    assert!(!message.contains("metallb-fake1"), "{message}");
    eventually(SOON, "the controller is taken over", async || {
        let controllers = controllers(&admin).await?;
        assert!(controllers.len() <= 1, "two allocate: {controllers:?}");
        anyhow::ensure!(controllers.iter().eq(["controller:1"]), "{controllers:?}");
        Ok(())
    })
    .await;
    let nodes = on_nodes(&admin).await?;
    assert!(are_upstreams(&nodes), "nothing is taken from them: {nodes:?}");

    // Only ours.
    admin.kubectl(["delete", "frrconfiguration", "tenant"]).await?.success()?;
    let half_way = eventually(HANDED_OVER, "one of our speakers is there", async || {
        let done = handed_over(&admin).await?;
        anyhow::ensure!(done > 0);
        Ok(done)
    })
    .await;
    assert!(half_way < NODES, "it was not node by node");
    drop(installation);
    let installation = Installation::run_as(account.client(), admin.clone(), &[])?; // goes on where things are
    until_handed_over(&admin).await;
    installation.until("Available", "Available").await;
    let sets = installation.daemon_sets();
    let strategy = sets.get("speaker").await?.spec.and_then(|spec| spec.update_strategy?.type_);
    assert_eq!(strategy.as_deref(), Some("RollingUpdate"), "the DaemonSet replaces speakers again");
    assert!(sets.get_opt("frr-k8s").await?.is_none());
    eventually(SOON, "what bites is gone", async || {
        let services: Api<Service> = Api::default_namespaced(admin.client());
        anyhow::ensure!(services.get_opt("frr-k8s-webhook-service").await?.is_none());
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(admin.client());
        anyhow::ensure!(webhooks.get_opt(FRR_WEBHOOK).await?.is_none());
        Ok(())
    })
    .await;

    // FRRConfigurations that nobody reads any more.
    let elsewhere = admin.in_new_namespace().await?;
    elsewhere.apply_yaml(&frr_configuration("tenant")).await?;
    let message = installation.until("Degraded", "FRRConfigurationsUnserved").await;
    assert!(message.contains(&format!("{}/tenant has no effect", elsewhere.namespace())), "{message}");
    elsewhere.apply_yaml(&another_frr_k8s()).await?;
    installation.until("Available", "Available").await;
    let sets: Api<DaemonSet> = Api::default_namespaced(elsewhere.client());
    sets.delete("frr-k8s", &DeleteParams::background()).await?;
    installation.until("Degraded", "FRRConfigurationsUnserved").await;
    elsewhere.kubectl(["delete", "frrconfiguration", "tenant"]).await?.success()?;
    installation.until("Available", "Available").await;
    assert!(
        metallbs(&admin)
            .get("metallb")
            .await?
            .status
            .is_some_and(|it| it.bgp_backend.as_deref() == Some("frr-k8s"))
    );
    Ok(())
}

/// Installed by somebody else, in a namespace of its own.
fn another_frr_k8s() -> String {
    let sets = UPSTREAM.split("---").filter(|document| document.contains("name: frr-k8s, OWNER"));
    sets.map(|document| document.replace(", OWNER", "")).collect()
}
