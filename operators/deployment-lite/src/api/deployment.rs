//! `LiteDeployment`: a number of pods of one template, and how to move to another template.

#![expect(clippy::duplicated_attributes, reason = "each column repeats the names of its parts")]

use k8s_openapi::{
    api::core::v1::PodTemplateSpec,
    apimachinery::pkg::{
        apis::meta::v1::{Condition, LabelSelector},
        util::intstr::IntOrString,
    },
};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What a LiteDeployment asks for.
#[derive(Clone, Debug, CustomResource, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::workload_rules()))]
#[kube(
    group = "apps.operator-lite.dev",
    version = "v1alpha1",
    kind = "LiteDeployment",
    plural = "litedeployments",
    shortname = "ldeploy",
    category = "all",
    namespaced,
    derive = "PartialEq",
    status = "LiteDeploymentStatus",
    doc = "A number of pods of one template, replaced step by step when the template changes.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Up-to-date", type_ = "integer", json_path = ".status.updatedReplicas"),
    printcolumn(name = "Available", type_ = "integer", json_path = ".status.availableReplicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct LiteDeploymentSpec {
    /// How many pods there are to be. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Which pods belong to it. Must match the labels of the template; cannot be changed.
    #[schemars(schema_with = "schema::selector")]
    pub selector: LabelSelector,
    /// What the pods are like. A change begins a rolling update.
    #[schemars(schema_with = "schema::template")]
    pub template: PodTemplateSpec,
    /// How pods of a former template are replaced.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many former LiteReplicaSets are kept. Default 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 0))]
    pub revision_history_limit: i32,
}

/// How pods of a former template are replaced.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// `RollingUpdate`: step by step.
    #[serde(default, rename = "type")]
    pub r#type: StrategyType,
    /// The limits of a rolling update.
    #[serde(default)]
    pub rolling_update: RollingUpdate,
}

/// The strategies.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum StrategyType {
    /// Step by step, within `maxSurge` and `maxUnavailable`.
    #[default]
    RollingUpdate,
}

/// The limits of a rolling update: numbers of pods, or percentages of `replicas`. Not both may be 0.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rolling_update_rules()))]
pub struct RollingUpdate {
    /// How many pods there may be beyond `replicas`; a percentage is rounded up. Default 25%.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "schema::amount")]
    pub max_surge: IntOrString,
    /// How many of `replicas` may be unavailable; a percentage is rounded down. Default 25%.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "schema::share")]
    pub max_unavailable: IntOrString,
}

impl Default for RollingUpdate {
    fn default() -> Self {
        Self { max_surge: quarter(), max_unavailable: quarter() }
    }
}

/// What has become of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LiteDeploymentStatus {
    /// The generation that these numbers were computed for.
    #[serde(default)]
    pub observed_generation: i64,
    /// Pods that are not terminating.
    #[serde(default)]
    pub replicas: i32,
    /// Those of the present template.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Those that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Those that are available.
    #[serde(default)]
    pub available_replicas: i32,
    /// Those that are asked for and not available.
    #[serde(default)]
    pub unavailable_replicas: i32,
    /// How often the name of a LiteReplicaSet was taken by something else.
    #[serde(default)]
    pub collision_count: i32,
    /// The selector as text, for `/scale`.
    #[serde(default)]
    pub selector: String,
    /// `Available` and `Progressing`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

fn one() -> i32 {
    1
}

fn ten() -> i32 {
    10
}

fn quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}
