//! Until when the certificate is valid that is shown, as a metric; whoever provides it.

use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use metallb_process::serve::tls::HeldCertificate;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, Metric, MetricFamily, MetricType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::material::validity;

const NAME: &str = "metallb_operator_webhook_certificate_expiry_seconds";
const HELP: &str = "When the certificate of the webhooks expires, in seconds since 1970.";
/// The file of a directory with a certificate, as Secrets of that type have it.
const FILE: &str = "tls.crt";

/// The certificate that is shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// The one that is [kept](super::keep).
    Held(HeldCertificate),
    /// The one in that directory, which others keep.
    Directory(PathBuf),
}

impl Shown {
    /// Until when it is valid. `None`: there is none, or it cannot be read.
    fn until(&self) -> Option<Timestamp> {
        let der = match self {
            Self::Held(held) => held.leaf()?,
            Self::Directory(directory) => CertificateDer::from_pem_file(directory.join(FILE)).ok()?,
        };
        validity(&der).map(|(_, until)| until)
    }
}

/// The metric. It is read when somebody asks, and absent while there is no certificate.
#[derive(Debug)]
pub struct Expiry {
    shown: Shown,
    description: Desc,
}

impl Expiry {
    /// Of what is shown.
    pub fn of(shown: Shown) -> prometheus::Result<Self> {
        let description = Desc::new(NAME.to_owned(), HELP.to_owned(), Vec::new(), [].into())?;
        Ok(Self { shown, description })
    }
}

impl Collector for Expiry {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(until) = self.shown.until() else { return Vec::new() };
        let mut gauge = Gauge::default();
        #[expect(clippy::cast_precision_loss, reason = "exact for the next hundred million years")]
        gauge.set_value(until.as_second() as f64);
        let mut metric = Metric::default();
        metric.set_gauge(gauge);
        let mut family = MetricFamily::default();
        family.set_name(NAME.to_owned());
        family.set_help(HELP.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::super::issue::{authority, server};
    use super::*;

    fn told(shown: Shown) -> Option<f64> {
        let registry = Registry::new();
        registry.register(Box::new(Expiry::of(shown).unwrap())).unwrap();
        let families = registry.gather();
        families.first().map(|family| family.get_metric()[0].get_gauge().get_value())
    }

    #[test]
    fn it_is_that_of_the_certificate_and_not_of_its_authority() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let authority = authority(at(1_800_000_000), at(2_000_000_000)).unwrap();
        let issued =
            server(&authority, &["x.example".to_owned()], at(1_800_000_000), at(1_900_000_000)).unwrap();
        let chain = format!("{}{}", issued.certificate, authority.certificate);

        let held = HeldCertificate::default();
        assert_eq!(told(Shown::Held(held.clone())), None, "there is none yet");
        held.replace(chain.as_bytes(), issued.key.as_bytes()).unwrap();
        assert_eq!(told(Shown::Held(held)), Some(1_900_000_000.0));

        let directory = tempfile::tempdir().unwrap();
        assert_eq!(told(Shown::Directory(directory.path().to_owned())), None);
        std::fs::write(directory.path().join(FILE), chain).unwrap();
        assert_eq!(told(Shown::Directory(directory.path().to_owned())), Some(1_900_000_000.0));
    }
}
