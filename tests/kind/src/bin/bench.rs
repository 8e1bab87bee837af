//! `make bench`: figures of a whole cluster. Each is a distribution over several runs on one cluster.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::ListParams;
use metallb_lab::{Cluster, eventually, load_balancer};
use metallb_scenarios::figures::Format;
use metallb_scenarios::installation::{Installation, first_address, options};
use metallb_scenarios::usage;
use serde_json::json;

/// How long a speaker is watched doing nothing.
const IDLE: Duration = Duration::from_secs(20);

/// Measures allocation, memory and an idle speaker on a cluster of three nodes.
#[derive(Parser)]
struct Args {
    /// Services created at once, whose addresses one node announces
    #[arg(long, default_value_t = 1000)]
    services: usize,
    /// How the figures are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let cluster = Cluster::up(options("bench")?).await?;
    let metallb = Installation::prepare(&cluster).await?;
    metallb.install_operator().await?;
    metallb.apply_metallb(&json!({})).await?;
    metallb.pool("lab", &["10.78.0.0/18"]).await?;
    let announcer = cluster.nodes().into_iter().next().context("a cluster without nodes")?;
    announce_from(&metallb, &announcer).await?;
    metallb.run_hello().await?;
    let idle = processes(&cluster, &metallb, &announcer).await?;

    let allocation = allocate(&metallb, args.services).await?;
    let idle_cpu = idle_cpu(&cluster, &announcer).await?;
    let loaded = processes(&cluster, &metallb, &announcer).await?;

    let memory = |processes: &[(&str, u64)]| -> serde_json::Map<String, serde_json::Value> {
        processes.iter().map(|(name, kib)| ((*name).to_owned(), json!(kib))).collect()
    };
    let figures = json!({
        "services": args.services,
        "idle_speaker_cpu_percent": idle_cpu,
        "all_allocated_ms": allocation.as_millis(),
        "pss_idle_kib": memory(&idle),
        "pss_loaded_kib": memory(&loaded),
    });
    match args.output {
        Format::Json => println!("{figures:#}"),
        Format::Text => {
            println!("{} services, all with an address: {} ms", args.services, allocation.as_millis());
            println!(
                "a speaker that announces all of them, and has nothing to do but heartbeats, uses {idle_cpu:.2} % of a processor"
            );
            println!("memory (PSS, KiB):          idle   {} services", args.services);
            for ((name, idle), (_, loaded)) in idle.iter().zip(&loaded) {
                println!("  {name:<22} {idle:8}   {loaded:8}");
            }
        }
    }
    Ok(())
}

/// What is of the pool `lab` is announced from that node alone.
async fn announce_from(metallb: &Installation, node: &str) -> anyhow::Result<()> {
    let only = json!({ "matchLabels": { "kubernetes.io/hostname": node } });
    metallb.advertise("lab", &json!({ "ipAddressPools": ["lab"], "nodeSelectors": [only] })).await
}

/// From the first creation until the last has its address.
async fn allocate(metallb: &Installation, count: usize) -> anyhow::Result<Duration> {
    let start = Instant::now();
    for n in 0..count {
        metallb.user.create_service(load_balancer(format!("bench-{n}")).for_app("hello").port(80)).await?;
    }
    let services: Api<Service> = Api::default_namespaced(metallb.user.client());
    let distinct = eventually(Duration::from_mins(2), "every service has an address", async || {
        let list = services.list(&ListParams::default()).await.ok()?;
        let addresses: BTreeSet<_> = list.iter().filter_map(first_address).collect();
        (addresses.len() == count).then_some(addresses.len())
    })
    .await;
    anyhow::ensure!(distinct == count, "{distinct} distinct addresses for {count} services");
    Ok(start.elapsed())
}

/// How much of a processor the speaker of a node uses while nothing happens but heartbeats, in percent.
async fn idle_cpu(cluster: &Cluster, node: &str) -> anyhow::Result<f64> {
    let mut watched = tokio::time::interval(IDLE);
    watched.tick().await;
    watched.tick().await; // what was done before is told and written by now
    let before = usage::processor_time(cluster, node, "/speaker").await?;
    watched.tick().await;
    let used = usage::processor_time(cluster, node, "/speaker").await?.saturating_sub(before);
    Ok(used.as_secs_f64() * 100.0 / IDLE.as_secs_f64())
}

async fn processes(
    cluster: &Cluster,
    metallb: &Installation,
    announcer: &str,
) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let mut found = Vec::new();
    for (name, labels, program) in [
        ("operator", "control-plane=controller-manager", "/manager"),
        ("controller", "app=metallb,component=controller", "/controller"),
    ] {
        let pods = metallb.pods(labels).await?;
        let node = pods.iter().find_map(|pod| pod.spec.as_ref()?.node_name.clone());
        let node = node.ok_or_else(|| anyhow::anyhow!("{name} runs nowhere"))?;
        found.push((name, usage::pss(cluster, &node, program).await?));
    }
    found.push(("speaker", usage::pss(cluster, announcer, "/speaker").await?));
    Ok(found)
}
