//! A definition as a page of text, one line per fact, to compare with a table.
//!
//! ```text
//! ipaddresspools ipaddresspool Namespaced
//! v1beta1 stored
//! | Auto Assign | .spec.autoAssign | boolean
//! spec* object
//! spec.addresses* [string]
//! spec.autoAssign boolean = true
//! ```
//!
//! `*` marks what is required, `[x]` a list, `{x}` a map. Kubernetes' own types appear as one word (`selector`,
//! `condition`, …); what stands behind those words has a table of its own.

use serde_json::Value;

/// A whole definition.
pub(super) fn definition(crd: &Value) -> String {
    let spec = &crd["spec"];
    let names = &spec["names"];
    assert_eq!(spec["group"], "metallb.io");
    assert_eq!(names["listKind"], format!("{}List", text(&names["kind"])));
    let mut lines =
        vec![format!("{} {} {}", text(&names["plural"]), text(&names["singular"]), text(&spec["scope"]))];
    for extra in ["shortNames", "categories"] {
        assert!(names.get(extra).is_none(), "{extra}");
    }
    for version in array(&spec["versions"]) {
        lines.push(version_line(version));
        for column in version.get("additionalPrinterColumns").map(array).into_iter().flatten() {
            let [name, path, kind] = ["name", "jsonPath", "type"].map(|key| text(&column[key]));
            let priority =
                column.get("priority").map(|priority| format!(" | {priority}")).unwrap_or_default();
            lines.push(format!("| {name} | {path} | {kind}{priority}"));
        }
        let root = &version["schema"]["openAPIV3Schema"];
        for (envelope, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
            assert_eq!(root["properties"][envelope]["type"], kind, "{envelope}");
        }
        fields("", root, &mut lines);
        lines
            .retain(|line| !["apiVersion string", "kind string", "metadata object"].contains(&line.as_str()));
    }
    lines.join("\n")
}

/// The fields below one schema.
pub(super) fn schema(schema: &Value) -> String {
    let mut lines = Vec::new();
    fields("", schema, &mut lines);
    lines.join("\n")
}

fn version_line(version: &Value) -> String {
    assert_eq!(version["served"], true);
    assert_eq!(version["subresources"], serde_json::json!({ "status": {} }));
    let mut line = text(&version["name"]).to_owned();
    if version["storage"] == true {
        line.push_str(" stored");
    }
    if version.get("deprecated").is_some_and(|deprecated| deprecated == true) {
        let warning = version["deprecationWarning"].as_str().unwrap();
        assert!(warning.contains("v1beta2"), "says what to use instead: {warning}");
        line.push_str(" deprecated");
    }
    line
}

fn fields(path: &str, schema: &Value, lines: &mut Vec<String>) {
    let required: Vec<&str> = schema.get("required").map(array).into_iter().flatten().map(text).collect();
    for name in &required {
        assert!(schema["properties"].get(name).is_some(), "{path}: required but unknown: {name}");
    }
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let star = if required.contains(&name.as_str()) { "*" } else { "" };
        lines.push(format!("{path}{star} {}{}", type_name(field), constraints(field)));
        let (below, path) = match field.get("items") {
            Some(items) => (items, format!("{path}[]")),
            None => (field, path),
        };
        if well_known(below).is_none() {
            if field.get("items").is_some() {
                let rest = constraints(below);
                if !rest.is_empty() {
                    lines.push(format!("{path}{rest}"));
                }
            }
            fields(&path, below, lines);
        }
    }
}

fn type_name(schema: &Value) -> String {
    if let Some(known) = well_known(schema) {
        return known.into();
    }
    match (text(&schema["type"]), schema.get("format")) {
        ("array", None) => format!("[{}]", type_name(&schema["items"])),
        ("object", None) => match schema.get("additionalProperties") {
            Some(values) => format!("{{{}}}", type_name(values)),
            None => "object".into(),
        },
        (plain, None) => plain.into(),
        (_, Some(format)) => text(format).into(),
    }
}

/// Types of Kubernetes, by their fields.
fn well_known(schema: &Value) -> Option<&'static str> {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return Some("quantity");
    }
    let names: Vec<&str> = schema.get("properties")?.as_object()?.keys().map(String::as_str).collect();
    match names[..] {
        ["matchExpressions", "matchLabels"] if schema.get("x-kubernetes-map-type").is_some() => {
            Some("selector")
        }
        ["nodeAffinity", "podAffinity", "podAntiAffinity"] => Some("affinity"),
        ["claims", "limits", "requests"] => Some("resources"),
        ["effect", "key", "operator", "tolerationSeconds", "value"] => Some("toleration"),
        ["lastTransitionTime", "message", "observedGeneration", "reason", "status", "type"] => {
            Some("condition")
        }
        _ => None,
    }
}

fn constraints(schema: &Value) -> String {
    let mut line = String::new();
    let mut add = |text: String| {
        line.push(' ');
        line.push_str(&text);
    };
    let number = |key| {
        schema.get(key).map(|bound| match bound.as_f64() {
            Some(float) => float.to_string(),
            None => bound.to_string(),
        })
    };
    let range = |low, high| match (number(low), number(high)) {
        (None, None) => None,
        (low, high) => Some(format!("{}..{}", low.unwrap_or_default(), high.unwrap_or_default())),
    };
    for (label, low, high) in [
        ("", "minimum", "maximum"),
        ("length ", "minLength", "maxLength"),
        ("items ", "minItems", "maxItems"),
    ] {
        if let Some(bounds) = range(low, high) {
            add(format!("{label}{bounds}"));
        }
    }
    if let Some(choices) = schema.get("enum") {
        add(array(choices).iter().map(text).collect::<Vec<_>>().join("|"));
    }
    if let Some(pattern) = schema.get("pattern").filter(|_| well_known(schema).is_none()) {
        add(format!("~{}", text(pattern)));
    }
    if let Some(kind) = schema.get("x-kubernetes-list-type") {
        let keys = schema.get("x-kubernetes-list-map-keys").map(array).into_iter().flatten();
        add(std::iter::once(text(kind)).chain(keys.map(text)).collect::<Vec<_>>().join(" by "));
    }
    if let Some(kind) = schema.get("x-kubernetes-map-type").filter(|_| well_known(schema).is_none()) {
        add(text(kind).into());
    }
    if let Some(default) = schema.get("default") {
        add(format!("= {default}"));
    }
    for rule in schema.get("x-kubernetes-validations").map(array).into_iter().flatten() {
        assert!(!text(&rule["message"]).is_empty());
        add(format!("rule({})", text(&rule["rule"])));
    }
    line
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}
