//! Flags and environment of the speaker: upstream's, all of them.

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use metallb_process::flags::parse_bool;
use metallb_process::logging::LogLevel;
use metallb_process::serve::tls::TlsFlags;

/// `METALLB_BGP_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BgpType {
    /// MetalLB's own speaker.
    Native,
    /// FRR beside the speaker.
    Frr,
    /// FRR, run by frr-k8s, which MetalLB brings.
    FrrK8s,
    /// FRR, run by frr-k8s, which somebody else brings.
    FrrK8sExternal,
}

/// `METALLB_CONFLICT_POLICY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConflictPolicy {
    /// It is announced at once.
    Announce,
    /// It is asked first whether another station has it.
    ProbeFirst,
}

/// `METALLB_OWNERSHIP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ownership {
    /// The node that upstream's rule elects of those that live.
    Hash,
    /// The node that has it already.
    Sticky,
}

/// Announces the addresses of Services from this node, by ARP and neighbour discovery, and to BGP routers.
///
/// Flags follow Go: one dash or two, values after `=` or a space, booleans unset by `=false`.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Namespace of MetalLB; empty: that of the service account
    #[arg(long, env = "METALLB_NAMESPACE", default_value = "")]
    pub namespace: String,
    /// Name of this node
    #[arg(long, env = "METALLB_NODE_NAME")]
    pub node_name: String,
    /// Name of this pod
    #[arg(long, env = "METALLB_POD_NAME", default_value = "")]
    pub pod_name: String,
    /// Deprecated, and ignored
    #[arg(long, env = "METALLB_HOST", default_value = "")]
    pub host: String,
    /// Address to exchange heartbeats from; empty turns them off, and every node counts as having a speaker
    #[arg(long, env = "METALLB_ML_BIND_ADDR", default_value = "")]
    pub ml_bindaddr: String,
    /// Port of the heartbeats (UDP)
    #[arg(long, env = "METALLB_ML_BIND_PORT", default_value_t = 7946)]
    pub ml_bindport: u16,
    /// Labels of the speakers' pods; empty turns heartbeats off, and every node counts as having a speaker
    #[arg(long, env = "METALLB_ML_LABELS", default_value = "")]
    pub ml_labels: String,
    /// Directory with the Secret that speakers share (file secretkey): what proves heartbeats; empty: there are none
    #[arg(long, env = "METALLB_ML_SECRET_KEY_PATH", default_value = "")]
    pub ml_secret_key_path: String,
    /// Nodes are on distant networks: heartbeats are five times slower, and so is the detection of a dead node
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub ml_wan_config: bool,
    /// Port of the metrics endpoint (HTTPS, bearer token); 0 turns it off
    #[arg(long, default_value_t = 9120)]
    pub port: u16,
    /// How much to log: all, debug, info, warn, error or none
    #[arg(long, default_value = "info")]
    pub log_level: LogLevel,
    /// Accepted for compatibility: there is no Go profiler here
    #[arg(long, default_value = "")]
    pub pprof_bind_address: String,
    /// Port of /healthz, /readyz and /announced (HTTP, 127.0.0.1)
    #[arg(long, default_value_t = 17472)]
    pub health_probe_port: u16,
    /// Announce Services of this loadBalancerClass; empty: those without a class
    #[arg(long, default_value = "")]
    pub lb_class: String,
    /// Announce also from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub ignore_exclude_lb: bool,
    /// Whose defaults of BGP hold where a BGPPeer says nothing: native, frr or frr-k8s; frr-k8s-external writes
    /// FRRConfigurations for routers that somebody else runs
    #[arg(long, env = "METALLB_BGP_TYPE", default_value = "native")]
    pub bgp_type: BgpType,
    /// Port that routers may connect to by themselves; 0: only the speaker connects
    #[arg(long, default_value_t = 0)]
    pub bgp_listen_port: u16,
    /// Neighbours are told of an address again after so many seconds at most, so that switches do not forget where it is; 0:
    /// only when it moves
    #[arg(long, env = "METALLB_REFRESH_SECONDS", default_value_t = 240)]
    pub refresh_seconds: u32,
    /// A speaker that falls silent while its node lives has so many seconds to come back, in which others answer for its addresses
    /// in its name; 0: they take them at once
    #[arg(long, env = "METALLB_RESTART_GRACE_SECONDS", default_value_t = 3)]
    pub restart_grace_seconds: u32,
    /// Before an address is announced that no node of the cluster had: nothing, or asking whether another station has it
    #[arg(long, env = "METALLB_CONFLICT_POLICY", default_value = "announce")]
    pub conflict_policy: ConflictPolicy,
    /// Which node has an address on layer 2: the one that a hash elects, so that addresses return with their node; or the one that
    /// has it, as long as it can
    #[arg(long, env = "METALLB_OWNERSHIP", default_value = "hash")]
    pub ownership: Ownership,
    /// A node that leaves announces its routes for so many seconds as about to go, before it withdraws them
    #[arg(long, env = "METALLB_LEAVE_ANNOUNCE_SECONDS", default_value_t = 5)]
    pub leave_announce_seconds: u32,
    /// And closes its BGP sessions so many seconds after that, for flows that are under way
    #[arg(long, env = "METALLB_LEAVE_FLOW_SECONDS", default_value_t = 10)]
    pub leave_flow_seconds: u32,
    /// A node with this taint leaves; empty: no taint stands for that
    #[arg(long, env = "METALLB_LEAVE_TAINT", default_value = "")]
    pub leave_taint: String,
    /// A node with this annotation leaves; empty: no annotation stands for that
    #[arg(long, env = "METALLB_LEAVE_ANNOTATION", default_value = "")]
    pub leave_annotation: String,
    /// Namespace of frr-k8s, for FRRConfigurations; empty: that of MetalLB
    #[arg(long, env = "FRRK8S_NAMESPACE", default_value = "")]
    pub frrk8s_namespace: String,
    /// FRRConfigurations name the Secrets of passwords, also in another namespace
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub frrk8s_secret_passthrough: bool,
    /// Milliseconds from one write of an FRRConfiguration to the next; the first change is written at once
    #[arg(long, env = "METALLB_BGP_DEBOUNCE_TIMEOUT", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub bgp_debounce_timeout: u32,
    /// TLS of the metrics endpoint
    #[command(flatten)]
    pub tls: TlsFlags,
    /// Directory with tls.crt and tls.key for the metrics endpoint, self-signed until they are there; empty: self-signed
    #[arg(long, default_value = "")]
    pub metrics_cert_dir: String,
    /// Kubeconfig; without it, the pod's service account
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
}
