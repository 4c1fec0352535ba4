//! What is known of one LiteDeployment: plain, sorted data.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::{LiteDeployment, LiteReplicaSet};

/// A LiteDeployment, what it controls, and the time.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The LiteDeployment.
    pub deployment: Arc<LiteDeployment>,
    /// The LiteReplicaSets that it controls and that are not being deleted, oldest first (then by name).
    pub replica_sets: Vec<Arc<LiteReplicaSet>>,
    /// When it was looked at.
    pub now: Timestamp,
}

impl Observed {
    /// Sorts what was collected.
    pub fn new(deployment: Arc<LiteDeployment>, mut replica_sets: Vec<Arc<LiteReplicaSet>>, now: Timestamp) -> Self {
        replica_sets.retain(|set| set.metadata.deletion_timestamp.is_none());
        replica_sets.sort_by_key(|set| (set.metadata.creation_timestamp.clone(), set.metadata.name.clone()));
        Self { deployment, replica_sets, now }
    }

    /// The number of pods asked for; never negative.
    pub fn replicas(&self) -> i32 {
        self.deployment.spec.replicas.max(0)
    }

    /// True once the LiteDeployment is being deleted: nothing is to be changed any more.
    pub fn is_deleting(&self) -> bool {
        self.deployment.metadata.deletion_timestamp.is_some()
    }
}
