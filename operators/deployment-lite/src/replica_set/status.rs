//! What a LiteReplicaSet reports of itself.

use operator_sdk::selector;

use super::{Observed, observed::is_ready};
use crate::api::LiteReplicaSetStatus;

/// The numbers as observed, before the plan was carried out: a pod counts until it is seen to terminate.
pub(super) fn status(observed: &Observed) -> LiteReplicaSetStatus {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let ready = count(observed.pods.iter().filter(|pod| is_ready(pod)).count());
    LiteReplicaSetStatus {
        observed_generation: observed.replica_set.metadata.generation.unwrap_or_default(),
        replicas: count(observed.pods.len()),
        ready_replicas: ready,
        available_replicas: ready,
        selector: selector::to_text(&observed.replica_set.spec.selector),
    }
}
