//! One ReplicaSet gets another size.

use operator_sdk::{Error, Target, plan::Plan};

use super::annotation;
use crate::deployment::{Observed, Set, Step};

/// Adds the step that gives a ReplicaSet this size.
pub(super) fn change(observed: &Observed, set: &Set, to: i32, reason: &str, plan: &mut Plan<Step>) {
    let from = set.size();
    let annotations = annotation::sizes(observed);
    match Target::of_metadata(&set.metadata) {
        Ok(target) => plan.step(Step::ScaleReplicaSet { target, from, to, annotations }, reason),
        // Only an object that never was on the server lacks these fields.
        Err(Error::MissingField(field)) => plan.wait(format!("a ReplicaSet without {field} to be read again")),
        Err(error) => plan.wait(error.to_string()),
    }
}

/// True if a ReplicaSet says another size of its Deployment than that is.
pub(super) fn is_outdated(observed: &Observed, set: &Set) -> bool {
    annotation::sizes(observed).iter().any(|(name, value)| set.annotation(name) != Some(value.as_str()))
}

/// The ReplicaSets that are asked to have pods.
pub(super) fn active(observed: &Observed) -> impl Iterator<Item = &Set> {
    observed.replica_sets.iter().filter(|set| set.size() > 0)
}

/// The pods that a ReplicaSet may have now: those it has, and those it may make any moment.
pub(super) fn occupied(set: &Set) -> i32 {
    set.size().max(set.status.replicas)
}

/// Waits for a ReplicaSet that has not acted on its latest size yet, if there is one; says so.
pub(super) fn wait_for_unseen(observed: &Observed, plan: &mut Plan<Step>) -> bool {
    let unseen = observed.replica_sets.iter().find(|set| !set.has_seen_its_size());
    if let Some(set) = unseen {
        plan.wait(format!("ReplicaSet {} to act on its size of {}", set.name(), set.size()));
    }
    unseen.is_some()
}
