//! The kinds that are driven: `LiteDeployment` and `LiteReplicaSet` in `apps.operator-lite.dev/v1alpha1`, or the
//! built-in kinds of `apps/v1`. All decisions are made on the built-in kinds' own types.

mod deployment;
mod replica_set;
mod schema;

use k8s_openapi::{
    NamespaceResourceScope,
    api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetStatus},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use operator_sdk::Object;
use serde::{Serialize, de::DeserializeOwned};

pub use deployment::{LiteDeployment, LiteDeploymentSpec, LiteDeploymentStatus};
pub use replica_set::{LiteReplicaSet, LiteReplicaSetSpec, LiteReplicaSetStatus};

/// The label that tells the pods of one template version from those of another.
pub const HASH_LABEL: &str = "pod-template-hash";

/// A form that objects of a built-in kind `K` have on the API server.
pub trait Form<K: WithStatus>: Object<Scope = NamespaceResourceScope> {
    /// The status as this form has it.
    type Status: Serialize + DeserializeOwned + PartialEq + Send;
    /// The object as one of the built-in kind.
    fn built_in(&self) -> K;
    /// An object of the built-in kind in this form, without its status.
    fn from_built_in(built_in: K) -> Self;
    /// A status in this form, of an object with this selector.
    fn report(selector: &LabelSelector, status: K::Status) -> Self::Status;
}

/// A built-in kind that reports.
pub trait WithStatus {
    /// What it reports.
    type Status;
}

impl WithStatus for Deployment {
    type Status = DeploymentStatus;
}

impl WithStatus for ReplicaSet {
    type Status = ReplicaSetStatus;
}

/// The two kinds that belong together.
pub trait Api: Send + Sync + 'static {
    /// What a user writes.
    type Deployment: Form<Deployment>;
    /// What it is made of.
    type ReplicaSet: Form<ReplicaSet>;
}

/// The kinds of our own.
#[derive(Clone, Copy, Debug)]
pub struct Lite;

impl Api for Lite {
    type Deployment = LiteDeployment;
    type ReplicaSet = LiteReplicaSet;
}

/// The kinds of `apps/v1`, in a cluster whose own controllers of them are off.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

impl Api for BuiltIn {
    type Deployment = Deployment;
    type ReplicaSet = ReplicaSet;
}

#[cfg(test)]
mod tests {
    use operator_sdk::crd;
    use serde_json::{Value, json};

    use super::*;

    fn definitions() -> [Value; 2] {
        [crd::definition::<LiteDeployment>(), crd::definition::<LiteReplicaSet>()]
            .map(|definition| serde_json::to_value(definition.unwrap()).unwrap())
    }

    #[test]
    fn a_definition_fits_into_the_annotation_of_kubectl_apply() {
        for definition in definitions() {
            let size = definition.to_string().len();
            assert!(size < 200_000, "{}: {size} bytes", definition["metadata"]["name"]);
        }
    }

    #[test]
    fn both_kinds_can_be_scaled() {
        for definition in definitions() {
            let scale = json!({
                "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            });
            let version = &definition["spec"]["versions"][0];
            assert_eq!(version["subresources"]["scale"], scale);
            let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
            assert_eq!(status["selector"]["type"], "string");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_built_in_kind() {
        let [deployment, _] = definitions();
        let spec = &deployment["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let numbers = ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"];
        assert_eq!(numbers.map(|field| spec[field]["default"].as_i64()), [Some(1), Some(0), Some(10), Some(600)]);
        let limits = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": limits});
        assert_eq!(spec["strategy"]["default"], strategy);
        let built_in = |strategy: Value| {
            let spec = json!({"selector": {}, "template": {}, "strategy": strategy});
            let object = json!({"metadata": {}, "spec": spec});
            let deployment: LiteDeployment = serde_json::from_value(object).unwrap();
            serde_json::to_value(deployment.built_in().spec.strategy).unwrap()
        };
        let given = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
        assert_eq!(built_in(json!({"type": "RollingUpdate"})), strategy);
        assert_eq!(built_in(given)["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": "25%"}));
        assert_eq!(built_in(json!({"type": "Recreate"})), json!({"type": "Recreate"}));
    }

    #[test]
    fn every_rule_of_the_schema_found_its_place() {
        for definition in definitions() {
            let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
            assert_eq!(spec["properties"]["replicas"]["minimum"], 0.0);
            assert_eq!(spec["properties"]["selector"]["x-kubernetes-validations"][0]["rule"], "self == oldSelf");
            assert_eq!(spec["properties"]["selector"]["properties"]["matchLabels"]["maxProperties"], 64);
            let labels = &spec["properties"]["template"]["properties"]["metadata"]["properties"]["labels"];
            assert_eq!(labels["maxProperties"], 64);
            assert!(spec["x-kubernetes-validations"].as_array().unwrap().len() >= 3);
            let status = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
            assert_eq!(status["properties"]["conditions"]["items"]["required"], json!(["status", "type"]));
        }
    }
}
