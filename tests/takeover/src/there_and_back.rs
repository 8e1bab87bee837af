//! There and back, where the speaker of old and ours have the sessions by themselves, in the native mode and in the FRR mode: on each
//! node one pod replaces the other.

use std::time::Duration;

use anyhow::ensure;
use metallb_lab::{Cluster, LoadBalancer, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, options};
use serde_json::json;

use crate::scenario::{ROUTED, Scenario, judge};
use crate::upstream::{Mode, Upstream};

/// A speaker that ends takes its answers and its routes with it, until another has them: five seconds and more where upstream's find
/// out that one is gone.
const OUTAGE: Duration = Duration::from_secs(20);
/// Until a node whose speaker has ended has its session again: what the pod takes to end, a new one, and the router's patience.
const WITHOUT: Duration = Duration::from_mins(1);

/// Takes a cluster of upstream's over, with clients on layer 2 and behind a router, and hands it back.
pub async fn there_and_back(mode: Mode) -> anyhow::Result<()> {
    let name = mode.name();
    let upstream = Upstream::pack(mode)?;
    let options = options(&format!("takeover-{name}"))?.with_images(upstream.archives.clone());
    let cluster = Cluster::up(options).await?;
    let metallb = Installation::prepare(&cluster).await?;
    let router = bgp::router(&cluster).await?;
    let scenario = Scenario { cluster: &cluster, metallb: &metallb };
    upstream.install(&metallb).await?;
    scenario.configure(&[bgp::ROUTED], &json!({})).await?;
    metallb.run_hello().await?;
    for service in services() {
        metallb.user.create_service(service).await?;
    }
    let before = scenario.given(3).await;
    scenario.all_paths(&router, &before).await;
    println!("{name}: upstream's announces {before:?}");

    let asked = scenario.ask_for(&before).await;
    let sessions = scenario.watch_sessions();
    metallb.install_operator().await?;
    metallb.apply_metallb(&json!({ "bgpBackend": name })).await?;
    scenario.all_are_ours().await;
    scenario.all_paths(&router, &before).await;
    let what = format!("{name}, taken over");
    judge(&what, asked, OUTAGE).await?;
    sessions.finish()?.judge(&what, WITHOUT)?;
    ensure!(scenario.given(3).await == before, "other addresses after the take-over than {before:?}");
    scenario.one_more_is_given_an_address("later", &before).await?;
    let before = scenario.given(4).await;

    scenario.stop_ours().await?;
    ensure!(scenario.given(4).await == before, "other addresses while nobody is there than {before:?}");
    upstream.install(&metallb).await?;
    scenario.all_paths(&router, &before).await;
    scenario.all_answer(&before).await;
    ensure!(scenario.given(4).await == before, "other addresses with upstream's again than {before:?}");
    scenario.one_more_is_given_an_address("last", &before).await?;
    println!("{name}: handed back");
    Ok(())
}

/// On layer 2 with one family and with two, and through the router.
fn services() -> [LoadBalancer; 3] {
    let service = |name: &str| load_balancer(name).for_app("hello").port(80);
    [service("lan"), service("both").dual_stack(), service(ROUTED).from_pool(ROUTED)]
}
