//! An operator at work in a namespace of its own, and what a test asks about it.

#![allow(dead_code)] // every test binary uses its part

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use metallb_crds::MetalLB;
use metallb_lab::{User, eventually};
use metallb_operator::environment::Environment;
use metallb_operator::metrics::Metrics;
use metallb_operator::reconcile::{self, Mandate};
use metallb_operator::tls_profile;
use metallb_process::events::Recorder;
use metallb_process::shutdown::Shutdown;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What users are promised: a change of a `MetalLB` is seen in the workloads within 2 s.
pub const PROMPTLY: Duration = Duration::from_secs(2);
/// For everything else that happens by itself. Long beside what it takes, as the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);
/// The garbage collector looks for new kinds, such as `MetalLB`, every 30 s, and what it could not place meanwhile it
/// takes up again after twice as long each time: after 41 s, or after 82.
pub const COLLECTED: Duration = Duration::from_mins(2);

pub const DEFINITION: &str = include_str!("../../../crds/metallb.io_metallbs.yaml");

/// A namespace, an operator in it, and the administrator who looks at both.
pub struct Installation {
    pub admin: User,
    pub metrics: Metrics,
    operator: AbortHandle,
    _stop: watch::Sender<bool>,
}

impl Installation {
    /// In a new namespace.
    pub async fn start(admin: &User) -> Result<Self> {
        admin.apply_yaml(DEFINITION).await?;
        Self::continue_with(admin.in_new_namespace().await?, &[])
    }

    /// The operator with other settings, in the namespace that `admin` works in.
    pub fn continue_with(admin: User, variables: &[(&str, &str)]) -> Result<Self> {
        let client = admin.client();
        Self::run_as(client, admin, variables)
    }

    /// The same with no more rights than those of `client`.
    pub fn run_as(client: kube::Client, admin: User, variables: &[(&str, &str)]) -> Result<Self> {
        let metrics = Metrics::register(&Registry::new())?;
        let context = reconcile::Context {
            environment: environment(admin.namespace(), variables)?,
            recorder: Recorder::start(client.clone(), "metallb-operator", "test".into()),
            metrics: metrics.clone(),
            tls: tls_profile::follow(client.clone()),
            client,
        };
        let (stop, shutdown) = Shutdown::by_hand();
        let task = tokio::spawn(async move { reconcile::work(&context, &Mandate::Alone, &shutdown).await });
        Ok(Self { admin, metrics, operator: task.abort_handle(), _stop: stop })
    }

    /// Ends the operator at once, and starts another with other settings.
    pub fn restart_with(self, variables: &[(&str, &str)]) -> Result<Self> {
        Self::continue_with(self.admin.clone(), variables)
    }

    /// Applies a `MetalLB` with that spec, in YAML.
    pub async fn ask_for(&self, spec: &str) -> Result<()> {
        ask_for(&self.admin, "metallb", spec).await
    }

    pub async fn conditions(&self) -> Result<BTreeMap<String, Condition>> {
        conditions(&self.admin, "metallb").await
    }

    /// Waits until that condition is the true one, for that reason, and gives its message.
    pub async fn until(&self, condition: &str, reason: &str) -> String {
        until(&self.admin, "metallb", condition, reason).await
    }

    pub fn deployments(&self) -> Api<Deployment> {
        Api::default_namespaced(self.admin.client())
    }

    pub fn daemon_sets(&self) -> Api<DaemonSet> {
        Api::default_namespaced(self.admin.client())
    }

    pub async fn controller(&self) -> Result<PodSpec> {
        let template = self.deployments().get("controller").await?.spec.context("no spec")?.template;
        template.spec.context("no pod")
    }

    pub async fn speaker(&self) -> Result<PodSpec> {
        let template = self.daemon_sets().get("speaker").await?.spec.context("no spec")?.template;
        template.spec.context("no pod")
    }

    /// Waits until both workloads are there.
    pub async fn until_installed(&self) {
        eventually(PROMPTLY, "controller and speaker are installed", async || {
            self.controller().await?;
            self.speaker().await
        })
        .await;
    }

    /// Plays both controllers of workloads: everything is up.
    pub async fn set_ready(&self) -> Result<()> {
        self.set_controller_status(1).await?;
        self.set_speaker_status(1, 1).await
    }

    /// Plays the Deployment controller: so many pods ready, of one.
    pub async fn set_controller_status(&self, ready: i32) -> Result<()> {
        let generation = self.deployments().get("controller").await?.metadata.generation;
        let status = json!({
            "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": ready,
            "availableReplicas": ready,
        });
        let patch = Patch::Merge(json!({ "status": status }));
        self.deployments().patch_status("controller", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Plays the DaemonSet controller: so many pods ready, of so many.
    pub async fn set_speaker_status(&self, ready: i32, desired: i32) -> Result<()> {
        let generation = self.daemon_sets().get("speaker").await?.metadata.generation;
        let status = json!({
            "observedGeneration": generation, "desiredNumberScheduled": desired, "currentNumberScheduled": desired,
            "updatedNumberScheduled": desired, "numberReady": ready, "numberMisscheduled": 0,
        });
        let patch = Patch::Merge(json!({ "status": status }));
        self.daemon_sets().patch_status("speaker", &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.operator.abort();
    }
}

pub fn environment(namespace: &str, variables: &[(&str, &str)]) -> Result<Environment> {
    let own = [
        ("OPERATOR_NAMESPACE", namespace),
        ("CONTROLLER_IMAGE", "controller:1"),
        ("SPEAKER_IMAGE", "speaker:1"),
    ];
    let variables: BTreeMap<&str, &str> = own.iter().chain(variables).copied().collect();
    Ok(Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()))?)
}

/// Applies a `MetalLB` where `user` works, with that spec in YAML.
pub async fn ask_for(user: &User, name: &str, spec: &str) -> Result<()> {
    let metadata = format!("metadata: {{name: {name}}}");
    user.apply_yaml(&format!("{{apiVersion: metallb.io/v1beta1, kind: MetalLB, {metadata}, spec: {spec}}}"))
        .await?;
    Ok(())
}

pub fn metallbs(user: &User) -> Api<MetalLB> {
    Api::default_namespaced(user.client())
}

pub async fn conditions(user: &User, name: &str) -> Result<BTreeMap<String, Condition>> {
    let metallb = metallbs(user).get(name).await?;
    let generation = metallb.metadata.generation;
    let conditions = metallb.status.unwrap_or_default().conditions;
    if let Some(old) = conditions.iter().find(|condition| condition.observed_generation != generation) {
        anyhow::bail!("{} is about generation {:?}, not {generation:?}", old.type_, old.observed_generation);
    }
    Ok(conditions.into_iter().map(|condition| (condition.type_.clone(), condition)).collect())
}

/// Waits until that condition is the true one, for that reason and of the present generation, and gives its message.
pub async fn until(user: &User, name: &str, condition: &str, reason: &str) -> String {
    eventually(SOON, &format!("MetalLB {name} is {condition}, for {reason}"), async || {
        let conditions = conditions(user, name).await?;
        let it = conditions.get(condition).context("no such condition")?;
        anyhow::ensure!(it.status == "True" && it.reason == reason, "{conditions:?}");
        for other in ["Available", "Progressing", "Degraded"].iter().filter(|other| **other != condition) {
            anyhow::ensure!(conditions[*other].status == "False", "{conditions:?}");
        }
        anyhow::ensure!(conditions["Upgradeable"].status == conditions["Available"].status, "{conditions:?}");
        Ok(it.message.clone())
    })
    .await
}

pub fn env<'c>(container: &'c Container, name: &str) -> Option<&'c str> {
    container.env.iter().flatten().find(|variable| variable.name == name)?.value.as_deref()
}

pub fn args(pod: &PodSpec) -> Vec<String> {
    pod.containers[0].args.clone().unwrap_or_default()
}

/// Merges into an object of any kind, as somebody who is not the operator.
pub async fn edit<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    Ok(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
}

/// The owner reference that makes an object the `MetalLB`'s, in YAML.
pub async fn owner(user: &User) -> Result<String> {
    let uid = metallbs(user).get("metallb").await?.metadata.uid.context("no uid")?;
    let kind = "apiVersion: metallb.io/v1beta1, kind: MetalLB, name: metallb";
    Ok(format!("ownerReferences: [{{{kind}, uid: {uid}, controller: true, blockOwnerDeletion: true}}]"))
}

/// As much of frr-k8s as matters here.
pub const FRR_CONFIGURATIONS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: frrconfigurations.frrk8s.metallb.io}
spec:
  group: frrk8s.metallb.io
  scope: Namespaced
  names: {kind: FRRConfiguration, plural: frrconfigurations, singular: frrconfiguration}
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// As much of the Prometheus operator as matters here.
pub const MONITORING: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: servicemonitors.monitoring.coreos.com
  annotations: {api-approved.kubernetes.io: unapproved}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: ServiceMonitor, plural: servicemonitors, singular: servicemonitor}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: prometheusrules.monitoring.coreos.com
  annotations: {api-approved.kubernetes.io: unapproved}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PrometheusRule, plural: prometheusrules, singular: prometheusrule}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// What frr-k8s validates its configurations with.
pub const FRR_WEBHOOK: &str = "frr-k8s-validating-webhook-configuration";

/// As upstream's operator leaves it in `namespace`, with a `failurePolicy`.
pub fn frr_webhook(namespace: &str, failure_policy: &str) -> String {
    format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {FRR_WEBHOOK}}}
webhooks:
- name: frrconfigurationsvalidationwebhook.metallb.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: {failure_policy}
  clientConfig: {{service: {{name: frr-k8s-webhook-service, namespace: {namespace}}}}}
  rules:
  - {{apiGroups: [frrk8s.metallb.io], apiVersions: [v1beta1], resources: [frrconfigurations], operations: [CREATE, UPDATE]}}
"
    )
}
