//! The speaker's process on the node.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use metallb_lab::network::Host;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::tap::now;
use super::world::{NODE_NAME, POD, World};
use crate::usage;

/// A speaker that runs. It is killed when dropped.
pub struct Speaker {
    child: Child,
    /// When it was started, since the epoch.
    pub started: Duration,
}

impl Speaker {
    /// Starts `program` on `host`. What it logs goes to `log`, if that is given.
    pub fn start(program: &Path, host: &Host, world: &World, log: Option<&Path>) -> Result<Self> {
        let (level, output) = match log {
            None => ("none", Stdio::null()),
            Some(path) => {
                let file = File::options().create(true).append(true).open(path);
                ("debug", file.with_context(|| format!("open {}", path.display()))?.into())
            }
        };
        let started = now();
        // Both become the program, so the child is the speaker; it ends with us.
        let child = Command::new("ip")
            .args(["netns", "exec", host.namespace(), "setpriv", "--pdeathsig=KILL", "--"])
            .arg(program)
            .args(["--port=0", "--health-probe-port=0", &format!("--log-level={level}")])
            .arg(format!("--namespace={}", world.namespace()))
            .arg(format!("--node-name={NODE_NAME}"))
            .arg(format!("--pod-name={POD}"))
            .arg(format!("--kubeconfig={}", world.kubeconfig().display()))
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, started })
    }

    /// Its proportional set size in KiB.
    pub fn pss(&self) -> Result<u64> {
        usage::pss_of(self.child.id())
    }

    /// The processor time that it has used.
    pub fn busy(&self) -> Result<Duration> {
        usage::processor_time_of(self.child.id())
    }

    /// It stands still, as when its machine has died.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// It goes on.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).context("a pid beyond i32")?);
        kill(pid, signal).with_context(|| format!("send {signal} to the speaker; did it end?"))
    }
}

impl Speaker {
    /// It ends at once, without a farewell. Harmless when it has ended.
    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.end();
    }
}
