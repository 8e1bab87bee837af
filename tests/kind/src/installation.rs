//! Installing the operator and MetalLB, pools and advertisements, as a user does.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use metallb_crds::cluster::service::ingress_addresses;
use metallb_crds::{IPAddressPool, MetalLB, ServiceL2Status};
use metallb_lab::{ClusterOptions, HELLO, User, Verdict, eventually};
use serde_json::json;

use crate::place::Place;

/// Where the manifest installs everything.
pub const NAMESPACE: &str = "metallb-system";
/// Long beside what it takes, as the machine may be busy.
pub const ROLLED_OUT: Duration = Duration::from_mins(2);

/// The top of the source tree.
fn tree() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The image archives: those of `$METALLB_IMAGES`, else those that `make images` leaves behind.
pub fn images() -> anyhow::Result<Vec<PathBuf>> {
    let directory =
        std::env::var_os("METALLB_IMAGES").map_or_else(|| tree().join("target/images"), PathBuf::from);
    let archives = ["operator.tar", "dataplane.tar"].map(|name| directory.join(name));
    for archive in &archives {
        ensure!(archive.is_file(), "there is no image {}; `make images` makes it", archive.display());
    }
    Ok(archives.to_vec())
}

/// A cluster with our images on every node.
pub fn options(name: &str) -> anyhow::Result<ClusterOptions> {
    Ok(ClusterOptions::named(name).with_images(images()?))
}

/// The first address in the status of a service, if it has one.
pub fn first_address(service: &Service) -> Option<IpAddr> {
    ingress_addresses(service).ok()?.first().copied()
}

/// Do the newest pods of a Deployment run, and no others?
pub fn is_rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation >= deployment.metadata.generation
            && [status.updated_replicas, status.ready_replicas, status.replicas] == [Some(wanted); 3]
    })
}

/// MetalLB on a cluster, and the user who works with it.
pub struct Installation {
    /// An administrator, working in MetalLB's namespace.
    pub admin: User,
    /// The same, working where services live.
    pub user: User,
}

impl Installation {
    /// Who installs and uses it. Nothing is installed yet.
    pub async fn prepare(place: &impl Place) -> anyhow::Result<Self> {
        let user = place.admin().await?;
        Ok(Self { admin: user.in_namespace(NAMESPACE)?, user })
    }

    /// Applies the one manifest, and waits for the operator.
    pub async fn install_operator(&self) -> anyhow::Result<()> {
        let path = tree().join("config/manifests/metallb-operator.yaml");
        let manifest =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        self.admin.apply_yaml(&manifest).await?;
        self.deployment_ready("metallb-operator-controller-manager").await;
        // The API server hears of ready pods a moment later than the Deployment.
        let pools: Api<IPAddressPool> = self.api();
        let pool = json!({ "metadata": { "name": "asked" }, "spec": { "addresses": ["192.0.2.0/24"] } });
        let pool: IPAddressPool = serde_json::from_value(pool)?;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        eventually(ROLLED_OUT, "the webhooks answer", async || pools.create(&dry, &pool).await).await;
        Ok(())
    }

    /// Applies a `MetalLB` with this spec, and waits until its status says Available.
    pub async fn apply_metallb(&self, spec: &serde_json::Value) -> anyhow::Result<()> {
        let object = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "MetalLB",
            "metadata": { "name": "metallb", "namespace": NAMESPACE },
            "spec": spec,
        });
        if let Err(error) = self.admin.apply_yaml(&object.to_string()).await {
            return Err(error.context(self.webhooks_in_words().await));
        }
        self.available().await;
        Ok(())
    }

    /// By which authorities each webhook is to be trusted, and which the operator's Secret has: what an error about them means.
    async fn webhooks_in_words(&self) -> String {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.admin.client());
        let secret = self.api::<Secret>().get("metallb-webhook-cert").await;
        let authorities = secret.ok().and_then(|secret| secret.data?.remove("ca.crt"));
        let all =
            configurations.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        let is_same = |webhook: &ValidatingWebhook| match &webhook.client_config.ca_bundle {
            None => "none",
            bundle if *bundle == authorities => "those of the Secret",
            Some(_) => "others",
        };
        let words = all.iter().flat_map(|object| {
            let annotations = object.annotations();
            let webhooks = object.webhooks.iter().flatten();
            webhooks.map(move |it| format!("{} trusts {} ({annotations:?})", it.name, is_same(it)))
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// Waits until the MetalLB resource says that it is available, about the spec that is there now.
    pub async fn available(&self) {
        let api: Api<MetalLB> = self.api();
        eventually(ROLLED_OUT, "MetalLB is Available", async || {
            let object = match api.get("metallb").await {
                Ok(object) => object,
                Err(error) => return Verdict::NotYet(error.to_string()),
            };
            let conditions =
                object.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
            let said = conditions.iter().any(|condition| {
                condition.type_ == "Available"
                    && condition.status == "True"
                    && condition.observed_generation == object.metadata.generation
            });
            if said { Verdict::Yes(()) } else { Verdict::NotYet(format!("{conditions:?}")) }
        })
        .await;
    }

    /// Deletes the MetalLB resource, and waits until what was made for it is gone.
    pub async fn delete_metallb(&self) -> anyhow::Result<()> {
        let api: Api<MetalLB> = self.api();
        api.delete("metallb", &DeleteParams::default()).await?;
        let (deployments, daemon_sets): (Api<Deployment>, Api<DaemonSet>) = (self.api(), self.api());
        eventually(ROLLED_OUT, "controller and speaker are gone", async || {
            let controller = deployments.get_opt("controller").await.is_ok_and(|found| found.is_none());
            let speaker = daemon_sets.get_opt("speaker").await.is_ok_and(|found| found.is_none());
            controller && speaker && self.pods("app=metallb").await.is_ok_and(|pods| pods.is_empty())
        })
        .await;
        Ok(())
    }

    /// A pool of these addresses, announced on layer 2.
    pub async fn pool(&self, name: &str, addresses: &[&str]) -> anyhow::Result<()> {
        let pool = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": { "addresses": addresses },
        });
        self.admin.apply_yaml(&pool.to_string()).await?;
        self.advertise(name, &json!({ "ipAddressPools": [name] })).await
    }

    /// An L2Advertisement, or another spec for the one that has this name.
    pub async fn advertise(&self, name: &str, spec: &serde_json::Value) -> anyhow::Result<()> {
        let advertisement = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "L2Advertisement",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": spec,
        });
        self.admin.apply_yaml(&advertisement.to_string()).await?;
        Ok(())
    }

    /// On every node a pod of app `hello` that is ready.
    pub async fn run_hello(&self) -> anyhow::Result<()> {
        self.user.apply_yaml(HELLO).await?;
        let api: Api<DaemonSet> = Api::default_namespaced(self.user.client());
        eventually(ROLLED_OUT, "hello runs on every node", async || {
            let found = api.get("hello").await.ok()?;
            let status = found.status.unwrap_or_default();
            let runs =
                status.desired_number_scheduled > 0 && status.number_ready == status.desired_number_scheduled;
            runs.then_some(())
        })
        .await;
        Ok(())
    }

    /// The first address of a service, once it has one.
    pub async fn address(&self, service: &Service) -> IpAddr {
        let what = format!("{} has an address", service.name_any());
        let first = async || self.user.ingress_ips(service).await.ok()?.first().copied();
        eventually(Duration::from_secs(30), &what, first).await
    }

    /// The node that says it announces a service.
    pub async fn announcer(&self, service: &Service) -> String {
        let api: Api<ServiceL2Status> = self.api();
        let labels = format!(
            "metallb.io/service-name={},metallb.io/service-namespace={}",
            service.name_any(),
            service.namespace().unwrap_or_default()
        );
        let what = format!("one node says that it announces {}", service.name_any());
        eventually(Duration::from_secs(30), &what, async || {
            let found = api.list(&ListParams::default().labels(&labels)).await.ok()?;
            let [one] = found.items.as_slice() else { return None };
            one.status.as_ref()?.node.clone()
        })
        .await
    }

    /// The pods in MetalLB's namespace with these labels.
    pub async fn pods(&self, labels: &str) -> anyhow::Result<Vec<Pod>> {
        let api: Api<Pod> = self.api();
        Ok(api.list(&ListParams::default().labels(labels)).await?.items)
    }

    /// Restarts a Deployment pod by pod, as `kubectl rollout restart` does, and waits for it.
    pub async fn rollout_restart(&self, deployment: &str) -> anyhow::Result<()> {
        let api: Api<Deployment> = self.api();
        let now = format!("{:?}", std::time::SystemTime::now());
        let patch =
            json!({ "spec": { "template": { "metadata": { "annotations": { "restartedAt": now } } } } });
        api.patch(deployment, &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.deployment_ready(deployment).await;
        Ok(())
    }

    /// Restarts the speakers node by node, as `kubectl rollout restart daemonset speaker` does, and waits for it.
    pub async fn roll_speakers_out(&self) -> anyhow::Result<()> {
        let api: Api<DaemonSet> = self.api();
        let now = format!("{:?}", std::time::SystemTime::now());
        let patch =
            json!({ "spec": { "template": { "metadata": { "annotations": { "restartedAt": now } } } } });
        api.patch("speaker", &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.speakers_ready().await;
        Ok(())
    }

    /// Waits until the newest speakers run on every node.
    pub async fn speakers_ready(&self) {
        self.daemon_set_ready("speaker").await;
    }

    /// Waits until the newest pods of a DaemonSet run on every node, of which there is one at least.
    pub async fn daemon_set_ready(&self, name: &str) {
        let api: Api<DaemonSet> = self.api();
        eventually(ROLLED_OUT, &format!("DaemonSet {name} is rolled out"), async || {
            let found = match api.get(name).await {
                Ok(found) => found,
                Err(error) => return Verdict::NotYet(error.to_string()),
            };
            let status = found.status.clone().unwrap_or_default();
            let wanted = status.desired_number_scheduled;
            let done = wanted > 0
                && status.observed_generation >= found.metadata.generation
                && status.updated_number_scheduled == Some(wanted)
                && status.number_ready == wanted;
            if done { Verdict::Yes(()) } else { Verdict::NotYet(format!("{status:?}")) }
        })
        .await;
    }

    /// Waits until the newest pods of a Deployment run, and no others.
    pub async fn deployment_ready(&self, name: &str) {
        let api: Api<Deployment> = self.api();
        eventually(ROLLED_OUT, &format!("Deployment {name} is rolled out"), async || {
            let found = match api.get(name).await {
                Ok(found) => found,
                Err(error) => return Verdict::NotYet(error.to_string()),
            };
            if is_rolled_out(&found) {
                Verdict::Yes(())
            } else {
                Verdict::NotYet(format!("{:?}", found.status))
            }
        })
        .await;
    }

    /// Objects of a kind in MetalLB's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.admin.client(), NAMESPACE)
    }
}
