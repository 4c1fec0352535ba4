//! The kinds that users write: `LiteDeployment` and `LiteReplicaSet` in `apps.operator-lite.dev/v1alpha1`.

mod deployment;
mod replica_set;
mod schema;

pub use deployment::{LiteDeployment, LiteDeploymentSpec, LiteDeploymentStatus, RollingUpdate, Strategy, StrategyType};
pub use replica_set::{LiteReplicaSet, LiteReplicaSetSpec, LiteReplicaSetStatus};

/// The label that tells the pods of one template version from those of another.
pub const HASH_LABEL: &str = "pod-template-hash";

#[cfg(test)]
mod tests {
    use operator_sdk::crd;
    use serde_json::Value;

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
    fn every_rule_of_the_schema_found_its_place() {
        for definition in definitions() {
            let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
            assert_eq!(spec["properties"]["replicas"]["minimum"], 0.0);
            assert_eq!(spec["properties"]["selector"]["x-kubernetes-validations"][0]["rule"], "self == oldSelf");
            assert_eq!(spec["properties"]["selector"]["properties"]["matchLabels"]["maxProperties"], 64);
            let labels = &spec["properties"]["template"]["properties"]["metadata"]["properties"]["labels"];
            assert_eq!(labels["maxProperties"], 64);
            assert_eq!(spec["x-kubernetes-validations"].as_array().unwrap().len(), 3);
        }
    }
}
