//! Upstream's MetalLB in its frr-k8s mode, the default since 0.16, as its manifest installs it: pods of frr-k8s have the sessions
//! that ours are to have.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use anyhow::ensure;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use metallb_lab::eventually;
use metallb_scenarios::installation::{Installation, NAMESPACE, ROLLED_OUT};
use metallb_takeover::there_and_back::there_and_back;
use metallb_takeover::upstream::Mode;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_frr_k8s_are_taken_over_node_by_node_and_handed_back_with_all_addresses() {
    let taken_over = async |metallb: &Installation| {
        nothing_of_frr_k8s_is_left(metallb).await;
        an_frr_configuration_is_taken(metallb).await?;
        delete_what_speakers_wrote(metallb).await
    };
    there_and_back(Mode::FrrK8s, taken_over).await.unwrap();
}

/// Nothing that runs, and nothing that refuses or cuts off.
async fn nothing_of_frr_k8s_is_left(metallb: &Installation) {
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(metallb.admin.client());
    let all = ListParams::default();
    eventually(ROLLED_OUT, "nothing of frr-k8s is left", async || {
        let mut left = Vec::new();
        left.extend(metallb.api::<DaemonSet>().list(&all).await?.iter().map(ResourceExt::name_any));
        left.extend(metallb.api::<Deployment>().list(&all).await?.iter().map(ResourceExt::name_any));
        left.extend(metallb.api::<Pod>().list(&all).await?.iter().map(ResourceExt::name_any));
        left.extend(webhooks.list(&all).await?.iter().map(ResourceExt::name_any));
        left.extend(metallb.api::<NetworkPolicy>().list(&all).await?.iter().map(ResourceExt::name_any));
        left.push(
            metallb
                .api::<Service>()
                .get_opt("frr-k8s-webhook-service")
                .await?
                .map_or_else(String::new, |it| it.name_any()),
        );
        left.retain(|name| name.contains("frr") || name == "default-deny");
        ensure!(left.is_empty(), "{left:?}");
        anyhow::Ok(())
    })
    .await;
}

fn frr_configurations(metallb: &Installation) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&frr_configuration());
    Api::namespaced_with(metallb.admin.client(), NAMESPACE, &kind)
}

fn frr_configuration() -> GroupVersionKind {
    GroupVersionKind::gvk("frrk8s.metallb.io", "v1beta1", "FRRConfiguration")
}

/// Nobody refuses what others may want to write.
async fn an_frr_configuration_is_taken(metallb: &Installation) -> anyhow::Result<()> {
    let mut object = DynamicObject::new("others", &ApiResource::from_gvk(&frr_configuration()));
    object.data = json!({ "spec": {} });
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    frr_configurations(metallb).create(&dry, &object).await?;
    Ok(())
}

/// The last step, as docs/migration.md says it.
async fn delete_what_speakers_wrote(metallb: &Installation) -> anyhow::Result<()> {
    let api = frr_configurations(metallb);
    let all = api.list(&ListParams::default()).await?;
    let names: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
    ensure!(names.len() == 3, "{names:?}");
    for name in names.iter().filter(|name| name.starts_with("metallb-")) {
        api.delete(name, &DeleteParams::default()).await?;
    }
    Ok(())
}
