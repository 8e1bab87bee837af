//! SecurityContextConstraints: made, put right, and gone with the `MetalLB`.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use metallb_lab::eventually;
use metallb_operator::render::SecurityContextConstraints;
use serde_json::json;

use crate::common::{COLLECTED, Installation, SOON, edit, metallbs};
use crate::{again, start};

const NAME: &str = "metallb-speaker";

fn constraints(installation: &Installation) -> Api<SecurityContextConstraints> {
    Api::all(installation.admin.client())
}

#[tokio::test]
async fn they_are_made_put_right_and_gone_with_the_metallb_and_so_is_everything_else() -> Result<()> {
    let (installation, _turn) = start(&[("DEPLOY_SERVICEMONITORS", "true")]).await?;
    let all = constraints(&installation);
    installation.ask_for("{bgpListenPort: 179}").await?;
    eventually(SOON, "constraints and pods that name them are there", async || {
        let made = all.get(NAME).await?;
        anyhow::ensure!(made.allowed_capabilities == Some(vec!["NET_BIND_SERVICE".into(), "NET_RAW".into()]));
        anyhow::ensure!(made.seccomp_profiles == Some(vec!["runtime/default".into()]), "{made:?}");
        let speaker = installation.daemon_sets().get("speaker").await?.spec.context("no spec")?.template;
        let annotations = speaker.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        anyhow::ensure!(annotations.get("openshift.io/required-scc").is_some_and(|scc| scc == NAME));
        let controller = installation.controller().await?.security_context.context("no context")?;
        anyhow::ensure!(controller.run_as_user.is_none() && controller.fs_group.is_none());
        Ok(())
    })
    .await;

    edit(&all, NAME, json!({ "allowPrivilegedContainer": true })).await?;
    eventually(SOON, "what somebody has made of them is undone", async || {
        anyhow::ensure!(!all.get(NAME).await?.allow_privileged_container);
        Ok(())
    })
    .await;
    all.delete(NAME, &DeleteParams::default()).await?;
    eventually(SOON, "they are made anew", async || all.get(NAME).await).await;

    metallbs(&installation.admin).delete("metallb", &DeleteParams::default()).await?;
    eventually(COLLECTED, "nothing is left", async || nothing_is_left(&installation).await).await;
    Ok(())
}

#[tokio::test]
async fn an_operator_that_was_not_there_when_the_metallb_went_clears_up_when_it_starts() -> Result<()> {
    let (installation, turn) = start(&[]).await?;
    let all = constraints(&installation);
    installation.ask_for("{}").await?;
    eventually(SOON, "constraints are there", async || all.get(NAME).await).await;
    let admin = installation.admin.clone();
    drop(installation);
    metallbs(&admin).delete("metallb", &DeleteParams::default()).await?;

    let (installation, _turn) = again(&[], turn).await?;
    eventually(COLLECTED, "nothing is left", async || nothing_is_left(&installation).await).await;
    Ok(())
}

#[tokio::test]
async fn those_that_upstream_left_are_taken_over_and_go_with_the_metallb_too() -> Result<()> {
    let (installation, _turn) = start(&[]).await?;
    let all = constraints(&installation);
    let upstreams = json!({
        "apiVersion": "security.openshift.io/v1", "kind": "SecurityContextConstraints",
        "metadata": { "name": NAME, "labels": { "app": "metallb" } },
        "allowHostDirVolumePlugin": false, "allowHostIPC": false, "allowHostNetwork": true, "allowHostPID": false,
        "allowHostPorts": true, "allowPrivilegedContainer": false, "allowedCapabilities": ["NET_RAW", "NET_ADMIN"],
        "defaultAddCapabilities": [], "priority": null, "readOnlyRootFilesystem": false,
        "requiredDropCapabilities": ["ALL"], "volumes": ["secret"],
    });
    let as_upstream = PatchParams::apply("metallb-operator").force();
    let before = all.patch(NAME, &as_upstream, &Patch::Apply(upstreams)).await?;
    installation.ask_for("{}").await?;
    eventually(SOON, "they are as ours", async || {
        let now = all.get(NAME).await?;
        anyhow::ensure!(
            now.allowed_capabilities == Some(vec!["NET_BIND_SERVICE".into(), "NET_RAW".into()]),
            "{now:?}"
        );
        anyhow::ensure!(now.metadata.uid == before.metadata.uid);
        Ok(())
    })
    .await;
    metallbs(&installation.admin).delete("metallb", &DeleteParams::default()).await?;
    eventually(COLLECTED, "nothing is left", async || nothing_is_left(&installation).await).await;
    Ok(())
}

async fn nothing_is_left(installation: &Installation) -> Result<()> {
    let found = constraints(installation).get_opt(NAME).await?;
    anyhow::ensure!(found.is_none(), "{found:?}");
    let client = installation.admin.client();
    let owned = [
        count::<ConfigMap>(Api::default_namespaced(client.clone())).await?,
        count::<DaemonSet>(Api::default_namespaced(client.clone())).await?,
        count::<Deployment>(Api::default_namespaced(client.clone())).await?,
        count::<NetworkPolicy>(Api::default_namespaced(client.clone())).await?,
        count::<Service>(Api::default_namespaced(client)).await?,
    ];
    anyhow::ensure!(owned == [0; 5], "{owned:?}");
    Ok(())
}

/// How many have an owner and are no pods' workload of the manifest.
async fn count<K>(api: Api<K>) -> Result<usize>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let objects = api.list(&ListParams::default()).await?.items;
    Ok(objects.iter().filter(|object| object.meta().owner_references.is_some()).count())
}
