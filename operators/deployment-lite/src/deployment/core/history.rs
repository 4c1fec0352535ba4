//! Which ReplicaSets of templates long past are deleted.

use operator_sdk::{Target, plan::Plan};

use super::{deadline, revision, version};
use crate::deployment::{Observed, Set, Step};

/// Deletes those beyond the limit that are empty: of the lowest revisions, those without one first (D67).
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let limit = observed.spec.revision_history_limit.filter(|limit| *limit != i32::MAX);
    let Some(kept) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return };
    let is_staying = |set: &&Set| set.metadata.deletion_timestamp.is_none();
    // Oldest first already; the sort keeps that order among equals.
    let mut former: Vec<&Set> = version::former(observed).filter(is_staying).collect();
    former.sort_by_key(|set| revision::of(set).unwrap_or(0));
    let surplus = former.len().saturating_sub(kept);
    for set in former.into_iter().take(surplus).filter(|set| is_empty(set)) {
        if let Ok(target) = Target::of_metadata(&set.metadata) {
            plan.step(Step::DeleteReplicaSet { target }, "beyond revisionHistoryLimit");
        }
    }
}

/// True once the Deployment has reported that its rollout is complete.
pub(super) fn is_due(observed: &Observed) -> bool {
    deadline::is_complete(observed, &observed.status)
        && observed.status.observed_generation >= observed.metadata.generation
}

fn is_empty(set: &Set) -> bool {
    set.size() == 0 && set.status.replicas == 0 && set.has_seen_its_size()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;

    use super::*;
    use crate::deployment::core::{
        annotation::REVISION,
        fixture::{annotated, deployment, observed, ready_set, replica_set, unseen},
    };

    fn deleted(sets: Vec<ReplicaSet>, limit: i32) -> Vec<String> {
        let mut deployment = deployment(1, "1", "0");
        deployment.spec.revision_history_limit = Some(limit);
        let mut plan_of = Plan::default();
        plan(&observed(&deployment, sets), &mut plan_of);
        let name = |step: &Step| match step {
            Step::DeleteReplicaSet { target } => target.key.name.clone(),
            other => format!("{other:?}"),
        };
        plan_of.steps().map(|planned| name(&planned.step)).collect()
    }

    #[test]
    fn the_oldest_empty_sets_beyond_the_limit_go() {
        let deployment = deployment(1, "1", "0");
        let old = |name: &str| replica_set(&deployment, name, name, 0, 0);
        let sets = vec![old("a"), old("b"), old("c"), ready_set(&deployment, "new", 1)];
        assert_eq!(deleted(sets.clone(), 1), ["a", "b"]);
        assert_eq!(deleted(sets, 3), Vec::<String>::new());
    }

    #[test]
    fn a_limit_that_is_missing_or_the_greatest_number_keeps_all() {
        let mut deployment = deployment(1, "1", "0");
        let old = replica_set(&deployment, "old", "a", 0, 0);
        for (limit, count) in [(None, 0), (Some(i32::MAX), 0), (Some(0), 1)] {
            deployment.spec.revision_history_limit = limit;
            let mut plan_of = Plan::default();
            plan(&observed(&deployment, vec![old.clone()]), &mut plan_of);
            assert_eq!(plan_of.steps().count(), count, "{limit:?}");
        }
    }

    #[test]
    fn the_lowest_revisions_go_first_and_those_without_one_before_them() {
        let deployment = deployment(1, "1", "0");
        let old =
            |name: &str, revision: &str| annotated(replica_set(&deployment, name, name, 0, 0), &[(REVISION, revision)]);
        let sets = vec![old("a", "10"), old("b", "9"), old("c", "none"), old("d", "11")];
        assert_eq!(deleted(sets.clone(), 2), ["c", "b"]);
        let mut sets = sets;
        sets[2].metadata.deletion_timestamp = sets[2].metadata.creation_timestamp.clone();
        assert_eq!(deleted(sets, 2), ["b"], "what goes anyway does not count");
    }

    #[test]
    fn one_that_has_to_stay_does_not_make_another_one_go() {
        let deployment = deployment(1, "1", "0");
        let old = |name: &str, size| replica_set(&deployment, name, name, size, size);
        assert_eq!(deleted(vec![old("a", 1), old("b", 0), old("c", 0)], 2), Vec::<String>::new());
    }

    #[test]
    fn a_set_that_may_still_have_pods_stays() {
        let deployment = deployment(1, "1", "0");
        let full = replica_set(&deployment, "full", "a:1", 0, 2);
        let unread = unseen(replica_set(&deployment, "unread", "b:1", 0, 0));
        assert_eq!(deleted(vec![full, unread], 0), Vec::<String>::new());
    }
}
