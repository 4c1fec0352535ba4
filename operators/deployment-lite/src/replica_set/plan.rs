//! The closed list of what the LiteReplicaSet controller does to the world.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Target,
    permission::{Permission, Verb},
    plan,
};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes a pod of the template.
    CreatePod,
    /// Deletes a pod that is too many.
    DeletePod {
        /// Which.
        target: Target,
    },
}

impl plan::Step for Step {
    fn permissions() -> Vec<Permission> {
        [Verb::Create, Verb::Delete].map(Permission::of::<Pod>).to_vec()
    }
}
