//! The webhooks as a process runs them: when it is ready, and whose certificate it shows.

use std::fs;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use metallb_lab::{ApiServer, User, eventually};
use metallb_operator::args::Args;
use metallb_operator::certs::Timing;
use metallb_operator::certs::material::{Material, Names};
use metallb_operator::certs::plan::Step;
use metallb_operator::environment::WebhookEnvironment;
use metallb_operator::tls_profile;
use metallb_operator::webhooks::{self, Webhooks};
use metallb_process::cluster;
use metallb_process::shutdown::Shutdown;
use tokio::sync::watch;

use super::setup::{CRDS, SOON};

fn start(admin: &User, flags: &[&str]) -> Result<(Webhooks, watch::Sender<bool>)> {
    cluster::install_tls_provider();
    let own = ["manager", "--role=webhook", "--webhook-port=0", "--webhook-drain-seconds=1"];
    let args = Args::parse_from([&own, flags].concat());
    let namespace = |name: &str| (name == "OPERATOR_NAMESPACE").then(|| admin.namespace().to_owned());
    let (stop, shutdown) = Shutdown::by_hand();
    let (client, environment) = (admin.client(), WebhookEnvironment::read(namespace)?);
    let webhooks =
        webhooks::start(&args, environment, client.clone(), tls_profile::follow(client), &shutdown)?;
    Ok((webhooks, stop))
}

async fn administrator() -> Result<User> {
    let admin = ApiServer::shared().await?.admin().await?;
    admin.apply_dir(CRDS).await?;
    admin.in_new_namespace().await
}

#[tokio::test]
async fn it_is_ready_with_a_certificate_for_both_services_and_no_longer_on_its_way_out() -> Result<()> {
    let admin = administrator().await?;
    let (webhooks, stop) = start(&admin, &[])?;
    let readiness = webhooks.readiness();
    assert!(readiness().is_err(), "there is no certificate yet");
    eventually(SOON, "it is ready", async || readiness()).await;

    let secrets: Api<Secret> = Api::default_namespaced(admin.client());
    let material = Material::read(secrets.get("metallb-webhook-cert").await?.data.as_ref());
    let names = ["metallb-webhook-service", "metallb-operator-webhook-service"];
    let names = names.map(|service| format!("{service}.{}.svc", admin.namespace()));
    let worth = material.worth(&names, Timestamp::now()).server.context("no certificate")?;
    assert_eq!(worth.names, Names::All);

    let address = webhooks.server.address;
    stop.send(true)?;
    assert_eq!(readiness(), Err("on its way out"));
    tokio::net::TcpStream::connect(address).await.context("it is not ready, and serves on")?;
    webhooks.server.stopped().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "it has left");
    Ok(())
}

#[tokio::test]
async fn with_a_certificate_from_files_it_keeps_none() -> Result<()> {
    let admin = administrator().await?;
    let directory = tempfile::tempdir()?;
    let flags = ["--disable-cert-rotation=true", "--cert-dir", directory.path().to_str().context("a path")?];
    let missing = start(&admin, &flags).err().context("there is no certificate")?;
    assert!(format!("{missing:#}").contains("tls.crt"), "{missing:#}");

    let names = ["127.0.0.1".to_owned()];
    let material =
        Step::StartOver.take(&Material::default(), &names, Timestamp::now(), &Timing::default())?;
    let server = material.server.context("no certificate")?;
    fs::write(directory.path().join("tls.crt"), server.certificate)?;
    fs::write(directory.path().join("tls.key"), server.key)?;
    let (webhooks, stop) = start(&admin, &flags)?;
    assert_eq!(webhooks.readiness()(), Ok(()));
    stop.send(true)?;
    webhooks.server.stopped().await;
    let secrets: Api<Secret> = Api::default_namespaced(admin.client());
    assert!(secrets.get_opt("metallb-webhook-cert").await?.is_none(), "it is not ours to make");
    Ok(())
}
