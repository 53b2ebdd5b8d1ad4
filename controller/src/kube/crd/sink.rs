//! `AlertSink`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::Any;
use crate::sink::config::SinkSpec;

/// Where alerts go, and how. Exactly one of the fields from `stdout` on is there, and says where.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vedette.dev",
    version = "v1alpha1",
    kind = "AlertSink",
    plural = "alertsinks",
    shortname = "asink",
    category = "vedette",
    status = "AlertSinkStatus",
    doc = "Where alerts go."
)]
#[serde(transparent)]
pub struct AlertSinkSpec(pub SinkSpec);

/// What becomes of a sink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertSinkStatus {
    /// The change of the sink that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted: whether its settings are good. Ready: whether its far side takes alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The kind of its far side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is used while the settings are not good: their last change that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Any>,
}
