//! What the operator counts, by the names that controllers written in Go use, and what it knows of the `MetalLB`s.
//!
//! What it knows is said by the replica that works alone: the others would go on saying what was so when they last worked.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use metallb_crds::ComponentStatus;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::reconcile::CONDITIONS;

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
    /// Of these, objects that somebody had edited or deleted.
    pub repaired: IntCounterVec,
    /// Objects deleted.
    pub deleted: IntCounter,
    /// Statuses written.
    pub statuses: IntCounter,
    /// 1 while this replica works.
    pub leader: IntGauge,
    conditions: IntGaugeVec,
    pods: IntGaugeVec,
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
        let gauge = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let repaired = IntCounterVec::new(
            Opts::new(
                "metallb_operator_objects_repaired_total",
                "Objects that somebody had edited or deleted, applied again.",
            ),
            &["kind"],
        )?;
        registry.register(Box::new(repaired.clone()))?;
        let leader = IntGauge::new("metallb_operator_leader", "1 while this replica works.")?;
        registry.register(Box::new(leader.clone()))?;
        gauge("metallb_operator_build_info", "1, with the version.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Ok(Self {
            reconciles,
            duration,
            applied: counter("metallb_operator_objects_applied_total", "Objects applied.")?,
            repaired,
            deleted: counter("metallb_operator_objects_deleted_total", "Objects deleted.")?,
            statuses: counter(
                "metallb_operator_statuses_written_total",
                "Statuses of MetalLB objects written.",
            )?,
            leader,
            conditions: gauge(
                "metallb_operator_condition",
                "1 while that condition of that MetalLB object is true.",
                &["metallb", "type"],
            )?,
            pods: gauge(
                "metallb_operator_pods",
                "Pods of a component that there should be (desired), are new (updated), and are ready.",
                &["component", "state"],
            )?,
        })
    }

    /// Says how the `MetalLB` of that name is doing.
    pub fn tell(&self, metallb: &str, conditions: &[Condition], components: &[ComponentStatus]) {
        for condition in conditions {
            let is_true = condition.status == "True";
            self.conditions.with_label_values(&[metallb, &condition.type_]).set(i64::from(is_true));
        }
        for ComponentStatus { name, desired, updated, ready, .. } in components {
            for (state, pods) in [("desired", desired), ("updated", updated), ("ready", ready)] {
                self.pods.with_label_values(&[name.as_str(), state]).set(i64::from(*pods));
            }
        }
    }

    /// The `MetalLB` of that name is gone. Components are there for one of them, so they go with whichever it is, and are
    /// told again with the next status.
    pub fn forget(&self, metallb: &str) {
        for type_ in CONDITIONS {
            let _ = self.conditions.remove_label_values(&[metallb, type_]); // never told: good
        }
        self.pods.reset();
    }

    /// Another replica works from now on, and says what is so.
    pub fn stand_by(&self) {
        self.leader.set(0);
        self.conditions.reset();
        self.pods.reset();
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
                "metallb_operator_build_info",
                "metallb_operator_leader",
                "metallb_operator_objects_applied_total",
                "metallb_operator_objects_deleted_total",
                "metallb_operator_statuses_written_total",
            ]
        );
    }

    /// What is told of conditions and pods, as it is scraped.
    fn told(registry: &Registry) -> Vec<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let of_interest = |line: &&str| {
            line.starts_with("metallb_operator_condition") || line.starts_with("metallb_operator_pods")
        };
        text.lines().filter(of_interest).map(str::to_owned).collect()
    }

    #[test]
    fn conditions_and_pods_are_told_until_the_object_is_gone_or_another_replica_works() {
        let condition = |type_: &str, status: &str| -> Condition {
            let time = "2026-01-01T00:00:00Z";
            let condition = serde_json::json!({
                "type": type_, "status": status, "reason": "x", "message": "", "lastTransitionTime": time,
            });
            serde_json::from_value(condition).unwrap()
        };
        let speaker = ComponentStatus {
            name: "speaker".into(),
            kind: "DaemonSet".into(),
            image: None,
            desired: 3,
            updated: 2,
            ready: 1,
            message: None,
        };
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let conditions = [condition("Available", "False"), condition("Degraded", "True")];
        metrics.tell("a/metallb", &conditions, std::slice::from_ref(&speaker));
        let everything = [
            r#"metallb_operator_condition{metallb="a/metallb",type="Available"} 0"#,
            r#"metallb_operator_condition{metallb="a/metallb",type="Degraded"} 1"#,
            r#"metallb_operator_pods{component="speaker",state="desired"} 3"#,
            r#"metallb_operator_pods{component="speaker",state="ready"} 1"#,
            r#"metallb_operator_pods{component="speaker",state="updated"} 2"#,
        ];
        assert_eq!(told(&registry), everything);
        metrics.forget("b/metallb");
        assert_eq!(told(&registry), everything[..2], "components belong to no object in particular");
        metrics.forget("a/metallb");
        assert_eq!(told(&registry), [""; 0]);
        metrics.tell("a/metallb", &conditions, &[speaker]);
        metrics.stand_by();
        assert_eq!(told(&registry), [""; 0]);
    }
}
