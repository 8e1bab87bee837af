//! `config/grafana/metallb.json`: the [panels](super::panels) as a dashboard of Grafana 9 and newer.

use serde_json::{Value, json};

use super::panels::{Look, Panel, ROWS, Row};

/// Height of a panel, and of the numbers at the top.
const HEIGHT: u32 = 8;
const LOW: u32 = 4;
/// A heading's.
const HEADING: u32 = 1;
/// Width of the page.
const WIDTH: u32 = 24;

/// The dashboard.
pub fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    for Row { title, panels: below } in ROWS {
        let position = json!({ "x": 0, "y": y, "w": WIDTH, "h": HEADING });
        let id = panels.len() + 1;
        panels.push(json!({ "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": position, "panels": [] }));
        y += HEADING;
        let mut x = 0;
        for each in *below {
            if x + each.width > WIDTH {
                x = 0;
                y += HEIGHT;
            }
            panels.push(panel(each, panels.len() + 1, (x, y)));
            x += each.width;
        }
        y += below.last().map_or(0, height);
    }
    let datasource = json!({
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {},
    });
    json!({
        "uid": "metallb",
        "title": "MetalLB",
        "description": "Pools, announcements, sessions and failovers",
        "tags": ["metallb"],
        "schemaVersion": 37,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "templating": { "list": [datasource] },
        "annotations": { "list": [] },
        "panels": panels,
    })
}

fn height(panel: &Panel) -> u32 {
    if panel.look == Look::Number { LOW } else { HEIGHT }
}

fn panel(panel: &Panel, id: usize, (x, y): (u32, u32)) -> Value {
    let Panel { title, look, width, unit, queries } = panel;
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    // What is so now, or how it came to be.
    let is_now = matches!(look, Look::Number | Look::Bars | Look::Table);
    let targets: Vec<Value> = queries
        .iter()
        .zip('A'..)
        .map(|((expression, legend), name)| {
            json!({
                "refId": name.to_string(),
                "datasource": source,
                "expr": expression,
                "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                "instant": is_now,
                "range": !is_now,
                "format": if *look == Look::Table { "table" } else { "time_series" },
            })
        })
        .collect();
    let (kind, options) = match look {
        Look::Number => {
            ("stat", json!({ "reduceOptions": { "calcs": ["lastNotNull"] }, "textMode": "auto" }))
        }
        Look::Bars => (
            "bargauge",
            json!({ "reduceOptions": { "calcs": ["lastNotNull"] }, "orientation": "horizontal" }),
        ),
        Look::Lines => ("timeseries", json!({ "legend": { "displayMode": "list", "placement": "bottom" } })),
        Look::Bands => ("state-timeline", json!({ "showValue": "never", "mergeValues": true })),
        Look::Table => ("table", json!({})),
    };
    let mut panel = json!({
        "id": id,
        "type": kind,
        "title": title,
        "datasource": source,
        "gridPos": { "x": x, "y": y, "w": width, "h": height(panel) },
        "fieldConfig": { "defaults": field(*look, unit), "overrides": [] },
        "options": options,
        "targets": targets,
    });
    if *look == Look::Table {
        let hidden = json!({ "Time": true, "Value": true });
        let organize = json!({ "id": "organize", "options": { "excludeByName": hidden } });
        panel["transformations"] = json!([organize]);
    }
    panel
}

/// How values look.
fn field(look: Look, unit: &str) -> Value {
    match look {
        Look::Bars => json!({
            "unit": unit, "min": 0, "max": 100,
            "thresholds": { "mode": "absolute", "steps": [
                { "color": "green", "value": null }, { "color": "yellow", "value": 75 }, { "color": "red", "value": 95 },
            ] },
        }),
        Look::Bands => json!({ "mappings": [{ "type": "value", "options": {
            "0": { "text": "down", "color": "red" }, "1": { "text": "up", "color": "green" },
        } }] }),
        Look::Lines => json!({ "unit": unit, "min": 0 }),
        Look::Number | Look::Table => json!({ "unit": unit }),
    }
}
