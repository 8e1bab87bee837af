//! Commands that make, change and show a cluster.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use metallb_lab::{ApiServer, Cluster, ClusterOptions, ClusterStatus, ProxyMode};
use serde_json::json;

use crate::{Format, answer};

/// Makes a cluster, or completes and repairs the one that is there
///
/// What runs stays as it is; what has died is started again, powered-off nodes are switched on and cables plugged in.
/// Prints what to do next.
#[derive(Args)]
pub(crate) struct Up {
    /// How many nodes; may grow later
    #[arg(long, default_value_t = 3)]
    nodes: u8,
    /// How kube-proxy does its work
    #[arg(long, value_enum, default_value_t)]
    proxy_mode: Mode,
    /// Seconds until a silent node is NotReady
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    node_monitor_grace: u64,
    /// Image archives to load into every node
    #[arg(long = "image", value_name = "ARCHIVE")]
    images: Vec<PathBuf>,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Mode {
    #[default]
    Nftables,
    Iptables,
}

impl Up {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let mode = match self.proxy_mode {
            Mode::Nftables => ProxyMode::Nftables,
            Mode::Iptables => ProxyMode::Iptables,
        };
        let options = ClusterOptions::named(name)
            .nodes(self.nodes)
            .proxy_mode(mode)
            .node_monitor_grace(Duration::from_secs(self.node_monitor_grace))
            .with_images(self.images);
        let us = std::env::current_exe().context("find this program")?;
        let cluster = Cluster::up_forwarded_by(options, Some(&us)).await?;
        let kubeconfig = cluster.kubeconfig()?;
        match self.output {
            Format::Text => answer(&format!("export KUBECONFIG={}", kubeconfig.display())),
            Format::Json => answer(&format!("{:#}", json!({"name": name, "kubeconfig": kubeconfig}))),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs an API server without nodes until Ctrl-C; for any user
#[derive(Args)]
pub(crate) struct Api {
    /// With kube-controller-manager: garbage collection, service accounts, DaemonSets
    #[arg(long)]
    controller_manager: bool,
    /// With that many nodes that exist only in the API, where pods are Ready at once
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    fake_nodes: u16,
}

impl Api {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let mut builder = ApiServer::builder();
        if self.controller_manager {
            builder = builder.with_controller_manager();
        }
        if self.fake_nodes > 0 {
            builder = builder.with_fake_nodes(self.fake_nodes);
        }
        let server = builder.start().await?;
        answer(&format!("export KUBECONFIG={}", server.kubeconfig().display()));
        tokio::signal::ctrl_c().await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Takes a cluster away: its processes, namespaces, control groups and files
///
/// Works in whatever state it is, also when `up` was killed halfway. Ends only what `up` started.
#[derive(Args)]
pub(crate) struct Down {
    /// All clusters of this machine
    #[arg(long, conflicts_with = "abandoned")]
    all: bool,
    /// Those whose test process has died without taking them along
    #[arg(long)]
    abandoned: bool,
}

impl Down {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let names = if self.abandoned {
            Cluster::remove_abandoned().await?
        } else {
            let names = if self.all { Cluster::all() } else { vec![name.to_owned()] };
            let mut removed = Vec::new();
            for name in names {
                if Cluster::down(&name).await? {
                    removed.push(name);
                }
            }
            removed
        };
        if names.is_empty() {
            eprintln!("lab: there was nothing to take away");
        }
        for name in names {
            answer(&format!("cluster {name} is gone"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Takes the cluster away if its process has died: what a test process leaves behind to run after its end.
pub(crate) async fn bury(name: &str) -> Result<ExitCode> {
    Cluster::bury(name).await?;
    Ok(ExitCode::SUCCESS)
}

/// Shows hosts, addresses and processes; fails when something is not as `up` left it
#[derive(Args)]
pub(crate) struct Status {
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Status {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let Some(status) = Cluster::status(name).await? else {
            let others = Cluster::all();
            let hint = if others.is_empty() {
                "there is none".into()
            } else {
                format!("there is {}", others.join(", "))
            };
            bail!("there is no cluster {name} ({hint}); `lab up --name {name}` makes it");
        };
        match self.output {
            Format::Text => answer(&describe(&status)),
            Format::Json => answer(&serde_json::to_string_pretty(&status)?),
        }
        Ok(if status.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn describe(status: &ClusterStatus) -> String {
    let verdict = if status.healthy { "as it should be" } else { "NOT as it should be" };
    let mut lines = vec![
        format!("cluster    {}: {verdict}", status.name),
        format!("files      {}", status.directory.display()),
    ];
    lines.extend(status.kubeconfig.iter().map(|path| format!("kubeconfig {}", path.display())));
    lines.push(format!("\n{:<12}{:<28}{:<14}{:<12}STATE", "HOST", "NAMESPACE", "IPV4", "IPV6"));
    for host in &status.hosts {
        let state = match (host.on, host.plugged) {
            (false, _) => "off",
            (true, Some(false)) => "unplugged",
            (true, _) => "on",
        };
        let v4 = host.ipv4.map(|it| it.to_string()).unwrap_or_default();
        let v6 = host.ipv6.map(|it| it.to_string()).unwrap_or_default();
        lines.push(format!("{:<12}{:<28}{v4:<14}{v6:<12}{state}", host.name, host.namespace));
    }
    lines.push(format!("\n{:<28}{:<10}STATE", "PROCESS", "PID"));
    for process in &status.processes {
        let state = if process.alive { "runs" } else { "DEAD" };
        lines.push(format!("{:<28}{:<10}{state}", process.name, process.pid));
    }
    lines.join("\n")
}

/// Prints the path of the administrator's kubeconfig, good for kubectl on this machine
#[derive(Args)]
pub(crate) struct Kubeconfig {}

impl Kubeconfig {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let status = Cluster::status(name).await?.with_context(|| format!("there is no cluster {name}"))?;
        let forwarded = status.kubeconfig.with_context(|| {
            format!("cluster {name} was made by a test, and only that can reach it; use `lab kubectl --name {name}`")
        })?;
        answer(&forwarded.display().to_string());
        Ok(ExitCode::SUCCESS)
    }
}

/// Loads image archives (from `docker save`, or OCI) into every node that is on
#[derive(Args)]
pub(crate) struct Import {
    /// The archives
    #[arg(required = true, value_name = "IMAGE.tar")]
    archives: Vec<PathBuf>,
}

impl Import {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        Cluster::attach(name).await?.import(&self.archives).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Pulls the plug of nodes: nothing more leaves them, then all in them is gone
///
/// Files on the node's disk stay: containers, images, what the kubelet knows. The network does not.
#[derive(Args)]
pub(crate) struct PowerOff {
    /// The nodes
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

impl PowerOff {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let cluster = Cluster::attach(name).await?;
        for node in &self.nodes {
            cluster.power_off(node).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Gives nodes power again, and waits until they are Ready
#[derive(Args)]
pub(crate) struct PowerOn {
    /// The nodes
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

impl PowerOn {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let cluster = Cluster::attach(name).await?;
        for node in &self.nodes {
            cluster.power_on(node).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Pulls hosts' cables out of the LAN; the hosts still see a link
#[derive(Args)]
pub(crate) struct Unplug {
    /// The hosts
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
}

impl Unplug {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let cluster = Cluster::attach(name).await?;
        for host in &self.hosts {
            cluster.unplug(host).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Puts hosts' cables back
#[derive(Args)]
pub(crate) struct Plug {
    /// The hosts
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
}

impl Plug {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let cluster = Cluster::attach(name).await?;
        for host in &self.hosts {
            cluster.plug(host).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
