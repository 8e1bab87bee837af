//! What Go's flags come to, which certificate is shown, and that both may change.

use super::*;

fn options(version: &str, suites: &str, curves: &str) -> anyhow::Result<TlsOptions> {
    let flags = TlsFlags {
        tls_min_version: version.into(),
        tls_cipher_suites: suites.into(),
        tls_curve_preferences: curves.into(),
    };
    flags.options()
}

#[test]
fn the_default_is_tls_13_alone() {
    assert_eq!(options("", "", "").unwrap().versions, TLS13_ONLY);
    assert_eq!(options("VersionTLS13", "", "").unwrap().versions, TLS13_ONLY);
    assert_eq!(options("VersionTLS12", "", "").unwrap().versions, TLS12_AND_13);
}

#[test]
fn suites_and_groups_are_taken_in_the_order_given() {
    let suites = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let options = options("VersionTLS12", suites, "24,29").unwrap();
    let groups: Vec<_> = options.provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::X25519]);
    let names: Vec<_> = options.provider.cipher_suites.iter().map(go_name).collect();
    assert!(names.ends_with(&suites.split(", ").map(str::to_owned).collect::<Vec<_>>()), "{names:?}");
    assert!(names[0].starts_with("TLS_AES") || names[0].starts_with("TLS_CHACHA20"), "{names:?}");
}

#[test]
fn what_cannot_be_done_is_refused_and_named() {
    for (version, suites, curves, named) in [
        ("TLS1.2", "", "", "TLS1.2"),
        ("", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "", "no meaning in TLS 1.3"),
        ("VersionTLS12", "TLS_RSA_WITH_RC4_128_SHA", "", "TLS_RSA_WITH_RC4_128_SHA"),
        ("", "", "29,29", "twice"),
        ("", "", "0", "\"0\""),
        ("", "", "-1", "\"-1\""),
        ("", "", "65536", "\"65536\""),
        ("", "", "x25519", "\"x25519\""),
        ("", "", "25", "group 25"),
    ] {
        let error = options(version, suites, curves).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_self_signed_certificate_fits_its_key() {
    assert!(CertificateSource::SelfSigned.load().is_ok());
}

#[test]
fn a_held_certificate_is_none_at_first_and_may_be_replaced_by_one_whose_key_fits() {
    let (one, other) = (pem(), pem());
    let held = HeldCertificate::default();
    assert!(!held.is_there());
    assert!(held.replace(one.0.as_bytes(), other.1.as_bytes()).is_err(), "the key of another");
    assert!(!held.is_there());
    held.replace(one.0.as_bytes(), one.1.as_bytes()).unwrap();
    let first = CertificateSource::Held(held.clone()).load().unwrap().unwrap();
    held.replace(other.0.as_bytes(), other.1.as_bytes()).unwrap();
    let second = CertificateSource::Held(held).load().unwrap().unwrap();
    assert_ne!(first.cert, second.cert);
}

#[tokio::test]
async fn settings_may_change_while_a_listener_serves() {
    let (certificate, key) = pem();
    let held = HeldCertificate::default();
    held.replace(certificate.as_bytes(), key.as_bytes()).unwrap();
    let (tell, told) = watch::channel(options("VersionTLS13", "", "").unwrap());
    let on = On::Address(([127, 0, 0, 1], 0).into());
    let mut listener = listen_as_told(on, CertificateSource::Held(held), told).unwrap();
    let address = listener.address();
    tokio::spawn(async move { while listener.accepted.recv().await.is_some() {} });

    assert!(shake_hands(address, &certificate).await.is_err(), "TLS 1.2 is too old");
    tell.send(options("VersionTLS12", "", "").unwrap()).unwrap();
    let protocol = shake_hands(address, &certificate).await.unwrap();
    assert_eq!(protocol.as_deref(), Some(HTTP1), "though HTTP/2 was preferred");
    tell.send(options("VersionTLS13", "", "").unwrap()).unwrap();
    assert!(shake_hands(address, &certificate).await.is_err(), "too old again");
}

/// In TLS 1.2. The protocol that was agreed on, of HTTP/2 and HTTP/1.1.
async fn shake_hands(address: SocketAddr, certificate: &str) -> std::io::Result<Option<Vec<u8>>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), HTTP1.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = "localhost".try_into().unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
}

fn pem() -> (String, String) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (signed.cert.pem(), signed.signing_key.serialize_pem())
}

#[test]
fn a_missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = CertificateSource::Directory(directory.path().into()).load().unwrap_err();
    assert!(format!("{error:#}").contains("tls.crt"), "{error:#}");
}

#[test]
fn metrics_do_not_wait_for_the_certificate_that_a_flag_names_and_take_it_when_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let source = CertificateSource::from_flag(directory.path().to_str().unwrap());
    assert!(source.load().unwrap().is_some(), "one of our own");
    let expected = write_certificate(directory.path());
    assert_eq!(source.load().unwrap().unwrap().cert, [expected]);
}

#[test]
fn a_certificate_that_comes_right_after_the_first_look_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (current, followed) = CertificateSource::DirectoryOnceThere(directory.path().into()).look().unwrap();
    let expected = write_certificate(directory.path());
    followed.unwrap().look_again(&current);
    assert_eq!(current.0.load().as_ref().unwrap().cert, [expected]);
}

fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let (certificate, key) = pem();
    std::fs::write(directory.join("tls.crt"), &certificate).unwrap();
    std::fs::write(directory.join("tls.key"), key).unwrap();
    CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
}
