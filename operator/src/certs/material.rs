//! What the Secret holds, and what that is worth at a given time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::issue::Issued;

/// Authorities, one after the other; the first one is that of `ca.key`.
pub const AUTHORITIES: &str = "ca.crt";
/// The key of the first authority.
pub const AUTHORITY_KEY: &str = "ca.key";
/// The certificate of the server.
pub const CERTIFICATE: &str = "tls.crt";
/// Its key.
pub const KEY: &str = "tls.key";

/// What the Secret holds, in PEM. Anything may be missing or be something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Material {
    /// Those whom the API server trusts, the one that signs first.
    pub authorities: Vec<String>,
    /// The key of the one that signs.
    pub authority_key: String,
    /// The certificate and the key of the server.
    pub server: Option<Issued>,
}

/// What [`Material`] is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// Until when the first authority can sign; `None`: it cannot.
    pub authority_until: Option<Timestamp>,
    /// The certificate of the server, if clients that trust the authorities accept it now, under one name at least.
    pub server: Option<ServerWorth>,
    /// Authorities that do not sign.
    pub others: usize,
}

/// What the certificate of the server is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerWorth {
    /// When it became valid.
    pub from: Timestamp,
    /// Until when it is.
    pub until: Timestamp,
    /// Who signed it.
    pub by: By,
    /// Which names it is for.
    pub names: Names,
}

/// Who signed a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The authority that signs.
    First,
    /// One of the others.
    Other,
}

/// The names that a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// All that are wanted.
    All,
    /// Not all: upstream's has only one.
    Some,
}

impl Material {
    /// Reads the data of a Secret.
    pub fn read(data: Option<&BTreeMap<String, ByteString>>) -> Self {
        let text = |key: &str| {
            let bytes = data.and_then(|data| data.get(key)).map(|bytes| bytes.0.clone()).unwrap_or_default();
            String::from_utf8(bytes).unwrap_or_default()
        };
        let (certificate, key) = (text(CERTIFICATE), text(KEY));
        let whole = !certificate.is_empty() && !key.is_empty();
        Self {
            authorities: split(&text(AUTHORITIES)),
            authority_key: text(AUTHORITY_KEY),
            server: whole.then_some(Issued { certificate, key }),
        }
    }

    /// The data of the Secret that holds it.
    pub fn data(&self) -> BTreeMap<String, ByteString> {
        let server = self.server.clone();
        let (certificate, key) = server.map(|server| (server.certificate, server.key)).unwrap_or_default();
        let bundle = self.bundle();
        [
            (AUTHORITIES, bundle),
            (AUTHORITY_KEY, self.authority_key.clone()),
            (CERTIFICATE, certificate),
            (KEY, key),
        ]
        .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
        .into()
    }

    /// All authorities.
    pub fn bundle(&self) -> String {
        self.authorities.concat()
    }

    /// The authority that signs, and its key.
    pub fn signer(&self) -> Option<Issued> {
        let certificate = self.authorities.first()?.clone();
        Some(Issued { certificate, key: self.authority_key.clone() })
    }

    /// What it is worth at that time to a server with these names.
    pub fn worth(&self, names: &[String], now: Timestamp) -> Worth {
        Worth {
            authority_until: self
                .signer()
                .and_then(|signer| signs_until(&signer))
                .filter(|until| *until > now),
            server: self.server.as_ref().and_then(|server| self.server_worth(server, names, now)),
            others: self.authorities.len().saturating_sub(1),
        }
    }

    fn server_worth(&self, server: &Issued, names: &[String], now: Timestamp) -> Option<ServerWorth> {
        let der = der(&server.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).ok()?;
        let key = ring::sign::any_supported_type(&key).ok()?;
        rustls::sign::CertifiedKey::new(vec![der.clone()], key).keys_match().ok()?;
        let accepted = |authorities: &[String]| {
            names.iter().filter(|name| is_accepted(&der, authorities, name, now)).count()
        };
        let count = accepted(&self.authorities);
        let (from, until) = validity(&der)?;
        (count > 0).then(|| ServerWorth {
            from,
            until,
            by: if accepted(self.authorities.get(..1).unwrap_or_default()) > 0 {
                By::First
            } else {
                By::Other
            },
            names: if count == names.len() { Names::All } else { Names::Some },
        })
    }
}

/// The certificates in a text, each for itself.
fn split(text: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let one = |part: &str| part.contains("-----BEGIN CERTIFICATE-----").then(|| format!("{}\n", part.trim()));
    text.split_inclusive(END).filter_map(one).collect()
}

fn der(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// From when and until when a certificate is valid.
pub(super) fn validity(der: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let at = |seconds: i64| Timestamp::from_second(seconds).ok();
    Some((at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?))
}

/// Until when an authority is valid, if that is its key and one that can be used here (upstream's is not).
fn signs_until(signer: &Issued) -> Option<Timestamp> {
    let der = der(&signer.certificate)?;
    let key = KeyPair::from_pem(&signer.key).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let is_its_key = certificate.public_key().subject_public_key.data.as_ref() == key.der_bytes();
    is_its_key.then(|| validity(&der))?.map(|(_, until)| until)
}

/// Would a client that trusts `authorities` accept the certificate under that name? Asked of the library that
/// clients use, so that nothing is forgotten.
fn is_accepted(der: &CertificateDer<'_>, authorities: &[String], name: &str, now: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().filter_map(|pem| der_of_valid(pem, now)));
    let provider = Arc::new(ring::default_provider());
    let (Ok(verifier), Ok(name), Ok(seconds)) = (
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build(),
        ServerName::try_from(name),
        u64::try_from(now.as_second()),
    ) else {
        return false;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier.verify_server_cert(der, &[], &name, &[], now).is_ok()
}

/// The API server, written in Go, looks at the dates of authorities too.
fn der_of_valid(pem: &str, now: Timestamp) -> Option<CertificateDer<'static>> {
    let der = der(pem)?;
    let (from, until) = validity(&der)?;
    (from <= now && now < until).then_some(der)
}
