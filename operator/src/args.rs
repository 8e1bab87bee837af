//! Flags of the operator: upstream's, all of them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Parser, ValueEnum};
use metallb_process::flags::parse_bool;
use metallb_process::serve::http::On;

/// Installs MetalLB as the `MetalLB` object in its namespace asks for it.
///
/// Flags follow Go: one dash or two, values after `=` or a space, booleans unset by `=false`.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "flags of upstream")]
#[command(name = "metallb-operator", version)]
pub struct Args {
    /// What this process does
    #[arg(long, value_enum, default_value_t = Role::Operator)]
    pub role: Role,
    /// Address of the metrics endpoint (plain HTTP, for everybody), such as :8081; 0 turns it off
    #[arg(long, default_value = "0")]
    pub metrics_addr: Bind,
    /// Let one of several replicas work, by the Lease metallb.io.metallboperator
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub enable_leader_election: bool,
    /// Take the certificate of the webhooks from --cert-dir, where others (OLM, cert-manager) put and renew it, and
    /// leave caBundle to them
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub disable_cert_rotation: bool,
    /// Directory of tls.crt and tls.key, read again when they change; with --disable-cert-rotation
    #[arg(long, default_value = "/tmp/k8s-webhook-server/serving-certs")]
    pub cert_dir: PathBuf,
    /// Service by which the API server reaches the webhook of MetalLB objects; the certificate is for that name too
    #[arg(long, default_value = "metallb-operator-webhook-service")]
    pub cert_service_name: String,
    /// Secret of the certificate that is kept; without --disable-cert-rotation
    #[arg(long, default_value = "metallb-webhook-cert")]
    pub webhook_secret: String,
    /// Port of the webhooks (HTTPS, all addresses)
    #[arg(long, default_value_t = 9443)]
    pub webhook_port: u16,
    /// For how long webhooks are served after SIGTERM, until nobody sends requests here any more
    #[arg(long, default_value_t = 5)]
    pub webhook_drain_seconds: u16,
    /// Port of /healthz and /readyz (HTTP, all addresses)
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Accepted for compatibility: webhooks are served by HTTP/1.1, which every API server speaks
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub webhook_http2: bool,
    /// Accepted for compatibility: there is no separate webhook server that would have to be restarted
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, action = ArgAction::Set)]
    pub external_metallb_webhook_server: bool,
    /// Kubeconfig; without it, the pod's service account
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
}

/// What a process of this program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Installs MetalLB, and serves webhooks.
    Operator,
    /// Serves webhooks.
    Webhook,
}

/// A listening address as Go writes it: `host:port`, `:port` for all addresses, and `0` or nothing for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind(pub Option<On>);

/// The text is no listening address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no listening address; write host:port, :port, or 0 for none")]
pub struct BadBind(String);

impl FromStr for Bind {
    type Err = BadBind;

    fn from_str(text: &str) -> Result<Self, BadBind> {
        if matches!(text, "" | "0") {
            return Ok(Self(None));
        }
        let bad = || BadBind(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        Ok(Self(Some(match host {
            "" => On::Everything(port),
            "localhost" => On::Loopback(port),
            _ => {
                let address: IpAddr = host.trim_matches(['[', ']']).parse().map_err(|_| bad())?;
                On::Address(SocketAddr::new(address, port))
            }
        })))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use metallb_process::flags::from_go;

    use super::*;

    fn parse(arguments: &[&str]) -> Args {
        let arguments = std::iter::once("manager").chain(arguments.iter().copied()).map(OsString::from);
        Args::try_parse_from(from_go(arguments)).unwrap()
    }

    #[test]
    fn without_flags_probes_are_on_8080_webhooks_on_9443_and_everything_else_is_off() {
        let args = parse(&[]);
        assert_eq!((args.port, args.metrics_addr), (8080, Bind(None)));
        assert_eq!((args.role, args.webhook_port), (Role::Operator, 9443));
        assert_eq!(args.webhook_secret, "metallb-webhook-cert");
        assert!(!args.enable_leader_election);
        assert!(!args.disable_cert_rotation && !args.webhook_http2 && !args.external_metallb_webhook_server);
        assert_eq!(args.cert_dir, PathBuf::from("/tmp/k8s-webhook-server/serving-certs"));
        assert_eq!(args.cert_service_name, "metallb-operator-webhook-service");
    }

    #[test]
    fn what_shipped_manifests_pass_is_accepted() {
        let args = parse(&[
            "--enable-leader-election",
            "-disable-cert-rotation=true",
            "--external-metallb-webhook-server",
            "--webhook-http2=false",
            "--metrics-addr=:8090",
            "--port",
            "9090",
        ]);
        assert!(args.enable_leader_election && args.disable_cert_rotation);
        assert_eq!(args.port, 9090);
        assert_eq!(args.metrics_addr.0, Some(On::Everything(8090)));
    }

    #[test]
    fn a_process_may_serve_webhooks_and_nothing_else() {
        assert_eq!(parse(&["--role=webhook"]).role, Role::Webhook);
    }

    #[test]
    fn a_listening_address_is_read_as_go_writes_it() {
        let address = |text: &str| On::Address(text.parse().unwrap());
        for (text, on) in [
            ("0", None),
            ("", None),
            (":80", Some(On::Everything(80))),
            ("localhost:80", Some(On::Loopback(80))),
            ("127.0.0.1:80", Some(address("127.0.0.1:80"))),
            ("[::1]:80", Some(address("[::1]:80"))),
        ] {
            assert_eq!(text.parse(), Ok(Bind(on)), "{text}");
        }
        for text in ["80", "example.com:80", ":http", ":65536"] {
            assert_eq!(text.parse::<Bind>(), Err(BadBind(text.into())));
        }
    }
}
