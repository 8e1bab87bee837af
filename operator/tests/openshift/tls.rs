//! The TLS profile of the cluster reaches the workloads and the webhooks, as it changes.

use anyhow::Result;
use kube::api::DeleteParams;
use metallb_lab::eventually;

use crate::common::{Installation, SOON, args, metallbs};
use crate::{again, start};

async fn ask_everybody(installation: &Installation, profile: &str) -> Result<()> {
    let metadata = "metadata: {name: cluster}";
    let spec = format!("spec: {{tlsSecurityProfile: {profile}}}");
    let text = format!("{{apiVersion: config.openshift.io/v1, kind: APIServer, {metadata}, {spec}}}");
    installation.admin.apply_yaml(&text).await?;
    Ok(())
}

async fn until_told(installation: &Installation, expected: &[&str]) {
    eventually(SOON, &format!("both workloads are told {expected:?}"), async || {
        for pod in [installation.controller().await?, installation.speaker().await?] {
            let told: Vec<String> = args(&pod).into_iter().filter(|arg| arg.starts_with("--tls-")).collect();
            anyhow::ensure!(told == expected, "{told:?}");
        }
        Ok(())
    })
    .await;
}

/// Beside what is worse: this cluster has no nodes.
async fn until_it_is_told(installation: &Installation) {
    eventually(SOON, "the profile is said to be unusable", async || {
        let message = installation.until("Degraded", "NoNodeMatches").await;
        anyhow::ensure!(message.contains("APIServer cluster") && message.contains("RC4-SHA"), "{message}");
        Ok(())
    })
    .await;
}

const MODERN: &[&str] = &["--tls-min-version=VersionTLS13"];
const CUSTOM: &[&str] =
    &["--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "--tls-min-version=VersionTLS12"];

#[tokio::test]
async fn it_overrides_the_environment_and_a_bad_one_leaves_the_last_in_force_and_is_told() -> Result<()> {
    let variables = [("TLS_MIN_VERSION", "VersionTLS12"), ("TLS_CURVE_PREFERENCES", "23")];
    let (installation, turn) = start(&variables).await?;
    ask_everybody(&installation, "{type: Modern, modern: {}}").await?;
    installation.ask_for("{}").await?;
    until_told(&installation, MODERN).await;

    let ciphers = "[AES128-SHA, ECDHE-RSA-AES256-GCM-SHA384]";
    let custom = format!("{{type: Custom, custom: {{minTLSVersion: VersionTLS12, ciphers: {ciphers}}}}}");
    ask_everybody(&installation, &custom).await?;
    until_told(&installation, CUSTOM).await;

    ask_everybody(&installation, "{type: Custom, custom: {minTLSVersion: VersionTLS12, ciphers: [RC4-SHA]}}")
        .await?;
    until_it_is_told(&installation).await;
    until_told(&installation, CUSTOM).await;

    let admin = installation.admin.clone();
    drop(installation);
    // One that has never seen a good profile.
    let (installation, _turn) = again(&variables, turn).await?;
    installation.ask_for("{logLevel: debug}").await?;
    eventually(SOON, "it is at work", async || {
        anyhow::ensure!(args(&installation.speaker().await?).contains(&"--log-level=debug".to_owned()));
        Ok(())
    })
    .await;
    until_told(&installation, CUSTOM).await;
    until_it_is_told(&installation).await;

    ask_everybody(&installation, "null").await?;
    eventually(SOON, "the default of OpenShift is in force", async || {
        let told = args(&installation.speaker().await?);
        anyhow::ensure!(told.contains(&"--tls-min-version=VersionTLS12".to_owned()), "{told:?}");
        let suites =
            told.iter().find(|arg| arg.starts_with("--tls-cipher-suites=")).map(|arg| arg.split(',').count());
        anyhow::ensure!(suites == Some(6), "{told:?}");
        Ok(())
    })
    .await;
    eventually(SOON, "nothing is wrong any more but that there is no node", async || {
        let message = installation.until("Degraded", "NoNodeMatches").await;
        anyhow::ensure!(!message.contains("APIServer cluster"), "{message}");
        Ok(())
    })
    .await;
    metallbs(&admin).delete("metallb", &DeleteParams::default()).await?;
    Ok(())
}
