//! Building a cluster, and repairing one: each step looks at what is there and adds what is missing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::{Api, ListParams};

use super::layout::{CONTROL_PLANE, Layout, Node};
use super::options::ClusterOptions;
use super::site::Site;
use super::state::Ledger;
use super::{network, node};
use crate::process::{self, Process};
use crate::user::{User, Users};
use crate::wait::{Verdict, until};

/// Long beside the seconds it takes, as the machine may be busy.
const START: Duration = Duration::from_mins(4);

/// Says how far it is, and how long it took.
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn step(&self, what: &str) {
        eprintln!("lab: {:5.1} s  {what}", self.0.elapsed().as_secs_f32());
    }
}

/// The options of a cluster that is there already may only grow.
pub(super) fn check_options(there: &ClusterOptions, wanted: &ClusterOptions) -> Result<()> {
    let same = ClusterOptions {
        nodes: there.nodes,
        images: there.images.clone(),
        kept: there.kept,
        ..wanted.clone()
    };
    if same != *there || wanted.nodes < there.nodes {
        bail!(
            "cluster {0} is up with other options ({1} nodes, {2:?}, grace {3:?}); `lab down --name {0}` first",
            there.name,
            there.nodes,
            there.proxy_mode,
            there.node_monitor_grace
        );
    }
    Ok(())
}

/// Everything up to the point where the API server can be dialled from this machine.
pub(super) async fn prepare(site: &Site, ledger: &Ledger, clock: &Clock) -> Result<()> {
    let hosts = site.layout.hosts();
    end_processes_without_namespace(site, ledger)?;
    network::ensure(&site.layout, ledger, &hosts).await?;
    network::route_pods(&site.layout, &hosts).await?;
    for host in site.layout.nodes().map(Node::name) {
        network::plug(&site.layout, &host).await?;
    }
    clock.step("network");
    Ok(())
}

/// The rest: servers and nodes.
pub(super) async fn complete(site: &Site, ledger: &Ledger, users: &Users, clock: &Clock) -> Result<()> {
    let grace = ledger.read().options.node_monitor_grace;
    let servers = async {
        site.start_server(ledger, site.plane.etcd()?)?;
        site.start_server(ledger, site.plane.api_server(&[])?)?;
        let admin = users.admin().await?;
        until_ready(ledger, &admin).await?;
        clock.step("API server");
        // Made before the kubelets come, so that the pod ranges are the ones the routes know.
        admin.apply_yaml(&node_objects(&site.layout)?).await?;
        site.start_server(ledger, site.plane.controller_manager(grace)?)?;
        site.start_server(ledger, site.plane.scheduler()?)?;
        anyhow::Ok(admin)
    };
    let nodes = async {
        try_join_all(site.layout.nodes().map(|node| node::start(site, ledger, node))).await?;
        clock.step("containerd and images");
        anyhow::Ok(())
    };
    let (admin, ()) = tokio::try_join!(servers, nodes)?;
    join(site, ledger, &admin, &site.layout.nodes().collect::<Vec<_>>()).await?;
    clock.step("nodes Ready");
    Ok(())
}

/// Starts what makes these machines nodes, and waits until they are Ready: those whose kubelet is new must have said so
/// after it came.
pub(super) async fn join(site: &Site, ledger: &Ledger, admin: &User, nodes: &[Node]) -> Result<()> {
    let objects: Api<NodeObject> = Api::all(admin.client());
    let names: Vec<String> = nodes.iter().map(|node| node.name()).collect();
    let before = heartbeats(&objects, &names).await?;
    let new = try_join_all(nodes.iter().map(|node| node::join(site, ledger, *node))).await?;
    until(START, &format!("{} are Ready", names.join(", ")), async || {
        let now = match heartbeats(&objects, &names).await {
            Ok(now) => now,
            Err(error) => return not_yet(ledger, &error),
        };
        let said_so = |index: usize| !new[index] || now[index].time != before[index].time;
        let ready = (0..names.len()).filter(|index| now[*index].ready && said_so(*index)).count();
        if ready == names.len() {
            return Verdict::Yes(());
        }
        not_yet(ledger, &anyhow!("{ready} of {} are", names.len()))
    })
    .await
}

struct Heartbeat {
    ready: bool,
    time: Option<String>,
}

async fn heartbeats(nodes: &Api<NodeObject>, names: &[String]) -> Result<Vec<Heartbeat>> {
    let nodes = nodes.list(&ListParams::default()).await?.items;
    let beat = |name: &String| {
        let node = nodes.iter().find(|node| node.metadata.name.as_ref() == Some(name));
        let conditions =
            node.and_then(|node| node.status.as_ref()?.conditions.as_deref()).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        Heartbeat {
            ready: ready.is_some_and(|ready| ready.status == "True"),
            time: ready.and_then(|ready| Some(ready.last_heartbeat_time.as_ref()?.0.to_string())),
        }
    };
    Ok(names.iter().map(beat).collect())
}

async fn until_ready(ledger: &Ledger, admin: &User) -> Result<()> {
    until(START, "the API server is ready", async || match admin.readyz().await {
        Ok(()) => Verdict::Yes(()),
        Err(error) => not_yet(ledger, &error),
    })
    .await
}

fn not_yet(ledger: &Ledger, because: &anyhow::Error) -> Verdict<()> {
    process::not_yet(ledger.read().processes.values(), because)
}

fn node_objects(layout: &Layout) -> Result<String> {
    let mut yaml = String::new();
    for node in layout.nodes() {
        let [v4, v6] = node.pod_cidrs();
        let spec = format!("{{podCIDR: '{v4}', podCIDRs: ['{v4}', '{v6}']}}");
        writeln!(
            yaml,
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {}}}, spec: {spec}}}",
            node.name()
        )?;
    }
    Ok(yaml)
}

/// A namespace that is not complete is made anew; what runs in the old one would be lost to the world.
fn end_processes_without_namespace(site: &Site, ledger: &Ledger) -> Result<()> {
    let state = ledger.read();
    let gone = |host: &str| !site.layout.netns(host).exists();
    for node in site.layout.nodes().filter(|node| gone(&node.name())) {
        node::kill(site, ledger, node)?;
    }
    if gone(CONTROL_PLANE) {
        let groups: BTreeSet<_> =
            site.cgroups.plain(&site.layout.scoped(CONTROL_PLANE)).directories.into_iter().collect();
        super::cgroup::empty(&groups)?;
    }
    // Dead ones are forgotten: what is still wanted is started again below.
    let dead: Vec<&Process> = state.processes.values().filter(|process| !process.alive()).collect();
    ledger.write(|state| state.processes.retain(|name, _| !dead.iter().any(|process| process.name == *name)))
}
