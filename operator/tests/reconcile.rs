//! The operator against a real API server that has no controllers: workloads have the status that a test gives them.

mod common;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, ListParams};
use metallb_lab::{ApiServer, eventually};
use metallb_operator::args::Args;
use metallb_operator::render::ServiceMonitor;
use metallb_process::shutdown::Shutdown;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use common::{
    DEFINITION, Installation, PROMPTLY, SERVICE_MONITORS, SOON, args, ask_for, conditions, edit, env,
    environment, metallbs, owner, until,
};

async fn start() -> Result<Installation> {
    Installation::start(&ApiServer::shared().await?.admin().await?).await
}

#[tokio::test]
async fn every_backend_installs_the_same_two_workloads_and_tells_them_its_name() -> Result<()> {
    let installation = start().await?;
    for (backend, expected) in [
        ("frr-k8s", Some("frr-k8s")),
        ("frr", Some("frr")),
        ("native", None),
        ("frr-k8s-external", Some("frr-k8s")),
    ] {
        let config = "frrk8sConfig: {namespace: routers}";
        installation.ask_for(&format!("{{bgpBackend: {backend}, {config}}}")).await?;
        eventually(PROMPTLY, &format!("the workloads are told of {backend}"), async || {
            for (pod, image) in [
                (installation.controller().await?, "controller:1"),
                (installation.speaker().await?, "speaker:1"),
            ] {
                let container = &pod.containers[0];
                anyhow::ensure!(env(container, "METALLB_BGP_TYPE") == expected, "{:?}", container.env);
                anyhow::ensure!(pod.containers.len() == 1 && pod.init_containers.is_none(), "{pod:?}");
                anyhow::ensure!(container.image.as_deref() == Some(image), "{:?}", container.image);
            }
            let external =
                args(&installation.speaker().await?).contains(&"--frrk8s-namespace=routers".into());
            anyhow::ensure!(external == (backend == "frr-k8s-external"));
            Ok(())
        })
        .await;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_installed_belongs_to_the_metallb() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    let metallb = metallbs(&installation.admin).get("metallb").await?;
    for metadata in [
        installation.deployments().get("controller").await?.metadata,
        installation.daemon_sets().get("speaker").await?.metadata,
    ] {
        let [owner] = &metadata.owner_references.context("no owner")?[..] else { panic!("one owner") };
        assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("MetalLB", "metallb"));
        assert_eq!(Some(&owner.uid), metallb.metadata.uid.as_ref());
        assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), Some(true)));
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_field_is_seen_in_the_templates_within_two_seconds() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    installation
        .ask_for(
            "{nodeSelector: {kubernetes.io/os: linux, node-role.kubernetes.io/worker: 'true'}, logLevel: warn, \
             speakerTolerations: [{key: a, operator: Exists, effect: NoExecute}, {key: b, operator: Exists}], \
             controllerConfig: {priorityClassName: high, annotations: {test: e2e}}}",
        )
        .await?;
    eventually(PROMPTLY, "both templates are changed", async || {
        let (controller, speaker) = (installation.controller().await?, installation.speaker().await?);
        let labels = json!({ "kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": "true" });
        anyhow::ensure!(json!(speaker.node_selector) == labels, "{:?}", speaker.node_selector);
        let keys: Vec<_> = speaker.tolerations.iter().flatten().filter_map(|it| it.key.as_deref()).collect();
        let builtin = ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"];
        anyhow::ensure!(keys == [builtin[0], builtin[1], "a", "b"], "{keys:?}");
        for pod in [&controller, &speaker] {
            anyhow::ensure!(args(pod).contains(&"--log-level=warn".to_owned()), "{:?}", args(pod));
        }
        anyhow::ensure!(controller.priority_class_name.as_deref() == Some("high"));
        Ok(())
    })
    .await;
    installation.ask_for("{image: ignored}").await?;
    eventually(PROMPTLY, "what was taken back is gone", async || {
        let (controller, speaker) = (installation.controller().await?, installation.speaker().await?);
        anyhow::ensure!(controller.priority_class_name.is_none());
        anyhow::ensure!(speaker.tolerations.as_ref().map(Vec::len) == Some(2), "{:?}", speaker.tolerations);
        anyhow::ensure!(args(&speaker).contains(&"--log-level=info".to_owned()));
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn what_somebody_deletes_or_edits_is_put_right() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    let client = installation.admin.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let policies: Api<NetworkPolicy> = Api::default_namespaced(client);

    installation.daemon_sets().delete("speaker", &DeleteParams::background()).await?;
    policies.delete("controller", &DeleteParams::default()).await?;
    edit(&maps, "metallb-excludel2", json!({ "data": { "excludel2.yaml": "mine" } })).await?;
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "controller", "image": "x" }] } } } });
    let params = kube::api::PatchParams::default();
    installation.deployments().patch("controller", &params, &kube::api::Patch::Strategic(image)).await?;

    eventually(PROMPTLY, "everything is as it was", async || {
        installation.speaker().await?;
        policies.get("controller").await?;
        let text = maps.get("metallb-excludel2").await?.data.context("no data")?["excludel2.yaml"].clone();
        anyhow::ensure!(text.starts_with("announcedInterfacesToExclude:"), "{text}");
        let image = installation.controller().await?.containers[0].image.clone();
        anyhow::ensure!(image.as_deref() == Some("controller:1"), "{image:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn what_others_add_is_left_to_them() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    // As `kubectl rollout restart` and `kubectl scale` do.
    let restarted = json!({ "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } } });
    let spec = json!({ "replicas": 2, "template": restarted });
    edit(&installation.deployments(), "controller", json!({ "spec": spec })).await?;
    installation.ask_for("{logLevel: debug}").await?;
    let spec = eventually(PROMPTLY, "the log level is changed", async || {
        let spec = installation.deployments().get("controller").await?.spec.context("no spec")?;
        let pod = spec.template.spec.as_ref().context("no pod")?;
        anyhow::ensure!(args(pod).contains(&"--log-level=debug".to_owned()));
        Ok(spec)
    })
    .await;
    assert_eq!(spec.replicas, Some(2));
    let annotations = spec.template.metadata.context("no metadata")?.annotations.context("no annotations")?;
    assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], "now");
    Ok(())
}

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
    // 12 changes, and the status before them may have been counted after it was seen.
    assert!((1..=13).contains(&written), "{written} statuses for 12 changes");
    // Whatever the operator would do because of its own writes, it has done before it answers to this.
    installation.ask_for("{image: ignored}").await?;
    installation.until("Available", "Available").await;
    eventually(SOON, "the new generation takes one status", async || {
        let now = installation.metrics.statuses.get() - statuses;
        (now == written + 1).then_some(()).context(format!("{written} and then {now}"))
    })
    .await;
    assert_eq!(installation.metrics.applied.get(), applied);
    Ok(())
}

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
async fn an_invalid_spec_is_refused_by_field_and_what_was_installed_stays_in_force() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{logLevel: debug}").await?;
    installation.until_installed().await;
    installation
        .ask_for(
            "{logLevel: warn, speakerTolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 5}], \
             bgpBackend: bird}",
        )
        .await?;
    let message = installation.until("Degraded", "InvalidSpec").await;
    for part in ["spec.speakerTolerations[0].tolerationSeconds is 5", "set effect: NoExecute", "\"bird\""] {
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
    installation.ask_for("{bgpBackend: bird}").await?;
    installation.until("Degraded", "InvalidSpec").await;
    installation.speaker().await?;
    installation.controller().await?;
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

#[tokio::test]
async fn what_upstream_left_behind_is_taken_over_or_deleted() -> Result<()> {
    let installation = start().await?;
    let admin = installation.admin.clone();
    drop(installation);
    ask_for(&admin, "metallb", "{}").await?;
    let owner = owner(&admin).await?;
    admin
        .apply_yaml(&format!(
            "
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: frr-k8s, {owner}}}
spec:
  selector: {{matchLabels: {{app: frr-k8s}}}}
  template:
    metadata: {{labels: {{app: frr-k8s}}}}
    spec: {{containers: [{{name: frr, image: frr}}]}}
---
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: frr-startup, {owner}}}}}
---
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: somebodys}}}}
---
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: metallb-excludel2}}, data: {{excludel2.yaml: old}}}}
"
        ))
        .await?;
    let installation = Installation::continue_with(admin.clone(), &[])?;
    let (sets, maps) = (installation.daemon_sets(), Api::<ConfigMap>::default_namespaced(admin.client()));
    eventually(SOON, "only ours is left", async || {
        let sets: Vec<_> = sets.list(&ListParams::default()).await?.items;
        let sets: Vec<_> = sets.iter().filter_map(|set| set.metadata.name.as_deref()).collect();
        anyhow::ensure!(sets == ["speaker"], "{sets:?}");
        let maps: Vec<_> = maps.list(&ListParams::default()).await?.items;
        let names: Vec<_> = maps.iter().filter_map(|map| map.metadata.name.as_deref()).collect();
        anyhow::ensure!(names == ["metallb-excludel2", "somebodys"], "{names:?}");
        anyhow::ensure!(maps[0].metadata.owner_references.is_some() && maps[0].data != maps[1].data);
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn what_a_setting_of_the_operator_turns_off_goes() -> Result<()> {
    let installation = start().await?;
    let admin = installation.admin.clone();
    admin.apply_yaml(SERVICE_MONITORS).await?;
    let installation = installation.restart_with(&[("DEPLOY_SERVICEMONITORS", "true")])?;
    installation.ask_for("{}").await?;
    let monitors: Api<ServiceMonitor> = Api::default_namespaced(admin.client());
    let services: Api<Service> = Api::default_namespaced(admin.client());
    let policies: Api<NetworkPolicy> = Api::default_namespaced(admin.client());
    let counts = async || -> Result<[usize; 3]> {
        let all = ListParams::default();
        let counts = [
            monitors.list(&all).await?.items.len(),
            services.list(&all).await?.items.len(),
            policies.list(&all).await?.items.len(),
        ];
        Ok(counts)
    };
    eventually(SOON, "monitors, their services and a policy are there", async || {
        let counts = counts().await?;
        (counts == [2, 2, 1]).then_some(()).context(format!("{counts:?}"))
    })
    .await;
    let _installation = installation.restart_with(&[("DISABLE_NETWORK_POLICIES", "true")])?;
    eventually(SOON, "they are gone", async || {
        let counts = counts().await?;
        (counts == [0, 0, 0]).then_some(()).context(format!("{counts:?}"))
    })
    .await;
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
        let args = Args::parse_from(["manager", "--enable-leader-election", "--port=0"]);
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
    ask_for(&admin, "metallb", "{bgpBackend: bird}").await?;
    until(&admin, "metallb", "Degraded", "InvalidSpec").await;
    assert_eq!(holder().await?, replicas[0].0);
    Ok(())
}

#[tokio::test]
async fn probes_and_metrics_are_answered_where_the_flags_say() -> Result<()> {
    let installation = start().await?;
    let [probes, metrics] = [free_port()?, free_port()?];
    let flags = [format!("--port={probes}"), format!("--metrics-addr=localhost:{metrics}")];
    let args = Args::parse_from(std::iter::once("manager".to_owned()).chain(flags));
    let environment = environment(&installation.admin.create_namespace().await?, &[])?;
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

#[tokio::test]
async fn a_metallb_that_is_being_deleted_is_left_to_the_garbage_collector() -> Result<()> {
    let installation = start().await?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    // There is no garbage collector here, so what belongs to it is deleted by hand.
    metallbs(&installation.admin).delete("metallb", &DeleteParams::foreground()).await?;
    let sets: Api<DaemonSet> = installation.daemon_sets();
    sets.delete("speaker", &DeleteParams::background()).await?;
    // A sign that the operator has seen both: it still tells others what is wrong with them.
    ask_for(&installation.admin, "other", "{}").await?;
    until(&installation.admin, "other", "Degraded", "IncorrectMetalLBResourceName").await;
    assert!(installation.speaker().await.is_err(), "it came back");
    assert!(conditions(&installation.admin, "metallb").await.is_err(), "its status is left as it was");
    Ok(())
}
