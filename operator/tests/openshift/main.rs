//! The operator beside OpenShift's APIs, with no more rights than its manifest gives it. The API server is a real one;
//! what it knows of OpenShift are stand-ins that nobody acts upon.

mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod constraints;
mod definitions;
mod tls;

use anyhow::Result;
use metallb_lab::{ApiServer, User, eventually};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use common::{Installation, SOON};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/manifests/metallb-operator.yaml");
const NAMESPACE: &str = "metallb-system";

/// As strict about owner references as OpenShift is, and with its kinds.
async fn server() -> Result<&'static ApiServer> {
    static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
    SERVER
        .get_or_try_init(async || {
            let strict = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement";
            let server = ApiServer::builder().with_controller_manager().with_flag(strict).start().await?;
            let admin = server.admin().await?.in_namespace(NAMESPACE)?;
            admin.kubectl(["apply", "-f", MANIFEST]).await?.success()?;
            nobody_asks(&admin).await?;
            for definition in definitions::ALL {
                admin.apply_yaml(definition).await?;
            }
            eventually(SOON, "OpenShift's kinds can be discovered", async || {
                for group in ["security", "config", "route"] {
                    let path = format!("/apis/{group}.openshift.io/v1");
                    let answer = admin.kubectl(["get", "--raw", &path]).await?;
                    answer.success()?;
                }
                anyhow::Ok(())
            })
            .await;
            Ok(server)
        })
        .await
}

/// Webhooks of the manifest: no operator of these tests serves them.
async fn nobody_asks(admin: &User) -> Result<()> {
    let all = ["delete", "validatingwebhookconfigurations", "--all"];
    admin.kubectl(all).await?.success()?;
    Ok(())
}

/// An operator with the rights of its account. The cluster is one for all tests, and each has it for itself.
async fn start(variables: &[(&str, &str)]) -> Result<(Installation, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::const_new(());
    again(variables, TURN.lock().await).await
}

/// The next one, in the same turn.
async fn again(
    variables: &[(&str, &str)],
    turn: MutexGuard<'static, ()>,
) -> Result<(Installation, MutexGuard<'static, ()>)> {
    let server = server().await?;
    let admin = server.admin().await?.in_namespace(NAMESPACE)?;
    let account = server.service_account(NAMESPACE, "manager-account").await?;
    let installation = Installation::run_as(account.client(), admin, variables)?;
    Ok((installation, turn))
}
