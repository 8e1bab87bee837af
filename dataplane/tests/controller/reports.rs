//! The status of pools, and what they keep back.

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use metallb_lab::{eventually, load_balancer};
use serde_json::json;

use crate::installation::*;

#[tokio::test]
async fn the_status_of_a_pool_counts_what_is_used_and_corrects_itself() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/30", "fd00::/64"]).await.unwrap();
    let controller = metallb.controller("a");
    let says = async |expected: (i64, i64)| {
        eventually(SOON, "the pool says so", async || metallb.counters("lab").await == Some(expected)).await;
    };
    says((0, 4)).await;
    let web = metallb.service(load_balancer("web").port(80)).await;
    metallb.given(&web).await;
    says((1, 3)).await;
    metallb.pool("lab", &["10.1.0.0/29", "fd00::/64"]).await.unwrap();
    says((1, 7)).await;

    let edit = json!({ "status": { "assignedIPv4": 77, "availableIPv4": 0 } });
    metallb.pools().patch_status("lab", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    says((1, 7)).await;

    controller.kill();
    metallb.services().delete("web", &DeleteParams::default()).await.unwrap();
    let _controller = metallb.controller("a");
    says((0, 8)).await;
    let status = metallb.pools().get("lab").await.unwrap().status.unwrap();
    assert_eq!((status.assigned_ipv6, status.available_ipv6), (0, i64::MAX));
    let fields = metallb.pools().get("lab").await.unwrap().metadata.managed_fields.unwrap();
    let owner = fields.iter().find(|it| it.manager.as_deref() == Some("metallb-controller-poolstatus"));
    assert_eq!(owner.unwrap().subresource.as_deref(), Some("status"));
}

#[tokio::test]
async fn a_burst_of_services_costs_a_pool_few_writes_and_the_last_state_arrives() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    for n in 0..200 {
        metallb.service(load_balancer(format!("web-{n:03}")).port(80)).await;
    }
    let before = metallb.pools().get("lab").await.unwrap();
    let pools = metallb.pools();
    let version = before.metadata.resource_version.unwrap();
    let params = kube::api::WatchParams::default().fields("metadata.name=lab");
    let mut changes = Box::pin(pools.watch(&params, &version).await.unwrap());
    let _controller = metallb.controller("a");
    let mut writes = 0;
    while let Some(change) = changes.try_next().await.unwrap() {
        if let kube::api::WatchEvent::Modified(pool) = change {
            writes += 1;
            if pool.status.is_some_and(|status| status.assigned_ipv4 == 200) {
                break;
            }
        }
    }
    assert!(writes <= 40, "{writes} writes for 200 services");
}

#[tokio::test]
async fn a_reserved_address_waits_for_its_service_over_a_kill_of_the_controller() {
    let metallb = Installation::new().await;
    let annotations = json!({ "metallb.io/reserve-for": "1h" });
    metallb.annotated_pool("lab", &["10.1.0.0/30"], annotations).await.unwrap();
    let controller = metallb.controller("a");
    let web = metallb.service(load_balancer("web").port(80)).await;
    assert_eq!(metallb.given(&web).await, ip("10.1.0.0"));
    metallb.services().delete("web", &DeleteParams::default()).await.unwrap();
    let config_maps: Api<ConfigMap> = Api::namespaced(metallb.admin.client(), metallb.admin.namespace());
    let noted = async || {
        let data = config_maps.get_opt("metallb-reservations").await.unwrap()?.data?;
        data.get("lab").cloned()
    };
    let line = eventually(SOON, "the reservation is noted", noted).await;
    assert!(
        line.starts_with(&format!("10.1.0.0 {}/web reserved-until=", metallb.services.namespace())),
        "{line}"
    );

    controller.kill();
    let other = metallb.service(load_balancer("other").port(80)).await;
    let asks = metallb.service(load_balancer("asks").port(80).requesting_ip("10.1.0.0")).await;
    let _controller = metallb.controller("a");
    assert_eq!(metallb.given(&other).await, ip("10.1.0.1"));
    eventually(SOON, "who asks for it is told", async || {
        metallb.reasons(&asks).await == ["AllocationFailed"]
    })
    .await;
    eventually(SOON, "the pool says so", async || metallb.counters("lab").await == Some((1, 2))).await;
    let again = metallb.service(load_balancer("web").port(80)).await;
    assert_eq!(metallb.given(&again).await, ip("10.1.0.0"));
}
