//! What is known of one ReplicaSet: plain, sorted data, in the built-in kinds' own terms.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use operator_sdk::plan::Now;

/// A ReplicaSet, the pods that it controls, and the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The ReplicaSet's metadata.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: ReplicaSetSpec,
    /// What it reported last.
    pub status: ReplicaSetStatus,
    /// Its active pods, by name: those that neither terminate nor have ended (R1).
    pub pods: Vec<Arc<Pod>>,
    /// How many more are terminating and have not ended yet (R13).
    pub terminating: usize,
    /// When it was looked at.
    pub now: Now,
}

impl Observed {
    /// Leaves out what does not count.
    pub fn new(replica_set: ReplicaSet, mut pods: Vec<Arc<Pod>>, now: Timestamp) -> Self {
        pods.retain(|pod| !has_ended(pod));
        let all = pods.len();
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        let terminating = all - pods.len();
        pods.sort_by_key(|pod| pod.metadata.name.clone());
        Self {
            metadata: replica_set.metadata,
            spec: replica_set.spec,
            status: replica_set.status.unwrap_or_default(),
            pods,
            terminating,
            now: Now(now),
        }
    }

    /// How long a pod has to be ready before it counts as available. Default 0.
    pub fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    /// The number of pods asked for; never negative. Default 1.
    pub fn replicas(&self) -> usize {
        usize::try_from(self.spec.replicas.unwrap_or(1)).unwrap_or(0)
    }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
