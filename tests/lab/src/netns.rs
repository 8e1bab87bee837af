//! Acting inside another process's or host's namespaces, on a thread of one's own.
//!
//! A thread that has entered a namespace never comes back: it does its work and ends.

use std::fs::{self, File};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns, unshare};

/// Runs work in a network namespace. Sockets it makes belong there for ever; `/proc/sys/net` is that namespace's.
///
/// A namespace is a file: `/run/netns/NAME`, or `/proc/PID/ns/net` of a process in it.
pub fn within<T: Send>(netns: &Path, work: impl FnOnce() -> T + Send) -> Result<T> {
    in_thread(|| {
        enter(netns)?;
        Ok(work())
    })
}

/// Moves the calling thread into a network namespace.
pub(crate) fn enter(netns: &Path) -> Result<()> {
    let file =
        File::open(netns).with_context(|| format!("open the network namespace {}", netns.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter {}", netns.display()))
}

/// Runs work in the mount and host name namespaces of a process.
pub(crate) fn within_mounts_of<T: Send>(pid: i32, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    in_thread(|| {
        // Threads of one process share root and working directory; who changes mounts may not.
        unshare(CloneFlags::CLONE_FS).context("have a root directory of one's own")?;
        for (namespace, flag) in [("uts", CloneFlags::CLONE_NEWUTS), ("mnt", CloneFlags::CLONE_NEWNS)] {
            let path = PathBuf::from(format!("/proc/{pid}/ns/{namespace}"));
            let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
            setns(file, flag).with_context(|| format!("enter {}", path.display()))?;
        }
        work()
    })
}

/// Sets kernel parameters of a network namespace, such as `("net/ipv4/ip_forward", "1")`.
pub(crate) fn sysctl(netns: &Path, parameters: &[(&str, &str)]) -> Result<()> {
    within(netns, || {
        for (name, value) in parameters {
            let path = Path::new("/proc/sys").join(name);
            fs::write(&path, value)
                .with_context(|| format!("set {name} to {value} in {}", netns.display()))?;
        }
        Ok(())
    })?
}

fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic), // an assertion in there fails the test out here
    })
}
