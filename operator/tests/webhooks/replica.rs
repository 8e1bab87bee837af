//! One replica of the webhooks, with a certificate that it keeps itself.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use jiff::SignedDuration;
use metallb_lab::User;
use metallb_operator::certs::{self, Certificates, Timing};
use metallb_operator::webhooks::metallb::Rules;
use metallb_operator::webhooks::{Reviewer, Server, paths, serve};
use metallb_process::cluster;
use metallb_process::serve::http::On;
use metallb_process::serve::tls::{CertificateSource, HeldCertificate, TlsFlags};
use metallb_process::shutdown::Shutdown;
use tokio::sync::watch;

pub const SECRET: &str = "metallb-webhook-cert";

/// A replica at work. It leaves when this is dropped.
pub struct Replica {
    pub address: SocketAddr,
    trusted: watch::Receiver<bool>,
    server: Server,
    stop: watch::Sender<bool>,
}

/// What is waited for in hours by default takes a moment.
fn quick() -> Timing {
    Timing {
        settle: SignedDuration::from_secs(2),
        followed: SignedDuration::from_secs(2),
        ..Timing::default()
    }
}

impl Replica {
    /// In the namespace that `admin` works in, telling these configurations of its certificate.
    pub fn start(admin: &User, configurations: Vec<String>, drain: std::time::Duration) -> Result<Self> {
        cluster::install_tls_provider();
        let (stop, shutdown) = Shutdown::by_hand();
        let held = HeldCertificate::default();
        let options = TlsFlags::default().options()?;
        let rules = Rules { namespace: admin.namespace().to_owned(), external_frrk8s_namespace: None };
        let reviewer = Reviewer { client: admin.client(), rules };
        let on = On::Address((Ipv4Addr::LOCALHOST, 0).into());
        let source = CertificateSource::Held(held.clone());
        let server = serve(on, source, watch::channel(options).1, reviewer, shutdown.clone(), drain)?;
        let certificates = Certificates {
            namespace: admin.namespace().to_owned(),
            secret: SECRET.to_owned(),
            names: vec!["127.0.0.1".to_owned()],
            configurations,
            definition: paths::CONVERTED.to_owned(),
            timing: quick(),
        };
        let (tell, trusted) = watch::channel(false);
        tokio::spawn(certs::keep(admin.client(), certificates, held, tell, shutdown));
        Ok(Self { address: server.address, trusted, server, stop })
    }

    /// Returns when the API server knows its certificate.
    pub async fn trusted(&self) -> Result<()> {
        self.trusted.clone().wait_for(|trusted| *trusted).await?;
        Ok(())
    }

    /// Asks it to leave, as SIGTERM does; it is no longer ready from now on. The future ends when it has left.
    pub fn leave(self) -> impl Future<Output = ()> {
        let _ = self.stop.send(true);
        self.server.stopped()
    }
}
