//! The manifest's webhooks, for a server of this process instead of a Service, and for the namespaces of one test.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::api::{Api, PostParams};
use metallb_crds::IPAddressPool;
use metallb_lab::{User, eventually};
use serde_json::{Value, json};

pub const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");
const MANIFEST: &str = include_str!("../../../config/manifests/metallb-operator.yaml");
/// Long beside what it takes, as the machine may be busy.
pub const SOON: Duration = Duration::from_secs(30);

/// The objects of that kind in the manifest.
pub fn in_manifest(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(MANIFEST).expect("the manifest is YAML");
    all.into_iter().filter(|object| object["kind"] == kind).collect()
}

/// Installs the webhook configurations under names of that namespace, and gives these.
pub async fn install(admin: &User, to: SocketAddr, namespaces: &[&str]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for mut object in in_manifest("ValidatingWebhookConfiguration") {
        let name = format!("{}-{}", object["metadata"]["name"].as_str().context("no name")?, namespaces[0]);
        object["metadata"]["name"] = name.clone().into();
        for webhook in object["webhooks"].as_array_mut().context("no webhooks")? {
            direct(&mut webhook["clientConfig"], to);
            webhook["namespaceSelector"] = json!({ "matchExpressions": [
                { "key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces },
            ] });
        }
        admin.apply_yaml(&object.to_string()).await?;
        names.push(name);
    }
    Ok(names)
}

/// To an address of this machine instead of a Service.
pub fn direct(client: &mut Value, to: SocketAddr) {
    let path = client["service"]["path"].as_str().unwrap_or_default().to_owned();
    *client = json!({ "url": format!("https://127.0.0.1:{}{path}", to.port()) });
}

/// Waits until the API server asks, and gets answers.
pub async fn until_asked(admin: &User) {
    eventually(SOON, "the API server asks the webhooks", async || {
        match try_pool(admin, "canary", "10.0.0.1").await {
            Ok(()) => anyhow::bail!("it does not"),
            Err(error) if error.to_string().contains("invalid CIDR or range") => Ok(()),
            Err(error) => Err(error),
        }
    })
    .await;
}

/// Would a pool of that name and range be accepted?
pub async fn try_pool(admin: &User, name: &str, range: &str) -> Result<()> {
    let pools: Api<IPAddressPool> = Api::default_namespaced(admin.client());
    let pool: IPAddressPool =
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": { "addresses": [range] } }))?;
    pools.create(&PostParams { dry_run: true, ..PostParams::default() }, &pool).await?;
    Ok(())
}
