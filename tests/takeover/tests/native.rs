//! Upstream's MetalLB in its native mode, as its manifest installs it, with clients on layer 2 and behind a router.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::time::Duration;

use metallb_lab::{Cluster, LoadBalancer, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, options};
use metallb_takeover::scenario::{ROUTED, Scenario, judge};
use metallb_takeover::upstream::{Mode, Upstream};
use serde_json::json;

/// A speaker that ends takes its answers and its routes with it, until another has them: five seconds and more where upstream's find
/// out that one is gone.
const OUTAGE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_upstreams_is_taken_over_and_handed_back_with_all_its_addresses() {
    let upstream = Upstream::pack(Mode::Native).unwrap();
    let options = options("takeover").unwrap().with_images(upstream.archives.clone());
    let cluster = Cluster::up(options).await.unwrap();
    let metallb = Installation::prepare(&cluster).await.unwrap();
    let router = bgp::router(&cluster).await.unwrap();
    let scenario = Scenario { cluster: &cluster, metallb: &metallb };
    upstream.install(&metallb).await.unwrap();
    scenario.configure(&[bgp::ROUTED], &json!({})).await.unwrap();
    metallb.run_hello().await.unwrap();
    for service in services() {
        metallb.user.create_service(service).await.unwrap();
    }
    let before = scenario.given(3).await;
    scenario.all_paths(&router, &before).await;

    let asked = scenario.ask_for(&before).await;
    metallb.install_operator().await.unwrap();
    metallb.apply_metallb(&json!({ "bgpBackend": "native" })).await.unwrap();
    scenario.all_are_ours().await;
    scenario.all_paths(&router, &before).await;
    judge("native, taken over", asked, OUTAGE).await.unwrap();
    assert_eq!(scenario.given(3).await, before, "the same addresses after the take-over");
    scenario.one_more_is_given_an_address("later", &before).await.unwrap();
    let before = scenario.given(4).await;

    scenario.stop_ours().await.unwrap();
    assert_eq!(scenario.given(4).await, before, "the same addresses while nobody is there");
    upstream.install(&metallb).await.unwrap();
    scenario.all_paths(&router, &before).await;
    scenario.all_answer(&before).await;
    assert_eq!(scenario.given(4).await, before, "the same addresses with upstream's again");
    scenario.one_more_is_given_an_address("last", &before).await.unwrap();
}

/// On layer 2 with one family and with two, and through the router.
fn services() -> [LoadBalancer; 3] {
    let service = |name: &str| load_balancer(name).for_app("hello").port(80);
    [service("lan"), service("both").dual_stack(), service(ROUTED).from_pool(ROUTED)]
}
