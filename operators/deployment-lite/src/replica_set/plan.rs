//! The closed list of what the ReplicaSet controller does to the world.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Target,
    permission::{Permission, Verb},
    plan::{self, Declared},
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
    fn variant(&self) -> &'static str {
        match self {
            Self::CreatePod => "CreatePod",
            Self::DeletePod { .. } => "DeletePod",
        }
    }
}

/// What the steps ask of the API server.
pub(super) fn permissions() -> Declared {
    let pods = |verb| vec![Permission::of::<Pod>(verb)];
    vec![("CreatePod", pods(Verb::Create)), ("DeletePod", pods(Verb::Delete))]
}
