//! All speakers are replaced, one after the other, while clients ask five hundred times a second: on layer 2, and through a router that
//! watches by BFD, with graceful restart and without.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use metallb_lab::{Cluster, load_balancer};
use metallb_scenarios::bgp::{self, Restart};
use metallb_scenarios::installation::{Installation, options};
use metallb_scenarios::outage::{Load, Noticed, Watch};
use serde_json::json;

const LOAD: Load = Load { rate: 500, long_lived: 5 };
/// Requests before and after.
const STEADY: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_update_of_the_speakers_loses_no_request_where_nothing_has_to_move() {
    let cluster = Cluster::up(options("e2e-rollout").unwrap()).await.unwrap();
    let metallb = Installation::prepare(&cluster).await.unwrap();
    metallb.install_operator().await.unwrap();
    metallb.apply_metallb(&json!({ "layer2": { "restartGraceSeconds": 30 } })).await.unwrap();
    metallb.pool("lab", &["10.77.0.200-10.77.0.250"]).await.unwrap();
    metallb.run_hello().await.unwrap();
    let router = bgp::router(&cluster).await.unwrap();
    bgp::announce(&metallb).await.unwrap();
    let service = |name: &str| load_balancer(name).for_app("hello").port(80).external_traffic_policy_local();
    let on_the_lan = metallb.user.create_service(service("near")).await.unwrap();
    let behind_the_router = metallb.user.create_service(service("far").from_pool("routed")).await.unwrap();
    let (near, far) = (metallb.address(&on_the_lan).await, metallb.address(&behind_the_router).await);
    let nodes = cluster.nodes().len();

    let rolled_out = async |client: &str, address| -> Noticed {
        bgp::paths(&router, far, nodes).await;
        bgp::watched(&router, nodes).await;
        let watch = Watch::with(&cluster.host(client), address, LOAD);
        watch.goes_on(STEADY).await;
        metallb.roll_speakers_out().await.unwrap();
        bgp::paths(&router, far, nodes).await;
        watch.goes_on(STEADY).await;
        let noticed = watch.finish().unwrap();
        println!("speakers rolled out, {client} asks {address}: {noticed:?}");
        noticed
    };

    // One in a thousand may be late for want of processors.
    let is_whole = |noticed: &Noticed| noticed.failed <= noticed.answered / 1000 && noticed.broken == 0;
    let noticed = rolled_out("client", near).await;
    assert!(is_whole(&noticed), "layer 2: {noticed:?}");
    let noticed = rolled_out("remote", far).await;
    assert!(is_whole(&noticed), "with graceful restart: {noticed:?}");

    bgp::peer(&metallb, Restart::Plain).await.unwrap();
    let noticed = rolled_out("remote", far).await;
    assert!(is_whole(&noticed), "without graceful restart others announce the routes meanwhile: {noticed:?}");
}
