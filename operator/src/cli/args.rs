//! Commands and flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::generate::EXTERNAL_FRRK8S_NAMESPACE;

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
    /// For people with a wide screen: more columns, and nothing is cut. Where there is no more to tell, as table
    Wide,
    /// For programs
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check manifests by the rules of admission, without a cluster. Exit status 1 if anything is refused
    ///
    /// Warns of fields that a kind does not have, too.
    Validate {
        /// A file, a directory, or - for standard input; may be given several times
        #[arg(short, long = "filename", required = true)]
        filename: Vec<PathBuf>,
        /// FRRK8S_EXTERNAL_NAMESPACE of the operator that will read them, for a MetalLB with bgpBackend frr-k8s-external that
        /// names no namespace; empty: the operator has none, and such a MetalLB is refused
        #[arg(long, default_value = EXTERNAL_FRRK8S_NAMESPACE)]
        external_frrk8s_namespace: String,
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
    /// Say how the BGP sessions stand, by node and peer, and why those that should be there are not
    ///
    /// A line for every session that a speaker reports (in its BGPNodeStatus), and for every one that should be there and
    /// is not: the peer is set aside by its configuration, selects no node, or the speaker of the node does not run.
    ///
    /// STATE is RFC 4271's; routes flow in Established only. SINCE is how long the session has been established, or has
    /// not. FLAPS counts how often it ended. PREFIXES are those the router was told of; pending ones wait for the
    /// session, unsendable ones are of a family that it does not carry. LAST ERROR stays after the session is back.
    #[command(after_help = "\
Examples:
  kubectl metallb peers                    all sessions
  kubectl metallb peers tor-1 -o wide      those with one router: AS numbers, families, errors in full
  kubectl metallb peers --node n1          those of one node
  kubectl metallb peers --check            for scripts: exit status 1 if a session that should be up is not

Which should be up: one for every BGPPeer and node that it selects, also when the BGPPeer is set aside for an error in it.
Not a BGPPeer that selects no node, and not a node without a speaker's pod as long as others have one.")]
    Peers {
        /// Only sessions with this BGPPeer
        peer: Option<String>,
        /// Only sessions of this node
        #[arg(long)]
        node: Option<String>,
        /// Exit with status 1 if a session that should be up is not
        #[arg(long)]
        check: bool,
        /// Take everything from these files, and not from a cluster: BGPNodeStatuses, BGPPeers, Nodes
        #[arg(short, long = "filename")]
        filename: Vec<PathBuf>,
    },
    /// Say which node announces each address on layer 2, since when, and who follows when it is gone
    ///
    /// OWNER is the node that reports so (in its ServiceL2Status), of several the one that took the address last; where none does,
    /// the one that the rules elect among those whose speaker runs. SINCE is how long it has reported so, and NEXT the node that
    /// would take over. NOTE tells where speakers report otherwise than the rules say: an address that is just moving, nodes that
    /// do not hear each other, or one that is dead.
    #[command(after_help = "\
Examples:
  kubectl metallb owners                   all addresses
  kubectl metallb owners 192.0.2.10        one, and why each of the other nodes does not announce it
  kubectl metallb owners -o wide           all that may announce, in the order in which they would
  kubectl metallb owners --check           for scripts: exit status 1 if speakers report other owners than the rules elect")]
    Owners {
        /// Only this address, with the reasons of the nodes that do not announce it
        address: Option<String>,
        /// Exit with status 1 if speakers report other owners than the rules elect
        #[arg(long)]
        check: bool,
        /// Take everything from these files, and not from a cluster
        #[arg(short, long = "filename")]
        filename: Vec<PathBuf>,
    },
    /// Say whether this cluster can be taken over from another installation of MetalLB, or installed into: go or no-go
    ///
    /// Looks at the cluster and writes nothing. Of what runs already it says who installed it (metallb-operator, OLM, manifests,
    /// Helm), its version and backend; then everything that speaks against a take-over, or is to be done on the way.
    #[command(after_help = "\
Levels:
  no-go   not before that is mended: traffic, addresses or configuration would be lost
  step    something is to be done on the way; docs/migration.md has the order
  note    to be known; nothing needs to be done

Exit status: 0 for go, also with steps; 1 for no-go; 2 if the cluster cannot be looked at.

Examples:
  kubectl metallb preflight                      what runs in metallb-system
  kubectl metallb preflight -n metallb -o json   in another namespace, for programs")]
    Preflight,
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
