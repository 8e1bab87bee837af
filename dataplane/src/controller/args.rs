//! Flags and environment of the controller: upstream's, all of them.

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use metallb_process::flags::parse_bool;
use metallb_process::logging::LogLevel;
use metallb_process::serve::tls::TlsFlags;

/// Which parts of the controller run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WebhookMode {
    /// Allocation. (Webhooks are served by the operator here, so this is the same as `disabled`.)
    Enabled,
    /// Allocation.
    Disabled,
    /// Nothing: webhooks are served by the operator here.
    #[value(name = "onlywebhook")]
    OnlyWebhook,
}

/// Gives addresses from IPAddressPools to Services of type LoadBalancer.
///
/// Flags follow Go: one dash or two, values after `=` or a space, booleans unset by `=false`.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Port of the metrics endpoint (HTTPS, bearer token); 0 turns it off
    #[arg(long, default_value_t = 9120)]
    pub port: u16,
    /// Namespace of MetalLB; empty: that of the service account
    #[arg(long, env = "METALLB_NAMESPACE", default_value = "")]
    pub namespace: String,
    /// Name of the Secret that speakers share, made if missing; empty: none is made
    #[arg(long, env = "METALLB_ML_SECRET_NAME", default_value = "")]
    pub ml_secret_name: String,
    /// Deployment of the controller, which owns that Secret
    #[arg(long, env = "METALLB_DEPLOYMENT", default_value = "")]
    pub deployment: String,
    /// Name of this pod
    #[arg(long, env = "METALLB_POD_NAME", default_value = "")]
    pub pod_name: String,
    /// How much to log: all, debug, info, warn, error or none
    #[arg(long, default_value = "info")]
    pub log_level: LogLevel,
    /// Accepted for compatibility: there is no Go profiler here
    #[arg(long, default_value = "")]
    pub pprof_bind_address: String,
    /// Port of /healthz and /readyz (HTTP, all addresses)
    #[arg(long, default_value_t = 17472)]
    pub health_probe_port: u16,
    /// Accepted for compatibility: the operator rotates the webhook certificate
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub disable_cert_rotation: bool,
    /// Accepted for compatibility: the operator serves the webhooks
    #[arg(long, default_value = "/tmp/k8s-webhook-server/serving-certs")]
    pub cert_dir: PathBuf,
    /// Accepted for compatibility: the operator serves the webhooks
    #[arg(long, default_value = "metallb-webhook-service")]
    pub cert_service_name: String,
    /// Accepted for compatibility: the operator serves the webhooks
    #[arg(long, default_value = "metallb-webhook-cert")]
    pub webhook_secret: String,
    /// Which parts run
    #[arg(long, value_enum, default_value_t = WebhookMode::Enabled)]
    pub webhook_mode: WebhookMode,
    /// Accepted for compatibility: the operator serves the webhooks
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub webhook_http2: bool,
    /// Handle Services of this loadBalancerClass; empty: those without a class
    #[arg(long, default_value = "")]
    pub lb_class: String,
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
