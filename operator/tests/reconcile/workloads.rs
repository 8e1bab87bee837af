//! What is installed, and that it stays as it should be.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, ListParams};
use metallb_lab::eventually;
use metallb_operator::render::{PrometheusRule, ServiceMonitor};
use serde_json::json;

use crate::common::{
    Installation, MONITORING, PROMPTLY, SOON, args, ask_for, conditions, edit, env, metallbs, owner, until,
};
use crate::start;

#[tokio::test]
async fn every_backend_installs_the_same_two_workloads_and_tells_them_its_name() -> Result<()> {
    let installation = start().await?;
    for (backend, expected) in [
        ("frr-k8s", Some("frr-k8s")),
        ("frr", Some("frr")),
        ("native", None),
        ("frr-k8s-external", Some("frr-k8s-external")),
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
    eventually(SOON, "and it is counted", async || {
        for kind in ["DaemonSet", "NetworkPolicy", "ConfigMap", "Deployment"] {
            let repaired = installation.metrics.repaired.with_label_values(&[kind]).get();
            anyhow::ensure!(repaired == 1, "{repaired} times {kind}");
        }
        Ok(())
    })
    .await;
    let events: Api<Event> = Api::default_namespaced(installation.admin.client());
    eventually(SOON, "and told", async || {
        let told = events.list(&ListParams::default().fields("reason=Repaired")).await?.items;
        let of =
            |what: &str| told.iter().any(|it| it.message.as_deref().is_some_and(|it| it.starts_with(what)));
        anyhow::ensure!(of("DaemonSet speaker was edited or deleted"), "{told:?}");
        anyhow::ensure!(
            told.iter().all(|it| it.involved_object.name.as_deref() == Some("metallb")),
            "{told:?}"
        );
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
kind: Deployment
metadata: {{name: statuscleaner, {owner}}}
spec:
  selector: {{matchLabels: {{component: statuscleaner}}}}
  template:
    metadata: {{labels: {{component: statuscleaner}}}}
    spec: {{containers: [{{name: frr-k8s-statuscleaner, image: frr-k8s}}]}}
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
    installation.until_installed().await;
    let message = installation.until("Progressing", "Progressing").await;
    let waiting = "deleted once all pods are new and ready: ConfigMap frr-startup, Deployment statuscleaner";
    assert!(message.contains(waiting), "old pods may need them: {message}");
    installation.set_controller_status(1).await?;
    installation.set_speaker_status(2, 3).await?; // and there it hangs
    eventually(SOON, "the message counts", async || {
        let message = installation.until("Progressing", "Progressing").await;
        anyhow::ensure!(message.contains("2 of 3 pods ready") && message.contains(waiting), "{message}");
        Ok(())
    })
    .await;
    assert_eq!(names(&installation.deployments()).await?, ["controller", "statuscleaner"]);

    installation.set_speaker_status(3, 3).await?;
    let maps = Api::<ConfigMap>::default_namespaced(admin.client());
    eventually(SOON, "only ours is left", async || {
        anyhow::ensure!(names(&installation.deployments()).await? == ["controller"]);
        let names = names(&maps).await?;
        anyhow::ensure!(names == ["metallb-excludel2", "metallb-spec-in-force", "somebodys"], "{names:?}");
        let map = maps.get("metallb-excludel2").await?;
        anyhow::ensure!(
            map.metadata.owner_references.is_some()
                && map.data.is_some_and(|it| it["excludel2.yaml"] != "old")
        );
        Ok(())
    })
    .await;
    installation.until("Available", "Available").await;
    Ok(())
}

async fn names<K>(api: &Api<K>) -> Result<Vec<String>>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + kube::Resource,
{
    let objects = api.list(&ListParams::default()).await?.items;
    Ok(objects.iter().filter_map(|object| object.meta().name.clone()).collect())
}

/// An operator that is to install monitors, where the kinds for them are.
async fn with_monitors() -> Result<Installation> {
    let installation = start().await?;
    installation.admin.apply_yaml(MONITORING).await?;
    let installation = installation.restart_with(&[("DEPLOY_SERVICEMONITORS", "true")])?;
    installation.ask_for("{}").await?;
    Ok(installation)
}

#[tokio::test]
async fn what_a_setting_of_the_operator_turns_off_goes() -> Result<()> {
    let installation = with_monitors().await?;
    let admin = installation.admin.clone();
    let monitors: Api<ServiceMonitor> = Api::default_namespaced(admin.client());
    let services: Api<Service> = Api::default_namespaced(admin.client());
    let policies: Api<NetworkPolicy> = Api::default_namespaced(admin.client());
    let rules: Api<PrometheusRule> = Api::default_namespaced(admin.client());
    let counts = async || -> Result<[usize; 4]> {
        let all = ListParams::default();
        let counts = [
            rules.list(&all).await?.items.len(),
            monitors.list(&all).await?.items.len(),
            services.list(&all).await?.items.len(),
            policies.list(&all).await?.items.len(),
        ];
        Ok(counts)
    };
    eventually(SOON, "alerts, monitors, their services and a policy are there", async || {
        let counts = counts().await?;
        (counts == [1, 2, 2, 1]).then_some(()).context(format!("{counts:?}"))
    })
    .await;
    installation.set_ready().await?;
    let _installation = installation.restart_with(&[("DISABLE_NETWORK_POLICIES", "true")])?;
    eventually(SOON, "they are gone", async || {
        let counts = counts().await?;
        (counts == [0, 0, 0, 0]).then_some(()).context(format!("{counts:?}"))
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn monitors_and_alerts_are_put_right_too() -> Result<()> {
    let installation = with_monitors().await?;
    let admin = installation.admin.clone();
    let monitors: Api<ServiceMonitor> = Api::default_namespaced(admin.client());
    let rules: Api<PrometheusRule> = Api::default_namespaced(admin.client());
    let as_it_was = async || -> Result<()> {
        monitors.get("speaker-monitor").await?;
        let groups = rules.get("metallb").await?.spec.groups;
        let alerts = groups.iter().map(|group| group.rules.len()).sum::<usize>();
        anyhow::ensure!(alerts > 20, "{alerts} alerts");
        Ok(())
    };
    eventually(SOON, "everything is there", as_it_was).await;
    monitors.delete("speaker-monitor", &DeleteParams::default()).await?;
    edit(&rules, "metallb", json!({ "spec": { "groups": [] } })).await?;
    eventually(PROMPTLY, "everything is as it was", as_it_was).await;
    rules.delete("metallb", &DeleteParams::default()).await?;
    eventually(PROMPTLY, "and again", as_it_was).await;
    Ok(())
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
