//! The closed list of what the Deployment controller does to the world.

use operator_sdk::{
    Target,
    permission::{Permission, Verb},
    plan::{self, Declared},
};

use crate::api::Api;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes the ReplicaSet of the present template.
    CreateReplicaSet {
        /// Its name.
        name: String,
        /// The hash in its name and on its pods.
        hash: String,
        /// Its size from the start.
        replicas: i32,
    },
    /// Changes the size of a ReplicaSet.
    ScaleReplicaSet {
        /// Which.
        target: Target,
        /// Its size so far.
        from: i32,
        /// Its new size.
        to: i32,
    },
    /// Changes how long the pods of a ReplicaSet have to be ready before they count as available.
    SetMinReadySeconds {
        /// Which.
        target: Target,
        /// Its new time, in seconds.
        to: i32,
    },
    /// Deletes a ReplicaSet of a template long past.
    DeleteReplicaSet {
        /// Which.
        target: Target,
    },
}

impl plan::Step for Step {
    fn variant(&self) -> &'static str {
        match self {
            Self::CreateReplicaSet { .. } => "CreateReplicaSet",
            Self::ScaleReplicaSet { .. } => "ScaleReplicaSet",
            Self::SetMinReadySeconds { .. } => "SetMinReadySeconds",
            Self::DeleteReplicaSet { .. } => "DeleteReplicaSet",
        }
    }
}

/// What the steps ask of the API server.
pub(super) fn permissions<A: Api>() -> Declared {
    let sets = |verbs: &[Verb]| verbs.iter().copied().map(Permission::of::<A::ReplicaSet>).collect();
    vec![
        // Get: a create whose answer was lost looks whether it had been carried out.
        ("CreateReplicaSet", sets(&[Verb::Create, Verb::Get])),
        ("ScaleReplicaSet", sets(&[Verb::Patch])),
        ("SetMinReadySeconds", sets(&[Verb::Patch])),
        ("DeleteReplicaSet", sets(&[Verb::Delete])),
    ]
}
