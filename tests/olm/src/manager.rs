//! The Operator Lifecycle Manager on a cluster, and what a user of it does.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use metallb_lab::tools::Tools;
use metallb_lab::{User, eventually};
use metallb_operator::generate::Release;
use metallb_scenarios::installation::{NAMESPACE, is_rolled_out};
use serde_json::{Value, json};

use crate::images::Packed;

/// Where the manager is, and catalogs that are for everybody.
pub const OLM: &str = "olm";
/// Its programs are large, and machines busy.
const PATIENCE: Duration = Duration::from_mins(5);
const CATALOG: &str = "metallb";
const PACKAGE: &str = "metallb-operator";
const OPERATOR: &str = "metallb-operator-controller-manager";
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
        self.served(image).await;
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

    /// Another image of the catalog, and waits until it is the one that is served: what a registry that is polled brings about
    /// when a catalog is published anew.
    pub async fn publish(&self, image: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "image": image } }));
        self.api("CatalogSource", OLM).patch(CATALOG, &PatchParams::default(), &patch).await?;
        self.served(image).await;
        Ok(())
    }

    /// Has the manager read catalogs anew: it remembers one for minutes, and would install from what is served no more.
    pub async fn forget_catalogs(&self) -> anyhow::Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.admin.client(), OLM);
        deployments.restart("catalog-operator").await?;
        self.rolled_out("catalog-operator").await;
        Ok(())
    }

    /// Waits until one pod serves the catalog, and has it from this image.
    async fn served(&self, image: &str) {
        let pods: Api<Pod> = Api::namespaced(self.admin.client(), OLM);
        let of_catalog = ListParams::default().labels(&format!("olm.catalogSource={CATALOG}"));
        eventually(PATIENCE, "the catalog is served", async || {
            let pods = pods.list(&of_catalog).await.ok()?.items;
            let [pod] = pods.as_slice() else { return None };
            let mut sources = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
            let is_source = sources.any(|container| container.image.as_deref() == Some(image));
            let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let is_ready = conditions.any(|it| it.type_ == "Ready" && it.status == "True");
            (is_source && is_ready).then_some(())
        })
        .await;
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

    /// Waits until a release is installed, and nothing is left of any before it: what of the webhooks belongs to the one
    /// before goes with that, and is made anew, well after the manager has called the new one a success.
    pub async fn installed(&self, release: &Release) {
        let name = format!("{PACKAGE}.v{}", release.version);
        let secrets: Api<Secret> = Api::namespaced(self.admin.client(), NAMESPACE);
        let deployments: Api<Deployment> = Api::namespaced(self.admin.client(), NAMESPACE);
        let everything = async || -> anyhow::Result<()> {
            let versions =
                self.api("ClusterServiceVersion", NAMESPACE).list(&ListParams::default()).await?.items;
            let [version] = versions.as_slice() else {
                let subscription = self.api("Subscription", NAMESPACE).get(PACKAGE).await?;
                bail!("{} versions; {}", versions.len(), subscription.data["status"]["conditions"]);
            };
            let status = &version.data["status"];
            let is_the_one = version.metadata.name.as_ref() == Some(&name) && status["phase"] == "Succeeded";
            ensure!(is_the_one, "{:?}: {} {}", version.metadata.name, status["phase"], status["message"]);
            let certificate = secrets.get(&format!("{OPERATOR}-service-cert")).await?;
            let is_owned =
                certificate.owner_references().iter().any(|it| Some(&it.uid) == version.uid().as_ref());
            ensure!(is_owned, "the certificate is not its own");
            let operator = deployments.get(OPERATOR).await?;
            ensure!(is_rolled_out(&operator), "{:?}", operator.status);
            Ok(())
        };
        eventually(PATIENCE, &format!("{name} is installed"), everything).await;
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
        let done = async || -> anyhow::Result<()> {
            let found = deployments.get(name).await?;
            ensure!(is_rolled_out(&found), "{:?}", found.status);
            Ok(())
        };
        eventually(PATIENCE, &format!("Deployment {name} is rolled out"), done).await;
    }
}

/// The image of the first container of a Deployment or DaemonSet.
pub fn image_of(workload: &Value) -> Option<&str> {
    workload["spec"]["template"]["spec"]["containers"][0]["image"].as_str()
}
