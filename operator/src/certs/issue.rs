//! Making authorities and certificates.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Clocks differ: what is valid from now on is not valid yet for somebody whose clock is behind.
pub const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// A new authority.
///
/// Its name holds the time: no other authority has it, and no certificate either (OpenSSL takes one that has the
/// name of its issuer for self-signed).
pub fn authority(now: Timestamp, until: Timestamp) -> Result<Issued, rcgen::Error> {
    let mut params = params(format!("metallb webhook authority {now}"), now, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A new certificate for a server with these names, by `authority`.
pub fn server(
    authority: &Issued,
    names: &[String],
    now: Timestamp,
    until: Timestamp,
) -> Result<Issued, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let name = names.first().cloned().unwrap_or_default();
    let mut params = params(name, now, until);
    params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn params(name: String, now: Timestamp, until: Timestamp) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    let at = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).unwrap_or_default();
        epoch + std::time::Duration::from_secs(seconds)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "metallb");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(now.checked_sub(BACKDATED).unwrap_or(now));
    params.not_after = at(until);
    params
}
