//! A counter for each address.
//!
//! The series are made when somebody asks: one that is kept repeats names, help and labels, four hundred octets for a number.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metallb_core::pack::Pack as _;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};

/// The label that holds the address.
const LABEL: &str = "ip";

/// What happened, by address. An address to which nothing happened has no series.
#[derive(Clone)]
pub struct ByAddress {
    description: Desc,
    counts: Arc<Mutex<BTreeMap<IpAddr, u64>>>,
}

impl ByAddress {
    /// Nothing happened yet.
    pub fn new(name: &str, help: &str) -> prometheus::Result<Self> {
        let description = Desc::new(name.to_owned(), help.to_owned(), vec![LABEL.to_owned()], [].into())?;
        Ok(Self { description, counts: Arc::default() })
    }

    /// It happened once more.
    pub fn inc(&self, address: IpAddr) {
        *self.lock().entry(address).or_default() += 1;
    }

    /// The address has no series any more.
    pub fn forget(&self, address: IpAddr) {
        self.lock().remove(&address); // never counted: good
    }

    /// Makes it as small as what is in it.
    pub fn pack(&self) {
        self.lock().pack();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u64>> {
        // Whoever panicked while he held it left a whole map.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for ByAddress {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.description.fq_name.clone());
        family.set_help(self.description.help.clone());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(self.lock().iter().map(|(address, count)| metric(*address, *count)).collect());
        vec![family]
    }
}

#[allow(clippy::cast_precision_loss)] // above 2^53
fn metric(address: IpAddr, count: u64) -> Metric {
    let mut label = LabelPair::default();
    label.set_name(LABEL.to_owned());
    label.set_value(address.to_string());
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = Metric::from_label(vec![label]);
    metric.set_counter(counter);
    metric
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn what_was_counted_has_a_series_until_it_is_forgotten() {
        let registry = Registry::new();
        let sent = ByAddress::new("sent", "Answers").unwrap();
        registry.register(Box::new(sent.clone())).unwrap();
        let text = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert_eq!(text(), "");
        let [first, second, third] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        for address in [third, first, second, first] {
            sent.inc(address);
        }
        sent.forget(second);
        let lines = [
            "# HELP sent Answers",
            "# TYPE sent counter",
            r#"sent{ip="192.0.2.1"} 2"#,
            r#"sent{ip="2001:db8::1"} 1"#,
        ];
        assert_eq!(text().lines().collect::<Vec<_>>(), lines);
    }
}
