//! The Operator Lifecycle Manager on a cluster, and what a user of it does.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use metallb_lab::tools::Tools;
use metallb_lab::{User, Verdict, eventually};
use metallb_operator::generate::Release;
use metallb_scenarios::installation::NAMESPACE;
use serde_json::{Value, json};

use crate::images::Packed;

/// Where the manager is, and catalogs that are for everybody.
pub const OLM: &str = "olm";
/// Its programs are large, and machines busy.
const PATIENCE: Duration = Duration::from_mins(5);
const CATALOG: &str = "metallb";
const PACKAGE: &str = "metallb-operator";
/// What version 0.38 of its chart comes to with its own values, and one server of packages.
const MANIFEST: &str = include_str!("olm.yaml");

/// The manager, and an administrator who works with it.
pub struct Manager {
    admin: User,
}

impl Manager {
    /// Installs it: its own definitions, and what its chart comes to.
    pub async fn install(admin: &User, images: &Packed) -> anyhow::Result<Self> {
        let definitions = Tools::one("olm-crds.yaml")?;
        let definitions =
            fs::read_to_string(&definitions).with_context(|| format!("read {}", definitions.display()))?;
        admin.apply_yaml(&definitions).await.context("the definitions of OLM")?;
        let manifest = MANIFEST.replace("$OLM", &images.manager).replace("$OPM", &images.opm);
        admin.apply_yaml(&manifest).await.context("the manifest of OLM")?;
        let manager = Self { admin: admin.clone() };
        for deployment in ["olm-operator", "catalog-operator"] {
            manager.rolled_out(deployment).await;
        }
        Ok(manager)
    }

    /// A catalog for everybody. Its address is known to the manager by name, and the lab has no name server: the name
    /// is written into the manager's pod.
    pub async fn add_catalog(&self, image: &str) -> anyhow::Result<()> {
        let catalog = json!({
            "apiVersion": "operators.coreos.com/v1alpha1",
            "kind": "CatalogSource",
            "metadata": { "name": CATALOG, "namespace": OLM },
            "spec": {
                "sourceType": "grpc",
                "image": image,
                "displayName": "MetalLB",
                "grpcPodConfig": {
                    "extractContent": { "catalogDir": "/configs" },
                    "securityContextConfig": "restricted",
                },
            },
        });
        self.admin.apply_yaml(&catalog.to_string()).await?;
        // A first call before it is served would time out, and that failure be remembered for a quarter of an hour.
        let pods: Api<Pod> = Api::namespaced(self.admin.client(), OLM);
        let of_catalog = ListParams::default().labels(&format!("olm.catalogSource={CATALOG}"));
        eventually(PATIENCE, "the catalog is served", async || {
            let pods = pods.list(&of_catalog).await.ok()?.items;
            let conditions = pods.into_iter().filter_map(|pod| pod.status?.conditions).flatten();
            conditions.into_iter().find(|it| it.type_ == "Ready" && it.status == "True").map(|_| ())
        })
        .await;
        let services: Api<Service> = Api::namespaced(self.admin.client(), OLM);
        let catalogs = self.api("CatalogSource", OLM);
        let mut written = None;
        // In the beginning the manager may make the service anew, with another address.
        eventually(PATIENCE, "the catalog is read", async || -> anyhow::Result<()> {
            let address = services.get(CATALOG).await?.spec.and_then(|spec| spec.cluster_ip);
            if address != written {
                self.write_name(address.as_deref()).await?;
                written = address;
            }
            let status = catalogs.get(CATALOG).await?.data["status"].clone();
            let is_read = status["connectionState"]["lastObservedState"] == "READY";
            is_read.then_some(()).with_context(|| status.to_string())
        })
        .await;
        Ok(())
    }

    /// Writes into the catalog operator's pod which address the catalog has.
    async fn write_name(&self, address: Option<&str>) -> anyhow::Result<()> {
        let aliases = json!([{ "ip": address, "hostnames": [format!("{CATALOG}.{OLM}.svc")] }]);
        let patch = json!({ "spec": { "template": { "spec": { "hostAliases": aliases } } } });
        let deployments: Api<Deployment> = Api::namespaced(self.admin.client(), OLM);
        deployments.patch("catalog-operator", &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.rolled_out("catalog-operator").await;
        Ok(())
    }

    /// Another image of the catalog: what a registry does by itself when a catalog is published anew.
    pub async fn publish(&self, image: &str) -> anyhow::Result<()> {
        let patch = json!({ "spec": { "image": image } });
        self.api("CatalogSource", OLM).patch(CATALOG, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Subscribes to our operator as `docs/olm.md` says.
    pub async fn subscribe(&self) -> anyhow::Result<()> {
        let objects = [
            json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    "labels": { "pod-security.kubernetes.io/enforce": "privileged" },
                },
            }),
            json!({
                "apiVersion": "operators.coreos.com/v1",
                "kind": "OperatorGroup",
                "metadata": { "name": "metallb", "namespace": NAMESPACE },
                "spec": {},
            }),
            json!({
                "apiVersion": "operators.coreos.com/v1alpha1",
                "kind": "Subscription",
                "metadata": { "name": PACKAGE, "namespace": NAMESPACE },
                "spec": {
                    "channel": "candidate",
                    "name": PACKAGE,
                    "source": CATALOG,
                    "sourceNamespace": OLM,
                    "installPlanApproval": "Automatic",
                },
            }),
        ];
        for object in objects {
            self.admin.apply_yaml(&object.to_string()).await?;
        }
        Ok(())
    }

    /// Waits until a release is installed, and any before it gone.
    pub async fn installed(&self, release: &Release) {
        let name = format!("{PACKAGE}.v{}", release.version);
        let versions = self.api("ClusterServiceVersion", NAMESPACE);
        let subscriptions = self.api("Subscription", NAMESPACE);
        eventually(PATIENCE, &format!("{name} is installed"), async || {
            let subscription = subscriptions.get(PACKAGE).await;
            let subscription = subscription.map(|it| it.data["status"].clone()).unwrap_or_default();
            let found = match versions.list(&ListParams::default()).await {
                Ok(found) => found.items,
                Err(error) => return Verdict::NotYet(error.to_string()),
            };
            let told: Vec<_> = found
                .iter()
                .map(|it| {
                    let status = &it.data["status"];
                    (
                        it.metadata.name.clone().unwrap_or_default(),
                        status["phase"].clone(),
                        status["message"].clone(),
                    )
                })
                .collect();
            match told.as_slice() {
                [(one, phase, _)] if *one == name && phase == "Succeeded" => Verdict::Yes(()),
                _ => Verdict::NotYet(format!(
                    "{told:?}; subscription: {} {}",
                    subscription["state"], subscription["conditions"]
                )),
            }
        })
        .await;
    }

    /// Removes the operator as `docs/olm.md` says, and waits until it is gone.
    pub async fn remove(&self, release: &Release) -> anyhow::Result<()> {
        let delete = DeleteParams::foreground();
        self.api("Subscription", NAMESPACE).delete(PACKAGE, &delete).await?;
        let name = format!("{PACKAGE}.v{}", release.version);
        self.api("ClusterServiceVersion", NAMESPACE).delete(&name, &delete).await?;
        let pods: Api<Pod> = Api::namespaced(self.admin.client(), NAMESPACE);
        let operators = ListParams::default().labels("control-plane=controller-manager");
        eventually(PATIENCE, "the operator is gone", async || {
            pods.list(&operators).await.is_ok_and(|pods| pods.items.is_empty())
        })
        .await;
        Ok(())
    }

    /// Objects of a kind of the manager.
    pub fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("operators.coreos.com", "v1alpha1", kind);
        Api::namespaced_with(self.admin.client(), namespace, &ApiResource::from_gvk(&kind))
    }

    async fn rolled_out(&self, name: &str) {
        let deployments: Api<Deployment> = Api::namespaced(self.admin.client(), OLM);
        eventually(PATIENCE, &format!("Deployment {name} is rolled out"), async || {
            let found = match deployments.get(name).await {
                Ok(found) => found,
                Err(error) => return Verdict::NotYet(error.to_string()),
            };
            let status = found.status.unwrap_or_default();
            let done = status.observed_generation >= found.metadata.generation
                && status.updated_replicas == Some(1)
                && status.ready_replicas == Some(1)
                && status.replicas == Some(1);
            if done { Verdict::Yes(()) } else { Verdict::NotYet(format!("{status:?}")) }
        })
        .await;
    }
}

/// The image of the first container of a Deployment or DaemonSet.
pub fn image_of(workload: &Value) -> Option<&str> {
    workload["spec"]["template"]["spec"]["containers"][0]["image"].as_str()
}
