//! Grafana can be told of the dashboard's expressions by nobody but Prometheus, so that is who is asked.

use anyhow::Result;
use metallb_operator::generate;
use serde_json::{Value, json};

use crate::promtool;

/// Every expression, as Grafana sends it.
pub fn expressions() -> Vec<String> {
    let dashboard = generate::dashboard();
    let panels = dashboard["panels"].as_array().cloned().unwrap_or_default();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let expression = |target: Value| target["expr"].as_str().map(|it| it.replace("$__rate_interval", "5m"));
    targets.filter_map(expression).collect()
}

#[test]
fn every_expression_of_the_dashboard_is_one() -> Result<()> {
    let expressions = expressions();
    assert!(expressions.len() > 20, "{expressions:?}");
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(number, expression)| json!({ "record": format!("panel:{number}"), "expr": expression }))
        .collect();
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("rules.json"), rules.to_string())?;
    promtool(directory.path(), &["check", "rules", "rules.json"])
}

#[test]
fn panels_stand_beside_and_below_each_other() {
    let dashboard = generate::dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let place =
        |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a number"));
    for (number, one) in panels.iter().enumerate() {
        let [x, y, w, h] = place(one);
        assert!(x + w <= 24, "{}", one["title"]);
        for other in &panels[number + 1..] {
            let [ox, oy, ow, oh] = place(other);
            let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
            assert!(apart, "{} and {}", one["title"], other["title"]);
            assert_ne!(one["id"], other["id"]);
        }
    }
}
