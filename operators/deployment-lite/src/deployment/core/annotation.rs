//! The annotations that Deployments and their ReplicaSets share (D19–D24), by upstream's names.

use std::collections::BTreeMap;

use super::fencepost::Fenceposts;
use crate::deployment::{Observed, Set};

/// The revision of a ReplicaSet, and of a Deployment at it.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revisions that a ReplicaSet had before, as its template was used several times.
pub(crate) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The size of the Deployment when a ReplicaSet was scaled last.
pub(crate) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// That size, and what may surge beyond it.
pub(crate) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// The revision that a Deployment is to go back to.
pub(crate) const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";

/// What a Deployment and its ReplicaSet say each for itself (D23).
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    ROLLBACK_TO,
];

/// True for an annotation that a ReplicaSet takes over from its Deployment, and gives back at a rollback.
pub(crate) fn is_shared(name: &str) -> bool {
    !OWN.contains(&name)
}

/// The Deployment's annotations that a ReplicaSet takes over, with a value other than in `held`.
pub(crate) fn shared(observed: &Observed, held: Option<&Set>) -> BTreeMap<String, String> {
    let annotations = observed.metadata.annotations.iter().flatten();
    let differs =
        |(name, value): &(&String, &String)| held.and_then(|set| set.annotation(name)) != Some(value.as_str());
    annotations.filter(|(name, _)| is_shared(name)).filter(differs).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// What a ReplicaSet says of the size of its Deployment once it has been scaled (D24).
pub(crate) fn sizes(observed: &Observed) -> BTreeMap<String, String> {
    let max = Fenceposts::of(observed).total_max;
    let pair = |name: &str, number: i32| (name.to_owned(), number.to_string());
    [pair(DESIRED_REPLICAS, observed.replicas()), pair(MAX_REPLICAS, max)].into()
}

/// A size that a ReplicaSet tells of its Deployment; nothing if it is no number of pods (D41).
pub(crate) fn size(set: &Set, name: &str) -> Option<i32> {
    set.annotation(name)?.parse().ok().filter(|number| *number >= 0)
}
