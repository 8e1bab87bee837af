//! The files of the bundle, and of the catalog.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::release::{PACKAGE, Release};
use super::{catalog, csv};
use crate::generate::{Artifact, Error, crds, manifest, yaml};

/// The one channel there is until a release has been made. Its name begins as catalogs want it.
pub(super) const CHANNEL: &str = "candidate";

pub(in crate::generate) fn artifacts() -> Result<Vec<Artifact>, Error> {
    package(&Release::default())
}

/// The bundle of one release, and a catalog with it.
pub fn package(release: &Release) -> Result<Vec<Artifact>, Error> {
    let mut files = Vec::new();
    for Artifact { path, content } in crds::artifacts()? {
        let name = path.file_name().unwrap_or_default();
        files.push(Artifact { path: Path::new("bundle/manifests").join(name), content });
    }
    let csv = csv::cluster_service_version(release);
    let blobs = csv.as_ref().map(|csv| catalog::blobs(release, csv)).unwrap_or_default();
    let csv_path = format!("bundle/manifests/{PACKAGE}.clusterserviceversion.yaml");
    files.push(file(csv_path.into(), csv.and_then(|csv| yaml::document(&csv)))?);
    let budget_path = format!("bundle/manifests/{PACKAGE}_policy_v1_poddisruptionbudget.yaml");
    files.push(file(budget_path.into(), disruption_budget())?);
    files.push(file("bundle/metadata/annotations.yaml".into(), yaml::document(&annotations()))?);
    files.push(file(format!("catalog/{PACKAGE}/catalog.yaml").into(), yaml::documents(&blobs))?);
    Ok(files)
}

fn file(path: PathBuf, content: Result<String, yaml::Error>) -> Result<Artifact, Error> {
    match content {
        Ok(content) => Ok(Artifact { path, content }),
        Err(source) => Err(Error::Yaml { path, source }),
    }
}

/// As in the manifest, but in the namespace where OLM installs the operator.
fn disruption_budget() -> Result<String, yaml::Error> {
    let mut budget = manifest::disruption_budget();
    budget.metadata.namespace = None;
    yaml::document(&budget)
}

fn annotations() -> Value {
    const PREFIX: &str = "operators.operatorframework.io.bundle";
    json!({ "annotations": {
        format!("{PREFIX}.mediatype.v1"): "registry+v1",
        format!("{PREFIX}.manifests.v1"): "manifests/",
        format!("{PREFIX}.metadata.v1"): "metadata/",
        format!("{PREFIX}.package.v1"): PACKAGE,
        format!("{PREFIX}.channels.v1"): CHANNEL,
        format!("{PREFIX}.channel.default.v1"): CHANNEL,
    }})
}
