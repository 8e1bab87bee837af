//! What a cluster has made on this machine, on disk before it is made, so that `down` works after any crash.
//!
//! One directory per cluster below one root; beside it, while somebody changes the cluster, its lock.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::options::ClusterOptions;
use crate::lock::Lock;
use crate::process::{Launch, Lifetime, Process};

/// The record of one cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    pub(super) options: ClusterOptions,
    /// The process the cluster belongs to and may not outlive, if there is one.
    pub(super) owner: Option<Process>,
    /// Network namespaces, by host. Complete ones are plugged in and configured.
    pub(super) namespaces: BTreeMap<String, Progress>,
    /// Control group directories.
    pub(super) cgroups: BTreeSet<PathBuf>,
    /// What was started, by name.
    pub(super) processes: BTreeMap<String, Process>,
    /// Where the API server is reached from outside, when a process forwards to it.
    pub(super) forward_port: Option<u16>,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Progress {
    /// May be there in part.
    Begun,
    /// Is there.
    Complete,
}

impl State {
    pub(super) fn new(options: ClusterOptions, owner: Option<Process>) -> Self {
        Self {
            options,
            owner,
            namespaces: BTreeMap::new(),
            cgroups: BTreeSet::new(),
            processes: BTreeMap::new(),
            forward_port: None,
        }
    }

    /// Whether the process of that name runs.
    pub(super) fn runs(&self, process: &str) -> bool {
        self.processes.get(process).is_some_and(Process::alive)
    }
}

/// The directory of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Longer, and etcd's sockets in it could not be bound.
    const LONGEST: usize = 85;

    pub(super) fn of(cluster: &str) -> Result<Self> {
        let directory = root().join(cluster);
        if directory.as_os_str().len() > Self::LONGEST {
            bail!(
                "{} is too long for the sockets in it; set METALLB_LAB_STATE to a shorter directory",
                directory.display()
            );
        }
        Ok(Self(directory))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Keeps other processes, and other tasks of this one, from changing the cluster.
    pub(super) async fn lock(&self) -> Result<Lock> {
        let path = self.0.with_extension("lock");
        lock(path, format!("cluster {}", self.0.display())).await
    }

    /// The record, or `None` when there is no such cluster.
    pub(super) fn load(&self) -> Result<Option<State>> {
        let path = self.0.join("state.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let state = serde_json::from_slice(&text);
        state.map(Some).with_context(|| format!("{} is not ours, or of another version", path.display()))
    }

    fn save(&self, state: &State) -> Result<()> {
        let save = || -> Result<()> {
            fs::create_dir_all(&self.0)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            file.write_all(&serde_json::to_vec_pretty(state)?)?;
            file.persist(self.0.join("state.json"))?;
            Ok(())
        };
        save().with_context(|| format!("write the state of the cluster in {}", self.0.display()))
    }
}

/// The record while it is being changed. Only who holds the [lock](Directory::lock) may have one.
#[derive(Debug)]
pub(super) struct Ledger {
    directory: Directory,
    state: Mutex<State>,
}

impl Ledger {
    pub(super) fn open(directory: Directory, state: State) -> Result<Self> {
        directory.save(&state)?;
        Ok(Self { directory, state: Mutex::new(state) })
    }

    pub(super) fn read(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the record; it is on disk when this returns.
    pub(super) fn write(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        self.directory.save(&state)
    }

    /// Starts a process that lives as long as its cluster may, and records it.
    pub(super) fn start(&self, launch: Launch) -> Result<Process> {
        let lifetime = if self.read().owner.is_some() { Lifetime::ThisProcess } else { Lifetime::UntilEnded };
        let process = launch.start(lifetime)?;
        self.write(|state| {
            state.processes.insert(process.name.clone(), process.clone());
        })?;
        Ok(process)
    }
}

/// Keeps others from changing what all clusters of this machine share.
pub(super) async fn lock_machine() -> Result<Lock> {
    lock(root().join("machine.lock"), "this machine".into()).await
}

async fn lock(path: PathBuf, what: String) -> Result<Lock> {
    // On a thread of its own: another task on this one may hold it.
    tokio::task::spawn_blocking(move || {
        let parent = path.parent().context("a lock lies in a directory")?;
        // Who takes the last cluster away also removes this directory, perhaps between these two lines.
        let mut attempts = 0..3;
        loop {
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
            let busy = || eprintln!("lab: waiting for another process that is busy with {what}");
            match Lock::acquire(&path, busy) {
                Err(_) if !parent.exists() && attempts.next().is_some() => {}
                result => return result,
            }
        }
    })
    .await?
}

/// The names of all clusters that have a record here.
pub(super) fn all() -> Vec<String> {
    let entries = fs::read_dir(root()).into_iter().flatten().filter_map(Result::ok);
    let clusters = entries.filter(|entry| entry.path().join("state.json").exists());
    let mut names: Vec<String> = clusters.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Where all clusters have their directories. `/run` empties when the machine restarts, and with it goes
/// everything recorded there.
pub(super) fn root() -> PathBuf {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given("METALLB_LAB_STATE")
        .unwrap_or_else(|| given("XDG_RUNTIME_DIR").unwrap_or_else(|| "/run".into()).join("metallb-lab"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_next_process() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory(root.path().join("lab"));
        assert!(directory.load().unwrap().is_none());
        let state = State::new(ClusterOptions::named("lab"), None);
        let ledger = Ledger::open(directory.clone(), state).unwrap();
        ledger.write(|state| state.forward_port = Some(1234)).unwrap();
        let read = directory.load().unwrap().unwrap();
        assert_eq!(read.forward_port, Some(1234));
        assert_eq!(read.options, ClusterOptions::named("lab"));
    }
}
