//! Upstream's frr-k8s in a cluster with controllers and (fake) nodes: in use by others, handed over, and gone.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use metallb_lab::{ApiServer, User, eventually};

use common::{FRR_CONFIGURATIONS, Installation, SOON, ask_for, metallbs};

/// Pods are stopped and started node by node.
const HANDED_OVER: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "metallb-system";
/// Gives the operator its rights.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/manifests/metallb-operator.yaml");
const WEBHOOK: &str = "frr-k8s-validating-webhook-configuration";

/// As metallb-operator leaves it in frr-k8s mode; as far as it has pods.
const UPSTREAM: &str = "
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

const FRR_WEBHOOK: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: frr-k8s-validating-webhook-configuration}
webhooks:
- name: frrconfigurationsvalidationwebhook.metallb.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: frr-k8s-webhook-service, namespace: NAMESPACE}}
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

#[tokio::test]
async fn sessions_are_handed_over_node_by_node_unless_they_are_somebody_elses() -> Result<()> {
    let server = ApiServer::builder().with_fake_nodes(3).start().await?;
    let admin = server.admin().await?.in_namespace(NAMESPACE)?;
    for document in std::fs::read_to_string(MANIFEST)?.split("\n---\n") {
        // The operator runs in this process, and nobody asks its webhooks.
        if !["kind: Deployment", "kind: ValidatingWebhookConfiguration"]
            .iter()
            .any(|it| document.contains(it))
        {
            admin.apply_yaml(document).await?;
        }
    }
    admin.apply_yaml(FRR_CONFIGURATIONS).await?;
    ask_for(&admin, "metallb", "{bgpBackend: frr-k8s}").await?;
    let owner = common::owner(&admin).await?;
    admin.apply_yaml(&UPSTREAM.replace("OWNER", &owner)).await?;
    admin.apply_yaml(&FRR_WEBHOOK.replace("NAMESPACE", admin.namespace())).await?;
    eventually(SOON, "the kind is served", async || admin.apply_yaml(&frr_configuration("tenant")).await)
        .await;
    admin.apply_yaml(&frr_configuration("metallb-fake1")).await?;
    let upstreams = |nodes: &BTreeMap<String, OnNode>| {
        nodes.len() == 3 && nodes.values().all(|on_node| *on_node == (true, true, false))
    };
    eventually(SOON, "upstream's pods run on every node", async || {
        let nodes = on_nodes(&admin).await?;
        upstreams(&nodes).then_some(()).context(format!("{nodes:?}"))
    })
    .await;

    // Somebody else's sessions.
    let account = server.service_account(NAMESPACE, "manager-account").await?;
    let installation = Installation::run_as(account.client(), admin.clone(), &[])?;
    let message = installation.until("Degraded", "FRRConfigurationsInUse").await;
    assert!(message.contains(&format!("{}/tenant", admin.namespace())), "{message}");
    assert!(!message.contains("metallb-fake1"), "{message}");
    installation.controller().await?; // the rest is installed
    let nodes = on_nodes(&admin).await?;
    assert!(upstreams(&nodes), "nothing is taken from them: {nodes:?}");

    // Only ours.
    admin.kubectl(["delete", "frrconfiguration", "tenant"]).await?.success()?;
    let mut half_way = false;
    eventually(HANDED_OVER, "our speakers are on all nodes", async || {
        let nodes = on_nodes(&admin).await?;
        for (node, (frr, _, ours)) in &nodes {
            assert!(!(*frr && *ours), "two for one session on {node}: {nodes:?}");
        }
        let done = nodes.values().filter(|(_, _, ours)| *ours).count();
        // One node at a time: all others have either all of upstream's or ours.
        let between =
            nodes.values().filter(|on_node| !matches!(on_node, (true, true, false) | (false, false, true)));
        assert!(between.count() <= 1, "more than one node is between: {nodes:?}");
        half_way |= done == 1 || done == 2;
        (nodes.values().all(|on_node| *on_node == (false, false, true)) && done == 3)
            .then_some(())
            .context(format!("{nodes:?}"))
    })
    .await;
    assert!(half_way, "it was not node by node");
    installation.until("Available", "Available").await;
    let sets = installation.daemon_sets();
    let strategy = sets.get("speaker").await?.spec.and_then(|spec| spec.update_strategy?.type_);
    assert_eq!(strategy.as_deref(), Some("RollingUpdate"), "the DaemonSet replaces speakers again");
    assert!(sets.get_opt("frr-k8s").await?.is_none());
    eventually(SOON, "what bites is gone", async || {
        let services: Api<Service> = Api::default_namespaced(admin.client());
        anyhow::ensure!(services.get_opt("frr-k8s-webhook-service").await?.is_none());
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(admin.client());
        anyhow::ensure!(webhooks.get_opt(WEBHOOK).await?.is_none());
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
