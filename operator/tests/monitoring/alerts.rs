//! Each alert fires when it should, and only then.

use std::collections::BTreeMap;

use anyhow::Result;
use metallb_operator::environment::Environment;
use metallb_operator::render::{Alert, PrometheusRuleSpec, alerts};
use serde_json::{Value, json};

use crate::cases::{CASES, Series};
use crate::{environment, promtool};

/// A minute between samples, an hour of them.
const INTERVAL: &str = "1m";
/// When to look: longer than any alert waits.
const LATE: &str = "90m";
const CONTROLLER_JOB: &str = "job=\"controller-monitor-service\",namespace=\"metallb-system\"";

#[test]
fn every_alert_is_tried() {
    let all: Vec<&str> = alerts(&environment()).iter().map(|alert| alert.name).collect();
    for name in &all {
        assert!(CASES.iter().any(|case| case.alert == *name), "no case for {name}");
    }
    for case in CASES {
        assert!(all.contains(&case.alert), "{} is gone: take its case out", case.alert);
    }
}

#[test]
fn each_alert_fires_when_it_should_and_not_before_it_has_held_for_a_while() -> Result<()> {
    let tests = CASES.iter().map(|case| {
        let found = severity(case.alert);
        let labels: BTreeMap<&str, &str> = case.labels.iter().copied().chain([("severity", found)]).collect();
        test(
            case.fires,
            &[(case.alert, "0m", json!([])), (case.alert, LATE, json!([{ "exp_labels": labels }]))],
        )
    });
    promtool_test(&without_annotations(), &tests.collect::<Vec<_>>())
}

#[test]
fn no_alert_fires_for_what_only_comes_near_to_it() -> Result<()> {
    let quiet = CASES.iter().filter(|case| !case.is_quiet.is_empty());
    let tests = quiet.map(|case| test(case.is_quiet, &[(case.alert, LATE, json!([]))]));
    promtool_test(&without_annotations(), &tests.collect::<Vec<_>>())
}

#[test]
fn who_reads_an_alert_is_told_of_what_and_where_to_read_on() -> Result<()> {
    let series: Series =
        &[(r#"metallb_bgp_session_up{peer="192.0.2.9:179",vrf="default",pod="speaker-1"}"#, "0x120")];
    let alert = json!([{
        "exp_labels": { "peer": "192.0.2.9:179", "vrf": "default", "pod": "speaker-1", "severity": "critical" },
        "exp_annotations": {
            "summary": "the BGP session of speaker-1 with 192.0.2.9:179 is down",
            "description":
                "That router sends no traffic to this node. `kubectl metallb peers` says why the session is missing.",
            "runbook_url": "docs/troubleshooting.md#metallbbgpsessiondown",
        },
    }]);
    let rules = serde_json::to_value(PrometheusRuleSpec::of(&environment()))?;
    promtool_test(&rules, &[test(series, &[("MetalLBBGPSessionDown", LATE, alert)])])
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let rules = directory.path().join("rules.json");
    std::fs::write(&rules, serde_json::to_string(&PrometheusRuleSpec::of(&environment()))?)?;
    promtool(directory.path(), &["check", "rules", "--lint=all", "--lint-fatal", "rules.json"])
}

#[test]
fn an_operator_whose_metrics_nobody_can_read_is_not_missed() {
    let environment = Environment { own_metrics: None, ..environment() };
    assert!(alerts(&environment).iter().all(|alert| alert.name != "MetalLBOperatorAbsent"));
}

#[test]
fn jobs_are_those_of_the_namespace() {
    let environment = Environment { namespace: "elsewhere".to_owned(), ..environment() };
    let mut named =
        alerts(&environment).into_iter().filter(|alert| alert.expression.contains("namespace=\""));
    assert!(named.all(|alert| alert.expression.contains("namespace=\"elsewhere\"")));
    let of_the_default = |alert: &Alert| alert.expression.contains(CONTROLLER_JOB);
    assert!(alerts(&self::environment()).iter().any(of_the_default));
}

fn severity(name: &str) -> &'static str {
    let alerts = alerts(&environment());
    let alert = alerts.iter().find(|alert| alert.name == name);
    alert.map(|alert| alert.severity.name()).expect("every case is about an alert that is there")
}

/// promtool compares annotations word by word; whether an alert fires is another question.
fn without_annotations() -> Value {
    let mut spec = PrometheusRuleSpec::of(&environment());
    for rule in spec.groups.iter_mut().flat_map(|group| &mut group.rules) {
        rule.annotations.clear();
    }
    json!(spec)
}

fn test(series: Series, expected: &[(&str, &str, Value)]) -> Value {
    let series: Vec<Value> =
        series.iter().map(|(series, values)| json!({ "series": series, "values": values })).collect();
    let expected: Vec<Value> = expected
        .iter()
        .map(|(alert, when, alerts)| json!({ "eval_time": when, "alertname": alert, "exp_alerts": alerts }))
        .collect();
    json!({ "interval": INTERVAL, "input_series": series, "alert_rule_test": expected })
}

fn promtool_test(rules: &Value, tests: &[Value]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    // JSON is YAML.
    std::fs::write(directory.path().join("rules.json"), rules.to_string())?;
    let tests = json!({ "rule_files": ["rules.json"], "evaluation_interval": INTERVAL, "tests": tests });
    std::fs::write(directory.path().join("tests.json"), tests.to_string())?;
    promtool(directory.path(), &["test", "rules", "tests.json"])
}
