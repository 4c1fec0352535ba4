//! `LiteReplicaSet`: a ReplicaSet under a name of our own, safe beside the built-in kind.

#![expect(clippy::duplicated_attributes, reason = "each column repeats the names of its parts")]

use k8s_openapi::{
    api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::CustomResource;
use operator_sdk::selector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Form, schema};

/// What a LiteReplicaSet asks for: what a ReplicaSet does.
#[derive(Clone, Debug, CustomResource, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(transparent)]
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
    /// The built-in kind's own spec.
    #[schemars(schema_with = "schema::replica_set_spec")]
    pub replica_set: ReplicaSetSpec,
}

/// What has become of it: what a ReplicaSet reports, and the selector as text, for `/scale`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct LiteReplicaSetStatus {
    /// The built-in kind's own status.
    #[serde(flatten)]
    #[schemars(schema_with = "schema::replica_set_status")]
    pub replica_set: ReplicaSetStatus,
    /// The selector as text, for `/scale`.
    #[serde(default)]
    pub selector: String,
}

impl Form<ReplicaSet> for LiteReplicaSet {
    type Status = LiteReplicaSetStatus;

    fn built_in(&self) -> ReplicaSet {
        ReplicaSet {
            metadata: self.metadata.clone(),
            spec: self.spec.replica_set.clone(),
            status: self.status.as_ref().map(|status| status.replica_set.clone()),
        }
    }

    fn from_built_in(set: ReplicaSet) -> Self {
        Self { metadata: set.metadata, spec: LiteReplicaSetSpec { replica_set: set.spec }, status: None }
    }

    fn report(selector: &LabelSelector, replica_set: ReplicaSetStatus) -> LiteReplicaSetStatus {
        LiteReplicaSetStatus { replica_set, selector: selector::to_text(selector) }
    }
}

impl Form<ReplicaSet> for ReplicaSet {
    type Status = ReplicaSetStatus;

    fn built_in(&self) -> ReplicaSet {
        self.clone()
    }

    fn from_built_in(set: ReplicaSet) -> Self {
        set
    }

    /// The API server leaves out zeros (but those of `replicas`, and of pointers in its own type) and empty lists, so
    /// that a status that has them would never be equal to what was read.
    fn report(_: &LabelSelector, status: ReplicaSetStatus) -> ReplicaSetStatus {
        let without_zero = |number: Option<i32>| number.filter(|number| *number != 0);
        ReplicaSetStatus {
            available_replicas: without_zero(status.available_replicas),
            fully_labeled_replicas: without_zero(status.fully_labeled_replicas),
            ready_replicas: without_zero(status.ready_replicas),
            observed_generation: status.observed_generation.filter(|generation| *generation != 0),
            conditions: status.conditions.filter(|conditions| !conditions.is_empty()),
            ..status
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reported(status: serde_json::Value) -> serde_json::Value {
        let status = serde_json::from_value(status).unwrap();
        serde_json::to_value(<ReplicaSet as Form<ReplicaSet>>::report(&LabelSelector::default(), status)).unwrap()
    }

    #[test]
    fn a_built_in_one_reports_its_zeros_as_the_server_keeps_them() {
        let zeros = json!({
            "availableReplicas": 0, "fullyLabeledReplicas": 0, "readyReplicas": 0, "replicas": 0,
            "terminatingReplicas": 0, "observedGeneration": 0, "conditions": [],
        });
        assert_eq!(reported(zeros), json!({"replicas": 0, "terminatingReplicas": 0}));
    }

    #[test]
    fn a_built_in_one_reports_all_else_as_it_is() {
        let status = json!({
            "availableReplicas": 1, "fullyLabeledReplicas": 2, "readyReplicas": 3, "replicas": 4,
            "terminatingReplicas": 5, "observedGeneration": 6,
            "conditions": [{"type": "ReplicaFailure", "status": "True"}],
        });
        assert_eq!(reported(status.clone()), status);
    }
}
