//! The closed list of what the LiteDeployment controller does to the world.

use operator_sdk::{
    Target,
    permission::{Permission, Verb},
    plan,
};

use crate::api::LiteReplicaSet;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes the LiteReplicaSet of the present template.
    CreateReplicaSet {
        /// Its name.
        name: String,
        /// The hash in its name and on its pods.
        hash: String,
        /// Its size from the start.
        replicas: i32,
    },
    /// Changes the size of a LiteReplicaSet.
    ScaleReplicaSet {
        /// Which.
        target: Target,
        /// Its size so far.
        from: i32,
        /// Its new size.
        to: i32,
    },
    /// Deletes a LiteReplicaSet of a template long past.
    DeleteReplicaSet {
        /// Which.
        target: Target,
    },
}

impl plan::Step for Step {
    fn permissions() -> Vec<Permission> {
        // Get: a create whose answer was lost looks whether it had been carried out.
        [Verb::Create, Verb::Get, Verb::Patch, Verb::Delete].map(Permission::of::<LiteReplicaSet>).to_vec()
    }
}
