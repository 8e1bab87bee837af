//! The operator in a cluster with controllers and (fake) nodes, installed by its manifest and with no more rights than
//! that gives it.

mod common;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Resource, ResourceExt as _};
use metallb_core::refusal::Kind;
use metallb_lab::{ApiServer, User, eventually};
use metallb_operator::args::Args;
use metallb_operator::render::{PrometheusRule, ServiceMonitor};
use metallb_operator::webhooks::Reviewer;
use metallb_operator::webhooks::admission::About;
use metallb_operator::webhooks::metallb::Rules;
use metallb_process::shutdown::Shutdown;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use common::{
    COLLECTED, FRR_CONFIGURATIONS, FRR_WEBHOOK, Installation, MONITORING, SOON, ask_for, environment,
    frr_webhook, metallbs, until,
};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/manifests/metallb-operator.yaml");
const NAMESPACE: &str = "metallb-system";

/// For both tests. As strict about owner references as OpenShift is.
async fn server() -> Result<&'static ApiServer> {
    static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
    let strict = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement";
    SERVER
        .get_or_try_init(async || ApiServer::builder().with_fake_nodes(2).with_flag(strict).start().await)
        .await
}

/// One story, so that one count of refused requests is about all of it.
#[tokio::test]
async fn the_manifest_gives_every_right_that_an_installation_needs() -> Result<()> {
    let server = server().await?;
    let admin = server.admin().await?.in_namespace(NAMESPACE)?;
    admin.kubectl(["apply", "-f", MANIFEST]).await?.success()?;
    nobody_asks(&admin).await?;
    admin.apply_yaml(MONITORING).await?;
    admin.apply_yaml(FRR_CONFIGURATIONS).await?;
    let forbidden = forbidden_requests(&admin).await?;
    let account = server.service_account(NAMESPACE, "manager-account").await?;

    let operator = Running::start(&account, &[("DEPLOY_SERVICEMONITORS", "true")])?;
    eventually(SOON, "the webhooks are trusted", async || trusted_everywhere(&admin).await).await;
    let answer = review_a_new_pool(&account).await?;
    assert_eq!(answer["allowed"], true, "{answer}");
    admin.apply_yaml(&frr_webhook(NAMESPACE, "Fail")).await?;
    ask_for(&admin, "metallb", "{}").await?;
    let message = until(&admin, "metallb", "Available", "Available").await;
    assert_eq!(message, "Deployment controller: 1 of 1 pods ready; DaemonSet speaker: 2 of 2 pods ready");
    eventually(SOON, "everything is installed", async || is_installed(&admin, WITH_MONITORS).await).await;
    eventually(SOON, "what refuses every FRRConfiguration is gone", async || {
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(admin.client());
        let found = webhooks.get_opt(FRR_WEBHOOK).await?;
        anyhow::ensure!(found.is_none());
        Ok(())
    })
    .await;
    let metallb = metallbs(&admin).get("metallb").await?;
    eventually(SOON, "events tell of it", async || {
        let reasons: Vec<_> =
            admin.events_of(&metallb).await?.into_iter().map(|event| event.reason).collect();
        anyhow::ensure!(reasons == ["Progressing", "Available"], "{reasons:?}");
        Ok(())
    })
    .await;

    ask_for(&admin, "metallb", "{nodeSelector: {role: edge}}").await?;
    until(&admin, "metallb", "Degraded", "NoNodeMatches").await;
    admin.kubectl(["label", "node", "fake1", "role=edge"]).await?.success()?;
    let message = until(&admin, "metallb", "Available", "Available").await;
    assert!(message.ends_with("1 of 1 pods ready"), "{message}");

    operator.stop().await?;
    let operator = Running::start(&account, &[("DISABLE_NETWORK_POLICIES", "true")])?;
    eventually(SOON, "what is turned off is deleted", async || is_installed(&admin, PLAIN).await).await;
    let elsewhere = admin.in_new_namespace().await?;
    ask_for(&elsewhere, "metallb", "{}").await?;
    until(&elsewhere, "metallb", "Degraded", "IncorrectMetalLBResourceNamespace").await;
    assert_eq!(forbidden_requests(&admin).await?, forbidden);

    server.restart().await?;
    ask_for(&admin, "metallb", "{frrk8sConfig: {alwaysBlock: [nowhere]}}").await?;
    until(&admin, "metallb", "Degraded", "InvalidSpec").await;
    operator.stop().await
}

#[tokio::test]
async fn what_is_installed_goes_with_the_metallb_and_comes_back_with_a_new_one() -> Result<()> {
    let installation = Installation::start(&server().await?.admin().await?).await?;
    // Speakers are on the hosts' networks, and those of the other test are on the same hosts.
    let installation =
        installation.restart_with(&[("METRICS_PORT", "1120"), ("MEMBER_LIST_BIND_PORT", "1946")])?;
    let admin = &installation.admin;
    admin.apply_yaml(ACCOUNTS).await?;
    installation.ask_for("{}").await?;
    installation.until("Available", "Available").await;
    metallbs(admin).delete("metallb", &DeleteParams::default()).await?;
    eventually(COLLECTED, "everything is gone", async || is_installed(admin, &[]).await).await;
    installation.ask_for("{}").await?;
    installation.until("Available", "Available").await;
    Ok(())
}

/// The operator runs in this process, so its pods are fake, and nothing answers where they are: webhooks stay
/// installed, but are about nothing.
async fn nobody_asks(admin: &User) -> Result<()> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(admin.client());
    for configuration in api.list(&ListParams::default()).await?.items {
        for index in 0..configuration.webhooks.as_ref().map_or(0, Vec::len) {
            let rules = format!("/webhooks/{index}/rules");
            let none = json!([{ "op": "replace", "path": rules, "value": [] }]);
            let none = Patch::Json::<()>(serde_json::from_value(none)?);
            api.patch(&configuration.name_any(), &PatchParams::default(), &none).await?;
        }
    }
    Ok(())
}

/// What a webhook would answer that runs as that account: it has to read everything that an edit is judged beside.
async fn review_a_new_pool(account: &User) -> Result<Value> {
    let rules = Rules { namespace: NAMESPACE.to_owned(), external_frrk8s_namespace: None };
    let reviewer = Reviewer { client: account.client(), rules };
    let pool = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": { "name": "lab", "namespace": NAMESPACE }, "spec": { "addresses": ["10.0.0.0/24"] },
    });
    let kind = json!({ "group": "metallb.io", "version": "v1beta1", "kind": "IPAddressPool" });
    let resource = json!({ "group": "metallb.io", "version": "v1beta1", "resource": "ipaddresspools" });
    let request = json!({
        "uid": "1", "kind": kind, "resource": resource, "name": "lab", "namespace": NAMESPACE,
        "operation": "CREATE", "userInfo": {}, "object": pool,
    });
    let review =
        json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request });
    let about = About::Configuration(Kind::IpAddressPool);
    let answer = serde_json::to_value(reviewer.answer(about, review.to_string().as_bytes()).await?)?;
    Ok(answer["response"].clone())
}

/// Every caller of our webhooks is told by whom their certificate is signed.
async fn trusted_everywhere(admin: &User) -> Result<()> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(admin.client());
    let definitions: Api<CustomResourceDefinition> = Api::all(admin.client());
    let secrets: Api<Secret> = Api::default_namespaced(admin.client());
    let data = secrets.get("metallb-webhook-cert").await?.data.unwrap_or_default();
    let authorities = data.get("ca.crt").context("no authorities")?;
    for configuration in configurations.list(&ListParams::default()).await?.items {
        for webhook in configuration.webhooks.into_iter().flatten() {
            anyhow::ensure!(
                webhook.client_config.ca_bundle.as_ref() == Some(authorities),
                "{}",
                webhook.name
            );
        }
    }
    let conversion = definitions.get("bgppeers.metallb.io").await?.spec.conversion;
    let client = conversion.and_then(|it| it.webhook?.client_config).context("no conversion")?;
    anyhow::ensure!(client.ca_bundle.as_ref() == Some(authorities), "the conversion");
    Ok(())
}

const ACCOUNTS: &str = "
{apiVersion: v1, kind: ServiceAccount, metadata: {name: controller}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: speaker}}
";

const PLAIN: &[&str] = &[
    "ConfigMap metallb-excludel2",
    "ConfigMap metallb-spec-in-force",
    "DaemonSet speaker",
    "Deployment controller",
];
const WITH_MONITORS: &[&str] = &[
    "ConfigMap metallb-excludel2",
    "ConfigMap metallb-spec-in-force",
    "DaemonSet speaker",
    "Deployment controller",
    "NetworkPolicy controller",
    "Service controller-monitor-service",
    "Service speaker-monitor-service",
    "ServiceMonitor controller-monitor",
    "ServiceMonitor speaker-monitor",
    "PrometheusRule metallb",
];

/// The operator as its binary runs it.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Running {
    fn start(account: &User, variables: &[(&str, &str)]) -> Result<Self> {
        let (stop, shutdown) = Shutdown::by_hand();
        let flags = ["--enable-leader-election", "--port=0", "--webhook-port=0", "--webhook-drain-seconds=0"];
        let args = Args::parse_from([&["manager"], &flags[..]].concat());
        let variables = [variables, &[("POD_NAME", "test")]].concat();
        let environment = environment(NAMESPACE, &variables)?;
        let task = tokio::spawn(metallb_operator::run(args, environment, account.client(), shutdown));
        Ok(Self { stop, task })
    }

    async fn stop(self) -> Result<()> {
        self.stop.send(true)?;
        self.task.await?
    }
}

async fn is_installed(admin: &User, expected: &[&str]) -> Result<()> {
    let found = installed(admin).await?;
    anyhow::ensure!(found == expected, "{found:?}");
    Ok(())
}

/// Everything in the namespace that belongs to a `MetalLB`.
async fn installed(admin: &User) -> Result<Vec<String>> {
    let found = [
        owned::<ConfigMap>(admin).await?,
        owned::<DaemonSet>(admin).await?,
        owned::<Deployment>(admin).await?,
        owned::<NetworkPolicy>(admin).await?,
        owned::<Service>(admin).await?,
        owned::<ServiceMonitor>(admin).await?,
        owned::<PrometheusRule>(admin).await?,
    ];
    Ok(found.concat())
}

async fn owned<K>(admin: &User) -> Result<Vec<String>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::default_namespaced(admin.client());
    let objects = api.list(&ListParams::default()).await?.items;
    let ours = objects.iter().filter(|object| !object.owner_references().is_empty());
    Ok(ours.map(|object| format!("{} {}", K::kind(&()), object.name_any())).collect())
}

/// How many requests the API server has refused for want of a right.
async fn forbidden_requests(admin: &User) -> Result<u64> {
    let request = kube::core::Request::new("").get("metrics", &kube::api::GetParams::default())?;
    let text = admin.client().request_text(request).await?;
    let mut sum = 0;
    for line in text
        .lines()
        .filter(|line| line.starts_with("apiserver_request_total{") && line.contains("code=\"403\""))
    {
        let (_, count) = line.rsplit_once(' ').context("no count")?;
        sum += count.parse::<u64>().with_context(|| line.to_owned())?;
    }
    Ok(sum)
}
