//! The files of the bundle.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::csv;
use crate::generate::{Artifact, Error, Images, crds, yaml};

/// Name of the package in a catalog.
pub(super) const PACKAGE: &str = "metallb-operator";
/// The one channel there is until a release has been made.
const CHANNEL: &str = "alpha";

pub(in crate::generate) fn artifacts() -> Result<Vec<Artifact>, Error> {
    let mut files = Vec::new();
    for Artifact { path, content } in crds::artifacts()? {
        let name = path.file_name().unwrap_or_default();
        files.push(Artifact { path: Path::new("bundle/manifests").join(name), content });
    }
    let csv = csv::cluster_service_version(&Images::default());
    let csv_path = format!("bundle/manifests/{PACKAGE}.clusterserviceversion.yaml");
    files.push(file(csv_path.into(), csv)?);
    files.push(file("bundle/metadata/annotations.yaml".into(), Ok(annotations()))?);
    Ok(files)
}

fn file(path: PathBuf, object: Result<Value, yaml::Error>) -> Result<Artifact, Error> {
    match object.and_then(|object| yaml::document(&object)) {
        Ok(content) => Ok(Artifact { path, content }),
        Err(source) => Err(Error::Yaml { path, source }),
    }
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
