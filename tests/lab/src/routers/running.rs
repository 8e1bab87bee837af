//! The processes of one router, with their directory and their logs. They end with the value, and with this process
//! however it ends.

use std::fs;
use std::io::{PipeWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::{User, chown};
use tokio::process::Command;

use crate::command::output;
use crate::janitor::Janitor;
use crate::network::Host;
use crate::process::{Launch, Lifetime, Process, end, not_yet};
use crate::wait::{Attempt, Verdict, until};

/// Long beside the second it takes, as the machine may be busy.
const START: Duration = Duration::from_secs(20);

/// What runs of a router.
#[derive(Debug)]
pub(super) struct Running {
    host: Host,
    directory: PathBuf,
    processes: Vec<Process>,
    starts: Start,
    alive: Option<PipeWriter>,
    janitor: Option<Janitor>,
}

/// Whether a router has run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It has not.
    First,
    /// It has, with the same directory.
    Again,
}

/// What is done about the processes of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// They are asked to end, the last one started first.
    Asked,
    /// They are killed.
    Killed,
}

impl Running {
    /// An empty directory, which belongs to that user.
    pub(super) fn prepare(host: &Host, owner: Option<&str>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("router-").tempdir().context("make a directory")?;
        if let Some(name) = owner {
            let user = User::from_name(name).ok().flatten().with_context(|| {
                format!("there is no user {name}: `lab tools --install` installs the program it comes with")
            })?;
            chown(directory.path(), Some(user.uid), Some(user.gid)).context("give the directory away")?;
        }
        // The kernel's own way, a signal when the parent dies, is undone by programs that become another user. The
        // directory's name in the command line is the proof that a number is still the same process.
        let work = "while read -r pid; do grep -qaF -- \"$1\" \"/proc/$pid/cmdline\" && kill -KILL \"$pid\"; done \
                    <\"$1/pids\"; rm -rf -- \"$1\"";
        let (janitor, alive) = Janitor::engage(work, [directory.path()])?;
        let directory = directory.keep();
        let (alive, janitor) = (Some(alive), Some(janitor));
        Ok(Self {
            host: host.clone(),
            directory,
            processes: Vec::new(),
            starts: Start::First,
            alive,
            janitor,
        })
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn starting(&self) -> Start {
        self.starts
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file in the directory, as an argument.
    pub(super) fn file(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.directory.join(name), text).with_context(|| format!("write {name}"))
    }

    /// Starts a program in the host's network, with its log in the directory. Its arguments must name the directory.
    pub(super) fn launch(&mut self, name: &str, program: &str, args: &[&str]) -> Result<()> {
        let process = Launch::new(name, program, self.file(&format!("{name}.log")))
            .args(args)
            .through(["ip", "netns", "exec", self.host.namespace()])
            .start(Lifetime::ThisProcess)?;
        let pids = fs::File::options().create(true).append(true).open(self.directory.join("pids"));
        writeln!(pids.context("open the list of processes")?, "{}", process.pid)?;
        self.processes.push(process);
        Ok(())
    }

    /// Waits for what comes with a start; not in vain when a process has died.
    pub(super) async fn until<A: Attempt>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> A,
    ) -> Result<A::Value> {
        let look = async || match look().await.verdict() {
            Verdict::NotYet(seen) => not_yet(&self.processes, &anyhow::anyhow!(seen)),
            done @ (Verdict::Yes(_) | Verdict::Never(_)) => done,
        };
        until(START, what, look).await
    }

    /// Waits for a file that a process makes.
    pub(super) async fn until_there(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        let what = format!("{name} is there on {}", self.host.name());
        self.until(&what, async || path.exists()).await
    }

    /// What a short command says that needs nothing of the host's network.
    pub(super) async fn ask(&self, program: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.args(args);
        output(command).await?.success()
    }

    pub(super) fn signal(&self, signal: Signal) {
        for process in &self.processes {
            process.signal(signal);
        }
    }

    pub(super) fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process of that name, if it was started.
    pub(super) fn process(&self, name: &str) -> Option<&Process> {
        self.processes.iter().find(|process| process.name == name)
    }

    /// Ends all processes.
    pub(super) fn end(&mut self, ending: Ending) -> Result<()> {
        // A frozen process hears nothing else.
        self.signal(Signal::SIGCONT);
        match ending {
            Ending::Asked => self.processes.iter().rev().try_for_each(Process::stop)?,
            Ending::Killed => end(&self.processes)?,
        }
        self.processes.clear();
        self.starts = Start::Again;
        fs::write(self.directory.join("pids"), "").context("empty the list of processes")
    }

    /// The ends of all logs, for an error message.
    pub(super) fn last_words(&self) -> String {
        let log = |process: &Process| format!("--- {}\n{}", process.name, process.last_words());
        self.processes.iter().map(log).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What is left after that, the janitor kills.
        let _ = self.end(Ending::Killed);
        drop(self.alive.take());
        if let Some(janitor) = self.janitor.take() {
            janitor.wait();
        }
    }
}
