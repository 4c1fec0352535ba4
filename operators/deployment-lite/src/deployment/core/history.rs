//! Which LiteReplicaSets of templates long past are deleted.

use operator_sdk::{Target, plan::Plan};

use super::version;
use crate::{
    api::LiteReplicaSet,
    deployment::{Observed, Step},
};

/// Deletes the oldest empty LiteReplicaSets beyond the limit. Called only when nothing else is to be done.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let former: Vec<&LiteReplicaSet> = version::former(observed).collect();
    let kept = usize::try_from(observed.deployment.spec.revision_history_limit).unwrap_or(0);
    let surplus = former.len().saturating_sub(kept);
    for set in former.into_iter().take(surplus).filter(|set| is_empty(set)) {
        if let Ok(target) = Target::of(set) {
            plan.step(Step::DeleteReplicaSet { target }, "beyond revisionHistoryLimit");
        }
    }
}

fn is_empty(set: &LiteReplicaSet) -> bool {
    let generation = set.metadata.generation.unwrap_or_default();
    let has_no_pods =
        |status: &crate::api::LiteReplicaSetStatus| status.replicas == 0 && status.observed_generation >= generation;
    set.spec.replicas == 0 && set.status.as_ref().is_some_and(has_no_pods)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set, replica_set, unseen};

    fn deleted(sets: Vec<LiteReplicaSet>, limit: i32) -> Vec<String> {
        let mut deployment = deployment(1, "1", "0");
        deployment.spec.revision_history_limit = limit;
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
    fn a_set_that_may_still_have_pods_stays() {
        let deployment = deployment(1, "1", "0");
        let full = replica_set(&deployment, "full", "a:1", 0, 2);
        let unread = unseen(replica_set(&deployment, "unread", "b:1", 0, 0));
        assert_eq!(deleted(vec![full, unread], 0), Vec::<String>::new());
    }
}
