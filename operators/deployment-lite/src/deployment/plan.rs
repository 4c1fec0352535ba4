//! The closed list of what the Deployment controller does to the world.

use operator_sdk::{
    Target,
    permission::{Permission, Verb},
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

/// What the steps ask of the API server.
pub(super) fn permissions<A: Api>() -> Vec<Permission> {
    // Get: a create whose answer was lost looks whether it had been carried out.
    [Verb::Create, Verb::Get, Verb::Patch, Verb::Delete].map(Permission::of::<A::ReplicaSet>).to_vec()
}
