//! `kubectl metallb preflight` against a real API server that holds what upstream's manifests leave, asked by somebody who
//! may read and write nothing.

use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use metallb_crds::schema;
use metallb_lab::{ApiServer, User, eventually, load_balancer};
use serde_json::Value;

#[path = "common/mod.rs"]
mod common;
#[path = "reconcile/upstream.rs"]
mod upstream;

use common::{FRR_CONFIGURATIONS, FRR_WEBHOOK, SOON, ask_for, frr_webhook};

const NAMESPACE: &str = "metallb-system";

/// Reading, and nothing else.
const READER: &str = "
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader},
 rules: [{apiGroups: ['*'], resources: ['*'], verbs: [get, list]}, {nonResourceURLs: ['*'], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: reader},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader},
 subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: reader}]}
";

const POOL: &str = "
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lab}, spec: {addresses: [192.0.2.0/28]}}
---
{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: {name: lab}}
";

/// What speaks against a take-over, all at once.
const TROUBLE: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: bgpextras}, data: {extras: router bgp 64512}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: default-deny},
 spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}
---
{apiVersion: frrk8s.metallb.io/v1beta1, kind: FRRConfiguration, metadata: {name: mine}, spec: {}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-proxy, namespace: kube-system}, data: {config.conf: 'mode: ipvs'}}
";

fn preflight(user: &User, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-metallb"));
    command.arg("preflight").arg("--kubeconfig").arg(user.kubeconfig());
    Ok(command.args(arguments).output()?)
}

/// The exit status, and level and code of every remark.
fn verdict(user: &User) -> Result<(Option<i32>, Vec<String>, Value)> {
    let output = preflight(user, &["-o", "json"])?;
    let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let remarks = answer["remarks"].as_array().context("no remarks")?;
    let text = |remark: &Value, field: &str| remark[field].as_str().unwrap_or_default().to_owned();
    let said = remarks.iter().map(|it| format!("{} {}", text(it, "level"), text(it, "code"))).collect();
    Ok((output.status.code(), said, answer))
}

#[tokio::test]
async fn a_cluster_of_upstreams_is_go_until_something_speaks_against_it() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?.in_namespace(NAMESPACE)?;
    let reader = server.user("reader").await?;
    let refused = preflight(&reader, &[])?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cannot list CustomResourceDefinitions") && said.contains("forbidden"), "{said}");

    admin.apply_yaml(READER).await?;
    eventually(SOON, "an empty cluster is go, and wants a resource", async || {
        let (status, said, _) = verdict(&reader)?;
        anyhow::ensure!((status, &said[..]) == (Some(0), &["step metallb-missing".to_owned()]), "{said:?}");
        Ok(())
    })
    .await;

    admin
        .apply_yaml(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"))
        .await?;
    for definition in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
    }
    for workload in [upstream::speaker(), upstream::controller(), upstream::webhook_server()] {
        admin.apply_yaml(&workload.to_string()).await?;
    }
    eventually(SOON, "the kinds are served", async || {
        ask_for(&admin, "metallb", "{bgpBackend: frr}").await?;
        admin.apply_yaml(POOL).await
    })
    .await;
    let user = admin.in_namespace("default")?;
    let service = user.create_service(load_balancer("web").port(80)).await?;
    user.set_ingress_ips(&service, &["192.0.2.9".parse()?]).await?;
    let (status, said, answer) = verdict(&reader)?;
    assert_eq!(
        (status, &said[..]),
        (Some(0), &["note memberlist-secret", "note webhook-server"].map(String::from)[..])
    );
    assert_eq!(answer["installation"]["by"]["kind"], "manifests");
    assert_eq!(answer["installation"]["version"], "v0.14.9");
    assert_eq!(answer["installation"]["bgpBackend"], "frr");

    admin.apply_yaml(FRR_CONFIGURATIONS).await?;
    admin.apply_yaml(&frr_webhook("gone", "Ignore")).await?;
    eventually(SOON, "the kind is served", async || admin.apply_yaml(TROUBLE).await).await;
    user.set_ingress_ips(&service, &["203.0.113.9".parse()?]).await?;
    let (status, said, _) = verdict(&reader)?;
    let expected = [
        "no-go addresses-change",
        "no-go frr-configurations-unserved",
        "no-go raw-frr-configuration",
        "step default-deny",
        "step frr-k8s-webhook-without-service",
        "step kube-proxy-answers-arp",
        "note memberlist-secret",
        "note webhook-server",
    ];
    assert_eq!((status, said), (Some(1), expected.map(String::from).to_vec()));
    let table = String::from_utf8(preflight(&reader, &[])?.stdout)?;
    assert!(table.contains(FRR_WEBHOOK) && table.ends_with("no-go, for 3 of the above\n"), "{table}");
    Ok(())
}
