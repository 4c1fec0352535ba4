//! The closed list of what the ReplicaSet controller does to the world.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Target,
    owner::Claim,
    permission::{Permission, Verb},
    plan::{self, Declared},
};

use crate::api::Api;

/// One write, or one question to the API server that has to be answered before others.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Makes sure that the ReplicaSet is not being deleted.
    ConfirmOwner,
    /// Takes a pod that nobody controls.
    AdoptPod(Claim),
    /// Lets a pod go.
    ReleasePod(Claim),
    /// Makes a pod of the template.
    CreatePod,
    /// Deletes a pod that is too many.
    DeletePod {
        /// Which.
        target: Target,
    },
    /// Tells people once why nothing is done.
    Warn {
        /// One word for programs.
        reason: &'static str,
        /// A sentence for people.
        note: String,
    },
}

impl plan::Step for Step {
    fn variant(&self) -> &'static str {
        match self {
            Self::ConfirmOwner => "ConfirmOwner",
            Self::AdoptPod(_) => "AdoptPod",
            Self::ReleasePod(_) => "ReleasePod",
            Self::CreatePod => "CreatePod",
            Self::DeletePod { .. } => "DeletePod",
            Self::Warn { .. } => "Warn",
        }
    }
}

/// What the steps ask of the API server.
pub(super) fn permissions<A: Api>() -> Declared {
    let pods = |verb| vec![Permission::of::<Pod>(verb)];
    vec![
        ("ConfirmOwner", vec![Permission::of::<A::ReplicaSet>(Verb::Get)]),
        ("AdoptPod", pods(Verb::Patch)),
        ("ReleasePod", pods(Verb::Patch)),
        ("CreatePod", pods(Verb::Create)),
        ("DeletePod", pods(Verb::Delete)),
        ("Warn", vec![]),
    ]
}
