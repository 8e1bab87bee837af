//! Which objects, in which order.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use metallb_crds::schema;
use serde::Serialize;
use serde_json::Value;

use super::{operator, rbac, webhooks};
use crate::generate::{Artifact, Error, yaml};

/// Where everything is installed.
pub(in crate::generate) const NAMESPACE: &str = "metallb-system";

/// The images of the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The operator's.
    pub operator: String,
    /// That of controller and speaker.
    pub dataplane: String,
}

impl Default for Images {
    /// As a checkout builds them.
    fn default() -> Self {
        Self {
            operator: "localhost/metallb-operator:dev".to_owned(),
            dataplane: "localhost/metallb-dataplane:dev".to_owned(),
        }
    }
}

pub(in crate::generate) fn artifacts() -> Result<Vec<Artifact>, Error> {
    Ok(vec![manifest(&Images::default())?])
}

/// The manifest, with those images.
pub fn manifest(images: &Images) -> Result<Artifact, Error> {
    let path = PathBuf::from("config/manifests/metallb-operator.yaml");
    let content = objects(images).and_then(|objects| yaml::documents(&objects));
    match content {
        Ok(content) => Ok(Artifact { path, content }),
        Err(source) => Err(Error::Yaml { path, source }),
    }
}

pub(super) fn objects(images: &Images) -> Result<Vec<Value>, yaml::Error> {
    let mut objects = vec![value(&namespace())?];
    for definition in schema::all() {
        objects.push(value(&webhooks::with_conversion(definition))?);
    }
    for account in [rbac::OPERATOR, rbac::CONTROLLER, rbac::SPEAKER] {
        objects.push(value(&ServiceAccount { metadata: named(account), ..ServiceAccount::default() })?);
    }
    objects.extend(rbac::objects()?);
    for service in webhooks::services() {
        objects.push(value(&service)?);
    }
    for configuration in webhooks::configurations() {
        objects.push(value(&configuration)?);
    }
    objects.push(value(&operator::disruption_budget())?);
    objects.push(value(&operator::deployment(images))?);
    Ok(objects)
}

/// Speakers are on the hosts' networks with raw sockets, which Pod Security allows in privileged namespaces only.
fn namespace() -> Namespace {
    let labels = ["enforce", "audit", "warn"]
        .map(|mode| (format!("pod-security.kubernetes.io/{mode}"), "privileged".to_owned()));
    Namespace {
        metadata: ObjectMeta {
            name: Some(NAMESPACE.to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// A name in our namespace.
pub(super) fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() }
}

pub(super) fn value(object: &impl Serialize) -> Result<Value, yaml::Error> {
    Ok(serde_json::to_value(object)?)
}
