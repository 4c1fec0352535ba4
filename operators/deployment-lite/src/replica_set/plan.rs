//! The closed list of what the ReplicaSet controller does to the world.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Target,
    permission::{Permission, Verb},
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

/// What the steps ask of the API server.
pub(super) fn permissions() -> Vec<Permission> {
    [Verb::Create, Verb::Delete].map(Permission::of::<Pod>).to_vec()
}
