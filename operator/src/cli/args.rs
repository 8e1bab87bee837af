//! Commands and flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Checks, foretells and explains what MetalLB does with your configuration.
///
/// Installed as `kubectl-metallb` on the PATH it is `kubectl metallb`. Commands that only read files need no cluster.
#[derive(Debug, Parser)]
#[command(name = "kubectl-metallb", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// What all commands take
    #[command(flatten)]
    pub common: Common,
}

/// What all commands take.
#[derive(Debug, Args)]
pub struct Common {
    /// The namespace MetalLB is in; objects in files that name none are taken to go there, as with `kubectl -n`
    #[arg(short, long, global = true, default_value = "metallb-system")]
    pub namespace: String,
    /// The --lb-class of controller and speakers: only services of this class are looked at
    #[arg(long, global = true, default_value = "")]
    pub lb_class: String,
    /// Path of a kubeconfig [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// How answers are printed
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check manifests by the rules of admission, without a cluster. Exit status 1 if anything is refused
    ///
    /// Fields that a kind does not have are not reported; `kubectl apply` warns of them.
    Validate {
        /// A file, a directory, or - for standard input; may be given several times
        #[arg(short, long = "filename", required = true)]
        filename: Vec<PathBuf>,
    },
    /// Say which service gets, keeps, changes or loses which address, and why
    ///
    /// Without --live everything comes from the files: pools, services in the order of creation, with the addresses that their
    /// status shows as already assigned; Nodes, Namespaces and EndpointSlices if there are any. With --live the files
    /// are a change to what the cluster holds. Nothing is written in either case.
    Plan {
        /// A file, a directory, or - for standard input; may be given several times
        #[arg(short, long = "filename")]
        filename: Vec<PathBuf>,
        /// Apply the files to what the cluster holds (in thought)
        #[arg(long)]
        live: bool,
    },
    /// Tell the whole story of one object
    Explain {
        /// Which object
        #[command(subcommand)]
        what: Explain,
    },
}

/// What can be explained.
#[derive(Debug, Subcommand)]
pub enum Explain {
    /// One service: its address and pool or why it has none, which node announces it and why the others do not
    Service {
        /// NAMESPACE/NAME, or a name in the namespace `default`
        service: String,
        /// Take everything from these files, and not from a cluster
        #[arg(short, long = "filename")]
        filename: Vec<PathBuf>,
    },
}
