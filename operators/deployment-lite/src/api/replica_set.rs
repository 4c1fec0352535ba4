//! `LiteReplicaSet`: a number of pods of one template that never changes.

#![expect(clippy::duplicated_attributes, reason = "each column repeats the names of its parts")]

use k8s_openapi::{api::core::v1::PodTemplateSpec, apimachinery::pkg::apis::meta::v1::LabelSelector};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What a LiteReplicaSet asks for.
#[derive(Clone, Debug, CustomResource, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::workload_rules()))]
#[kube(
    group = "apps.operator-lite.dev",
    version = "v1alpha1",
    kind = "LiteReplicaSet",
    plural = "litereplicasets",
    shortname = "lrs",
    category = "all",
    namespaced,
    derive = "PartialEq",
    status = "LiteReplicaSetStatus",
    doc = "A number of pods of one template.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Current", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct LiteReplicaSetSpec {
    /// How many pods there are to be. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Which pods belong to it. Must match the labels of the template; cannot be changed.
    #[schemars(schema_with = "schema::selector")]
    pub selector: LabelSelector,
    /// What the pods are like.
    #[schemars(schema_with = "schema::template")]
    pub template: PodTemplateSpec,
}

/// What has become of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LiteReplicaSetStatus {
    /// The generation that these numbers were computed for.
    #[serde(default)]
    pub observed_generation: i64,
    /// Pods that are not terminating.
    #[serde(default)]
    pub replicas: i32,
    /// Those that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Those that are available.
    #[serde(default)]
    pub available_replicas: i32,
    /// The selector as text, for `/scale`.
    #[serde(default)]
    pub selector: String,
}

fn one() -> i32 {
    1
}
