//! `make bench`: the controller alone against a real API server, beside what the API server does alone.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use metallb_crds::{IPAddressPool, schema};
use metallb_lab::{ApiServer, User, eventually, load_balancer};
use metallb_scenarios::installation::first_address;
use metallb_scenarios::usage;
use serde_json::{Value, json};

/// Requests under way at once, here as in the controller.
const CONCURRENCY: usize = 16;
/// Nothing that is measured here takes this long.
const PATIENCE: Duration = Duration::from_mins(5);
const CLASS: &str = "bench.example/metallb";

/// Measures the controller with several numbers of services.
#[derive(Parser)]
struct Args {
    /// The controller's program
    #[arg(long)]
    controller: PathBuf,
    /// How many services; several numbers make several rounds
    #[arg(long, value_delimiter = ',', default_value = "100,1000,5000,10000")]
    services: Vec<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut rounds = Vec::new();
    for count in &args.services {
        // A server of its own for each, so that no round pays for what another left behind.
        let server = ApiServer::builder().start().await?;
        let round = Round::prepare(&server, &args.controller).await?.run(*count).await?;
        if !args.json {
            tell(&round);
        }
        rounds.push(round);
    }
    if args.json {
        println!("{:#}", Value::from(rounds));
    }
    Ok(())
}

fn tell(round: &Value) {
    println!("{} services", round["services"]);
    for (name, unit) in [
        ("api_server_writes_per_second", "status writes/s, API server alone"),
        ("cold_start_per_second", "services/s given an address, all waiting at the start"),
        ("cold_start_of_api_server_percent", "% of the API server's own rate"),
        ("create_to_address_ms_median", "ms from create to address, median of 20"),
        ("create_to_address_ms_worst", "ms, worst of 20"),
        ("after_delete_ms_worst", "ms, worst of 10 right after a delete"),
        ("list_ms", "ms for one list of all services"),
        ("restart_to_next_address_ms", "ms from the start of a new process to the next address"),
        ("pss_kib", "KiB (PSS) afterwards"),
    ] {
        println!("  {:>10} {unit}", round[name].to_string());
    }
}

/// One API server, one controller, a number of services.
struct Round {
    program: PathBuf,
    system: User,
    services: Api<Service>,
}

impl Round {
    async fn prepare(server: &ApiServer, program: &std::path::Path) -> anyhow::Result<Self> {
        let admin = server.admin().await?;
        for definition in schema::all() {
            admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
        }
        let system = admin.in_new_namespace().await?;
        let user = admin.in_new_namespace().await?;
        let pool = json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
            "metadata": { "name": "bench", "namespace": system.namespace() },
            "spec": { "addresses": ["10.200.0.0/16"] },
        });
        eventually(PATIENCE, "the pool is there", async || system.apply_yaml(&pool.to_string()).await).await;
        let pools: Api<IPAddressPool> = Api::namespaced(system.client(), system.namespace());
        pools.get("bench").await?;
        let services = Api::namespaced(user.client(), user.namespace());
        Ok(Self { program: program.to_owned(), system, services })
    }

    async fn run(&self, count: usize) -> anyhow::Result<Value> {
        self.create_all(count).await?;
        let alone = self.write_alone(count).await?;

        let start = Instant::now();
        let controller = self.start()?;
        self.until_given(count).await?;
        let cold = rate(count, start.elapsed());

        let mut latencies = Vec::new();
        for n in 0..20 {
            latencies.push(self.create_one(&format!("late-{n}")).await?);
        }
        let mut after_delete = Vec::new();
        for n in 0..10 {
            self.services.delete(&format!("bench-{n}"), &DeleteParams::default()).await?;
            after_delete.push(self.create_one(&format!("after-{n}")).await?);
        }
        let pss = usage::pss_of(controller.0.id())?;

        let listing = Instant::now();
        self.services.list(&ListParams::default()).await?;
        let listing = listing.elapsed();
        let before = self.given().await?;
        controller.terminate()?;
        let restarted = Instant::now();
        let controller = self.start()?;
        self.create_one("next").await?;
        let restarted = restarted.elapsed();
        let after = self.given().await?;
        ensure!(before.is_subset(&after), "a restart changed an address");
        let distinct: BTreeSet<_> = after.iter().map(|(_, address)| address).collect();
        ensure!(distinct.len() == count + 21, "{} distinct addresses", distinct.len());
        drop(controller);

        latencies.sort();
        let worst = |times: &[Duration]| times.iter().max().map_or(0, Duration::as_millis);
        Ok(json!({
            "services": count,
            "api_server_writes_per_second": alone.round(),
            "cold_start_per_second": cold.round(),
            "cold_start_of_api_server_percent": (100.0 * cold / alone).round(),
            "create_to_address_ms_median": latencies[latencies.len() / 2].as_millis(),
            "create_to_address_ms_worst": worst(&latencies),
            "after_delete_ms_worst": worst(&after_delete),
            "list_ms": listing.as_millis(),
            "restart_to_next_address_ms": restarted.as_millis(),
            "pss_kib": pss,
        }))
    }

    fn start(&self) -> anyhow::Result<Controller> {
        let child = Command::new(&self.program)
            .args(["--port=0", "--health-probe-port=0", "--webhook-mode=disabled", "--log-level=warn"])
            .arg(format!("--namespace={}", self.system.namespace()))
            .arg(format!("--lb-class={CLASS}"))
            .arg("--pod-name=bench")
            .arg(format!("--kubeconfig={}", self.system.kubeconfig().display()))
            .stdout(Stdio::null())
            .spawn();
        child.map(Controller).with_context(|| format!("cannot start {}", self.program.display()))
    }

    async fn create_all(&self, count: usize) -> anyhow::Result<()> {
        let create = |n| async move { self.create(&format!("bench-{n}")).await };
        stream::iter(0..count).map(create).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        Ok(())
    }

    async fn create(&self, name: &str) -> anyhow::Result<()> {
        let mut service = load_balancer(name).port(80).of_class(CLASS).build();
        service.metadata.namespace = None;
        if let Some(spec) = &mut service.spec {
            spec.allocate_load_balancer_node_ports = Some(false); // there are fewer than 3,000 of them
        }
        self.services.create(&PostParams::default(), &service).await?;
        Ok(())
    }

    /// Writes as many statuses as the controller will have to, and takes them back. Writes per second, while somebody
    /// watches as in every other measurement.
    async fn write_alone(&self, count: usize) -> anyhow::Result<f64> {
        let version = self.services.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let seen = self.services.watch(&WatchParams::default(), &version.unwrap_or_default()).await?;
        let seen = seen.boxed().take(2 * count).try_collect::<Vec<_>>();
        let write = |n: usize, ingress: Value| async move {
            let patch = json!({ "status": { "loadBalancer": { "ingress": ingress } } });
            let name = format!("bench-{n}");
            self.services.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await
        };
        let start = Instant::now();
        let seen = tokio::spawn(seen);
        for taken_back in [false, true] {
            let one = |n: usize| {
                let [_, _, high, low] = u32::try_from(n).unwrap_or_default().to_be_bytes();
                let address = Ipv4Addr::new(10, 201, high, low).to_string();
                write(n, if taken_back { json!([]) } else { json!([{ "ip": address }]) })
            };
            stream::iter(0..count).map(one).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        }
        tokio::time::timeout(PATIENCE, seen).await.context("the watch does not end")???;
        Ok(rate(2 * count, start.elapsed()))
    }

    /// Creates a service, and says how long its address takes.
    async fn create_one(&self, name: &str) -> anyhow::Result<Duration> {
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        let version = self.services.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let mut events = self.services.watch(&only, &version.unwrap_or_default()).await?.boxed();
        let start = Instant::now();
        self.create(name).await?;
        let given = async {
            while let Some(event) = events.try_next().await? {
                if let WatchEvent::Added(service) | WatchEvent::Modified(service) = event
                    && first_address(&service).is_some()
                {
                    return Ok(start.elapsed());
                }
            }
            anyhow::bail!("the watch ended before {name} had an address")
        };
        tokio::time::timeout(PATIENCE, given).await.with_context(|| format!("{name} has no address"))?
    }

    async fn until_given(&self, count: usize) -> anyhow::Result<()> {
        let list = self.services.list(&ListParams::default()).await?;
        let mut given: BTreeSet<String> = list
            .iter()
            .filter(|service| first_address(service).is_some())
            .map(ResourceExt::name_any)
            .collect();
        let version = list.metadata.resource_version.unwrap_or_default();
        let mut events = self.services.watch(&WatchParams::default(), &version).await?.boxed();
        let all = async {
            while given.len() < count {
                match events.try_next().await?.context("the watch ended")? {
                    WatchEvent::Added(service) | WatchEvent::Modified(service)
                        if first_address(&service).is_some() =>
                    {
                        given.insert(service.name_any());
                    }
                    _ => {}
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, all).await.context("not all services have an address")?
    }

    async fn given(&self) -> anyhow::Result<BTreeSet<(String, IpAddr)>> {
        let list = self.services.list(&ListParams::default()).await?;
        Ok(list.iter().filter_map(|service| Some((service.name_any(), first_address(service)?))).collect())
    }
}

#[allow(clippy::cast_precision_loss)] // thousands
fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// A controller that runs. It is killed when dropped.
struct Controller(Child);

impl Controller {
    /// Ends it in order, so that it gives its lease back.
    fn terminate(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        ensure!(status.success(), "cannot end the controller");
        ensure!(self.0.wait()?.success(), "the controller ended badly");
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
