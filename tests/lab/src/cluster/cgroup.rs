//! Control groups: the kubelet's limits live in them, and what is in one of ours was started by us.
//!
//! Two layouts are known: hierarchies of version 1 (each controller has a tree; a node has a directory in each) and
//! version 2 alone (one tree). Under version 2 only the leaves may hold processes, so a node's daemons get a leaf
//! of their own beside the pods'.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process;
use crate::wait::until_blocking;

const ROOT: &str = "/sys/fs/cgroup";

/// The machine's layout.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// The root of each hierarchy.
    V1(Vec<PathBuf>),
    /// The one root.
    V2(PathBuf),
}

/// The control groups of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    /// What is made, and in the end removed with all below.
    pub(super) directories: Vec<PathBuf>,
    /// Where its processes go.
    pub(super) join: Vec<PathBuf>,
}

impl Layout {
    pub(super) fn detect() -> Result<Self> {
        Self::detect_in(Path::new(ROOT))
    }

    fn detect_in(root: &Path) -> Result<Self> {
        if root.join("cgroup.controllers").exists() {
            return Ok(Self::V2(root.to_owned()));
        }
        let entries = fs::read_dir(root).with_context(|| format!("read {}", root.display()))?;
        let entries =
            entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
        // `unified` is a version 2 tree without controllers, beside the others.
        let mut roots: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name() != "unified" && entry.path().join("cgroup.procs").exists())
            .map(|entry| entry.path())
            .collect();
        roots.sort();
        for controller in ["cpu", "memory", "pids"] {
            if !root.join(controller).join("cgroup.procs").exists() {
                bail!(
                    "no control group hierarchy for {controller} in {}: mount cgroup2 there, or all of version 1",
                    root.display()
                );
            }
        }
        Ok(Self::V1(roots))
    }

    /// Groups for a node: every controller, as kubelet and containers limit themselves in them.
    pub(super) fn node(&self, name: &str) -> Groups {
        match self {
            Self::V1(roots) => {
                let join: Vec<PathBuf> = roots.iter().map(|root| root.join(name)).collect();
                // runc makes one in the tree without controllers too, where there is one.
                let unified = Path::new(ROOT).join("unified");
                let unified = unified.exists().then(|| unified.join(name));
                Groups { directories: join.iter().cloned().chain(unified).collect(), join }
            }
            Self::V2(root) => {
                Groups { directories: vec![root.join(name)], join: vec![root.join(name).join("daemons")] }
            }
        }
    }

    /// A group that limits nothing and only says to whom processes belong.
    pub(super) fn plain(&self, name: &str) -> Groups {
        let directory = match self {
            Self::V1(_) => Path::new(ROOT).join("pids").join(name),
            Self::V2(root) => root.join(name),
        };
        Groups { directories: vec![directory.clone()], join: vec![directory] }
    }
}

impl Groups {
    pub(super) fn create(&self) -> Result<()> {
        for directory in self.directories.iter().chain(&self.join) {
            fs::create_dir_all(directory)
                .with_context(|| format!("make the group {}", directory.display()))?;
            // A version 1 cpuset starts with no processor and no memory, and nobody can join it like that.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let (own, parents) = (directory.join(file), directory.with_file_name(file));
                if own.exists() && parents.exists() && fs::read_to_string(&own)?.trim().is_empty() {
                    let inherited = fs::read_to_string(&parents)?;
                    fs::write(&own, inherited.trim()).with_context(|| format!("write {}", own.display()))?;
                }
            }
        }
        Ok(())
    }
}

/// Kills all in these groups and below, and removes the groups. Those that are not there are fine.
pub(super) fn destroy(directories: &BTreeSet<PathBuf>) -> Result<()> {
    empty(directories)?;
    directories.iter().try_for_each(|directory| remove_with_members(directory))
}

/// Removes one group and those below, and ends who has joined since it was emptied: `sh` on its way to become a daemon,
/// when its parent was killed between starting and recording it.
fn remove_with_members(directory: &Path) -> Result<()> {
    until_blocking(Duration::from_secs(10), &format!("{} is removed", directory.display()), || {
        kill_members(directory);
        remove_tree(directory).map_err(|error| format!("{error:#}"))
    })
}

/// Kills all in these groups and below, and waits until they are gone.
pub(super) fn empty(directories: &BTreeSet<PathBuf>) -> Result<()> {
    until_blocking(Duration::from_secs(10), "the processes in the control groups are gone", || {
        // Again each time: one may have started another just now.
        let left: BTreeSet<i32> = directories.iter().flat_map(|directory| kill_members(directory)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("pids {left:?}")) }
    })
}

/// Kills all in this group and below, and says who has not ended yet.
fn kill_members(directory: &Path) -> BTreeSet<i32> {
    let mut members_now = BTreeSet::new();
    members(directory, &mut members_now);
    members_now.retain(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok() && process::runs(*pid));
    members_now
}

fn members(directory: &Path, pids: &mut BTreeSet<i32>) {
    let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    pids.extend(procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for child in children(directory) {
        members(&child, pids);
    }
}

fn remove_tree(directory: &Path) -> Result<()> {
    for child in children(directory) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Launch, Lifetime};

    fn tree(directories: &[&str], files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in directories {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for file in files {
            fs::write(root.path().join(file), "").unwrap();
        }
        root
    }

    #[test]
    fn who_joins_a_group_after_it_was_emptied_is_ended_too() {
        if !nix::unistd::Uid::effective().is_root() {
            return;
        }
        let groups = Layout::detect().unwrap().plain(&format!("lab-late-{}", std::process::id()));
        groups.create().unwrap();
        let late = Launch::new("late", "sleep", "/dev/null").args(["1000"]).in_cgroups(groups.join.clone());
        let late = late.start(Lifetime::ThisProcess).unwrap();
        let has_joined = || {
            let mut joined = BTreeSet::new();
            members(&groups.directories[0], &mut joined);
            joined.contains(&late.pid)
        };
        until_blocking(Duration::from_secs(5), "it has joined", has_joined).unwrap();

        remove_with_members(&groups.directories[0]).unwrap();
        assert!(!late.alive());
        assert!(!groups.directories[0].exists());
    }

    #[test]
    fn a_machine_with_version_2_alone_is_recognised() {
        let root = tree(&["system.slice"], &["cgroup.controllers", "cgroup.procs"]);
        let layout = Layout::detect_in(root.path()).unwrap();
        assert!(matches!(&layout, Layout::V2(_)));
        let groups = layout.node("lab-n1");
        assert_eq!(groups.join, [root.path().join("lab-n1/daemons")], "inner groups hold no processes");
    }

    #[test]
    fn the_tree_without_controllers_is_no_hierarchy() {
        let controllers = ["cpu", "memory", "pids", "unified"];
        let files = controllers.map(|controller| format!("{controller}/cgroup.procs"));
        let root = tree(&controllers, &files.each_ref().map(String::as_str));
        let Layout::V1(roots) = Layout::detect_in(root.path()).unwrap() else { panic!("version 1 is there") };
        assert_eq!(roots.len(), 3);
    }

    #[test]
    fn a_missing_controller_is_named() {
        let root = tree(&["cpu", "memory"], &["cpu/cgroup.procs", "memory/cgroup.procs"]);
        let error = Layout::detect_in(root.path()).unwrap_err().to_string();
        assert!(error.starts_with("no control group hierarchy for pids"), "{error}");
    }
}
