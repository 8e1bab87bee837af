//! Our kinds as consoles show them: each version with its description, and its fields with name, meaning and widget.
//!
//! All of it follows from the schemas.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinitionVersion, JSONSchemaProps,
};
use metallb_crds::schema;
use serde_json::{Value, json};

/// What the operator makes for a `MetalLB`, as a console lists it below.
const MADE: [(&str, &str); 8] = [
    ("Deployment", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("Pod", "v1"),
    ("Service", "v1"),
    ("ConfigMap", "v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("ServiceMonitor", "monitoring.coreos.com/v1"),
    ("PrometheusRule", "monitoring.coreos.com/v1"),
];
const WIDGET: &str = "urn:alm:descriptor:com.tectonic.ui";

pub(super) fn all() -> Vec<Value> {
    let mut owned = Vec::new();
    for definition in schema::all() {
        let kind = &definition.spec.names.kind;
        for version in &definition.spec.versions {
            let mut entry = json!({
                "name": definition.metadata.name,
                "kind": kind,
                "version": version.name,
                "displayName": display_name(kind),
                "description": top(version).and_then(|schema| schema.description.clone()).unwrap_or_default(),
            });
            for (field, name) in [("spec", "specDescriptors"), ("status", "statusDescriptors")] {
                let descriptors = descriptors(version, field);
                if !descriptors.is_empty() {
                    entry[name] = descriptors.into();
                }
            }
            if kind == "MetalLB" {
                let made =
                    MADE.map(|(kind, version)| json!({ "kind": kind, "name": "", "version": version }));
                entry["resources"] = made.into_iter().collect();
            }
            owned.push(entry);
        }
    }
    owned
}

/// The kinds that only report: nobody is to make one.
pub(super) fn reports() -> Vec<String> {
    let reports = schema::all().into_iter().filter(|definition| {
        definition.spec.versions.iter().all(|version| {
            let spec = top(version).and_then(|schema| schema.properties.as_ref()?.get("spec"));
            spec.is_none_or(|spec| spec.properties.is_none())
        })
    });
    reports.filter_map(|definition| definition.metadata.name).collect()
}

fn top(version: &CustomResourceDefinitionVersion) -> Option<&JSONSchemaProps> {
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

fn descriptors(version: &CustomResourceDefinitionVersion, part: &str) -> Vec<Value> {
    let is_report = part == "status";
    let part = top(version).and_then(|schema| schema.properties.as_ref()?.get(part)?.properties.as_ref());
    let describe = |(path, field): (&String, &JSONSchemaProps)| {
        let mut descriptor = json!({
            "path": path,
            "displayName": display_name(path),
            "description": field.description.clone().unwrap_or_default(),
        });
        let shown = if is_report { show(path) } else { widgets(field) };
        if !shown.is_empty() {
            descriptor["x-descriptors"] = shown.into();
        }
        descriptor
    };
    part.into_iter().flatten().map(describe).collect()
}

/// How a form asks for it.
fn widgets(field: &JSONSchemaProps) -> Vec<String> {
    if let Some(values) = &field.enum_ {
        let texts = values.iter().filter_map(|value| value.0.as_str());
        return texts.map(|value| format!("{WIDGET}:select:{value}")).collect();
    }
    let widget = match field.type_.as_deref() {
        Some("boolean") => "booleanSwitch",
        Some("integer") => "number",
        Some("string") => "text",
        _ => return Vec::new(),
    };
    vec![format!("{WIDGET}:{widget}")]
}

/// How a page shows it, where that is not as text.
fn show(path: &str) -> Vec<String> {
    let conditions = (path == "conditions").then(|| "urn:alm:descriptor:io.kubernetes.conditions".to_owned());
    conditions.into_iter().collect()
}

/// `peerASN` as `Peer ASN`, `avoidBuggyIPs` as `Avoid Buggy IPs`, `BGPPeer` as `BGP Peer`.
fn display_name(name: &str) -> String {
    // A trade mark, and no two words.
    if name == "MetalLB" {
        return name.to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| letters.get(before));
        let (next, after) = (letters.get(index + 1), letters.get(index + 2));
        let plural = next == Some(&'s') && after.is_none_or(|after| after.is_uppercase());
        let starts = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || (next.is_some_and(|next| next.is_lowercase()) && !plural)
            });
        if starts {
            words.push(' ');
        }
        if index == 0 { words.extend(letter.to_uppercase()) } else { words.push(*letter) }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        let names = ["peerASN", "avoidBuggyIPs", "BGPPeer", "ServiceL2Status", "logLevel", "MetalLB"];
        let words = ["Peer ASN", "Avoid Buggy IPs", "BGP Peer", "Service L2 Status", "Log Level", "MetalLB"];
        assert_eq!(names.map(display_name), words);
    }

    #[test]
    fn a_widget_follows_from_the_type() {
        let of = |kind: &str, field: &str| {
            let owned = all();
            let owned = owned.iter().rev().find(|owned| owned["kind"] == kind).unwrap();
            let parts = ["specDescriptors", "statusDescriptors"];
            let mut fields = parts.iter().filter_map(|part| owned[part].as_array()).flatten();
            fields.find(|it| it["path"] == field).unwrap()["x-descriptors"].clone()
        };
        assert_eq!(of("IPAddressPool", "autoAssign"), json!([format!("{WIDGET}:booleanSwitch")]));
        assert_eq!(of("BGPPeer", "myASN"), json!([format!("{WIDGET}:number")]));
        assert_eq!(
            of("BGPPeer", "dynamicASN"),
            json!([format!("{WIDGET}:select:internal"), format!("{WIDGET}:select:external")])
        );
        assert_eq!(of("MetalLB", "conditions"), json!(["urn:alm:descriptor:io.kubernetes.conditions"]));
    }

    #[test]
    fn the_kinds_of_reports_are_those_without_a_spec() {
        assert_eq!(
            reports(),
            [
                "bgpnodestatuses.metallb.io",
                "configurationstates.metallb.io",
                "servicebgpstatuses.metallb.io",
                "servicel2statuses.metallb.io"
            ]
        );
    }
}
