//! Processes the lab starts and ends.
//!
//! In this room: starting a program with its log, and ending exactly that one again: a process is its pid *and* its
//! start time, so a pid the kernel has given to somebody else is never signalled.
//! Not here: which programs, and short commands whose output is wanted ([`crate::command`]).
//! Start at [`Launch`].

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::wait::{Verdict, until_blocking};

/// A started process, as the state file records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it is to the lab: `"etcd"`, `"n1-kubelet"`.
    pub name: String,
    /// Its number on this machine.
    pub pid: i32,
    /// When it was started, in the kernel's ticks since boot; with the pid, the proof that it is still the same one.
    pub start_time: u64,
    /// Where its output goes.
    pub log: PathBuf,
}

/// How long a started process may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// At most as long as this process, however this one ends.
    ThisProcess,
    /// Until it is ended.
    UntilEnded,
}

/// A program about to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    name: String,
    log: PathBuf,
    argv: Vec<OsString>,
    cgroups: Vec<PathBuf>,
    stdin: Stdio,
}

impl Launch {
    /// `log` is appended to.
    pub(crate) fn new(name: impl Into<String>, program: impl AsRef<OsStr>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            log: log.into(),
            argv: vec![program.as_ref().to_owned()],
            cgroups: Vec::new(),
            stdin: Stdio::null(),
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs the program through another one, which must exec it.
    pub(crate) fn through<S: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        self.argv.splice(0..0, wrapper.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The control groups it, and so everything it starts, belongs to from its first instruction on.
    pub(crate) fn in_cgroups(mut self, cgroups: impl IntoIterator<Item = PathBuf>) -> Self {
        self.cgroups.extend(cgroups);
        self
    }

    /// With an open file as its standard input.
    pub(crate) fn holding(mut self, file: impl Into<Stdio>) -> Self {
        self.stdin = file.into();
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn start(self, lifetime: Lifetime) -> Result<Process> {
        let Self { name, log, argv, cgroups, stdin } = self;
        let mut words: Vec<OsString> = Vec::new();
        if !cgroups.is_empty() {
            // "0" is whoever writes it. The shell becomes the program.
            let join = "while [ \"$1\" != -- ]; do echo 0 >\"$1/cgroup.procs\" || exit; shift; done; shift; exec \"$@\"";
            words.extend(["sh", "-c", join, "join"].map(OsString::from));
            words.extend(cgroups.into_iter().map(OsString::from));
            words.push("--".into());
        }
        let wrapper: &[&str] = match lifetime {
            Lifetime::ThisProcess => &["setpriv", "--pdeathsig=KILL", "--"],
            Lifetime::UntilEnded => &["setsid", "--"],
        };
        words.extend(wrapper.iter().map(OsString::from));
        words.extend(argv);

        let open = || File::options().create(true).append(true).open(&log);
        let out = open().with_context(|| format!("open the log {}", log.display()))?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(stdin).stderr(out.try_clone()?).stdout(out);
        let child = spawn_from_lasting_thread(command).with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(child.id()).context("a pid beyond i32")?;
        Process::observe(name, pid, log)
    }
}

impl Process {
    /// The running process with this number.
    pub(crate) fn observe(name: impl Into<String>, pid: i32, log: impl Into<PathBuf>) -> Result<Self> {
        let name = name.into();
        let stat = Stat::read(pid).with_context(|| format!("{name} (pid {pid}) is not there"))?;
        Ok(Self { name, pid, start_time: stat.start_time, log: log.into() })
    }

    /// This very process.
    pub(crate) fn current() -> Result<Self> {
        Self::observe("lab", nix::unistd::getpid().as_raw(), "")
    }

    /// Whether it runs. A zombie does not: some machines reap orphans late.
    pub fn alive(&self) -> bool {
        let Some(stat) = Stat::read(self.pid).filter(|stat| stat.start_time == self.start_time) else {
            return false;
        };
        if !stat.runs() {
            // Ours to bury if we started it; it is the one we mean, its start time says so. One whose first thread has
            // ended before the others cannot be buried yet, and still holds its sockets.
            let buried = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
            return buried == Ok(WaitStatus::StillAlive);
        }
        true
    }

    /// Asks it to end, and kills it when it has not after five seconds.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGTERM);
        let obeys = until_blocking(Duration::from_secs(5), "it ends when asked to", || !self.alive());
        obeys.or_else(|_| self.kill())
    }

    /// Kills it.
    pub fn kill(&self) -> Result<()> {
        end(std::slice::from_ref(self))
    }

    /// Sends a signal, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.alive() {
            // It may end between the two lines; then there is nothing left to do.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// The child of a wrapper (`unshare`, `nsenter`) that has become the wrapped program.
    pub(crate) fn wrapped_child(&self) -> Option<i32> {
        let program = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).ok()?;
        let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        children.find(|child| {
            program(*child).is_some_and(|its| program(self.pid).is_some_and(|ours| its != ours))
        })
    }

    /// The last lines of its log, for an error message.
    pub(crate) fn last_words(&self) -> String {
        last_lines(&self.log, 8)
    }
}

/// Ends processes at once and waits until they are gone.
pub(crate) fn end(processes: &[Process]) -> Result<()> {
    for process in processes {
        process.signal(Signal::SIGKILL);
    }
    until_blocking(Duration::from_secs(10), "killed processes are gone", || {
        let left: Vec<&str> =
            processes.iter().filter(|process| process.alive()).map(|process| process.name.as_str()).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
}

/// For a wait that makes sense only while everything lives: "not yet, because", or never, with the last words of who
/// has died.
pub(crate) fn not_yet<'a, T>(
    processes: impl IntoIterator<Item = &'a Process>,
    because: &anyhow::Error,
) -> Verdict<T> {
    match processes.into_iter().find(|process| !process.alive()) {
        Some(dead) => {
            Verdict::Never(anyhow!("{} has died; its last words:\n{}", dead.name, dead.last_words()))
        }
        None => Verdict::NotYet(format!("{because:#}")),
    }
}

/// Whether there is a process of that number that is not a zombie.
pub(crate) fn runs(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.runs())
}

/// The end of a log file.
pub(crate) fn last_lines(path: &Path, count: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// What `/proc/PID/stat` says.
struct Stat {
    state: char,
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name may hold anything; the fields go on after its last parenthesis.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        Some(Self { state, start_time: fields.nth(18)?.parse().ok()? })
    }

    fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// The kernel's "signal me when my parent dies" means the parent *thread*, and a test's thread ends with the test.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static JOBS: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in jobs {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (sender, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    JOBS.lock().unwrap_or_else(PoisonError::into_inner).send((command, sender)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(lifetime: Lifetime) -> Process {
        Launch::new("sleeper", "sleep", "/dev/null").args(["1000"]).start(lifetime).unwrap()
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let process = thread::spawn(|| sleeper(Lifetime::ThisProcess)).join().unwrap();
        assert!(process.alive());
        end(std::slice::from_ref(&process)).unwrap();
        assert!(!process.alive());
    }

    #[test]
    fn a_recycled_pid_is_somebody_else() {
        let process = sleeper(Lifetime::UntilEnded);
        let stale = Process { start_time: process.start_time - 1, ..process.clone() };
        assert!(!stale.alive());
        stale.signal(Signal::SIGKILL);
        assert!(process.alive());
        end(&[process]).unwrap();
    }

    #[test]
    fn the_log_keeps_what_was_said() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let process = Launch::new("echo", "echo", &log).args(["hello"]).start(Lifetime::ThisProcess).unwrap();
        until_blocking(Duration::from_secs(5), "echo has ended", || !process.alive()).unwrap();
        assert_eq!(process.last_words(), "hello");
    }
}
