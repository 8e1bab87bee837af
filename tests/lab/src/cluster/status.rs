//! What there is of a cluster, for people and programs.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use super::layout::{LAN, Layout, REMOTE, addresses};
use super::node::running_init;
use super::state::Directory;
use super::{layout, network};

/// A cluster as it is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// Whether every process it needs runs and every cable is plugged in.
    pub healthy: bool,
    /// For kubectl on this machine, when the cluster is kept.
    pub kubeconfig: Option<PathBuf>,
    /// Logs, certificates and data.
    pub directory: PathBuf,
    /// Its machines.
    pub hosts: Vec<HostStatus>,
    /// What was started.
    pub processes: Vec<ProcessStatus>,
}

/// A machine as it is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its network namespace.
    pub namespace: String,
    /// The address of its `eth0`.
    pub ipv4: Option<Ipv4Addr>,
    /// The address of its `eth0`.
    pub ipv6: Option<Ipv6Addr>,
    /// Whether it is on. What is no node always is.
    pub on: bool,
    /// Whether its cable is in the bridge, for those that have one.
    pub plugged: Option<bool>,
}

/// A process as it is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProcessStatus {
    /// Its name.
    pub name: String,
    /// Its number on this machine.
    pub pid: i32,
    /// Whether it runs.
    pub alive: bool,
    /// Its output.
    pub log: PathBuf,
}

/// The cluster of that name, if there is one.
pub(super) async fn status(cluster: &str) -> Result<Option<ClusterStatus>> {
    let directory = Directory::of(cluster)?;
    let Some(state) = directory.load()? else { return Ok(None) };
    let layout = Layout::new(cluster, state.options.nodes)?;
    let mut hosts = Vec::new();
    for name in layout.hosts() {
        let there = layout.netns(&name).exists();
        let is_node = layout.node(&name).is_ok();
        let plugged = if [LAN, REMOTE].contains(&name.as_str()) {
            None
        } else {
            let lan = layout.netns(layout::LAN).exists();
            Some(there && lan && network::is_plugged(&layout, &name).await.context("look at the bridge")?)
        };
        let eth0 = addresses(&name);
        hosts.push(HostStatus {
            namespace: layout.scoped(&name),
            ipv4: eth0.map(|(v4, _)| v4),
            ipv6: eth0.map(|(_, v6)| v6),
            on: there && (!is_node || running_init(&state, &name).is_some()),
            plugged,
            name,
        });
    }
    let processes: Vec<ProcessStatus> = state
        .processes
        .values()
        .map(|process| ProcessStatus {
            name: process.name.clone(),
            pid: process.pid,
            alive: process.alive(),
            log: process.log.clone(),
        })
        .collect();
    Ok(Some(ClusterStatus {
        name: cluster.to_owned(),
        healthy: hosts.iter().all(|host| host.on && host.plugged != Some(false))
            && processes.iter().all(|process| process.alive)
            && !processes.is_empty(),
        kubeconfig: state.forward_port.map(|_| super::kubeconfig(&directory)),
        directory: directory.path().to_owned(),
        hosts,
        processes,
    }))
}
