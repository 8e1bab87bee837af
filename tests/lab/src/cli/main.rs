//! `lab`: the test cluster at the command line.
//!
//! Here are the arguments and the words; what they do is in the library.

mod cluster;
mod inside;
mod tools;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Kubernetes for tests, on one machine and without Docker.
///
/// `lab up` makes a cluster in network namespaces: nodes n1, n2, n3 with kubelet, kube-proxy and containerd; `cp` with
/// the API server; `client` on the same LAN (10.77.0.0/24, fd77::/64); `router`, and `remote` behind it. They are
/// called hosts below. Needs root.
#[derive(Parser)]
#[command(name = "lab", version, infer_subcommands = true, after_long_help = EXAMPLES)]
struct Cli {
    /// Which cluster; several run side by side
    #[arg(long, global = true, default_value = "lab", env = "METALLB_LAB_NAME")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  lab up                                  make a cluster, or repair it
  export KUBECONFIG=$(lab kubeconfig)     use it with kubectl on this machine
  lab exec client -- curl 10.77.0.200     what does a machine on the LAN see?
  lab import controller.tar speaker.tar   load images into every node
  lab power-off n2; lab power-on n2       pull the plug of a node, put it back
  lab unplug n2; lab plug n2              only its network cable
  lab logs n1-kubelet -f
  lab down
  lab tool opm validate catalog           a program that the lab builds
  lab api --fake-nodes 2                  only an API server, for any user, until Ctrl-C

Environment:
  METALLB_LAB_NAME                        the cluster meant without --name
  METALLB_LAB_STATE                       where clusters have their files [/run/metallb-lab]
  METALLB_LAB_CACHE                       where built tools are kept, see `lab tools --help`";

#[derive(Subcommand)]
enum Command {
    Tools(tools::Args),
    Tool(tools::One),
    Up(cluster::Up),
    Api(cluster::Api),
    Down(cluster::Down),
    Status(cluster::Status),
    Kubeconfig(cluster::Kubeconfig),
    Import(cluster::Import),
    PowerOff(cluster::PowerOff),
    PowerOn(cluster::PowerOn),
    Unplug(cluster::Unplug),
    Plug(cluster::Plug),
    Exec(inside::Exec),
    Kubectl(inside::Kubectl),
    Logs(inside::Logs),
    #[command(hide = true)]
    Forward,
    #[command(hide = true)]
    Bury,
}

/// How results are printed.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let name = &cli.name;
    match cli.command {
        Command::Tools(args) => args.run(),
        Command::Tool(args) => args.run(),
        Command::Up(args) => wait_for(args.run(name)),
        Command::Api(args) => wait_for(args.run()),
        Command::Down(args) => wait_for(args.run(name)),
        Command::Status(args) => wait_for(args.run(name)),
        Command::Kubeconfig(args) => wait_for(args.run(name)),
        Command::Import(args) => wait_for(args.run(name)),
        Command::PowerOff(args) => wait_for(args.run(name)),
        Command::PowerOn(args) => wait_for(args.run(name)),
        Command::Unplug(args) => wait_for(args.run(name)),
        Command::Plug(args) => wait_for(args.run(name)),
        Command::Exec(args) => args.run(name),
        Command::Kubectl(args) => wait_for(args.run(name)),
        Command::Logs(args) => wait_for(args.run(name)),
        Command::Forward => inside::forward(name),
        Command::Bury => wait_for(cluster::bury(name)),
    }
}

fn wait_for(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Prints the answer. Who reads only its beginning (`lab status | head`) has read enough.
fn answer(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}
