//! Taking a cluster away, whatever state it is in.
//!
//! Everything is ended that was started: the recorded processes, and all in the recorded control groups. The second
//! catches what was started and not yet recorded when somebody pulled the plug on us.

use std::fs;

use anyhow::{Context, Error, Result, bail};

use super::layout::{LAN, Layout};
use super::machine;
use super::state::{Directory, State, all};
use super::{cgroup, network};
use crate::process::{self, Process};

/// Takes it away; false when there is none. Goes on after a failure and reports all it met.
pub(super) async fn down(cluster: &str) -> Result<bool> {
    down_if(cluster, |_| true).await
}

/// Takes it away if its process has died; false when there is nothing to take away.
pub(super) async fn down_if_abandoned(cluster: &str) -> Result<bool> {
    down_if(cluster, |state| state.is_some_and(is_abandoned)).await
}

async fn down_if(cluster: &str, condition: impl FnOnce(Option<&State>) -> bool) -> Result<bool> {
    let directory = Directory::of(cluster)?;
    if !directory.path().exists() {
        return Ok(false);
    }
    {
        let _lock = directory.lock().await?;
        // Another process may have taken it away meanwhile, and made a new one.
        if !directory.path().exists() || !condition(directory.load()?.as_ref()) {
            return Ok(false);
        }
        remove(&directory).await?;
    }
    machine::tidy().await?;
    Ok(true)
}

/// The same, for who holds the lock.
pub(super) async fn remove(directory: &Directory) -> Result<()> {
    let mut failures: Vec<Error> = Vec::new();
    if let Some(state) = directory.load()? {
        let layout = Layout::new(&state.options.name, state.options.nodes)?;
        let processes: Vec<Process> = state.processes.values().cloned().collect();
        failures.extend(process::end(&processes).err());
        failures.extend(cgroup::destroy(&state.cgroups).err());
        // The bridge last: the cables hang on it.
        let mut hosts: Vec<String> = state.namespaces.keys().filter(|host| *host != LAN).cloned().collect();
        hosts.push(LAN.into());
        failures.extend(network::remove(&layout, &hosts).await.err());
    }
    if failures.is_empty() {
        fs::remove_dir_all(directory.path())
            .with_context(|| format!("remove {}", directory.path().display()))?;
        return Ok(());
    }
    let failures: Vec<String> = failures.iter().map(|error| format!("{error:#}")).collect();
    bail!(
        "not all of the cluster could be removed; its record stays in {} for another `lab down`: {}",
        directory.path().display(),
        failures.join("; ")
    )
}

/// The clusters whose process has gone without taking them along.
pub(super) fn abandoned() -> Vec<String> {
    let load = |name: &String| Directory::of(name).and_then(|directory| directory.load()).ok().flatten();
    all().into_iter().filter(|name| load(name).as_ref().is_some_and(is_abandoned)).collect()
}

fn is_abandoned(state: &State) -> bool {
    state.owner.as_ref().is_some_and(|owner| !owner.alive())
}
