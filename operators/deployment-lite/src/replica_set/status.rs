//! What a ReplicaSet reports of itself.

use k8s_openapi::api::apps::v1::ReplicaSetStatus;

use super::{Observed, observed::is_ready};

/// The numbers as observed, before the plan was carried out: a pod counts until it is seen to terminate.
pub(super) fn status(observed: &Observed) -> ReplicaSetStatus {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let ready = count(observed.pods.iter().filter(|pod| is_ready(pod)).count());
    ReplicaSetStatus {
        observed_generation: observed.metadata.generation,
        replicas: count(observed.pods.len()),
        ready_replicas: Some(ready),
        available_replicas: Some(ready),
        ..ReplicaSetStatus::default()
    }
}
