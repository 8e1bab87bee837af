//! What alerts and dashboard name is exported and documented; and what documents lead to is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use metallb_operator::metrics::Metrics;
use metallb_operator::render::{RUNBOOKS, alerts};
use prometheus::Registry;
use regex::Regex;

use crate::dashboard::expressions;
use crate::environment;

/// What every Prometheus makes by itself, and what [`Registry`] has of the process.
const OF_OTHERS: [&str; 2] = ["up", "process_resident_memory_bytes"];

#[test]
fn every_alert_has_a_section_among_the_runbooks_and_every_section_an_alert() -> Result<()> {
    let text = fs::read_to_string(root().join(RUNBOOKS))?;
    let sections: BTreeSet<String> = headings(&text).into_iter().collect();
    let anchors: BTreeSet<String> =
        alerts(&environment()).iter().map(metallb_operator::render::Alert::anchor).collect();
    let of_alerts: BTreeSet<String> =
        sections.into_iter().filter(|anchor| anchor.starts_with("metallb")).collect();
    assert_eq!(of_alerts, anchors);
    Ok(())
}

#[test]
fn codes_that_take_a_second_look_are_codes() -> Result<()> {
    let text = fs::read_to_string(root().join(RUNBOOKS))?;
    let refusals = fs::read_to_string(root().join("docs/refusals.md"))?;
    let section =
        text.split("\n## ").find(|section| section.starts_with("By code")).context("no such section")?;
    let quoted = Regex::new("`([^`]+)`")?;
    let cells =
        section.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let codes: Vec<&str> = cells
        .flat_map(|cell| quoted.captures_iter(cell).filter_map(|it| it.get(1)))
        .map(|it| it.as_str())
        .collect();
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        assert!(refusals.contains(&format!("| `{code}` |")), "{code}");
    }
    Ok(())
}

#[test]
fn every_metric_that_is_asked_for_is_documented() -> Result<()> {
    let known = documented()?;
    let asked = alerts(&environment()).into_iter().map(|alert| alert.expression).chain(expressions());
    for expression in asked {
        let named = metrics_of(&expression)?;
        assert!(!named.is_empty(), "{expression}");
        for metric in named {
            assert!(
                known.contains(&metric) || OF_OTHERS.contains(&metric.as_str()),
                "{metric}: {expression}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_metric_of_the_operator_is_documented() -> Result<()> {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let condition = serde_json::from_value(serde_json::json!({
        "type": "Degraded", "status": "True", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }))?;
    let component = serde_json::from_value(serde_json::json!({
        "name": "speaker", "kind": "DaemonSet", "desired": 3, "updated": 2, "ready": 1,
    }))?;
    metrics.tell("a/b", &[condition], &[component]);
    metrics.repaired.with_label_values(&["Service"]).inc();
    let known = documented()?;
    let families = registry.gather();
    assert_eq!(families.len(), 10);
    for family in families {
        assert!(known.contains(family.name()), "{}", family.name());
    }
    Ok(())
}

#[test]
fn links_in_documents_lead_somewhere() -> Result<()> {
    let link = Regex::new(r"\]\(([^)\s]+)\)")?;
    let mut documents = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs"))? {
        documents.push(entry?.path());
    }
    let mut anchors: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for document in documents.iter().filter(|path| path.extension().is_some_and(|it| it == "md")) {
        let text = fs::read_to_string(document)?;
        for target in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let directory = document.parent().context("a file lies in a directory")?;
            let path = if path.is_empty() { document.clone() } else { directory.join(path) };
            assert!(path.exists(), "{}: {target}", document.display());
            if !anchor.is_empty() {
                if !anchors.contains_key(&path) {
                    anchors.insert(path.clone(), headings(&fs::read_to_string(&path)?));
                }
                assert!(anchors[&path].iter().any(|it| it == anchor), "{}: {target}", document.display());
            }
        }
    }
    Ok(())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Headings, as what a link can lead to.
fn headings(markdown: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    let anchor = |heading: &str| {
        heading.to_lowercase().replace(' ', "-").chars().filter(|it| is_word(*it)).collect::<String>()
    };
    let lines = markdown.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Every metric in the tables of the document. `…_rest` stands for what the first of its cell begins with.
fn documented() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(root().join("docs/metrics.md"))?;
    let quoted = Regex::new("`([^`]+)`")?;
    let mut names = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cell = line.split('|').nth(1).unwrap_or_default();
        let mut beginning = String::new();
        for found in quoted.captures_iter(cell) {
            let name = &found[1];
            if let Some(rest) = name.strip_prefix('…') {
                names.insert(format!("{beginning}{rest}"));
            } else {
                beginning = name.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

fn metrics_of(expression: &str) -> Result<BTreeSet<String>> {
    let selectors = Regex::new(r"\{[^}]*\}")?;
    let name = Regex::new(r"\b(up|(metallb|controller_runtime|process)_[a-z0-9_]+)\b")?;
    let bare = selectors.replace_all(expression, "");
    Ok(name.find_iter(&bare).map(|found| found.as_str().to_owned()).collect())
}
