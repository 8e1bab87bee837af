//! The webhooks as a process runs them: with a certificate that is kept, or one from files.

use std::time::Duration;

use kube::Client;
use metallb_process::serve::http::On;
use metallb_process::serve::tls::{CertificateSource, HeldCertificate, TlsFlags, TlsOptions};
use metallb_process::shutdown::Shutdown;
use tokio::sync::watch;

use super::metallb::Rules;
use super::{Reviewer, Server, paths, serve};
use crate::args::Args;
use crate::certs::{self, Certificates, Shown, Timing};
use crate::environment::WebhookEnvironment;
use crate::tls_profile::ClusterTls;

/// Webhooks at work.
pub struct Webhooks {
    /// The server.
    pub server: Server,
    /// The certificate that it shows.
    pub certificate: Shown,
    /// Our own certificate is trusted; `None`: others provide one.
    trusted: Option<watch::Receiver<bool>>,
    shutdown: Shutdown,
}

/// Starts to serve. Fails at once when the port cannot be had, or the certificate that others should have provided.
pub fn start(
    args: &Args,
    environment: WebhookEnvironment,
    client: Client,
    asked: watch::Receiver<ClusterTls>,
    shutdown: &Shutdown,
) -> anyhow::Result<Webhooks> {
    let WebhookEnvironment { namespace, external_frrk8s_namespace, tls } = environment;
    let options = options(tls, asked)?;
    let mut trusted = None;
    let (source, shown) = if args.disable_cert_rotation {
        (CertificateSource::Directory(args.cert_dir.clone()), Shown::Directory(args.cert_dir.clone()))
    } else {
        let certificate = HeldCertificate::default();
        let (tell, told) = watch::channel(false);
        trusted = Some(told);
        let kept = certificates(args, &namespace);
        tokio::spawn(certs::keep(client.clone(), kept, certificate.clone(), tell, shutdown.clone()));
        (CertificateSource::Held(certificate.clone()), Shown::Held(certificate))
    };
    let reviewer = Reviewer { client, rules: Rules { namespace, external_frrk8s_namespace } };
    let drain = Duration::from_secs(args.webhook_drain_seconds.into());
    let server =
        serve(On::Everything(args.webhook_port), source, options, reviewer, shutdown.clone(), drain)?;
    tracing::info!(event = "webhooks", address = %server.address, rotation = !args.disable_cert_rotation, "listening");
    Ok(Webhooks { server, certificate: shown, trusted, shutdown: shutdown.clone() })
}

/// What the cluster asks for, and as long as it does not, what the environment says.
fn options(
    own: TlsFlags,
    mut asked: watch::Receiver<ClusterTls>,
) -> anyhow::Result<watch::Receiver<TlsOptions>> {
    let (tell, told) = watch::channel(own.options()?);
    tokio::spawn(async move {
        while asked.changed().await.is_ok() {
            let now = asked.borrow_and_update().clone();
            match now.flags().unwrap_or(&own).options() {
                Ok(options) => {
                    if tell.send(options).is_err() {
                        return; // nobody serves any more
                    }
                }
                Err(error) => {
                    tracing::warn!(event = "tlsProfileUnusable", error = format!("{error:#}"), "not served");
                }
            }
        }
    });
    Ok(told)
}

fn certificates(args: &Args, namespace: &str) -> Certificates {
    let mut services = vec![paths::SERVICE, args.cert_service_name.as_str()];
    services.dedup();
    Certificates {
        namespace: namespace.to_owned(),
        secret: args.webhook_secret.clone(),
        names: services.into_iter().map(|service| format!("{service}.{namespace}.svc")).collect(),
        configurations: [paths::CONFIGURATION, paths::OPERATOR_CONFIGURATION, paths::DELETION_CONFIGURATION]
            .map(str::to_owned)
            .into(),
        definition: paths::CONVERTED.to_owned(),
        timing: Timing::default(),
    }
}

impl Webhooks {
    /// For `/readyz`: can a request be sent here? On the way out it no longer can, while it would still be served.
    pub fn readiness(&self) -> impl Fn() -> Result<(), &'static str> + Clone + Send + Sync + 'static + use<> {
        let (trusted, shutdown) = (self.trusted.clone(), self.shutdown.clone());
        move || {
            if shutdown.is_requested() {
                return Err("on its way out");
            }
            match &trusted {
                Some(trusted) if !*trusted.borrow() => {
                    Err("no webhook certificate that the API server trusts yet")
                }
                Some(_) | None => Ok(()),
            }
        }
    }
}
