//! No request fails while certificates are renewed, and while replicas leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Config, ResourceExt as _};
use metallb_lab::{ApiServer, User, eventually};
use metallb_operator::certs::material::{By, Material};
use metallb_operator::certs::publish::{FIELD_MANAGER, SETTLED};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::balancer::Balancer;
use super::replica::{Replica, SECRET};
use super::setup::{CRDS, SOON, install, try_pool, until_asked};

/// Requests at a time.
const WORKERS: usize = 4;

/// Edits that go on until the load ends.
struct Load {
    ended: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    workers: JoinSet<Result<()>>,
}

impl Load {
    fn start(admin: &User) -> Self {
        let (ended, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let (admin, ended, made) = (admin.clone(), ended.clone(), made.clone());
            workers.spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    try_pool(&admin, &format!("load-{worker}"), "10.9.0.0/24").await?;
                    made.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Self { ended, made, workers }
    }

    /// Besides, somebody who makes a new connection for every question, and trusts whom the API server is told to.
    fn also_by_new_connections(&mut self, admin: &User, to: &Balancer, configuration: &str) {
        let (client, configuration, ended, made) =
            (admin.client(), configuration.to_owned(), self.ended.clone(), self.made.clone());
        let url = format!("https://127.0.0.1:{}", to.address.port());
        self.workers.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                ask(&client, &configuration, &url).await?;
                made.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }

    /// Returns when so many more were made.
    async fn goes_on_for(&self, requests: u64) {
        let enough = self.made.load(Ordering::Relaxed) + requests;
        eventually(SOON, "the load goes on", async || self.made.load(Ordering::Relaxed) >= enough).await;
    }

    /// An error if one of them failed.
    async fn end(mut self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker??;
        }
        Ok(())
    }
}

async fn ask(client: &Client, configuration: &str, url: &str) -> Result<()> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let webhooks = configurations.get(configuration).await?.webhooks.unwrap_or_default();
    let bundle =
        webhooks.into_iter().next().and_then(|it| it.client_config.ca_bundle).context("no caBundle")?;
    let roots = CertificateDer::pem_slice_iter(&bundle.0).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut config = Config::new(url.parse()?);
    config.root_cert = Some(roots.iter().map(|root| root.to_vec()).collect());
    let review = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": { "uid": "1", "desiredAPIVersion": "metallb.io/v1beta2", "objects": [] },
    });
    let request =
        kube::core::Request::new("/convert").create(&PostParams::default(), review.to_string().into())?;
    let answer: Value = Client::try_from(config)?.request(request).await.context("a new connection")?;
    ensure!(answer["response"]["result"]["status"] == "Success", "{answer}");
    Ok(())
}

/// Two replicas behind a Service, trusted by the API server.
struct Stage {
    admin: User,
    balancer: Balancer,
    replicas: [Replica; 2],
    configurations: Vec<String>,
    _server: ApiServer,
}

async fn stage(drain: Duration) -> Result<Stage> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?.in_new_namespace().await?;
    admin.apply_dir(CRDS).await?;
    let balancer = Balancer::start().await?;
    let configurations = install(&admin, balancer.address, &[admin.namespace()]).await?;
    let replicas = [
        Replica::start(&admin, configurations.clone(), drain)?,
        Replica::start(&admin, configurations.clone(), drain)?,
    ];
    for replica in &replicas {
        replica.trusted().await?;
        balancer.add(replica.address);
    }
    until_asked(&admin).await;
    Ok(Stage { admin, balancer, replicas, configurations, _server: server })
}

#[tokio::test]
async fn no_request_fails_while_authority_and_certificate_are_renewed() -> Result<()> {
    let stage = stage(Duration::ZERO).await?;
    let names = ["127.0.0.1".to_owned()];
    let secrets: Api<Secret> = Api::default_namespaced(stage.admin.client());
    let old = Material::read(secrets.get(SECRET).await?.data.as_ref());
    let mut load = Load::start(&stage.admin);
    for _ in 0..WORKERS {
        load.also_by_new_connections(&stage.admin, &stage.balancer, &stage.configurations[0]);
    }
    load.goes_on_for(50).await;

    // An authority without its key is one that has to be replaced.
    let lost = Patch::Merge(json!({ "data": { "ca.key": null } }));
    secrets.patch(SECRET, &PatchParams::default(), &lost).await?;
    let new = eventually(SOON, "everything is new, and the old authority is gone", async || {
        let material = Material::read(secrets.get(SECRET).await?.data.as_ref());
        let worth = material.worth(&names, Timestamp::now());
        let server = worth.server.context("no certificate")?;
        ensure!(server.by == By::First && worth.others == 0 && material.authorities != old.authorities);
        Ok(material)
    })
    .await;
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(stage.admin.client());
    eventually(SOON, "the API server trusts the new authority alone", async || {
        for name in &stage.configurations {
            let object = configurations.get(name).await?;
            for webhook in object.webhooks.iter().flatten() {
                let bundle = webhook.client_config.ca_bundle.as_ref().context("no caBundle")?;
                ensure!(bundle.0 == new.bundle().into_bytes());
            }
            ensure!(
                object.annotations().contains_key(SETTLED),
                "written once: an API server may have missed it"
            );
            // Nothing else is ours.
            let ours = object.metadata.managed_fields.iter().flatten();
            let ours = ours.filter(|it| it.manager.as_deref() == Some(FIELD_MANAGER));
            for entry in ours {
                let fields = serde_json::to_string(&entry.fields_v1)?;
                ensure!(fields.contains("f:caBundle") && !fields.contains("f:url"), "{fields}");
            }
        }
        Ok(())
    })
    .await;
    load.goes_on_for(50).await;
    load.end().await
}

#[tokio::test]
async fn no_request_fails_while_a_replica_leaves() -> Result<()> {
    let stage = stage(Duration::from_secs(2)).await?;
    let [leaving, staying] = stage.replicas;
    let load = Load::start(&stage.admin);
    load.goes_on_for(50).await;
    let address = leaving.address;
    assert!(stage.balancer.connections(address) > 0 && stage.balancer.connections(staying.address) > 0);
    let left = leaving.leave();
    // It takes a moment until everybody knows that it is not ready.
    load.goes_on_for(20).await;
    stage.balancer.remove(address);
    left.await;
    load.goes_on_for(100).await;
    load.end().await
}

#[tokio::test]
async fn a_secret_that_is_deleted_comes_back_as_it_was() -> Result<()> {
    let stage = stage(Duration::ZERO).await?;
    let secrets: Api<Secret> = Api::default_namespaced(stage.admin.client());
    let before = secrets.get(SECRET).await?.data;
    let load = Load::start(&stage.admin);
    secrets.delete(SECRET, &kube::api::DeleteParams::default()).await?;
    let after = eventually(SOON, "the Secret is back", async || secrets.get(SECRET).await).await;
    assert_eq!(after.data, before);
    load.goes_on_for(20).await;
    load.end().await
}
