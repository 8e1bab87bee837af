//! What a rendered object is, and which.

use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::Value;

use super::{PrometheusRule, SecurityContextConstraints, ServiceMonitor};

/// The kinds that are rendered, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// security.openshift.io/v1
    SecurityContextConstraints,
    /// networking.k8s.io/v1
    NetworkPolicy,
    /// v1
    ConfigMap,
    /// v1
    Service,
    /// apps/v1
    DaemonSet,
    /// apps/v1
    Deployment,
    /// monitoring.coreos.com/v1
    ServiceMonitor,
    /// monitoring.coreos.com/v1
    PrometheusRule,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecurityContextConstraints => "SecurityContextConstraints",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::DaemonSet => "DaemonSet",
            Self::Deployment => "Deployment",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PrometheusRule => "PrometheusRule",
        })
    }
}

/// An object in the operator's namespace, or of a kind that is in none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
}

impl ObjectId {
    /// The object of that kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A rendered object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// What the speakers' pods may do on OpenShift.
    SecurityContextConstraints(Box<SecurityContextConstraints>),
    /// What may talk to the controller, and it to whom.
    NetworkPolicy(Box<NetworkPolicy>),
    /// Which interfaces the speakers leave alone.
    ConfigMap(Box<ConfigMap>),
    /// Metrics of one component.
    Service(Box<Service>),
    /// The speakers.
    DaemonSet(Box<DaemonSet>),
    /// The controller.
    Deployment(Box<Deployment>),
    /// Tells Prometheus of the metrics of one component.
    ServiceMonitor(Box<ServiceMonitor>),
    /// What Prometheus wakes people for.
    PrometheusRule(Box<PrometheusRule>),
}

impl Object {
    /// Which object this is.
    pub fn id(&self) -> ObjectId {
        let (kind, metadata) = match self {
            Self::SecurityContextConstraints(object) => (Kind::SecurityContextConstraints, &object.metadata),
            Self::NetworkPolicy(object) => (Kind::NetworkPolicy, &object.metadata),
            Self::ConfigMap(object) => (Kind::ConfigMap, &object.metadata),
            Self::Service(object) => (Kind::Service, &object.metadata),
            Self::DaemonSet(object) => (Kind::DaemonSet, &object.metadata),
            Self::Deployment(object) => (Kind::Deployment, &object.metadata),
            Self::ServiceMonitor(object) => (Kind::ServiceMonitor, &object.metadata),
            Self::PrometheusRule(object) => (Kind::PrometheusRule, &object.metadata),
        };
        ObjectId { kind, name: metadata.name.clone().unwrap_or_default() }
    }

    /// The object as it is sent.
    pub fn to_value(&self) -> serde_json::Result<Value> {
        match self {
            Self::SecurityContextConstraints(object) => serde_json::to_value(object),
            Self::NetworkPolicy(object) => serde_json::to_value(object),
            Self::ConfigMap(object) => serde_json::to_value(object),
            Self::Service(object) => serde_json::to_value(object),
            Self::DaemonSet(object) => serde_json::to_value(object),
            Self::Deployment(object) => serde_json::to_value(object),
            Self::ServiceMonitor(object) => serde_json::to_value(object),
            Self::PrometheusRule(object) => serde_json::to_value(object),
        }
    }
}
