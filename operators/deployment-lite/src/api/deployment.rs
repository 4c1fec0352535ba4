//! `LiteDeployment`: a Deployment under a name of our own, safe beside the built-in kind.

#![expect(clippy::duplicated_attributes, reason = "each column repeats the names of its parts")]

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStatus},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::CustomResource;
use operator_sdk::selector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Form, schema};

/// What a LiteDeployment asks for: what a Deployment does.
#[derive(Clone, Debug, CustomResource, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(transparent)]
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
    /// The built-in kind's own spec.
    #[schemars(schema_with = "schema::deployment_spec")]
    pub deployment: DeploymentSpec,
}

/// What has become of it: what a Deployment reports, and the selector as text, for `/scale`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct LiteDeploymentStatus {
    /// The built-in kind's own status.
    #[serde(flatten)]
    #[schemars(schema_with = "schema::deployment_status")]
    pub deployment: DeploymentStatus,
    /// The selector as text, for `/scale`.
    #[serde(default)]
    pub selector: String,
}

impl Form<Deployment> for LiteDeployment {
    type Status = LiteDeploymentStatus;

    /// With those limits of a rolling update that the schema cannot give by default, because they depend on the strategy.
    fn built_in(&self) -> Deployment {
        let mut spec = self.spec.deployment.clone();
        let strategy = spec.strategy.get_or_insert_default();
        if strategy.type_.as_deref() != Some("Recreate") {
            let limits = strategy.rolling_update.get_or_insert_default();
            for limit in [&mut limits.max_surge, &mut limits.max_unavailable] {
                limit.get_or_insert_with(|| IntOrString::String("25%".to_owned()));
            }
        }
        Deployment {
            metadata: self.metadata.clone(),
            spec,
            status: self.status.as_ref().map(|status| status.deployment.clone()),
        }
    }

    fn from_built_in(deployment: Deployment) -> Self {
        Self { metadata: deployment.metadata, spec: LiteDeploymentSpec { deployment: deployment.spec }, status: None }
    }

    fn report(selector: &LabelSelector, deployment: DeploymentStatus) -> LiteDeploymentStatus {
        LiteDeploymentStatus { deployment, selector: selector::to_text(selector) }
    }
}

impl Form<Deployment> for Deployment {
    type Status = DeploymentStatus;

    fn built_in(&self) -> Deployment {
        self.clone()
    }

    fn from_built_in(deployment: Deployment) -> Self {
        deployment
    }

    /// The API server leaves out zeros (but those of pointers in its own type) and empty lists, so that a status that
    /// has them would never be equal to what was read.
    fn report(_: &LabelSelector, status: DeploymentStatus) -> DeploymentStatus {
        let without_zero = |number: Option<i32>| number.filter(|number| *number != 0);
        DeploymentStatus {
            available_replicas: without_zero(status.available_replicas),
            ready_replicas: without_zero(status.ready_replicas),
            replicas: without_zero(status.replicas),
            unavailable_replicas: without_zero(status.unavailable_replicas),
            updated_replicas: without_zero(status.updated_replicas),
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
        serde_json::to_value(<Deployment as Form<Deployment>>::report(&LabelSelector::default(), status)).unwrap()
    }

    #[test]
    fn a_built_in_one_reports_its_zeros_as_the_server_keeps_them() {
        let zeros = json!({
            "availableReplicas": 0, "readyReplicas": 0, "replicas": 0, "unavailableReplicas": 0, "updatedReplicas": 0,
            "terminatingReplicas": 0, "collisionCount": 0, "observedGeneration": 0, "conditions": [],
        });
        assert_eq!(reported(zeros), json!({"terminatingReplicas": 0, "collisionCount": 0}));
    }

    #[test]
    fn a_built_in_one_reports_all_else_as_it_is() {
        let status = json!({
            "availableReplicas": 1, "readyReplicas": 2, "replicas": 3, "unavailableReplicas": 4, "updatedReplicas": 5,
            "terminatingReplicas": 6, "collisionCount": 7, "observedGeneration": 8,
            "conditions": [{"type": "Available", "status": "True"}],
        });
        assert_eq!(reported(status.clone()), status);
    }
}
