//! What this node announces, as one gauge for each service, protocol and address.
//!
//! The series are made when somebody asks: kept, ten thousand of them are several megabytes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metallb_core::names::{NodeName, ServiceKey};
use metallb_core::pack::Pack as _;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::speaker::facts::Protocol;

const NAME: &str = "metallb_speaker_announced";
const HELP: &str = "1 for every address that this node announces";

type Row = (Protocol, ServiceKey, IpAddr);

/// `metallb_speaker_announced`.
#[derive(Clone)]
pub struct Announced {
    description: Desc,
    node: NodeName,
    rows: Arc<Mutex<BTreeSet<Row>>>,
}

impl Announced {
    /// Nothing is announced.
    pub fn new(node: NodeName) -> prometheus::Result<Self> {
        let labels = ["service", "protocol", "node", "ip"].map(str::to_owned).to_vec();
        let description = Desc::new(NAME.to_owned(), HELP.to_owned(), labels, [].into())?;
        Ok(Self { description, node, rows: Arc::default() })
    }

    /// These are announced by `protocol` too, with their services.
    pub fn add(&self, protocol: Protocol, announced: impl IntoIterator<Item = (ServiceKey, IpAddr)>) {
        self.lock().extend(announced.into_iter().map(|(service, ip)| (protocol, service, ip)));
    }

    /// These are not any more.
    pub fn remove(&self, protocol: Protocol, withdrawn: impl IntoIterator<Item = (ServiceKey, IpAddr)>) {
        let mut rows = self.lock();
        for (service, ip) in withdrawn {
            rows.remove(&(protocol, service, ip)); // gone already: good
        }
    }

    /// Makes it as small as what is in it.
    pub fn pack(&self) {
        self.lock().pack();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Row>> {
        // Whoever panicked while he held it left a whole set.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metric(&self, (protocol, service, ip): &Row) -> Metric {
        let label = |name: &str, value: String| {
            let mut label = LabelPair::default();
            label.set_name(name.to_owned());
            label.set_value(value);
            label
        };
        let mut metric = Metric::from_label(vec![
            label("ip", ip.to_string()),
            label("node", self.node.to_string()),
            label("protocol", protocol.label().to_owned()),
            label("service", service.to_string()),
        ]);
        let mut gauge = Gauge::default();
        gauge.set_value(1.0);
        metric.set_gauge(gauge);
        metric
    }
}

impl Collector for Announced {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(NAME.to_owned());
        family.set_help(HELP.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(self.lock().iter().map(|row| self.metric(row)).collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn what_is_announced_has_a_series_and_what_is_not_any_more_has_none() {
        let registry = Registry::new();
        let announced = Announced::new("node-1".into()).unwrap();
        registry.register(Box::new(announced.clone())).unwrap();
        let text = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert_eq!(text(), "");
        let one = |name: &str, ip: &str| (ServiceKey::new("default", name), ip.parse::<IpAddr>().unwrap());
        announced.add(Protocol::Bgp, [one("web", "192.0.2.1"), one("dns", "2001:db8::1")]);
        announced.add(Protocol::Layer2, [one("web", "192.0.2.1")]);
        announced.remove(Protocol::Bgp, [one("web", "192.0.2.1"), one("other", "192.0.2.9")]);
        let lines = [
            "# HELP metallb_speaker_announced 1 for every address that this node announces",
            "# TYPE metallb_speaker_announced gauge",
            r#"metallb_speaker_announced{ip="192.0.2.1",node="node-1",protocol="layer2",service="default/web"} 1"#,
            r#"metallb_speaker_announced{ip="2001:db8::1",node="node-1",protocol="bgp",service="default/dns"} 1"#,
        ];
        assert_eq!(text().lines().collect::<Vec<_>>(), lines);
    }
}
