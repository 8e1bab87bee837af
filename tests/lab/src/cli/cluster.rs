//! Commands that make, change and show a cluster.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use metallb_lab::{Cluster, ClusterOptions, ClusterStatus, ProxyMode};
use serde_json::json;

use crate::Format;

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
            Format::Text => println!("export KUBECONFIG={}", kubeconfig.display()),
            Format::Json => println!("{:#}", json!({"name": name, "kubeconfig": kubeconfig})),
        }
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
            println!("cluster {name} is gone");
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
            Format::Text => print(&status),
            Format::Json => println!("{}", serde_json::to_string_pretty(&status)?),
        }
        Ok(if status.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(status: &ClusterStatus) {
    println!(
        "cluster    {}: {}",
        status.name,
        if status.healthy { "as it should be" } else { "NOT as it should be" }
    );
    println!("files      {}", status.directory.display());
    if let Some(kubeconfig) = &status.kubeconfig {
        println!("kubeconfig {}", kubeconfig.display());
    }
    println!("\n{:<12}{:<28}{:<14}{:<12}STATE", "HOST", "NAMESPACE", "IPV4", "IPV6");
    for host in &status.hosts {
        let state = match (host.on, host.plugged) {
            (false, _) => "off",
            (true, Some(false)) => "unplugged",
            (true, _) => "on",
        };
        let (v4, v6) = (host.ipv4.map(|it| it.to_string()), host.ipv6.map(|it| it.to_string()));
        println!(
            "{:<12}{:<28}{:<14}{:<12}{state}",
            host.name,
            host.namespace,
            v4.unwrap_or_default(),
            v6.unwrap_or_default()
        );
    }
    println!("\n{:<28}{:<10}STATE", "PROCESS", "PID");
    for process in &status.processes {
        let state = if process.alive { "runs" } else { "DEAD" };
        println!("{:<28}{:<10}{state}", process.name, process.pid);
    }
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
        println!("{}", forwarded.display());
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
