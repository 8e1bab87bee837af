//! How full the pools are, and how the controller is doing.

use metallb_core::ipam::Usage;
use metallb_core::names::PoolName;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::observe::ClientMetrics;

/// The controller's metrics. Names and labels are upstream's.
#[derive(Clone)]
pub struct Metrics {
    /// Those that every process has.
    pub client: ClientMetrics,
    capacity: Families,
    in_use: Families,
}

/// One gauge for both families together, and one for each.
#[derive(Clone)]
struct Families {
    both: IntGaugeVec,
    v4: IntGaugeVec,
    v6: IntGaugeVec,
}

impl Families {
    fn register(registry: &Registry, suffix: &str, help: &str) -> prometheus::Result<Self> {
        let gauge = |family: &str, of: &str| {
            let name = format!("metallb_allocator_{family}addresses_{suffix}");
            let gauge = IntGaugeVec::new(Opts::new(name, format!("{help}{of}")), &["pool"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self { both: gauge("", "")?, v4: gauge("ipv4_", ", IPv4")?, v6: gauge("ipv6_", ", IPv6")? })
    }

    fn set(&self, pool: &str, (v4, v6): (u128, u128)) {
        self.both.with_label_values(&[pool]).set(clamp(v4.saturating_add(v6)));
        self.v4.with_label_values(&[pool]).set(clamp(v4));
        self.v6.with_label_values(&[pool]).set(clamp(v6));
    }

    fn reset(&self) {
        self.both.reset();
        self.v4.reset();
        self.v6.reset();
    }
}

fn clamp(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            client: ClientMetrics::register(registry)?,
            capacity: Families::register(registry, "total", "Addresses that the pool can give out")?,
            in_use: Families::register(registry, "in_use_total", "Addresses of the pool that services hold")?,
        })
    }

    /// Shows the pools as they are now. Pools that are gone are shown no more.
    pub fn show<'p>(&self, usages: impl Iterator<Item = (&'p PoolName, Usage)>) {
        self.capacity.reset();
        self.in_use.reset();
        for (pool, usage) in usages {
            self.capacity.set(pool.as_str(), usage.capacity);
            self.in_use.set(pool.as_str(), usage.in_use);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pools_saturate_and_vanished_ones_vanish() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let usage = Usage { capacity: (4, 1 << 96), in_use: (1, 2), kept_back: (0, 0) };
        metrics.show([(&"lab".into(), usage)].into_iter());
        assert_eq!(metrics.capacity.both.with_label_values(&["lab"]).get(), i64::MAX);
        assert_eq!(metrics.capacity.v4.with_label_values(&["lab"]).get(), 4);
        assert_eq!(metrics.in_use.both.with_label_values(&["lab"]).get(), 3);
        let shown = || registry.gather().iter().filter(|family| family.name().contains("allocator")).count();
        assert_eq!(shown(), 6);
        metrics.show(std::iter::empty());
        assert_eq!(shown(), 0);
    }
}
