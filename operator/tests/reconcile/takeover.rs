//! Taking over what upstream's manifests and its operator leave: what is there afterwards is what a fresh installation has.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Resource;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use metallb_lab::{ApiServer, User, eventually};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::common::{DEFINITION, Installation, SOON, ask_for, owner};
use crate::upstream;

/// How an object got there.
#[derive(Clone, Copy, Debug)]
enum By {
    /// Plain writes by a program of that name.
    Writes(&'static str),
    /// Server-side apply by a program of that name.
    Apply(&'static str),
    /// metallb-operator of 0.14, and then a newer one.
    BothOperators,
}

/// A user in a new namespace, and no operator yet.
async fn user() -> Result<User> {
    let admin = ApiServer::shared().await?.admin().await?;
    admin.apply_yaml(DEFINITION).await?;
    admin.in_new_namespace().await
}

async fn leave<K>(user: &User, by: By, object: &Value) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let api: Api<K> = Api::default_namespaced(user.client());
    let name = object["metadata"]["name"].as_str().context("no name")?;
    let applied = async |manager: &str, object: &Value| {
        api.patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(object)).await
    };
    match by {
        By::Writes(manager) => {
            let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
            api.create(&params, &serde_json::from_value(object.clone())?).await?;
        }
        By::Apply(manager) => {
            applied(manager, object).await?;
        }
        By::BothOperators => {
            let params = PostParams { field_manager: Some("manager".to_owned()), ..PostParams::default() };
            api.create(&params, &serde_json::from_value(object.clone())?).await?;
            let mut newer = object.clone();
            let containers = newer.pointer_mut("/spec/template/spec/containers").context("no containers")?;
            let containers = containers.as_array_mut().context("no list")?;
            containers.retain(|container| container["name"] != "kube-rbac-proxy");
            applied("metallb-operator", &newer).await?;
        }
    }
    Ok(())
}

/// What matters of an object: everything but its place, its history, and who manages it.
fn outline(object: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(object)?;
    let labels = value["metadata"]["labels"].take();
    let mut annotations = value["metadata"]["annotations"].take();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("deprecated.daemonset.template.generation");
    }
    value["metadata"] = json!({ "labels": labels, "annotations": annotations });
    value["status"].take();
    Ok(value)
}

/// Both workloads, once everything is up.
async fn outcome(installation: &Installation) -> Result<[Value; 2]> {
    eventually(SOON, "it is taken over", async || {
        for pod in [installation.controller().await?, installation.speaker().await?] {
            let images: Vec<_> = pod.containers.into_iter().filter_map(|it| it.image).collect();
            anyhow::ensure!(images == ["controller:1"] || images == ["speaker:1"], "{images:?}");
        }
        installation.set_ready().await?;
        let strategy =
            installation.deployments().get("controller").await?.spec.and_then(|spec| spec.strategy);
        let strategy = strategy.and_then(|strategy| strategy.type_);
        anyhow::ensure!(strategy.as_deref() == Some("RollingUpdate"), "{strategy:?}");
        Ok(())
    })
    .await;
    installation.set_ready().await?;
    installation.until("Available", "Available").await;
    Ok([
        outline(&installation.daemon_sets().get("speaker").await?)?,
        outline(&installation.deployments().get("controller").await?)?,
    ])
}

#[tokio::test]
async fn whoever_installed_it_what_is_there_afterwards_is_what_a_fresh_installation_has() -> Result<()> {
    let fresh = Installation::start(&ApiServer::shared().await?.admin().await?).await?;
    fresh.ask_for("{}").await?;
    let fresh = outcome(&fresh).await?;
    for by in [
        By::Writes("kubectl-client-side-apply"),
        By::Writes("helm"),
        By::Writes("manager"),
        By::Apply("kubectl"),
        By::Apply("kustomize-controller"),
        By::Apply("metallb-operator"),
        By::BothOperators,
    ] {
        let user = user().await?;
        leave::<DaemonSet>(&user, by, &upstream::speaker()).await?;
        leave::<Deployment>(&user, by, &upstream::controller()).await?;
        let installation = Installation::continue_with(user, &[])?;
        installation.ask_for("{}").await?;
        let outcome = outcome(&installation).await?;
        for (ours, fresh) in outcome.iter().zip(&fresh) {
            assert_eq!(ours, fresh, "installed {by:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pods_of_old_are_kept_by_taking_over_in_place() -> Result<()> {
    let user = user().await?;
    leave::<DaemonSet>(&user, By::Writes("helm"), &upstream::speaker()).await?;
    let sets: Api<DaemonSet> = Api::default_namespaced(user.client());
    let before = sets.get("speaker").await?.metadata.uid;
    let installation = Installation::continue_with(user, &[])?;
    installation.ask_for("{}").await?;
    outcome(&installation).await?;
    assert_eq!(sets.get("speaker").await?.metadata.uid, before, "the DaemonSet was made anew");
    Ok(())
}

#[tokio::test]
async fn upstreams_controller_ends_before_ours_starts() -> Result<()> {
    let user = user().await?;
    leave::<Deployment>(&user, By::Writes("kubectl-client-side-apply"), &upstream::controller()).await?;
    let installation = Installation::continue_with(user, &[])?;
    installation.ask_for("{}").await?;
    let strategy = async || -> Result<String> {
        let spec = installation.deployments().get("controller").await?.spec.context("no spec")?;
        let image = spec.template.spec.and_then(|pod| pod.containers[0].image.clone());
        anyhow::ensure!(image.as_deref() == Some("controller:1"), "{image:?}");
        spec.strategy.and_then(|strategy| strategy.type_).context("no strategy")
    };
    let found = eventually(SOON, "the template is ours", strategy).await;
    assert_eq!(found, "Recreate", "both would allocate at a time");
    installation.set_speaker_status(1, 1).await?;
    installation.set_controller_status(0).await?; // the old one has ended, ours is starting
    installation.ask_for("{logLevel: debug}").await?;
    installation.until("Progressing", "Progressing").await;
    assert_eq!(strategy().await?, "Recreate", "an edit meanwhile changes nothing about that");
    eventually(SOON, "from then on the new one is up before the old one ends", async || {
        installation.set_ready().await?;
        anyhow::ensure!(strategy().await? == "RollingUpdate");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_workload_with_another_selector_is_named_and_the_rest_is_installed() -> Result<()> {
    let user = user().await?;
    let mut speaker = upstream::speaker();
    speaker["spec"]["selector"]["matchLabels"]["release"] = json!("x");
    speaker["spec"]["template"]["metadata"]["labels"]["release"] = json!("x");
    leave::<DaemonSet>(&user, By::Writes("helm"), &speaker).await?;
    let installation = Installation::continue_with(user, &[])?;
    installation.ask_for("{}").await?;
    let message = installation.until("Degraded", "SelectorCannotBeChanged").await;
    for part in ["DaemonSet speaker selects", "\"release\":\"x\"", "delete it"] {
        assert!(message.contains(part), "{message}");
    }
    installation.controller().await?;
    assert_eq!(installation.speaker().await?.containers.len(), 5, "it is left as it was");
    installation.daemon_sets().delete("speaker", &kube::api::DeleteParams::background()).await?;
    installation.until("Progressing", "Progressing").await;
    assert_eq!(installation.speaker().await?.containers.len(), 1);
    Ok(())
}

#[tokio::test]
async fn upstreams_webhook_server_goes_at_once_also_without_a_metallb() -> Result<()> {
    let user = user().await?;
    leave::<Deployment>(&user, By::Apply("kubectl"), &upstream::webhook_server()).await?;
    let both = "{component: webhook-server, control-plane: controller-manager}";
    let service = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: metallb-webhook-service}}, \
         spec: {{ports: [{{port: 443}}], selector: {both}}}}}"
    );
    user.apply_yaml(&service).await?;
    let services: Api<Service> = Api::default_namespaced(user.client());
    let installation = Installation::continue_with(user, &[])?;
    eventually(SOON, "its service finds us", async || {
        let spec = services.get("metallb-webhook-service").await?.spec.context("no spec")?;
        let selector = spec.selector.context("no selector")?;
        anyhow::ensure!(selector.keys().eq(["control-plane"]), "{selector:?}");
        Ok(())
    })
    .await;
    eventually(SOON, "it is gone", async || {
        let found = installation.deployments().list(&ListParams::default()).await?.items;
        anyhow::ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn the_denial_of_everything_goes_with_upstreams_exceptions_and_not_before_ours_is_up() -> Result<()> {
    let user = user().await?;
    let policy = |name: &str, labels: &str| {
        let spec = format!("{{podSelector: {{matchLabels: {labels}}}, policyTypes: [Ingress, Egress]}}");
        format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}}}, spec: {spec}}}\n"
        )
    };
    let all = [
        policy("default-deny", "{}"),
        policy("operator", "{control-plane: controller-manager}"),
        policy("webhook-service", "{component: webhook-server}"),
        policy("mine", "{app: mine}"),
    ];
    let _: Vec<DynamicObject> = user.apply_yaml(&all.concat()).await?;
    let policies: Api<NetworkPolicy> = Api::default_namespaced(user.client());
    let names = async || -> Result<Vec<String>> {
        let found = policies.list(&ListParams::default()).await?.items;
        Ok(found.into_iter().filter_map(|policy| policy.metadata.name).collect())
    };
    let installation = Installation::continue_with(user, &[])?;
    installation.ask_for("{}").await?;
    installation.until_installed().await;
    installation.until("Progressing", "Progressing").await;
    assert_eq!(names().await?.len(), 5);
    installation.set_ready().await?;
    installation.until("Available", "Available").await;
    eventually(SOON, "ours and somebody's are left", async || {
        let names = names().await?;
        anyhow::ensure!(names == ["controller", "mine"], "{names:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn objects_of_an_owner_of_old_are_adopted_with_those_of_the_same_metallb() -> Result<()> {
    let user = user().await?;
    ask_for(&user, "metallb", "{}").await?;
    let reference = owner(&user).await?;
    let reference: Value = serde_saphyr::from_str(&format!("{{{reference}}}"))?;
    let mut speaker = upstream::speaker();
    speaker["metadata"]["ownerReferences"] = reference["ownerReferences"].clone();
    leave::<DaemonSet>(&user, By::BothOperators, &speaker).await?;
    let installation = Installation::continue_with(user, &[])?;
    outcome(&installation).await?;
    let set = installation.daemon_sets().get("speaker").await?;
    assert_eq!(set.metadata.owner_references.context("no owner")?.len(), 1);
    let managers = set.metadata.managed_fields.context("no managers")?;
    let managers: Vec<_> = managers
        .iter()
        .filter(|entry| entry.subresource.is_none())
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    assert_eq!(managers, ["metallb-operator"], "everything is ours");
    Ok(())
}
