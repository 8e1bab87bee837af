//! Objects in the wrong place, other operators, other replicas, and who asks how it goes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use metallb_lab::{ApiServer, eventually};
use metallb_operator::args::Args;
use metallb_process::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{DEFINITION, SOON, ask_for, environment, metallbs, until};
use crate::start;

#[tokio::test]
async fn a_metallb_by_another_name_is_told_so_and_harms_nobody() -> Result<()> {
    let installation = start().await?;
    let admin = &installation.admin;
    ask_for(admin, "incorrectname", "{}").await?;
    let message = until(admin, "incorrectname", "Degraded", "IncorrectMetalLBResourceName").await;
    assert!(message.contains("named incorrectname has no effect"), "{message}");
    assert!(installation.controller().await.is_err(), "nothing is installed for it");

    installation.ask_for("{}").await?;
    installation.until_installed().await;
    installation.set_controller_status(1).await?;
    installation.set_speaker_status(1, 1).await?;
    installation.until("Available", "Available").await;
    until(admin, "incorrectname", "Degraded", "IncorrectMetalLBResourceName").await;
    metallbs(admin).delete("incorrectname", &DeleteParams::default()).await?;
    installation.ask_for("{image: ignored}").await?; // the operator has seen the deletion when it has seen this
    installation.until("Available", "Available").await;
    installation.controller().await?;
    Ok(())
}

#[tokio::test]
async fn a_metallb_in_another_namespace_is_told_where_to_go() -> Result<()> {
    let installation = start().await?;
    let elsewhere = installation.admin.in_new_namespace().await?;
    ask_for(&elsewhere, "metallb", "{}").await?;
    let message = until(&elsewhere, "metallb", "Degraded", "IncorrectMetalLBResourceNamespace").await;
    // Operators of other tests see it too; whoever came first has told it.
    assert!(
        message.contains("the operator acts only on the one named metallb in namespace test-"),
        "{message}"
    );
    let metallb = metallbs(&elsewhere).get("metallb").await?;
    eventually(SOON, "an event tells it too", async || {
        let events = elsewhere.events_of(&metallb).await?;
        anyhow::ensure!(events.iter().any(|event| event.reason == "IncorrectMetalLBResourceNamespace"));
        Ok(())
    })
    .await;
    assert!(installation.controller().await.is_err(), "nothing is installed for it");
    Ok(())
}

#[tokio::test]
async fn two_operators_leave_each_others_metallbs_alone() -> Result<()> {
    let (one, other) = (start().await?, start().await?);
    for installation in [&one, &other] {
        installation.ask_for("{}").await?;
        installation.until_installed().await;
        installation.set_controller_status(1).await?;
        installation.set_speaker_status(1, 1).await?;
    }
    for installation in [&one, &other] {
        installation.until("Available", "Available").await;
    }
    Ok(())
}

#[tokio::test]
async fn of_two_replicas_one_works_and_the_other_goes_on_when_it_stops() -> Result<()> {
    let server = ApiServer::shared().await?;
    let admin = server.admin().await?;
    admin.apply_yaml(DEFINITION).await?;
    let admin = admin.in_new_namespace().await?;
    let leases: Api<Lease> = Api::default_namespaced(admin.client());
    let holder = async || -> Result<String> {
        let lease = leases.get("metallb.io.metallboperator").await?;
        Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
    };
    let mut replicas = Vec::new();
    for name in ["one", "two"] {
        let (stop, shutdown) = Shutdown::by_hand();
        let args = Args::parse_from(flags(&["--enable-leader-election", "--port=0"]));
        let environment = environment(admin.namespace(), &[("POD_NAME", name)])?;
        let running = tokio::spawn(metallb_operator::run(args, environment, admin.client(), shutdown));
        replicas.push((name, stop, running));
    }
    ask_for(&admin, "metallb", "{}").await?;
    until(&admin, "metallb", "Progressing", "Progressing").await;
    let first = holder().await?;
    let position = replicas.iter().position(|(name, ..)| *name == first).context("nobody holds the lease")?;
    let (_, stop, running) = replicas.remove(position);
    stop.send(true)?;
    tokio::time::timeout(Duration::from_secs(5), running).await???;
    ask_for(&admin, "metallb", "{frrk8sConfig: {alwaysBlock: [nowhere]}}").await?;
    until(&admin, "metallb", "Degraded", "InvalidSpec").await;
    assert_eq!(holder().await?, replicas[0].0);
    Ok(())
}

#[tokio::test]
async fn probes_and_metrics_are_answered_where_the_flags_say() -> Result<()> {
    let installation = start().await?;
    let [probes, metrics] = [free_port()?, free_port()?];
    let [probes_flag, metrics_flag] =
        [format!("--port={probes}"), format!("--metrics-addr=localhost:{metrics}")];
    let args = Args::parse_from(flags(&[&probes_flag, &metrics_flag]));
    let namespace = installation.admin.create_namespace().await?;
    let environment = environment(&namespace, &[])?;
    ask_for(&installation.admin.in_namespace(&namespace)?, "metallb", "{}").await?;
    let condition =
        format!("metallb_operator_condition{{metallb=\"{namespace}/metallb\",type=\"Progressing\"}} 1");
    let (_stop, shutdown) = Shutdown::by_hand();
    tokio::spawn(metallb_operator::run(args, environment, installation.admin.client(), shutdown));
    for (port, path, expected) in [
        (probes, "/healthz", "ok"),
        (probes, "/readyz", "ok"),
        (
            metrics,
            "/metrics",
            "controller_runtime_reconcile_total{controller=\"metallb\",result=\"error\"} 0",
        ),
        (metrics, "/metrics", &condition),
    ] {
        eventually(SOON, &format!("{path} is answered"), async || {
            let answer = get(port, path).await?;
            anyhow::ensure!(answer.starts_with("HTTP/1.0 200") && answer.contains(expected), "{answer}");
            Ok(())
        })
        .await;
    }
    Ok(())
}

/// A command line whose webhooks are in nobody's way.
fn flags<'f>(more: &[&'f str]) -> Vec<&'f str> {
    [&["manager", "--webhook-port=0", "--webhook-drain-seconds=0"], more].concat()
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("[::]:0")?.local_addr()?.port())
}

async fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = tokio::net::TcpStream::connect(("localhost", port)).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
