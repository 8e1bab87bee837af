//! `catalog/`: the file-based catalog that offers a bundle.
//!
//! Three blobs: the package, its channel with the way in from older versions, and the bundle as `opm render` would
//! tell it (a test of the bundle compares the two).

use serde_json::{Value, json};

use super::directory::CHANNEL;
use super::release::{PACKAGE, Release};

/// What `opm` takes over from a ClusterServiceVersion into a catalog.
const TAKEN_OVER: [&str; 9] = [
    "description",
    "displayName",
    "installModes",
    "keywords",
    "links",
    "maintainers",
    "maturity",
    "minKubeVersion",
    "provider",
];

pub(super) fn blobs(release: &Release, csv: &Value) -> Vec<Value> {
    vec![package(csv), channel(release), bundle(release, csv)]
}

fn package(csv: &Value) -> Value {
    let icon = &csv["spec"]["icon"][0];
    json!({
        "schema": "olm.package",
        "name": PACKAGE,
        "defaultChannel": CHANNEL,
        "description": csv["spec"]["description"],
        "icon": { "base64data": icon["base64data"], "mediatype": icon["mediatype"] },
    })
}

fn channel(release: &Release) -> Value {
    let mut entry = json!({ "name": release.name() });
    if let Some(replaced) = release.replaced() {
        entry["replaces"] = replaced.into();
    }
    if let Some(skips) = release.skips() {
        entry["skipRange"] = skips.into();
    }
    json!({ "schema": "olm.channel", "package": PACKAGE, "name": CHANNEL, "entries": [entry] })
}

fn bundle(release: &Release, csv: &Value) -> Value {
    let mut properties: Vec<Value> = Vec::new();
    for owned in csv["spec"]["customresourcedefinitions"]["owned"].as_array().into_iter().flatten() {
        let value = json!({
            "group": metallb_crds::GROUP,
            "kind": owned["kind"],
            "version": owned["version"],
        });
        properties.push(json!({ "type": "olm.gvk", "value": value }));
    }
    properties.push(json!({
        "type": "olm.package",
        "value": { "packageName": PACKAGE, "version": release.version },
    }));
    properties.push(json!({ "type": "olm.csv.metadata", "value": metadata(csv) }));
    let mut images = csv["spec"]["relatedImages"].as_array().cloned().unwrap_or_default();
    images.push(json!({ "name": "", "image": release.bundle }));
    json!({
        "schema": "olm.bundle",
        "package": PACKAGE,
        "name": release.name(),
        "image": release.bundle,
        "properties": properties,
        "relatedImages": images,
    })
}

fn metadata(csv: &Value) -> Value {
    let mut metadata = json!({
        "annotations": csv["metadata"]["annotations"],
        "labels": csv["metadata"]["labels"],
        "apiServiceDefinitions": {},
        "crdDescriptions": csv["spec"]["customresourcedefinitions"],
    });
    for (field, value) in TAKEN_OVER.iter().filter_map(|field| Some((field, csv["spec"].get(field)?))) {
        metadata[*field] = value.clone();
    }
    metadata
}
