//! What is known of one LiteReplicaSet: plain, sorted data.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::api::LiteReplicaSet;

/// A LiteReplicaSet and the pods that it controls.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The LiteReplicaSet.
    pub replica_set: Arc<LiteReplicaSet>,
    /// Its active pods, by name: those that neither terminate nor have ended (R1).
    pub pods: Vec<Arc<Pod>>,
}

impl Observed {
    /// Leaves out what does not count.
    pub fn new(replica_set: Arc<LiteReplicaSet>, mut pods: Vec<Arc<Pod>>) -> Self {
        pods.retain(|pod| is_active(pod));
        pods.sort_by_key(|pod| pod.metadata.name.clone());
        Self { replica_set, pods }
    }
}

fn is_active(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// True if the pod's Ready condition holds.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
