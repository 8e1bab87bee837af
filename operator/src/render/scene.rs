//! What all objects have in common: the namespace, the owner, and upstream's labels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::Platform;
use crate::environment::Environment;

/// What all objects have in common.
pub(super) struct Scene<'a> {
    pub(super) environment: &'a Environment,
    pub(super) owner: &'a OwnerReference,
    pub(super) platform: Platform,
}

impl Scene<'_> {
    /// Of an object in the namespace.
    pub(super) fn metadata(&self, name: &str, labels: &[(&str, &str)]) -> ObjectMeta {
        let versions = [
            ("helm.sh/chart", concat!("metallb-", env!("CARGO_PKG_VERSION"))), // Upstream's manifests are made by Helm.
            ("app.kubernetes.io/version", concat!("v", env!("CARGO_PKG_VERSION"))),
        ];
        ObjectMeta {
            namespace: Some(self.environment.namespace.clone()),
            owner_references: Some(vec![self.owner.clone()]),
            ..metadata_in_no_namespace(name, &[&versions, labels].concat())
        }
    }
}

/// Of an object in no namespace: nothing in one can own it, and it is there for operators of several versions.
pub(super) fn metadata_in_no_namespace(name: &str, labels: &[(&str, &str)]) -> ObjectMeta {
    let common = [("app", "metallb"), ("app.kubernetes.io/managed-by", "Helm")];
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(map(common.iter().chain(labels).copied())),
        ..ObjectMeta::default()
    }
}

/// The labels by which the pods of a component are selected. Never to be changed: selectors are immutable.
pub(super) fn selector(component: &str) -> BTreeMap<String, String> {
    map([("app", "metallb"), ("component", component)])
}

pub(super) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
