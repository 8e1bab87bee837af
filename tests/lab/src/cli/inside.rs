//! Commands that run something in a cluster, or look at what runs there. They become that something: its signals,
//! terminal and exit code are this program's.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use metallb_lab::{Cluster, forward_api};

use crate::answer;

/// Runs a command on a host: in a node's namespaces, or in another host's network
#[derive(Args)]
pub(crate) struct Exec {
    /// n1, n2… client, router, remote, cp, or lan for the bridge
    host: String,
    /// The command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Exec {
    pub(crate) fn run(self, name: &str) -> Result<ExitCode> {
        become_command(&Cluster::find_host(name, &self.host)?.command_line(self.command)?)
    }
}

/// Runs kubectl as administrator, next to the API server
#[derive(Args)]
pub(crate) struct Kubectl {
    /// kubectl's arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Kubectl {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let status = Cluster::status(name).await?.with_context(|| format!("there is no cluster {name}"))?;
        let kubectl = metallb_lab::tools::Tools::ensure()?.program("kubectl")?;
        let mut words = vec![kubectl.into_os_string(), "--kubeconfig".into()];
        words.push(status.directory.join("pki/admin.kubeconfig").into());
        words.extend(self.args);
        become_command(&Cluster::find_host(name, "cp")?.command_line(words)?)
    }
}

/// Prints what a process has said; without a name, what processes there are
#[derive(Args)]
pub(crate) struct Logs {
    /// Goes on as it says more
    #[arg(short, long)]
    follow: bool,
    /// The process: etcd, kube-apiserver, n1-kubelet…
    process: Option<String>,
}

impl Logs {
    pub(crate) async fn run(self, name: &str) -> Result<ExitCode> {
        let status = Cluster::status(name).await?.with_context(|| format!("there is no cluster {name}"))?;
        let names: Vec<&str> = status.processes.iter().map(|process| process.name.as_str()).collect();
        let Some(wanted) = self.process else {
            answer(&names.join("\n"));
            return Ok(ExitCode::SUCCESS);
        };
        // Not from the list: a node that is off has no processes, and its logs are wanted most.
        let log = status.directory.join(format!("{wanted}.log"));
        if Path::new(&wanted).components().count() != 1 || !log.exists() {
            bail!("no process {wanted} has run in cluster {name}; there is {}", names.join(", "));
        }
        let (program, flags): (&str, &[&str]) =
            if self.follow { ("tail", &["-n", "+1", "-F"]) } else { ("cat", &[]) };
        let words = [program].into_iter().chain(flags.iter().copied()).map(OsString::from);
        become_command(&words.chain([log.into_os_string()]).collect::<Vec<_>>())
    }
}

/// Forwards from the listening socket on standard input to the API server: what `up` starts.
pub(crate) fn forward(name: &str) -> Result<ExitCode> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().context("take the socket")?;
    forward_api(name, TcpListener::from(socket))?;
    Ok(ExitCode::SUCCESS)
}

fn become_command(words: &[OsString]) -> Result<ExitCode> {
    let (program, args) = words.split_first().context("no command")?;
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("run {}", program.display()))
}
