//! `ConfigurationState`: whether a component could use all of the configuration. Written by controller and speakers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Empty, and not part of the object: this kind has no `spec`, it only reports.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "ConfigurationState",
    plural = "configurationstates",
    singular = "configurationstate",
    namespaced,
    no_spec,
    status = "ConfigurationStateStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Reports whether a component of MetalLB could use all of the configuration. The controller writes one object, each speaker another; changes by others are overwritten.",
    printcolumn(name = "Result", type_ = "string", json_path = ".status.result"),
    printcolumn(name = "ErrorSummary", type_ = "string", json_path = ".status.errorSummary"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ConfigurationStateSpec {}

/// What the component made of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStateStatus {
    /// The verdict over the whole configuration: `Valid`, `Invalid`, or `Unknown` before the first look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConfigurationResult")]
    // an optional enum would be described by the enum's words, not by these
    pub result: Option<ConfigurationResult>,

    /// Everything that is wrong, as text. Empty or absent when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_summary: Option<String>,

    /// The verdict of each part of the component that reads configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Whether a component could use all of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigurationResult {
    /// Every object is in use.
    Valid,
    /// At least one object had to be set aside.
    Invalid,
    /// The component has not judged the configuration yet.
    #[default]
    Unknown,
}
