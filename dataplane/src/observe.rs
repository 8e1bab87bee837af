//! Metrics that both processes have. Names are upstream's; ours never end in `_total` unless upstream's do.
//!
//! Not here: metrics of one process alone, which live beside what they count.

use prometheus::{IntCounter, IntGauge, Registry};

/// How the process gets on with the API server and the configuration.
#[derive(Clone)]
pub struct ClientMetrics {
    /// Changes taken in.
    pub updates: IntCounter,
    /// Changes that could not be acted on.
    pub update_errors: IntCounter,
    /// 1 once a configuration is in force.
    pub config_loaded: IntGauge,
    /// 1 while some object of the configuration is set aside.
    pub config_stale: IntGauge,
}

impl ClientMetrics {
    /// Registers them, beside the metrics of the process itself (`process_*`).
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            updates: IntCounter::new("metallb_k8s_client_updates_total", "Changes of objects taken in")?,
            update_errors: IntCounter::new("metallb_k8s_client_update_errors_total", "Writes that failed")?,
            config_loaded: IntGauge::new(
                "metallb_k8s_client_config_loaded_bool",
                "1 once a configuration is in force",
            )?,
            config_stale: IntGauge::new(
                "metallb_k8s_client_config_stale_bool",
                "1 while an object of the configuration is set aside",
            )?,
        };
        registry.register(Box::new(metrics.updates.clone()))?;
        registry.register(Box::new(metrics.update_errors.clone()))?;
        registry.register(Box::new(metrics.config_loaded.clone()))?;
        registry.register(Box::new(metrics.config_stale.clone()))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }
}
