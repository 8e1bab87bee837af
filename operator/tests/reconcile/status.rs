//! What the status of a `MetalLB` says.

use anyhow::{Context as _, Result};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use metallb_crds::{ConfigurationResult, ConfigurationState, MetalLBStatus};
use metallb_lab::eventually;
use serde_json::json;

use crate::common::{PROMPTLY, SOON, args, env, metallbs};
use crate::start;

#[tokio::test]
async fn conditions_follow_the_workloads() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    let message = installation.until("Progressing", "Progressing").await;
    assert!(message.contains("has not been picked up yet"), "{message}");

    installation.set_controller_status(1).await?;
    installation.set_speaker_status(1, 3).await?;
    eventually(SOON, "the message counts", async || {
        let message = installation.until("Progressing", "Progressing").await;
        (message == "DaemonSet speaker: 1 of 3 pods ready").then_some(()).context(message)
    })
    .await;
    installation.set_speaker_status(3, 3).await?;
    let message = installation.until("Available", "Available").await;
    assert_eq!(message, "Deployment controller: 1 of 1 pods ready; DaemonSet speaker: 3 of 3 pods ready");
    let available = installation.conditions().await?["Available"].clone();

    installation.set_controller_status(0).await?; // it crashed
    installation.until("Progressing", "Progressing").await;
    installation.set_controller_status(1).await?;
    installation.until("Available", "Available").await;
    installation.ask_for("{logLevel: debug}").await?;
    installation.until("Progressing", "Progressing").await;
    installation.set_controller_status(1).await?;
    installation.set_speaker_status(3, 3).await?;
    installation.until("Available", "Available").await;

    installation.set_speaker_status(0, 0).await?;
    let message = installation.until("Degraded", "NoNodeMatches").await;
    assert!(message.contains("no node matches"), "{message}");
    let conditions = installation.conditions().await?;
    assert!(conditions["Available"].last_transition_time.0 >= available.last_transition_time.0);

    let metallb = metallbs(&installation.admin).get("metallb").await?;
    let types: Vec<_> =
        metallb.status.iter().flat_map(|status| &status.conditions).map(|it| &*it.type_).collect();
    assert_eq!(types, ["Available", "Upgradeable", "Progressing", "Degraded"]);
    let reasons = eventually(SOON, "every transition is an event", async || {
        let events = installation.admin.events_of(&metallb).await?;
        let reasons: Vec<String> = events.iter().map(|event| event.reason.clone()).collect();
        anyhow::ensure!(reasons.contains(&"NoNodeMatches".to_owned()), "{reasons:?}");
        Ok(reasons)
    })
    .await;
    assert!(reasons.starts_with(&["Progressing".into(), "Available".into()]), "{reasons:?}");
    Ok(())
}

#[tokio::test]
async fn a_status_of_a_workload_makes_the_operator_write_a_status_and_nothing_else() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    installation.until("Progressing", "Progressing").await;
    let (applied, statuses) = (installation.metrics.applied.get(), installation.metrics.statuses.get());
    for ready in 0..=10 {
        installation.set_controller_status(1).await?;
        installation.set_speaker_status(ready, 10).await?;
    }
    installation.until("Available", "Available").await;
    assert_eq!(installation.metrics.applied.get(), applied, "objects that did not change were applied");
    let written = installation.metrics.statuses.get() - statuses;
    // A status is counted when its write has returned, a moment after it can be seen: here the one before these changes.
    assert!((1..=13).contains(&written), "{written} statuses for 12 changes");
    // Whatever the operator would do because of its own writes, it has done before it answers to the last of these.
    for (image, generations) in ["one", "two", "three", "four"].into_iter().zip(1..) {
        installation.ask_for(&format!("{{image: {image}}}")).await?;
        eventually(SOON, "it is in force", async || {
            installation.metrics.applied.get() == applied + generations
        })
        .await;
        installation.until("Available", "Available").await;
    }
    eventually(SOON, "each new generation takes one status", async || {
        let now = installation.metrics.statuses.get() - statuses;
        // The one before them may have been counted late.
        (4..=5).contains(&(now - written)).then_some(()).context(format!("{written} and then {now}"))
    })
    .await;
    assert_eq!(installation.metrics.applied.get(), applied + 4, "the spec in force, and nothing else");
    Ok(())
}

#[tokio::test]
async fn an_invalid_spec_is_refused_by_field_and_what_was_installed_stays_in_force() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{logLevel: debug}").await?;
    installation.until_installed().await;
    installation
        .ask_for("{logLevel: warn, bgpBackend: frr-k8s-external, frrk8sConfig: {alwaysBlock: [nowhere]}}")
        .await?;
    let message = installation.until("Degraded", "InvalidSpec").await;
    // The schema does not know these; what it knows, the API server refuses before the operator sees it.
    for part in ["spec.frrk8sConfig.alwaysBlock[0] is \"nowhere\"", "set spec.frrk8sConfig.namespace"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(args(&installation.speaker().await?).contains(&"--log-level=debug".to_owned()));
    installation.daemon_sets().delete("speaker", &DeleteParams::background()).await?;
    eventually(PROMPTLY, "the last good state is kept up", async || {
        anyhow::ensure!(args(&installation.speaker().await?).contains(&"--log-level=debug".to_owned()));
        Ok(())
    })
    .await;
    installation.ask_for("{logLevel: warn}").await?;
    installation.until("Progressing", "Progressing").await;
    assert!(args(&installation.speaker().await?).contains(&"--log-level=warn".to_owned()));
    Ok(())
}

#[tokio::test]
async fn after_a_restart_an_invalid_spec_takes_nothing_away() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    installation.until("Progressing", "Progressing").await;
    let installation = installation.restart_with(&[])?;
    installation.ask_for("{frrk8sConfig: {alwaysBlock: [nowhere]}}").await?;
    installation.until("Degraded", "InvalidSpec").await;
    installation.speaker().await?;
    installation.controller().await?;
    Ok(())
}

#[tokio::test]
async fn after_a_restart_beside_an_invalid_spec_the_last_good_one_is_kept_up() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{logLevel: debug, bgpBackend: native}").await?;
    installation.until_installed().await;
    installation.until("Progressing", "Progressing").await;
    installation.ask_for("{logLevel: warn, frrk8sConfig: {alwaysBlock: [nowhere]}}").await?;
    installation.until("Degraded", "InvalidSpec").await;
    let installation = installation.restart_with(&[("SPEAKER_IMAGE", "speaker:2")])?;
    installation.daemon_sets().delete("speaker", &DeleteParams::background()).await?;
    eventually(SOON, "the speakers are back as they were asked for, in the new version", async || {
        let pod = installation.speaker().await?;
        anyhow::ensure!(args(&pod).contains(&"--log-level=debug".to_owned()), "{:?}", args(&pod));
        anyhow::ensure!(env(&pod.containers[0], "METALLB_BGP_TYPE").is_none());
        anyhow::ensure!(pod.containers[0].image.as_deref() == Some("speaker:2"));
        Ok(())
    })
    .await;
    let message = installation.until("Degraded", "InvalidSpec").await;
    assert!(message.ends_with("What was installed before stays in force."), "{message}");
    let status = metallbs(&installation.admin).get("metallb").await?.status.context("no status")?;
    assert_eq!(status.bgp_backend.as_deref(), Some("native"), "the one in force");
    Ok(())
}

#[tokio::test]
async fn an_invalid_spec_before_any_good_one_installs_nothing_and_says_so() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{frrk8sConfig: {alwaysBlock: [nowhere]}}").await?;
    let message = installation.until("Degraded", "InvalidSpec").await;
    assert!(message.ends_with("Nothing is installed or changed until it is mended."), "{message}");
    assert!(installation.speaker().await.is_err());
    Ok(())
}

#[tokio::test]
async fn rows_of_the_status_say_what_is_there() -> Result<()> {
    let installation = start().await?;
    let admin = &installation.admin;
    for definition in metallb_crds::schema::all() {
        admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
    }
    installation.ask_for("{bgpBackend: frr-k8s}").await?;
    installation.until_installed().await;
    installation.set_controller_status(1).await?;
    installation.set_speaker_status(2, 3).await?;
    let status = async || -> Result<MetalLBStatus> {
        let metallb = metallbs(admin).get("metallb").await?;
        let status = metallb.status.context("no status")?;
        anyhow::ensure!(status.observed_generation == metallb.metadata.generation);
        Ok(status)
    };
    eventually(SOON, "both workloads have a row", async || {
        let status = status().await?;
        let rows: Vec<_> = status.components.iter().map(|row| (&*row.name, row.desired, row.ready)).collect();
        anyhow::ensure!(rows == [("controller", 1, 1), ("speaker", 3, 2)], "{rows:?}");
        let [controller, speaker] = &status.components[..] else { panic!("two rows") };
        anyhow::ensure!(controller.image.as_deref() == Some("controller:1"));
        anyhow::ensure!(speaker.message.as_deref() == Some("2 of 3 pods ready"));
        anyhow::ensure!(status.bgp_backend.as_deref() == Some("frr-k8s"));
        anyhow::ensure!(status.operator_version.is_some());
        Ok(())
    })
    .await;

    let state = "apiVersion: metallb.io/v1beta1\nkind: ConfigurationState\nmetadata: {name: controller}\n";
    eventually(SOON, "the kind is served", async || admin.apply_yaml(state).await).await;
    let judges: Api<ConfigurationState> = Api::default_namespaced(admin.client());
    let invalid = json!({ "status": {
        "result": "Invalid", "errorSummary": "configuration error: IPAddressPool lab is empty",
    }});
    judges.patch_status("controller", &PatchParams::default(), &Patch::Merge(invalid)).await?;
    eventually(SOON, "what is wrong with the configuration is told", async || {
        let configuration = status().await?.configuration.context("nothing")?;
        anyhow::ensure!(configuration.result == ConfigurationResult::Invalid, "{configuration:?}");
        let problem = "IPAddressPool lab is empty (says controller)";
        anyhow::ensure!(configuration.problems == [problem], "{configuration:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_in_its_words_and_the_rest_is_applied() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{controllerNodeSelector: {'not a label': x}}").await?;
    let message = installation.until("Degraded", "ApplyFailed").await;
    assert!(message.starts_with("cannot apply Deployment controller: "), "{message}");
    assert!(message.contains("not a label"), "{message}");
    installation.speaker().await?;
    installation.ask_for("{image: ignored}").await?;
    installation.until("Progressing", "Progressing").await;
    installation.controller().await?;
    Ok(())
}
