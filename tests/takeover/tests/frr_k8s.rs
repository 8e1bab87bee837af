//! Upstream's MetalLB in its frr-k8s mode, the default since 0.16, as its manifest installs it: pods of frr-k8s have the sessions
//! that ours are to have.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::time::{Duration, Instant};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use metallb_lab::{Cluster, LoadBalancer, eventually, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, NAMESPACE, ROLLED_OUT, options};
use metallb_takeover::scenario::{ROUTED, Scenario, judge};
use metallb_takeover::upstream::{Mode, Upstream};
use serde_json::json;

/// A speaker that ends takes its answers with it, until another has them: five seconds and more where upstream's find out that one
/// is gone.
const OUTAGE: Duration = Duration::from_secs(20);
/// Until a node whose frr-k8s has ended has its session again: the pod's own ten seconds, a new one, and the router's patience.
const WITHOUT: Duration = Duration::from_mins(1);
const ROUTED_V6: &str = "fd99::/112";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_frr_k8s_are_taken_over_node_by_node_and_handed_back_with_all_addresses() {
    let upstream = Upstream::pack(Mode::FrrK8s).unwrap();
    let options = options("takeover-frr-k8s").unwrap().with_images(upstream.archives.clone());
    let cluster = Cluster::up(options).await.unwrap();
    let metallb = Installation::prepare(&cluster).await.unwrap();
    let router = bgp::router(&cluster).await.unwrap();
    let scenario = Scenario { cluster: &cluster, metallb: &metallb };
    upstream.install(&metallb).await.unwrap();
    scenario.configure(&[bgp::ROUTED, ROUTED_V6], &json!({ "dualStackAddressFamily": true })).await.unwrap();
    metallb.run_hello().await.unwrap();
    for service in services() {
        metallb.user.create_service(service).await.unwrap();
    }
    let before = scenario.given(2).await;
    assert_eq!(before[ROUTED].len(), 2, "of both families: {before:?}");
    scenario.all_paths(&router, &before).await;
    println!("frr-k8s: upstream's announces {before:?}");

    let asked = scenario.ask_for(&before).await;
    let sessions = scenario.watch_sessions();
    let began = Instant::now();
    metallb.install_operator().await.unwrap();
    metallb.apply_metallb(&json!({ "bgpBackend": "frr-k8s" })).await.unwrap();
    scenario.all_are_ours().await;
    nothing_of_frr_k8s_is_left(&metallb).await;
    println!("frr-k8s: taken over after {:.0} s", began.elapsed().as_secs_f32());
    scenario.all_paths(&router, &before).await;
    judge("frr-k8s, taken over", asked, OUTAGE).await.unwrap();
    sessions.finish().unwrap().judge("frr-k8s, taken over", WITHOUT).unwrap();
    assert_eq!(scenario.given(2).await, before, "the same addresses after the take-over");
    an_frr_configuration_is_taken(&metallb).await;
    delete_what_speakers_wrote(&metallb).await;
    scenario.one_more_is_given_an_address("later", &before).await.unwrap();
    let before = scenario.given(3).await;

    scenario.stop_ours().await.unwrap();
    assert_eq!(scenario.given(3).await, before, "the same addresses while nobody is there");
    upstream.install(&metallb).await.unwrap();
    scenario.all_paths(&router, &before).await;
    scenario.all_answer(&before).await;
    assert_eq!(scenario.given(3).await, before, "the same addresses with upstream's again");
    scenario.one_more_is_given_an_address("last", &before).await.unwrap();
    println!("frr-k8s: handed back");
}

/// On layer 2, and through the router with both families.
fn services() -> [LoadBalancer; 2] {
    let service = |name: &str| load_balancer(name).for_app("hello").port(80);
    [service("lan"), service(ROUTED).from_pool(ROUTED).dual_stack()]
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
        anyhow::ensure!(left.is_empty(), "{left:?}");
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
async fn an_frr_configuration_is_taken(metallb: &Installation) {
    let mut object = DynamicObject::new("others", &ApiResource::from_gvk(&frr_configuration()));
    object.data = json!({ "spec": {} });
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    frr_configurations(metallb).create(&dry, &object).await.unwrap();
}

/// The last step, as docs/migration.md says it.
async fn delete_what_speakers_wrote(metallb: &Installation) {
    let api = frr_configurations(metallb);
    let all = api.list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names.iter().filter(|name| name.starts_with("metallb-")) {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
}
