//! `docs/configuration.md`: every field of every kind, from the schemas that the API server holds too.

use std::fmt::Write as _;
use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use metallb_crds::cluster::annotations::Annotation;
use metallb_crds::schema;

use super::{Artifact, MARKDOWN_HEADER};

/// What users write, in the order in which they need it.
const WRITTEN_BY_USERS: [&str; 7] =
    ["MetalLB", "IPAddressPool", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "BFDProfile", "Community"];

/// Types of Kubernetes, by what tells them: fields that they have. They are described elsewhere.
const OF_KUBERNETES: [(&str, &[&str]); 5] = [
    ("label selector", &["matchExpressions", "matchLabels"]),
    ("affinity, as of a Pod", &["nodeAffinity", "podAffinity", "podAntiAffinity"]),
    ("toleration, as of a Pod", &["effect", "key", "operator", "tolerationSeconds"]),
    ("resources, as of a container", &["limits", "requests"]),
    ("condition", &["lastTransitionTime", "reason", "status", "type"]),
];

const INTRODUCTION: &str = "
# Configuration reference

Every field of every kind of `metallb.io`, as `kubectl explain` has it too. How the parts work together: [the
operator](operator.md), [layer 2](layer2.md), [BGP and BFD](bgp.md), [reservations](reservations.md); whole setups are in
`config/samples/setups/`. What is refused, and why: [refusals](refusals.md). The operator's flags and environment:
[its own settings](operator.md#the-operators-own-settings).

A field in **bold** must be given. A default in this table is filled in by the API server; where there is none, the meaning says
what an absent field stands for. `[]` after a name: the field is a list, and what follows is about each item.

The kinds of the configuration have an effect in MetalLB's namespace only.
";

const WRITTEN_BY_US: &str = "
## What MetalLB reports

Nobody has to write these.
";

const ANNOTATIONS: &str = "
## Annotations of services

Each also with the prefix `metallb.universe.tf/`, which is deprecated; where both are there, the first counts. An IPAddressPool may have
`metallb.io/reserve-for`, see [reservations](reservations.md), a BGPPeer `metallb.io/ttl-security-hops`, see [BGP](bgp.md).

| annotation | meaning |
|---|---|
";

pub(super) fn artifact() -> Artifact {
    let definitions = schema::all();
    let mut text = format!("{MARKDOWN_HEADER}{INTRODUCTION}");
    for kind in WRITTEN_BY_USERS {
        for definition in definitions.iter().filter(|it| it.spec.names.kind == kind) {
            section(&mut text, definition, "##", "spec");
        }
    }
    text.push_str(ANNOTATIONS);
    for (annotation, meaning) in annotations() {
        let _ = writeln!(text, "| `{}` | {meaning} |", annotation.key());
    }
    text.push_str(WRITTEN_BY_US);
    for definition in &definitions {
        section(&mut text, definition, "###", "status");
    }
    Artifact { path: PathBuf::from("docs/configuration.md"), content: text }
}

fn annotations() -> [(Annotation, &'static str); 4] {
    [
        Annotation::LoadBalancerIps,
        Annotation::AddressPool,
        Annotation::AllowSharedIp,
        Annotation::IpAllocatedFromPool,
    ]
    .map(|annotation| (annotation, meaning(annotation)))
}

const fn meaning(annotation: Annotation) -> &'static str {
    match annotation {
        Annotation::LoadBalancerIps => {
            "addresses asked for, with commas: one, or one of each family; in place of `spec.loadBalancerIP`"
        }
        Annotation::AddressPool => "the pool that the address is to come from, by name",
        Annotation::AllowSharedIp => {
            "a key of your choice: services that have the same one may share an address, on different ports"
        }
        Annotation::IpAllocatedFromPool => "written by the controller: the pool that the address came from",
    }
}

/// The fields under `part` of the newest version; nothing if the kind has none.
fn section(text: &mut String, definition: &CustomResourceDefinition, heading: &str, part: &str) {
    let kind = &definition.spec.names.kind;
    let Some(version) = definition.spec.versions.iter().find(|version| version.storage) else { return };
    let Some(root) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
        return;
    };
    let fields = root.properties.as_ref().and_then(|properties| properties.get(part));
    let mut rows = String::new();
    if let Some(fields) = fields {
        below(&mut rows, part, fields);
    }
    if rows.is_empty() {
        return;
    }
    let name = if part == "status" && WRITTEN_BY_USERS.contains(&kind.as_str()) {
        format!("Status of {kind}")
    } else {
        kind.clone()
    };
    let about = match part {
        "status" => fields.and_then(|fields| fields.description.as_deref()).or(root.description.as_deref()),
        _ => root.description.as_deref(),
    };
    let _ = write!(
        text,
        "\n{heading} {name}\n\n`{}/{}`. {}\n{}\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}",
        definition.spec.group,
        version.name,
        about.map(cell).unwrap_or_default(),
        deprecated(definition, version),
    );
}

/// Older versions that are served too.
fn deprecated(definition: &CustomResourceDefinition, newest: &CustomResourceDefinitionVersion) -> String {
    let others =
        definition.spec.versions.iter().filter(|version| version.served && version.name != newest.name);
    let names: Vec<String> = others.map(|version| format!("`{}`", version.name)).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("\n{} is served too, and deprecated: it lacks some of these fields.\n", names.join(", "))
}

/// A row for each field below `path`, in the order of the schema.
fn below(rows: &mut String, path: &str, schema: &JSONSchemaProps) {
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let item = item(field);
        let mark = if item.is_some() { "[]" } else { "" };
        let path = format!("{path}.{name}{mark}");
        let shown = if required.contains(name) { format!("**`{path}`**") } else { format!("`{path}`") };
        let default = field.default.as_ref().map(|JSON(default)| format!("`{default}`")).unwrap_or_default();
        let meaning = field.description.as_deref().map(cell).unwrap_or_default();
        let _ = writeln!(rows, "| {shown} | {} | {default} | {meaning} |", cell(&kind_of(field)));
        let inner = item.unwrap_or(field);
        if of_kubernetes(inner).is_none() {
            below(rows, &path, inner);
        }
    }
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(items) => items.first(),
    }
}

fn of_kubernetes(schema: &JSONSchemaProps) -> Option<&'static str> {
    let properties = schema.properties.as_ref()?;
    let it =
        OF_KUBERNETES.iter().find(|(_, fields)| fields.iter().all(|field| properties.contains_key(*field)));
    it.map(|(name, _)| *name)
}

/// A type in words.
fn kind_of(schema: &JSONSchemaProps) -> String {
    if let Some(item) = item(schema) {
        return format!("list of: {}", kind_of(item));
    }
    if let Some(name) = of_kubernetes(schema) {
        return name.to_owned();
    }
    if let Some(values) = &schema.enum_ {
        let text = |JSON(value): &JSON| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", text(value))).collect();
        return values.join(", ");
    }
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "integer or string".to_owned();
    }
    let name = schema.type_.as_deref().unwrap_or("anything");
    let name = if schema.additional_properties.is_some() { "map of strings" } else { name };
    match (schema.minimum, schema.maximum) {
        (None, None) => name.to_owned(),
        (Some(least), None) => format!("{name}, at least {least}"),
        (None, Some(most)) => format!("{name}, at most {most}"),
        (Some(least), Some(most)) => format!("{name}, {least} to {most}"),
    }
}

/// What Markdown would take for the end of a cell, or for its own.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_spec_or_status_has_a_row_with_a_meaning() {
        let text = artifact().content;
        for definition in schema::all() {
            let version = definition.spec.versions.iter().find(|version| version.storage).unwrap();
            let root = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            for part in ["spec", "status"] {
                let fields =
                    root.properties.as_ref().unwrap().get(part).and_then(|it| it.properties.as_ref());
                // What we write has no spec worth the name.
                let is_shown =
                    part == "status" || WRITTEN_BY_USERS.contains(&definition.spec.names.kind.as_str());
                for field in fields.into_iter().flatten().map(|(name, _)| name).filter(|_| is_shown) {
                    let row = |end: &str| text.contains(&format!("`{part}.{field}{end}`"));
                    assert!(row("") || row("[]"), "{} {part}.{field}", definition.spec.names.kind);
                }
            }
        }
        let rows = text.lines().filter(|line| line.starts_with("| "));
        for row in rows {
            assert!(!row.ends_with("|  |"), "without a meaning: {row}");
        }
    }

    #[test]
    fn a_row_says_type_default_and_whether_the_field_must_be_given() {
        let text = artifact().content;
        for row in [
            "| **`spec.addresses[]`** | list of: string |  | The addresses, each item",
            "| `spec.autoAssign` | boolean | `true` | Whether",
            "| `spec.layer2.ownership` | `Hash`, `Sticky` |  | Which node",
            "| `spec.nodeSelectors[]` | list of: label selector |  | Nodes that",
            "| `spec.speakerConfig.affinity` | affinity, as of a Pod |  |",
            "| `spec.speakerConfig.annotations` | map of strings |  |",
            "| `spec.bgpListenPort` | integer, 0 to 65535 |  |",
        ] {
            assert!(text.contains(row), "{row}");
        }
        assert!(!text.contains("matchExpressions"), "types of Kubernetes are described elsewhere");
    }
}
