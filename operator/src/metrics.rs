//! What the operator counts, by the names that controllers written in Go use.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// The value of the label `controller`.
const CONTROLLER: &str = "metallb";

/// What the operator counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Passes through the five steps, by result: `success` or `error`.
    pub reconciles: IntCounterVec,
    /// How long they took.
    pub duration: Histogram,
    /// Objects applied, statuses not among them.
    pub applied: IntCounter,
    /// Objects deleted.
    pub deleted: IntCounter,
    /// Statuses written.
    pub statuses: IntCounter,
}

impl Metrics {
    /// Makes them known to `registry`.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let reconciles = IntCounterVec::new(
            Opts::new("controller_runtime_reconcile_total", "Passes over the MetalLB object, by result.")
                .const_label("controller", CONTROLLER),
            &["result"],
        )?;
        registry.register(Box::new(reconciles.clone()))?;
        let duration = Histogram::with_opts(
            HistogramOpts::new("controller_runtime_reconcile_time_seconds", "How long such a pass took.")
                .const_label("controller", CONTROLLER),
        )?;
        registry.register(Box::new(duration.clone()))?;
        for result in ["success", "error"] {
            reconciles.with_label_values(&[result]).reset(); // there from the start, so that a rate exists
        }
        Ok(Self {
            reconciles,
            duration,
            applied: counter("metallb_operator_objects_applied_total", "Objects applied.")?,
            deleted: counter("metallb_operator_objects_deleted_total", "Objects deleted.")?,
            statuses: counter(
                "metallb_operator_statuses_written_total",
                "Statuses of MetalLB objects written.",
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_controllers_written_in_go() {
        let registry = Registry::new();
        Metrics::register(&registry).unwrap();
        let names: Vec<String> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "controller_runtime_reconcile_time_seconds",
                "controller_runtime_reconcile_total",
                "metallb_operator_objects_applied_total",
                "metallb_operator_objects_deleted_total",
                "metallb_operator_statuses_written_total",
            ]
        );
    }
}
