//! PrometheusRule `metallb`: the [alerts](super::alerts) as the Prometheus operator takes them.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::alerts::{Alert, alerts};
use super::scene::{Scene, map};
use crate::environment::Environment;

const NAME: &str = "metallb";

/// Rules, as Prometheus reads them from a file too.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "PrometheusRule",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct PrometheusRuleSpec {
    /// Each is evaluated as one.
    #[serde(default)]
    pub groups: Vec<Group>,
}

/// Rules that are evaluated together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// What is in it.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it is called.
    pub alert: String,
    /// When it fires.
    pub expr: String,
    /// For how long that must hold.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// By which it is told apart, and finds its readers.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What readers are told.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl PrometheusRuleSpec {
    /// Every alert, for an operator in that environment.
    pub fn of(environment: &Environment) -> Self {
        let rules = alerts(environment).iter().map(|alert| rule(alert, &environment.runbooks)).collect();
        Self { groups: vec![Group { name: "metallb.rules".to_owned(), rules }] }
    }
}

fn rule(alert: &Alert, runbooks: &str) -> Rule {
    let Alert { name, family, expression, hold, severity, summary, description } = alert;
    let mut labels = map([("severity", severity.name())]);
    labels.extend(family.map(|family| ("family".to_owned(), family.to_owned())));
    let runbook = format!("{runbooks}#{}", alert.anchor());
    Rule {
        alert: (*name).to_owned(),
        expr: expression.clone(),
        hold: Some((*hold).to_owned()),
        labels,
        annotations: map([
            ("summary", summary.as_str()),
            ("description", description.as_str()),
            ("runbook_url", runbook.as_str()),
        ]),
    }
}

pub(super) fn prometheus_rule(scene: &Scene<'_>) -> PrometheusRule {
    PrometheusRule { metadata: scene.metadata(NAME, &[]), spec: PrometheusRuleSpec::of(scene.environment) }
}
