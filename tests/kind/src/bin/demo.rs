//! `make demo`: the story of MetalLB on a cluster, told with times. Ends non-zero when anything is not as told.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use metallb_lab::{Cluster, Host, eventually, load_balancer};
use metallb_scenarios::installation::{Installation, NAMESPACE, options};
use metallb_scenarios::outage::{Watch, ask};
use metallb_scenarios::{bgp, layer2};
use serde_json::json;

/// The cluster's name.
const NAME: &str = "demo";
/// A node that fails must be replaced by then.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// Brings a Kubernetes cluster up in network namespaces, installs MetalLB, gives a service an address, reaches it from
/// the LAN, and takes the power from the node that announces it. Then a router joins, learns an address over three paths,
/// and loses one.
#[derive(Parser)]
struct Args {
    /// Leave the cluster up, and print how to reach it
    #[arg(long, env = "KEEP", default_value = "", hide_default_value = true)]
    keep: String,
}

/// Tells what happens, with the time since the beginning.
struct Story(Instant);

impl Story {
    fn tell(&self, text: &str) {
        println!("[{:6.2} s] {text}", self.0.elapsed().as_secs_f64());
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let keep = !matches!(args.keep.as_str(), "" | "0");
    match tell(keep).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn tell(keep: bool) -> anyhow::Result<()> {
    let story = Story(Instant::now());
    story.tell(
        "Kubernetes comes up: a control plane, three nodes with kubelet, containerd and kube-proxy, one LAN",
    );
    let mut options = options(NAME)?;
    if keep {
        options = options.kept();
    }
    let cluster = Cluster::up(options).await?;
    story.tell(&format!("{} nodes are Ready; a client host sits on their LAN", cluster.nodes().len()));

    let metallb = Installation::prepare(&cluster).await?;
    metallb.install_operator().await?;
    story.tell("the operator is installed from config/manifests/metallb-operator.yaml, and ready");
    metallb.apply_metallb(&json!({})).await?;
    story.tell("a MetalLB resource is applied; controller and speakers run, its status says Available");
    metallb.pool("lab", &["10.77.0.200-10.77.0.250"]).await?;
    story.tell("an IPAddressPool (10.77.0.200-10.77.0.250) and an L2Advertisement are applied");

    let refused =
        metallb.pool("typo", &["10.77.0.240"]).await.err().context("a pool with a mistake was accepted")?;
    let refused = metallb_lab::refusal(&refused)
        .map_or_else(|| format!("{refused:#}"), |status| status.message.clone());
    story.tell(&format!("a pool with a mistake is refused: {refused}"));

    metallb.run_hello().await?;
    story.tell("a web server runs on every node");
    let client = cluster.host("client");
    let asked = Instant::now();
    // With policy Local only the node that announces serves, so a lost node loses no connection on the others.
    let service = load_balancer("hello").port(80).external_traffic_policy_local();
    let service = metallb.user.create_service(service).await?;
    let address = metallb.address(&service).await;
    story.tell(&format!("Service hello has {address}: address after {} ms", asked.elapsed().as_millis()));
    let body = first_answer(&client, address).await;
    story.tell(&format!(
        "the client got {body:?} from it: first answer after {} ms",
        asked.elapsed().as_millis()
    ));

    let announcer = layer2::answered_by_one(&cluster, address).await?;
    let mac = layer2::resolve(&client, address).await?;
    ensure!(
        mac == layer2::mac(&cluster.host(&announcer)).await?,
        "the client's ARP found {mac}, which is not {announcer}"
    );
    story.tell(&format!("{announcer} answers ARP for it ({mac}), and no other node does"));

    let watch = Watch::start(&client, address);
    story.tell(&format!("the power of {announcer} goes, without a goodbye"));
    cluster.power_off(&announcer).await?;
    let successor = layer2::answered_by_one(&cluster, address).await?;
    first_answer(&client, address).await;
    let noticed = watch.finish()?;
    story.tell(&format!(
        "{successor} announces it now: take-over after {} ms, as the client saw it ({} requests answered)",
        noticed.longest_gap.as_millis(),
        noticed.answered
    ));
    ensure!(successor != announcer, "{announcer} has no power and announces");
    ensure!(noticed.longest_gap < TAKE_OVER, "a take-over has to be over within {} s", TAKE_OVER.as_secs());

    story.tell(&format!(
        "{announcer} gets its power back; a router (FRR) with BFD joins, and a BGPPeer names it"
    ));
    cluster.power_on(&announcer).await?;
    bgp_act(&story, &cluster, &metallb).await?;

    if keep {
        story.tell("the cluster stays up");
        let lab = std::env::current_exe()?.with_file_name("lab");
        let lab = format!("{} --name {NAME}", lab.display());
        println!("\n  {lab} kubectl -n {NAMESPACE} get metallb,pods,servicel2statuses");
        println!("  {lab} exec client curl http://{address}/");
        println!("  {lab} power-on {announcer}        # the lost node comes back");
        println!("  {lab} down");
        cluster.leave_up();
    } else {
        drop(cluster);
        story.tell("everything is taken away again; `make demo KEEP=1` leaves it up");
    }
    Ok(())
}

/// A router learns an address over three equal paths; one node dies, BFD takes its path away, and HTTP goes on.
async fn bgp_act(story: &Story, cluster: &Cluster, metallb: &Installation) -> anyhow::Result<()> {
    let router = bgp::router(cluster).await?;
    bgp::announce(metallb).await?;
    let service = load_balancer("routed").for_app("hello").port(80).external_traffic_policy_local();
    let service = service.from_pool("routed");
    let service = metallb.user.create_service(service).await?;
    let address = metallb.address(&service).await;
    let nodes = cluster.nodes();
    bgp::paths(&router, address, nodes.len()).await;
    bgp::watched(&router, nodes.len()).await;
    story.tell(&format!(
        "Service routed has {address}, and the router a path to it over each of {} nodes",
        nodes.len()
    ));
    let remote = cluster.host("remote");
    let body = first_answer(&remote, address).await;
    story.tell(&format!("a client behind the router got {body:?} from it"));

    let dies = nodes.last().context("a cluster without nodes")?;
    let watch = Watch::start(&remote, address);
    story.tell(&format!("the power of {dies} goes"));
    let gone = Instant::now();
    cluster.power_off(dies).await?;
    bgp::paths(&router, address, nodes.len() - 1).await;
    story.tell(&format!(
        "BFD took its path away: seen on the router {} ms after the switch",
        gone.elapsed().as_millis()
    ));
    for _ in 0..100 {
        first_answer(&remote, address).await;
    }
    let noticed = watch.finish()?;
    story.tell(&format!(
        "HTTP goes on: {} requests answered, {} lost, the longest gap {} ms",
        noticed.answered,
        noticed.failed,
        noticed.longest_gap.as_millis()
    ));
    ensure!(noticed.longest_gap < TAKE_OVER, "a lost path has to be gone within {} s", TAKE_OVER.as_secs());
    Ok(())
}

async fn first_answer(client: &Host, address: IpAddr) -> String {
    eventually(Duration::from_secs(30), "the client gets an answer", async || {
        client.inside(|| ask(address)).context("cannot enter the client's network")?
    })
    .await
}
