//! Keys, certificates and kubeconfigs of one cluster.
//!
//! Everything lies in one directory, and what is there is kept: a second run of the same cluster finds its
//! certificates again.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::json;

/// The cluster's two certificate authorities and its service account key.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    directory: PathBuf,
}

/// One of the authorities.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Authority {
    /// For servers and users.
    Cluster,
    /// For the API server when it speaks for a user to another API server.
    FrontProxy,
}

impl Authority {
    const fn file(self) -> &'static str {
        match self {
            Self::Cluster => "ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }
}

/// Whom a certificate is for, in Kubernetes' reading: CN is the user, O the group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) user: &'a str,
    pub(crate) group: Option<&'a str>,
}

impl Pki {
    /// Opens the directory, and makes what is missing.
    pub(crate) fn open(directory: PathBuf) -> Result<Self> {
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        let pki = Self { directory };
        for authority in [Authority::Cluster, Authority::FrontProxy] {
            let key = pki.keep_key(authority.file())?;
            if !pki.certificate_path(authority.file()).exists() {
                let certificate = authority_params(authority)?.self_signed(&key)?;
                write_private(&pki.certificate_path(authority.file()), &certificate.pem())?;
            }
        }
        let service_accounts = pki.keep_key("service-accounts")?;
        write_private(&pki.path("service-accounts.pub"), &service_accounts.public_key_pem())?;
        Ok(pki)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    pub(crate) fn certificate_path(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.crt"))
    }

    pub(crate) fn key_path(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.key"))
    }

    /// Certificate `name.crt` with key `name.key`, unless they are there.
    pub(crate) fn certificate(
        &self,
        name: &str,
        authority: Authority,
        subject: Subject<'_>,
        addresses: &[IpAddr],
        dns_names: &[&str],
    ) -> Result<()> {
        if self.certificate_path(name).exists() {
            return Ok(());
        }
        let mut params = CertificateParams::default();
        let mut dn = DistinguishedName::new();
        if let Some(group) = subject.group {
            dn.push(DnType::OrganizationName, group);
        }
        dn.push(DnType::CommonName, subject.user);
        params.distinguished_name = dn;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        for address in addresses {
            params.subject_alt_names.push(SanType::IpAddress(*address));
        }
        for dns_name in dns_names {
            params.subject_alt_names.push(SanType::DnsName((*dns_name).try_into()?));
        }
        valid_for_long(&mut params);
        let issuer = Issuer::new(authority_params(authority)?, self.keep_key(authority.file())?);
        let key = self.keep_key(name)?;
        let certificate = params.signed_by(&key, &issuer).with_context(|| format!("sign {name}"))?;
        write_private(&self.certificate_path(name), &certificate.pem())
    }

    /// A kubeconfig for the certificate of that name (made when missing), talking to `server`.
    pub(crate) fn kubeconfig(&self, name: &str, subject: Subject<'_>, server: &str) -> Result<PathBuf> {
        self.kubeconfig_as(name, name, subject, server)
    }

    /// The same, under another name: one certificate, two ways to the server.
    pub(crate) fn kubeconfig_as(
        &self,
        file: &str,
        certificate: &str,
        subject: Subject<'_>,
        server: &str,
    ) -> Result<PathBuf> {
        self.certificate(certificate, Authority::Cluster, subject, &[], &[])?;
        let user = json!({
            "client-certificate-data": BASE64.encode(fs::read(self.certificate_path(certificate))?),
            "client-key-data": BASE64.encode(fs::read(self.key_path(certificate))?),
        });
        self.kubeconfig_with(file, &user, server)
    }

    /// A kubeconfig for somebody who shows a token.
    pub(crate) fn kubeconfig_for_token(&self, name: &str, token: &str, server: &str) -> Result<PathBuf> {
        self.kubeconfig_with(name, &json!({ "token": token }), server)
    }

    fn kubeconfig_with(&self, name: &str, user: &serde_json::Value, server: &str) -> Result<PathBuf> {
        let authority = fs::read(self.certificate_path(Authority::Cluster.file()))?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {
                "server": server,
                "certificate-authority-data": BASE64.encode(authority),
            }}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
            "current-context": "lab",
        });
        let path = self.path(&format!("{name}.kubeconfig"));
        write_private(&path, &serde_json::to_string_pretty(&config)?)?;
        Ok(path)
    }

    fn keep_key(&self, name: &str) -> Result<KeyPair> {
        let path = self.key_path(name);
        if let Ok(pem) = fs::read_to_string(&path) {
            return KeyPair::from_pem(&pem)
                .with_context(|| format!("the key {} is not readable", path.display()));
        }
        let key = KeyPair::generate().context("make a key")?;
        write_private(&path, &key.serialize_pem())?;
        Ok(key)
    }
}

/// The same at every call, so that a certificate can be signed long after its authority was made. The name differs
/// from every leaf's: OpenSSL takes a leaf with its issuer's name for self-signed.
fn authority_params(authority: Authority) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("lab {}", authority.file()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for_long(&mut params);
    Ok(params)
}

fn valid_for_long(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
}

/// Whole or not at all: a reader, or a run after a crash, never finds half a file.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || -> Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .make_in(path.parent().unwrap_or(Path::new(".")), |new| {
                fs::File::options().mode(0o600).write(true).create_new(true).open(new)
            })?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("write {}", path.display()))
}
