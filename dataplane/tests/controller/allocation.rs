//! Who gets which address, and what is said about it.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use metallb_lab::{eventually, load_balancer};
use serde_json::json;

use crate::installation::*;

#[tokio::test]
async fn a_service_gets_an_address_and_says_from_where() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let _controller = metallb.controller("a");
    let web = metallb.service(load_balancer("web").port(80)).await;
    assert_eq!(metallb.given(&web).await, ip("10.1.0.0"));
    let now = metallb.services().get("web").await.unwrap();
    assert_eq!(now.annotations()["metallb.io/ip-allocated-from-pool"], "lab");
    eventually(SOON, "the event is there", async || {
        let reasons = metallb.reasons(&web).await;
        if reasons == ["IPAllocated"] { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await;
    let asks = metallb.service(load_balancer("asks").port(80).requesting_ip("10.1.0.77")).await;
    assert_eq!(metallb.given(&asks).await, ip("10.1.0.77"));
}

#[tokio::test]
async fn a_service_that_ends_or_changes_its_type_leaves_its_address_to_who_waits() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/32"]).await.unwrap();
    let _controller = metallb.controller("a");
    let first = metallb.service(load_balancer("first").port(80)).await;
    metallb.given(&first).await;
    let second = metallb.service(load_balancer("second").port(80)).await;
    eventually(SOON, "the second is refused", async || {
        metallb.reasons(&second).await == ["AllocationFailed"]
    })
    .await;
    let event = &metallb.told(&second).await[0];
    assert!(event.message.contains("no free IPv4 address in pool lab"), "{}", event.message);

    let services = metallb.services();
    let to_cluster_ip = json!({ "spec": { "type": "ClusterIP", "loadBalancerClass": null } });
    services.patch("first", &PatchParams::default(), &Patch::Merge(to_cluster_ip)).await.unwrap();
    metallb.given(&second).await;
    let annotation = "metallb.io/ip-allocated-from-pool";
    let cleared = async || !services.get("first").await.unwrap().annotations().contains_key(annotation);
    eventually(SOON, "nothing is left on the first", cleared).await;

    let third = metallb.service(load_balancer("third").port(80)).await;
    services.delete("second", &DeleteParams::default()).await.unwrap();
    metallb.given(&third).await;
}

#[tokio::test]
async fn of_two_services_that_ask_for_one_address_one_gets_it_and_the_other_is_told() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let _controller = metallb.controller("a");
    let holder = metallb.service(load_balancer("holder").port(80).requesting_ip("10.1.0.5")).await;
    metallb.given(&holder).await;
    let other = metallb.service(load_balancer("other").port(80).requesting_ip("10.1.0.5")).await;
    eventually(SOON, "the other is told", async || metallb.reasons(&other).await == ["AllocationFailed"])
        .await;
    let outside = metallb.service(load_balancer("outside").port(80).requesting_ip("192.0.2.9")).await;
    eventually(SOON, "the outsider is told", async || {
        metallb.reasons(&outside).await == ["AllocationFailed"]
    })
    .await;
    assert_eq!(metallb.all_given().await.len(), 1);
}

#[tokio::test]
async fn a_malformed_pool_is_told_on_the_pool_and_takes_nothing_from_anybody() {
    let metallb = Installation::new().await;
    metallb.pool("good", &["10.1.0.0/24"]).await.unwrap();
    metallb.pool("soon-bad", &["10.2.0.0/24"]).await.unwrap();
    let controller = metallb.controller("a");
    let on_bad = metallb.service(load_balancer("on-bad").port(80).from_pool("soon-bad")).await;
    assert_eq!(metallb.given(&on_bad).await, ip("10.2.0.0"));

    metallb.pool("soon-bad", &["10.2.0.0-nonsense"]).await.unwrap();
    let bad = metallb.pools().get("soon-bad").await.unwrap();
    let told = async || {
        let events = metallb.admin.events_of(&bad).await.unwrap();
        events.into_iter().find(|event| event.reason == "ConfigurationError")
    };
    let event = eventually(SOON, "the pool has an event", told).await;
    assert!(event.message.contains("10.2.0.0-nonsense"), "{}", event.message);

    // A new process has no last good value, and lets go of nothing all the same.
    controller.kill();
    let _controller = metallb.controller("a");
    let new = metallb.service(load_balancer("new").port(80)).await;
    assert_eq!(metallb.given(&new).await, ip("10.1.0.0"), "the good pool serves");
    assert_eq!(metallb.addresses(&on_bad).await, [ip("10.2.0.0")]);

    metallb.pool("soon-bad", &["10.2.0.0/28"]).await.unwrap();
    let other = metallb.service(load_balancer("other").port(80).from_pool("soon-bad")).await;
    assert_eq!(metallb.given(&other).await, ip("10.2.0.1"), "the mended pool serves, around what was held");
}
