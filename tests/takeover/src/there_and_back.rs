//! There and back: a cluster of upstream's is taken over, with clients on layer 2 and behind a router, and handed back.

use std::time::{Duration, Instant};

use anyhow::ensure;
use metallb_lab::{Cluster, LoadBalancer, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, options};
use serde_json::{Value, json};

use crate::scenario::{ROUTED, Scenario, judge};
use crate::upstream::{Mode, Upstream};

/// A speaker that ends takes its answers and its routes with it, until another has them: five seconds and more where upstream's find
/// out that one is gone.
const OUTAGE: Duration = Duration::from_secs(20);
/// Until a node whose speaker or frr-k8s has ended has its session again: what the pod takes to end (ten seconds of frr-k8s's), a new
/// one, and the router's patience.
const WITHOUT: Duration = Duration::from_mins(1);
const ROUTED_V6: &str = "fd99::/112";

/// What is asked of MetalLB in a mode.
struct Demand {
    /// The pool behind the router.
    routed: &'static [&'static str],
    /// What is added to the BGPPeer that is the router.
    peer: Value,
    services: Vec<LoadBalancer>,
}

impl Demand {
    /// On layer 2 with one family and with two, and through the router: with two families where upstream's can.
    fn in_mode(mode: Mode) -> Self {
        let service = |name: &str| load_balancer(name).for_app("hello").port(80);
        let (lan, both) = (service("lan"), service("both").dual_stack());
        let routed = service(ROUTED).from_pool(ROUTED);
        match mode {
            Mode::Native | Mode::Frr => {
                Self { routed: &[bgp::ROUTED], peer: json!({}), services: vec![lan, both, routed] }
            }
            Mode::FrrK8s => Self {
                routed: &[bgp::ROUTED, ROUTED_V6],
                peer: json!({ "dualStackAddressFamily": true }),
                services: vec![lan, both, routed.dual_stack()],
            },
        }
    }
}

/// Takes a cluster of upstream's over, of which `taken_over` may look at more, and hands it back.
pub async fn there_and_back(
    mode: Mode,
    taken_over: impl AsyncFnOnce(&Installation) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = mode.name();
    let upstream = Upstream::pack(mode)?;
    let options = options(&format!("takeover-{name}"))?.with_images(upstream.archives.clone());
    let cluster = Cluster::up(options).await?;
    let metallb = Installation::prepare(&cluster).await?;
    let router = bgp::router(&cluster).await?;
    let scenario = Scenario { cluster: &cluster, metallb: &metallb };
    upstream.install(&metallb).await?;
    let demand = Demand::in_mode(mode);
    scenario.configure(demand.routed, &demand.peer).await?;
    metallb.run_hello().await?;
    for service in demand.services {
        metallb.user.create_service(service).await?;
    }
    let before = scenario.given(3).await;
    ensure!(before[ROUTED].len() == demand.routed.len(), "an address of each family: {before:?}");
    scenario.all_paths(&router, &before).await;
    println!("{name}: upstream's announces {before:?}");

    let asked = scenario.ask_for(&before).await;
    let sessions = scenario.watch_sessions();
    let began = Instant::now();
    metallb.install_operator().await?;
    metallb.apply_metallb(&json!({ "bgpBackend": name })).await?;
    scenario.all_are_ours().await;
    taken_over(&metallb).await?;
    println!("{name}: taken over after {:.0} s", began.elapsed().as_secs_f32());
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
