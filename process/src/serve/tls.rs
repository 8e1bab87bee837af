//! TLS for our servers: what Go's flags mean in rustls, a self-signed certificate or one from files, and a listener
//! whose slow clients delay nobody else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwapOption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{NamedGroup, ProtocolVersion, SupportedCipherSuite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::http::On;

/// A client that takes longer for its handshake is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections whose handshake is done and that wait to be served.
const ACCEPTED: usize = 64;
/// How often certificate files are looked at. Kubernetes updates mounted Secrets about once a minute.
const RELOAD: Duration = Duration::from_secs(10);

/// The values of `--tls-min-version`, `--tls-cipher-suites` and `--tls-curve-preferences`. Empty means Go's default.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsFlags {
    /// Oldest TLS version to accept: VersionTLS12 or VersionTLS13
    #[arg(long, default_value = "")]
    pub tls_min_version: String,
    /// Cipher suites for TLS 1.2, by their IANA names, separated by commas
    #[arg(long, default_value = "")]
    pub tls_cipher_suites: String,
    /// Key exchange groups, by their IANA numbers, separated by commas: 29 (X25519), 23 (P-256), 24 (P-384)
    #[arg(long, default_value = "")]
    pub tls_curve_preferences: String,
}

/// What a server needs to know of TLS besides its certificate.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
}

/// As ALPN names it. HTTP/2 is not offered: no client needs it, and its code would be in the memory of every node.
const HTTP1: &[u8] = b"http/1.1";

const TLS13_ONLY: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const TLS12_AND_13: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

impl TlsFlags {
    /// Reads the flags. What rustls cannot do is refused, not ignored.
    pub fn options(&self) -> anyhow::Result<TlsOptions> {
        let mut provider = ring::default_provider();
        let versions = match self.tls_min_version.as_str() {
            "" | "VersionTLS13" => TLS13_ONLY,
            // Go knows the older two as well. Nobody should use them any more, and rustls does not have them.
            "VersionTLS12" | "VersionTLS11" | "VersionTLS10" => TLS12_AND_13,
            other => bail!("--tls-min-version {other:?} is neither VersionTLS12 nor VersionTLS13"),
        };
        if !self.tls_cipher_suites.is_empty() {
            if versions == TLS13_ONLY {
                bail!(
                    "--tls-cipher-suites has no meaning in TLS 1.3; set --tls-min-version=VersionTLS12, or drop it"
                );
            }
            provider.cipher_suites = self.cipher_suites(&provider.cipher_suites)?;
        }
        if !self.tls_curve_preferences.is_empty() {
            let mut groups = Vec::new();
            for text in self.tls_curve_preferences.split(',').map(str::trim) {
                let number: u16 = text.parse().ok().filter(|number| *number != 0).with_context(|| {
                    format!(
                        "--tls-curve-preferences: {text:?} is no number of a key exchange group (1 to 65535)"
                    )
                })?;
                let group = NamedGroup::from(number);
                let known = provider.kx_groups.iter().find(|known| known.name() == group);
                let known = *known
                    .with_context(|| format!("--tls-curve-preferences: group {number} is not supported"))?;
                if groups.iter().any(|chosen: &&dyn rustls::crypto::SupportedKxGroup| chosen.name() == group)
                {
                    bail!("--tls-curve-preferences: group {number} is given twice");
                }
                groups.push(known);
            }
            provider.kx_groups = groups;
        }
        Ok(TlsOptions { provider: Arc::new(provider), versions })
    }

    fn cipher_suites(&self, known: &[SupportedCipherSuite]) -> anyhow::Result<Vec<SupportedCipherSuite>> {
        // TLS 1.3 suites are not chosen by the user, in Go neither.
        let mut chosen: Vec<_> = known
            .iter()
            .filter(|suite| suite.version().version == ProtocolVersion::TLSv1_3)
            .copied()
            .collect();
        for name in self.tls_cipher_suites.split(',').map(str::trim) {
            let suite = known.iter().find(|suite| go_name(suite) == name);
            chosen.push(*suite.with_context(|| format!("--tls-cipher-suites: {name:?} is not supported"))?);
        }
        Ok(chosen)
    }
}

/// IANA writes `TLS_AES_…` for suites of TLS 1.3, rustls `TLS13_AES_…`; the others are the same.
fn go_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

/// Where a server's certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// One that this process makes for itself, for localhost.
    SelfSigned,
    /// `tls.crt` and `tls.key` in this directory, read again when they change.
    Directory(PathBuf),
    /// The same, and as long as they cannot be read, one that this process makes for itself: who waits for a certificate
    /// does not wait to work.
    DirectoryOnceThere(PathBuf),
    /// One that somebody else in this process holds, and replaces.
    Held(HeldCertificate),
}

/// A certificate that is given and replaced while the server runs. As long as there is none, handshakes fail.
#[derive(Clone, Debug, Default)]
pub struct HeldCertificate(Arc<Current>);

impl HeldCertificate {
    /// From now on this one, both in PEM. Connections that are open go on.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> anyhow::Result<()> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .context("cannot read the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key).context("cannot read the key")?;
        self.0.0.store(Some(Arc::new(certified(chain, &key)?)));
        Ok(())
    }

    /// The certificate itself, without those of its authorities.
    pub fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.0.0.load().as_ref()?.cert.first().cloned()
    }

    /// Is there one?
    pub fn is_there(&self) -> bool {
        self.0.0.load().is_some()
    }
}

impl CertificateSource {
    /// `--metrics-cert-dir` and the like: empty means self-signed.
    pub fn from_flag(directory: &str) -> Self {
        if directory.is_empty() { Self::SelfSigned } else { Self::DirectoryOnceThere(directory.into()) }
    }

    /// What this process would serve now, and the files to follow from then on.
    fn look(self) -> anyhow::Result<(Arc<Current>, Option<Followed>)> {
        // Before they are read: what comes while they are is news.
        let followed = match &self {
            Self::Directory(directory) | Self::DirectoryOnceThere(directory) => {
                Some(Followed::now(directory))
            }
            Self::SelfSigned | Self::Held(_) => None,
        };
        let current = match self {
            Self::Held(HeldCertificate(current)) => current,
            read @ (Self::SelfSigned | Self::Directory(_) | Self::DirectoryOnceThere(_)) => {
                Arc::new(Current(ArcSwapOption::from_pointee(read.load()?)))
            }
        };
        Ok((current, followed))
    }

    fn load(&self) -> anyhow::Result<Option<CertifiedKey>> {
        match self {
            Self::Held(HeldCertificate(current)) => Ok(current.0.load().as_deref().cloned()),
            Self::SelfSigned => {
                let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
                let signed =
                    rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
                let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der())
                    .map_err(|error| anyhow::anyhow!("cannot use the key just made: {error}"))?;
                certified(vec![signed.cert.der().clone()], &key).map(Some)
            }
            Self::DirectoryOnceThere(directory) => {
                Self::Directory(directory.clone()).load().or_else(|error| {
                    tracing::warn!(
                        event = "selfSigned",
                        error = format!("{error:#}"),
                        "we sign our own until there is one"
                    );
                    Self::SelfSigned.load()
                })
            }
            Self::Directory(directory) => {
                let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
                let chain = CertificateDer::pem_file_iter(&certificate)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
                let key = PrivateKeyDer::from_pem_file(&key)
                    .with_context(|| format!("cannot read the key {}", key.display()))?;
                certified(chain, &key).map(Some)
            }
        }
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> anyhow::Result<CertifiedKey> {
    let key = ring::sign::any_supported_type(key).context("the key is of no supported type")?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().context("the certificate does not belong to the key")?;
    Ok(certified)
}

/// The certificate in use. Replaced in place when its files change.
#[derive(Debug, Default)]
struct Current(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// A TLS listener. Certificate files are followed; while they cannot be read the last good ones serve.
pub fn listen(on: On, source: CertificateSource, options: &TlsOptions) -> anyhow::Result<Listener> {
    listen_as_told(on, source, watch::channel(options.clone()).1)
}

/// The same with options that change. Connections that are open go on as they are.
pub fn listen_as_told(
    on: On,
    source: CertificateSource,
    mut options: watch::Receiver<TlsOptions>,
) -> anyhow::Result<Listener> {
    let (current, followed) = source.look()?;
    let acceptor = acceptor(&options.borrow_and_update(), current.clone())?;
    let listener = on.listen()?;
    let local = listener.local_addr()?;
    let (sender, accepted) = mpsc::channel(ACCEPTED);
    tokio::spawn(accept_all(listener, acceptor, options, current.clone(), sender));
    if let Some(followed) = followed {
        tokio::spawn(follow(followed, Arc::downgrade(&current)));
    }
    Ok(Listener { accepted, local })
}

fn acceptor(options: &TlsOptions, current: Arc<Current>) -> anyhow::Result<TlsAcceptor> {
    let mut config = ServerConfig::builder_with_provider(options.provider.clone())
        .with_protocol_versions(options.versions)
        .context("the TLS flags leave no cipher suite")?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept_all(
    listener: TcpListener,
    mut acceptor: TlsAcceptor,
    mut options: watch::Receiver<TlsOptions>,
    current: Arc<Current>,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    loop {
        let accepted = tokio::select! {
            biased; // who connects after a change is served by it
            () = sender.closed() => return,
            Ok(()) = options.changed() => {
                match self::acceptor(&options.borrow_and_update(), current.clone()) {
                    Ok(new) => acceptor = new,
                    Err(error) => {
                        tracing::warn!(event = "tlsUnusable", error = format!("{error:#}"), "the last good settings stay");
                    }
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(event = "acceptFailed", %error, "will retry");
                tokio::time::sleep(Duration::from_secs(1)).await; // out of descriptors, most likely
                continue;
            }
        };
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
                Ok(Err(error)) => {
                    tracing::debug!(event = "handshakeFailed", %peer, %error, "connection dropped")
                }
                Err(_) => tracing::debug!(event = "handshakeFailed", %peer, "connection dropped: too slow"),
            }
        });
    }
}

/// Files of a certificate.
struct Followed {
    directory: PathBuf,
    /// When they were last modified, as far as is known.
    seen: [Option<SystemTime>; 2],
}

impl Followed {
    /// As they are now.
    fn now(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), seen: modified(directory) }
    }

    /// Takes what has come since.
    fn look_again(&mut self, current: &Current) {
        let Self { directory, seen } = self;
        let now = modified(directory);
        if now == *seen {
            return;
        }
        *seen = now;
        match CertificateSource::Directory(directory.clone()).load() {
            Ok(certificate) => {
                current.0.store(certificate.map(Arc::new));
                tracing::info!(event = "certificateReloaded", directory = %directory.display(), "in use");
            }
            Err(error) => {
                tracing::warn!(
                    event = "certificateUnusable",
                    error = format!("{error:#}"),
                    "the last good one serves on"
                );
            }
        }
    }
}

async fn follow(mut followed: Followed, current: std::sync::Weak<Current>) {
    loop {
        tokio::time::sleep(RELOAD).await;
        let Some(current) = current.upgrade() else { return };
        followed.look_again(&current);
    }
}

/// When the files were last modified, following the links by which Kubernetes swaps them.
fn modified(directory: &Path) -> [Option<SystemTime>; 2] {
    ["tls.crt", "tls.key"]
        .map(|file| std::fs::metadata(directory.join(file)).and_then(|file| file.modified()).ok())
}

impl Listener {
    /// Where it listens: the port, if the system chose it.
    pub const fn address(&self) -> SocketAddr {
        self.local
    }
}

/// A listener for [`axum::serve`]: connections arrive with their handshake done.
pub struct Listener {
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await, // the accepting task ended with the runtime
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.local)
    }
}

#[cfg(test)]
mod tests;
