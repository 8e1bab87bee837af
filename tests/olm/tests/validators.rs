//! The validators that `make validate` runs look at what they are given.

#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::fs;
use std::path::Path;

use metallb_olm::images::validate;
use metallb_operator::generate::{self, Release};

const CSV: &str = "bundle/manifests/metallb-operator.clusterserviceversion.yaml";
const CATALOG: &str = "catalog/metallb-operator/catalog.yaml";

/// What they say of a package after an edit of one of its files.
fn said(file: &str, from: &str, to: &str) -> Result<(), String> {
    let root = tempfile::tempdir().unwrap();
    generate::write(root.path(), &generate::package(&Release::default()).unwrap()).unwrap();
    let path = root.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(from.is_empty() || text.contains(from), "{file} holds no {from}");
    fs::write(&path, if from.is_empty() { text } else { text.replacen(from, to, 1) }).unwrap();
    let below = |name: &str| root.path().join(Path::new(name));
    validate(&below("bundle"), &below("catalog")).map_err(|error| format!("{error:#}"))
}

#[test]
fn the_package_of_a_checkout_is_taken_as_it_is() {
    said(CSV, "", "").unwrap();
}

#[test]
fn a_mistake_and_a_warning_are_both_refused() {
    let error = said(CSV, "capabilities: Seamless Upgrades", "capabilities: Perfect").unwrap_err();
    assert!(error.contains("capabilities: ") && error.contains("Perfect"), "{error}");
    let warning = said(CSV, "minKubeVersion:", "wrong:").unwrap_err();
    assert!(warning.contains("minKubeVersion"), "{warning}");
    let channel = said("bundle/metadata/annotations.yaml", "channels.v1: candidate", "channels.v1: alpha");
    assert!(channel.unwrap_err().contains("naming convention"));
}

#[test]
fn a_catalog_that_is_not_of_its_bundle_is_refused() {
    let differs = said(CATALOG, "kind: Community", "kind: Comunity").unwrap_err();
    assert!(differs.contains("only in the catalog"), "{differs}");
    let without_a_way = said(CATALOG, "defaultChannel: candidate", "defaultChannel: stable").unwrap_err();
    assert!(without_a_way.contains("stable"), "{without_a_way}");
}
